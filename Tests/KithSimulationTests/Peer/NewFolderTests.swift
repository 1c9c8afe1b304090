import KithBytes
import KithClient
import KithPorts
import Testing

@testable import KithServer
@testable import KithSimulation
@testable import KithStorage
@testable import KithWire

/// Nodes that begin anew, several at a time and however often they are interrupted.
@Suite struct NewFolderTests {
    /// Starts the nodes at once, each with an empty volume, and waits until they serve.
    private func beginAnew(_ cluster: SimulatedCluster, _ numbers: [Int]) throws {
        for number in numbers {
            if cluster.node(number).isUp { try cluster.stop(number) }
            cluster.setDisk(SimulatedDisk(), number)
        }
        for number in numbers { _ = cluster.begin(number) { $0.folder = .new } }
        try cluster.simulator.run(nanoseconds: 20_000_000_000)
        for number in numbers {
            let life = cluster.node(number).life
            try #require(
                life?.node != nil && life?.end == nil, "\(number): \(String(describing: life?.end))"
            )
        }
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `all nodes of a cluster begin on empty volumes`(seed: UInt64) throws {
        var settings = ClusterSettings(seed: seed)
        (settings.nodeCount, settings.groups) = (3, 3)
        let cluster = SimulatedCluster(settings)
        defer { try? cluster.shutdown() }

        try beginAnew(cluster, [1, 2, 3])
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `two of three that lost their folders come back together`(seed: UInt64) throws {
        let world = try PeerWorld.populated(seed: seed).0
        defer { try? world.cluster.shutdown() }

        try beginAnew(world.cluster, [1, 2])

        let fresh = world.person("fresh", cookieAt: 1, accountAt: 2)
        #expect(try world.ingestAll(fresh.events.map(\.event), at: 3).allSatisfy { $0 == .ok })
        #expect(try world.profile("user_id", fresh.account, at: 1) != nil)
        try world.cluster.checkInvariants()
    }

    /// The profile is on node 1, and what led to it from the cookie was on node 2.
    @Test func `after a node began anew all say the same of what its log knew`() throws {
        let (world, persons) = try PeerWorld.populated(seed: 5)
        defer { try? world.cluster.shutdown() }
        for person in persons {
            for node in [1, 3] {
                _ = try world.profile("anonymous_id", person.cookie, at: node)
            }
        }

        try beginAnew(world.cluster, [2])
        try world.pass(milliseconds: 3_000)

        for person in persons {
            for (namespace, value) in [
                ("user_id", person.account), ("anonymous_id", person.cookie),
            ] {
                let answers = try (1...3).map {
                    try PeerWorld.counts(try world.profile(namespace, value, at: $0))
                }
                #expect(
                    answers.allSatisfy { $0 == answers[0] },
                    "\(person.name) \(namespace): \(answers)")
            }
        }
    }

    @Test func `a start that asks the others about its folder is no stranger to them`() throws {
        let world = try PeerWorld.populated(seed: 4).0
        try world.cluster.stop(2)
        try world.cluster.start(2)
        // Longer than from one line about strangers to the next.
        try world.pass(milliseconds: 12_000)

        for node in [1, 3] {
            let told = world.cluster.said(node).filter { $0.contains("refused") }
            #expect(told == [], "node \(node)")
        }
        #expect(world.cluster.isUp(2))
        try world.cluster.shutdown()
    }

