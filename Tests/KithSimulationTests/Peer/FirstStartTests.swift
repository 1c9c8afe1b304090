import KithBytes
import KithClient
import KithPorts
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// A folder that knows of no start may be a new one, or one that was removed: only the others can
/// tell, so it waits for all of them.
@Suite struct FirstStartTests {
    private func down(seed: UInt64) -> SimulatedCluster {
        var settings = ClusterSettings(seed: seed)
        (settings.nodeCount, settings.groups) = (3, 3)
        return SimulatedCluster(settings)
    }

    private func pass(_ cluster: SimulatedCluster, seconds: UInt64) throws {
        try cluster.simulator.run(nanoseconds: seconds * 1_000_000_000, maxSteps: 5_000_000)
    }

    private func isWaiting(_ cluster: SimulatedCluster, _ number: Int) -> Bool {
        let life = cluster.node(number).life
        return life != nil && life?.node == nil && life?.end == nil
    }

    /// The row of a node, as it says itself.
    private func row(_ cluster: SimulatedCluster, _ number: Int) throws -> CBORValue? {
        let bytes = try cluster.run(at: number) { try await $0.status() }
        guard case .array(let rows)? = try CBORValue(decoding: bytes.span.bytes)["nodes"] else {
            return nil
        }
        return rows[number - 1]
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `a new cluster comes up at once`(seed: UInt64) throws {
        let cluster = down(seed: seed)
        try cluster.startAll()
        #expect(cluster.simulator.nanoseconds < 500_000_000, "seed \(seed)")
        for node in 1...3 {
            #expect(!cluster.said(node).contains { $0.hasPrefix("starting: it waits") })
        }
        try cluster.shutdown()
    }

    @Test func `a first start waits until all others have answered once, and says for whom`() throws
    {
        let cluster = down(seed: 1)
        cluster.begin(1)
        try pass(cluster, seconds: 90)
        #expect(isWaiting(cluster, 1))
        let waits = "it waits for node 2, node 3, which must say first"
        #expect(cluster.said(1).count { $0.contains(waits) } == 9)
        let row = try #require(try row(cluster, 1))
        #expect(row["state"] == .text("starting"))
        guard case .text(let problem)? = row["problem"] else { throw ClientError.closed }
        #expect(problem.contains(waits))

        cluster.begin(2)
        try pass(cluster, seconds: 20)
        #expect(isWaiting(cluster, 1) && isWaiting(cluster, 2))
        #expect(cluster.said(1).last?.contains("waits for node 3, which") ?? false)
        cluster.begin(3)
        try pass(cluster, seconds: 2)
        for node in 1...3 { #expect(cluster.node(node).life?.node != nil) }
        // From then on each starts by itself.
        try cluster.stopAll()
        try cluster.start(1)
        try cluster.shutdown()
    }

    @Test(arguments: [1, 3])
    func `a removed folder tells nobody "no profile" while the others are down`(
        first: Int
    ) throws {
        let world = try PeerWorld.started(seed: 9)
        let cluster = world.cluster
        let person = world.person("p", cookieAt: 2, accountAt: 2)
        #expect(try world.ingestAll(person.events.map(\.event), at: 1).allSatisfy { $0 == .ok })
        try world.pass(milliseconds: 3_000)
        try cluster.stopAll()
        cluster.setDisk(SimulatedDisk(), 2)

        cluster.begin(2)
        try pass(cluster, seconds: 60)
        #expect(isWaiting(cluster, 2))
        #expect(throws: ClientError.self) {
            try world.profile("user_id", person.account, at: 2)
        }
        #expect(cluster.disk(2).paths.filter { $0 != "lock" } == [])
        try cluster.start(first)
        try pass(cluster, seconds: 2)
        #expect(
            cluster.failure(2) == .folderReplaced(seenBy: UInt16(first), how: .unknownStart))
        try cluster.shutdown()
    }
}
