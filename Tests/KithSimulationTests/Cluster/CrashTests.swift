import KithBytes
import KithClient
import KithCore
import KithPorts
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// What was acknowledged is there, whenever the power fails and whatever the disk refuses.
@Suite struct CrashTests {
    static let names = ["one", "two", "three", "four", "five", "six", "seven", "eight"]

    /// Disk operations of the whole workload without any fault, from the first start on.
    private func operations(seed: UInt64) throws -> ClosedRange<Int> {
        let cluster = SimulatedCluster(ClusterSettings(seed: seed))
        try cluster.start()
        let first = cluster.disk().operationCount
        let sender = MergingSender()
        sender.start(cluster, retrying: true)
        try cluster.simulator.run(until: { sender.isDone })
        let last = cluster.disk().operationCount
        try cluster.shutdown()
        return first...last
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `an acknowledged event survives a power loss after any disk operation`(
        seed: UInt64
    ) throws {
        for k in try operations(seed: seed) {
            let cluster = SimulatedCluster(ClusterSettings(seed: seed))
            try cluster.start()
            let sender = MergingSender()
            sender.start(cluster, retrying: true)
            let disk = cluster.disk()
            try cluster.simulator.run(until: { disk.operationCount >= k || sender.isDone })
            let before = sender.acknowledged
            cluster.crash()
            try cluster.start()
            if seed % 2 == 0 {
                // Before the client goes on: profiles are read one by one, so nothing may move.
                sender.isHeld = true
                try cluster.simulator.run(until: { sender.isHolding || sender.isDone })
                let totals = try MergingEvents.totals(cluster)
                for name in before { #expect(totals[name] == 1, "\(name), seed \(seed), k \(k)") }
                sender.isHeld = false
            }
            try cluster.simulator.run(until: { sender.isDone })
            try cluster.checkInvariants()

            #expect(sender.acknowledged == Self.names, "seed \(seed), k \(k)")
            let counts = try MergingEvents.counts(cluster, namespace: "user_id", "u")
            #expect(
                counts == Dictionary(uniqueKeysWithValues: Self.names.map { ($0, 1) }),
                "seed \(seed), k \(k)")
            try cluster.shutdown()
        }
    }

    @Test(arguments: 1...2 as ClosedRange<UInt64>)
    func `a disk that fails stops the node, and nothing that it did not keep was acknowledged`(
        seed: UInt64
    ) throws {
        var stopped = 0
        let range = try operations(seed: seed)
        for k in range {
            let cluster = SimulatedCluster(ClusterSettings(seed: seed))
            try cluster.start()
            cluster.disk().failAt(operation: k - range.lowerBound + 1, isPersistent: true)
            let sender = MergingSender()
            sender.start(cluster, retrying: false)
            try cluster.simulator.run(until: { sender.isDone })
            // A node that has failed answers before it has ended.
            try cluster.simulator.run(nanoseconds: 1_000_000_000)
            if !cluster.isUp() {
                stopped += 1
                #expect(
                    cluster.failure() != nil, "a node that stops says why, seed \(seed), k \(k)")
            } else {
                // Where only the next segment could not be made the node may serve reads on.
                #expect(
                    sender.refused.allSatisfy { $0 == .overloaded }
                        && sender.refused.count + sender.acknowledged.count == Self.names.count,
                    "seed \(seed), k \(k)")
            }
            cluster.crash(keeping: { _ in .nothing })
            try cluster.start()

            let totals = try MergingEvents.totals(cluster)
            for name in sender.acknowledged {
                #expect(totals[name] == 1, "\(name), seed \(seed), k \(k)")
            }
            #expect(totals.values.allSatisfy { $0 == 1 }, "seed \(seed), k \(k): \(totals)")
            try cluster.checkInvariants()
            try cluster.shutdown()
        }
        #expect(stopped > range.count / 2)
    }

    @Test(arguments: 1...2 as ClosedRange<UInt64>)
    func `a start that fails or dies at any disk operation can be tried again`(
        seed: UInt64
    ) throws {
        for isFirst in [true, false] {
            for k in 1...200 {
                let cluster = SimulatedCluster(ClusterSettings(seed: seed))
                let sender = MergingSender()
                if !isFirst {
                    try cluster.start()
                    sender.start(cluster, retrying: true)
                    try cluster.simulator.run(until: { sender.isDone })
                    try cluster.stop()
                }
                let disk = cluster.disk()
                disk.failAt(operation: k, isPersistent: true)
                // Some operations may fail without harm; whatever it says, the next start counts.
                try? cluster.start()
                let hasFailed = disk.hasFailed
                cluster.crash()
                try cluster.start()
                let totals = try MergingEvents.totals(cluster)
                #expect(totals.count == sender.acknowledged.count, "seed \(seed), k \(k)")
                try cluster.shutdown()
                if !hasFailed { break }
            }
        }
    }

    @Test func `a nearly full disk refuses events and answers reads`() throws {
        let cluster = SimulatedCluster(ClusterSettings(seed: 5))
        try cluster.start()
        let first = MergingEvents.payload(MergingEvents.list[0])
        let second = MergingEvents.payload(MergingEvents.list[1])
        _ = try cluster.run { try await $0.ingest(first) }

        cluster.disk().setFreeBytes(100_000)
        try cluster.simulator.run(nanoseconds: 5_000_000_000)
        let refused = try cluster.run { try await $0.ingest(second) }

        #expect(refused.results == [.overloaded])
        #expect(refused.retryAfterMillis > 0)
        #expect(
            try MergingEvents.counts(cluster, namespace: "anonymous_id", "a1") == ["one": 1])

        cluster.disk().setFreeBytes(1 << 30)
        try cluster.simulator.run(nanoseconds: 5_000_000_000)
        let taken = try cluster.run { try await $0.ingest(second) }

        #expect(taken.results == [.ok])
        #expect(
            try MergingEvents.counts(cluster, namespace: "user_id", "u") == ["one": 1, "two": 1])
        try cluster.shutdown()
    }

    @Test(arguments: ["name", "groups", "hashKey"])
    func `a data folder of another cluster is refused with what differs`(_ key: String) throws {
        var settings = ClusterSettings(seed: 6)
        settings.hashKey = HashKey(k0: 1, k1: 2)
        let first = SimulatedCluster(settings)
        try first.start()
        try first.stop()
        let paths = first.disk().paths
        let contents = paths.map { first.disk().bytes(of: $0) }
        var expected = NodeError.otherHashKey
        switch key {
        case "name":
            settings.name = "other"
            expected = .otherCluster(key: key, folder: "\"simulated\"", file: "\"other\"")
        case "groups":
            settings.groups = 8
            expected = .otherCluster(key: key, folder: "4", file: "8")
        default:
            settings.hashKey = HashKey(k0: 1, k1: 3)
        }
        let second = SimulatedCluster(settings)
        second.setDisk(first.disk())

        let error = #expect(throws: NodeError.self) { try second.start() }

        #expect(error == expected)
        #expect(second.disk().paths.filter { $0 != "lock" } == paths.filter { $0 != "lock" })
        #expect(paths.map { second.disk().bytes(of: $0) } == contents)
        try first.shutdown()
        try second.shutdown()
    }

    @Test func `two nodes never share a data folder`() throws {
        let first = SimulatedCluster(ClusterSettings(seed: 7))
        try first.start()
        let second = SimulatedCluster(ClusterSettings(seed: 7))
        second.setDisk(first.disk())

        let error = #expect(throws: NodeError.self) { try second.start() }

        guard case .folderInUse? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try first.shutdown()
        try second.shutdown()
    }
}
