import KithBytes
import KithClient
import KithPorts
import KithServer
import KithWire
import Testing

@testable import KithCore
@testable import KithSimulation
@testable import KithStorage

/// What a data folder remembers of its cluster file beside name, groups and hash key.
@Suite struct FolderTests {
    /// A cluster on `disk` whose standard namespaces are joined by `more`.
    private func cluster(
        _ more: [(name: String, class: IdentifierClass)] = [], without gone: String? = nil,
        on disk: SimulatedDisk? = nil
    ) -> SimulatedCluster {
        var settings = ClusterSettings(seed: 21)
        settings.identity.namespaces += more.map {
            IdentityRules.Namespace(
                name: $0.name, class: $0.class, limit: 5, from: ["traits.\($0.name)"])
        }
        settings.identity.namespaces.removeAll { $0.name == gone }
        let cluster = SimulatedCluster(settings)
        if let disk { cluster.setDisk(disk) }
        return cluster
    }

    /// Starts, stops, shuts down, and gives the disk that is left.
    private func disk(afterLifeOf cluster: SimulatedCluster) throws -> SimulatedDisk {
        try cluster.start()
        try cluster.stop()
        let disk = cluster.disk()
        try cluster.shutdown()
        return disk
    }

    /// What refuses the start; nothing on the disk may have changed.
    private func refusal(of cluster: SimulatedCluster) throws -> NodeError? {
        let paths = cluster.disk().paths.filter { $0 != "lock" }
        let contents = paths.map { cluster.disk().bytes(of: $0) }
        let error = #expect(throws: NodeError.self) { try cluster.start() }
        #expect(cluster.disk().paths.filter { $0 != "lock" } == paths)
        #expect(paths.map { cluster.disk().bytes(of: $0) } == contents)
        try cluster.shutdown()
        return error
    }

