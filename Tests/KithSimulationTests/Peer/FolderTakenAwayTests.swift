import KithBytes
import KithClient
import KithPorts
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// Somebody removes files of a node's folder while it runs: it ends and says which.
@Suite struct FolderTakenAwayTests {
    private func served() throws -> SimulatedCluster {
        let cluster = SimulatedCluster(ClusterSettings(seed: 5))
        try cluster.start()
        #expect(try ingest("first", cluster) == .ok)
        return cluster
    }

    private func ingest(_ name: String, _ cluster: SimulatedCluster) throws -> IngestResult {
        let payload = PeerWorld.payload([
            MergingEvents.event(name, ["anonymousId": .text("visitor")])
        ])
        return try cluster.run(at: 1) { try await $0.ingest(payload) }.results[0]
    }

    private func expectEnd(_ cluster: SimulatedCluster, naming path: String) throws {
        try cluster.simulator.run(
            until: { cluster.failure() != nil }, maxNanoseconds: 15_000_000_000)
        #expect(cluster.failure() == .disk(.takenAway(path)))
        try cluster.shutdown()
    }

    @Test func `an event is not acknowledged once the log is gone`() throws {
        let cluster = try served()
        let segment = try #require(cluster.disk().paths.first { $0.hasPrefix("log/") })
        for path in cluster.disk().paths { cluster.disk().lose(path) }

        let payload = PeerWorld.payload([
            MergingEvents.event("second", ["anonymousId": .text("visitor")])
        ])
        let answer = try? cluster.run(at: 1) { try await $0.ingest(payload) }
        #expect(answer?.results[0] != .ok)
        try expectEnd(cluster, naming: segment)
    }

    @Test(arguments: ["identity", "starts", "namespaces"])
    func `within ten seconds a lost file ends an idle node`(path: String) throws {
        let cluster = try served()
        cluster.disk().lose(path)
        try expectEnd(cluster, naming: path)
    }

    @Test func `within ten seconds a segment that was cut ends an idle node`() throws {
        let cluster = try served()
        let segment = try #require(cluster.disk().paths.first { $0.hasPrefix("log/") })
        cluster.disk().decay(segment) { $0.removeLast(100) }
        try expectEnd(cluster, naming: segment)
    }

    /// A folder that was moved away: there is nothing whose room could be read either.
    @Test func `of a folder that is gone nothing is said but that, and soon`() throws {
        let cluster = try served()
        for path in cluster.disk().paths { cluster.disk().lose(path) }
        cluster.disk().failAt(.look, count: 1)

        try cluster.simulator.run(
            until: { cluster.failure() != nil }, maxNanoseconds: 3_000_000_000)

        guard case .disk(let error)? = cluster.failure() else {
            Issue.record("\(String(describing: cluster.failure()))")
            return
        }
        #expect(error.isTakenAway)
        #expect(cluster.said().filter { $0.contains("disk:") } == [])
        try cluster.shutdown()
    }

    @Test func `of room that cannot be read is said that, and not how much there is`() throws {
        let cluster = try served()
        cluster.disk().failAt(.look, count: 1, isPersistent: true, fault: 1)
        try cluster.simulator.run(nanoseconds: 3_000_000_000, maxSteps: 5_000_000)

        #expect(try ingest("second", cluster) == .overloaded)
        let told = cluster.said().filter { $0.contains("disk:") }
        #expect(
            told == [
                "disk: nobody can read how much is free (simulated error 5); events are refused "
                    + "until there is room"
            ])
        let status = try cluster.run(at: 1) { try await $0.status() }
        let row = try CBORValue(decoding: status.span.bytes)["nodes"]
        guard case .array(let rows)? = row, case .text(let problem)? = rows.first?["problem"]
        else {
            Issue.record("\(String(describing: row))")
            return
        }
        #expect(problem.hasPrefix("nobody can read how much is free"))
        #expect(rows.first?["diskFreeBytes"] == nil)
        cluster.disk().stopFailing(fault: 1)
        try cluster.simulator.run(nanoseconds: 3_000_000_000, maxSteps: 5_000_000)
        #expect(cluster.said().last?.contains("free again; events are taken") == true)
        #expect(try ingest("second", cluster) == .ok)
        try cluster.shutdown()
    }

    @Test func `a folder that nobody touches is left alone`() throws {
        let cluster = try served()
        try cluster.simulator.run(nanoseconds: 60_000_000_000, maxSteps: 5_000_000)
        #expect(cluster.failure() == nil)
        #expect(try ingest("second", cluster) == .ok)
        try cluster.shutdown()
    }
}