    @Test func `a refused start leaves an empty folder an empty one`() throws {
        let world = try PeerWorld.populated(seed: 4).0
        defer { try? world.cluster.shutdown() }
        try world.cluster.stop(2)
        try world.cluster.stop(3)
        world.cluster.setDisk(SimulatedDisk(), 2)
        let error = #expect(throws: NodeError.self) { try world.cluster.start(2, folder: .new) }
        guard case .nodeNotAsked(3, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }

        #expect(throws: NodeError.folderEmpty) {
            try world.cluster.start(2, folder: .asFound(mayMake: false))
        }
    }

    /// Nobody who starts the node again after that says `--new`.
    @Test func `whenever beginning anew is cut short, a plain start goes on above all`() throws {
        let world = try PeerWorld.populated(seed: 5).0
        defer { try? world.cluster.shutdown() }
        let before = try world.applied(at: 2)
        try world.cluster.stop(2)
        var goneOn = 0
        for k in 1...300 {
            let (hasFailed, wentOn) = try world.beginAnew(failingAt: k, keeping: { _ in .nothing })
            if wentOn { goneOn += 1 }
            #expect(world.cluster.isUp(2), "cut short at operation \(k)")
            #expect(
                try world.applied(at: 2)
                    > LogIndex(before.rawValue + FolderStarts.unheardEntriesMax),
                "cut short at operation \(k)")
            try world.cluster.stop(2)
            if !hasFailed {
                #expect(goneOn > 1, "no start was cut short between its asking and its serving")
                return
            }
        }
        Issue.record("a start takes more than 300 disk operations")
    }

    @Test(arguments: ["identity", "starts", "notes", "namespaces", "clock"])
    func `a file of another version is refused by name`(path: String) throws {
        let cluster = SimulatedCluster(ClusterSettings(seed: 1))
        defer { try? cluster.shutdown() }
        try cluster.start()
        try cluster.simulator.run(nanoseconds: 3_000_000_000)
        try cluster.stop()
        let disk = cluster.disk()
        let lane = cluster.simulator.lane(node: "hand")
        let valueBytes =
            [FolderStarts.file, FolderNotes.file, FolderNamespaces.file].first { $0.path == path }?
            .valueBytes ?? 4_000
        try cluster.simulator.run(on: lane) {
            let cell = DurableCell(disk: disk, path: path, loop: lane, valueBytes: valueBytes)
            try await cell.store([99])
            await cell.close()
        }

        #expect(throws: NodeError.identity(.unsupportedVersion(99, path: path))) {
            try cluster.start()
        }
    }

    /// A start whose number has no next one, an end that no log comes to.
    @Test func `numbers that no node comes to are refused`() throws {
        func decoded(_ number: UInt64, _ index: UInt64) -> NodeNews? {
            let word = NodeWord(
                node: NodeID(1), start: StartID(number: number, id: 1),
                ends: [NodeWord.GroupEnd(group: GroupID(0), index: LogIndex(index))])
            var writer = ByteWriter()
            NodeNews(words: [word]).encode(into: &writer)
            let bytes = writer.bytes
            var reader = unsafe ByteReader(bytes.span.bytes)
            return try? NodeNews(decoding: &reader)
        }
        #expect(decoded(StartID.numberMax, NodeWord.GroupEnd.indexMax) != nil)
        #expect(decoded(StartID.numberMax + 1, 1) == nil && decoded(.max, 1) == nil)
        #expect(decoded(1, NodeWord.GroupEnd.indexMax + 1) == nil && decoded(1, .max) == nil)
    }
}

/// Two nodes whose folders contradict each other.
@Suite struct ContradictionTests {
    /// A node of a former cluster, of the same file, meets the nodes of the present one.
    @Test func `one wrong folder does not end the nodes that are right`() throws {
        let key = HashKey(k0: 1, k1: 2)
        func cluster(_ seed: UInt64) throws -> SimulatedCluster {
            var settings = ClusterSettings(seed: seed)
            (settings.nodeCount, settings.groups, settings.hashKey) = (3, 3, key)
            let cluster = SimulatedCluster(settings)
            try cluster.startAll()
            try cluster.reconnect()
            try cluster.simulator.run(nanoseconds: 3_000_000_000)
            try cluster.stop(2)
            return cluster
        }
        let former = try cluster(1)
        let present = try cluster(2)
        defer {
            try? former.shutdown()
            try? present.shutdown()
        }
        present.setDisk(former.disk(2).crash(keeping: { _ in .everything }), 2)
        // It can ask nobody before it starts, and is heard of by nodes that serve.
        for node in [1, 3] { present.pause(node) }
        let life = present.begin(2)
        try present.simulator.run(nanoseconds: 1_500_000_000)
        for node in [1, 3] { present.resume(node) }
        try present.simulator.run(nanoseconds: 10_000_000_000)

        guard case .failure(let error)? = life.end else {
            Issue.record("node 2 goes on")
            return
        }
        switch error {
        case .folderReplaced, .folderRefused: break
        default: Issue.record("\(error)")
        }
        #expect(present.isUp(1) && present.isUp(3))
        #expect(present.failure(1) == nil && present.failure(3) == nil)
    }
}