    @Test func `a namespace never gets another class`() throws {
        let disk = try disk(afterLifeOf: cluster([("card", .known)]))

        let error = try refusal(of: cluster([("card", .contact)], on: disk))

        #expect(
            error
                == .otherCluster(key: "identity.namespaces.card.class", folder: "2", file: "1"))
    }

    @Test func `a namespace that was gone does not come back with another class`() throws {
        let first = try disk(afterLifeOf: cluster())
        let second = try disk(afterLifeOf: cluster([("card", .known)], on: first))
        let third = try disk(afterLifeOf: cluster(without: "phone", on: second))

        let error = try refusal(of: cluster([("card", .anonymous)], on: third))

        #expect(
            error
                == .otherCluster(key: "identity.namespaces.card.class", folder: "2", file: "3"))
        _ = try disk(afterLifeOf: cluster([("card", .known)], on: third))
    }

    @Test func `a new namespace is remembered whatever disk operation the power fails after`()
        throws
    {
        let disk = try disk(afterLifeOf: cluster())
        for k in 1...200 {
            let life = cluster([("card", .known)], on: disk)
            let used = life.disk()
            used.failAt(operation: k, isPersistent: true)
            let hasStarted = (try? life.start()) != nil
            let hasFailed = used.hasFailed
            life.crash(keeping: { _ in .nothing })
            let after = life.disk()
            try life.shutdown()
            let other = cluster([("card", .contact)], on: after)
            if hasStarted {
                // It may have served events of that namespace.
                _ = try refusal(of: other)
            } else {
                _ = try self.disk(afterLifeOf: cluster([("card", .known)], on: after))
                try other.shutdown()
            }
            if !hasFailed { return }
        }
        Issue.record("a start takes more than 200 disk operations")
    }

    /// Else a namespace could come back with another class, and all its identifiers be nobody's.
    @Test func `a folder that was used and lost a file is refused by its name`() throws {
        for path in ["namespaces", "starts"] {
            let disk = try disk(afterLifeOf: cluster([("card", .known)])).copy()
            try forget(path, disk)

            let error = try refusal(of: cluster([("card", .known)], on: disk))

            #expect(error == .identity(.corrupt(path: path)))
        }
    }

    private func forget(_ path: String, _ disk: SimulatedDisk) throws {
        let simulator = Simulator(seed: 1)
        try simulator.run(on: simulator.lane(node: "n")) {
            try await disk.remove(path)
            try await disk.syncDirectory(".")
        }
        try simulator.shutdown()
    }

    @Test func `what a folder may remember is bounded, and what it says of it is not damaged`()
        throws
    {
        var disk: SimulatedDisk?
        for round in 0..<8 {
            let names = (0..<59).map { ("n\(round)-\($0)", IdentifierClass.known) }
            disk = try self.disk(afterLifeOf: cluster(names, on: disk))
        }

        let names = (0..<59).map { ("more-\($0)", IdentifierClass.known) }
        let error = try refusal(of: cluster(names, on: disk))

        #expect(error?.description.contains("at most 512") == true, "\(String(describing: error))")
        _ = try self.disk(afterLifeOf: cluster([("n0-7", .known)], on: disk))
    }

    @Test func `a folder of one node is refused by another`() throws {
        var settings = ClusterSettings(seed: 22)
        settings.nodeCount = 2
        let first = SimulatedCluster(settings)
        try first.startAll()
        try first.stop(1)
        let second = SimulatedCluster(settings)
        second.setDisk(first.disk(1), 2)

        let error = #expect(throws: NodeError.self) { try second.start(2) }

        #expect(error == .otherCluster(key: "node", folder: "1", file: "2"))
        try first.shutdown()
        try second.shutdown()
    }

    // MARK: The retention clock

    private static let day: Int64 = 86_400_000

    private func ingest(
        _ cluster: SimulatedCluster, _ name: String, _ identifiers: CBORValue,
        stamp: LogTime? = nil
    ) throws -> [IngestResult] {
        var batch = IngestBatchWriter(space: "default", hasStamps: stamp != nil)
        batch.append(stamp: stamp, bytes: MergingEvents.event(name, identifiers).encoded())
        let payload = batch.payload
        return try cluster.run { try await $0.ingest(payload) }.results
    }

    @Test func `a history is imported with the event clock and goes on with the wall clock`() throws
    {
        let start = SimulatedClock.defaultStart
        func life(_ isEventClock: Bool, on disk: SimulatedDisk?) throws -> SimulatedCluster {
            var settings = ClusterSettings(seed: 23)
            settings.isEventClock = isEventClock
            let cluster = SimulatedCluster(settings)
            if let disk { cluster.setDisk(disk) }
            try cluster.start()
            return cluster
        }
        let history = try life(true, on: nil)
        let old = LogTime(start.rawValue - 200 * Self.day)
        let new = LogTime(start.rawValue - 10 * Self.day)
        let summer: CBORValue = "2025-06-15T00:00:00Z"
        let winter: CBORValue = "2025-12-22T00:00:00Z"
        for (name, event, stamp) in [
            ("one", ["anonymousId": "old", "timestamp": summer], old),
            ("two", ["userId": "u", "timestamp": summer], old),
            ("three", ["anonymousId": "new", "timestamp": winter], new),
        ] as [(String, CBORValue, LogTime)] {
            #expect(try ingest(history, name, event, stamp: stamp) == [.ok])
        }
        try history.stop()

        let live = try life(false, on: history.disk())

        // Log time is the wall clock's from the first entry on.
        #expect(try MergingEvents.counts(live, namespace: "anonymous_id", "old") == [:])
        #expect(try MergingEvents.counts(live, namespace: "user_id", "u") == ["two": 1])
        #expect(try MergingEvents.counts(live, namespace: "anonymous_id", "new") == ["three": 1])
        #expect(try ingest(live, "four", ["anonymousId": "new"]) == [.ok])
        try live.checkInvariants()
        try live.stop()

        let again = try life(true, on: live.disk())

        // It does not fall again: an old stamp is judged at the log time there is.
        #expect(
            try MergingEvents.counts(again, namespace: "anonymous_id", "new")
                == ["three": 1, "four": 1])
        #expect(try ingest(again, "five", ["anonymousId": "late"], stamp: old) == [.ok])
        #expect(try ingest(again, "four", ["anonymousId": "new"], stamp: new) == [.duplicate])
        try again.checkInvariants()
        for cluster in [history, live, again] { try cluster.shutdown() }
    }
}
