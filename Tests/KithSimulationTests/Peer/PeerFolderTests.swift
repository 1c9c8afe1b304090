import KithBytes
import KithClient
import KithPorts
import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation

/// Three nodes, one of which comes back with another data folder than it had.
@Suite struct PeerFolderTests {
    private func shutdown(_ world: PeerWorld) { try? world.cluster.shutdown() }

    /// Starts node 2 three times, which must each time refuse its folder, and never find its log
    /// longer than the time before.
    private func expectEnd(
        of world: PeerWorld, _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        var ends: [UInt16: UInt64] = [:]
        for _ in 1...3 {
            let error = #expect(throws: NodeError.self, comment, sourceLocation: sourceLocation) {
                try world.cluster.start(2)
            }
            guard case .folderReplaced(let by, let how)? = error else {
                Issue.record(
                    "\(comment): \(String(describing: error))", sourceLocation: sourceLocation)
                return
            }
            #expect([1, 3].contains(by), comment)
            if case .shorterLog(let group, _, let end) = how {
                #expect(ends[group, default: end] == end, comment)
                ends[group] = end
            }
            world.cluster.setDisk(world.image(of: 2), 2)
        }
        try world.pass(milliseconds: 3_000)
        #expect(throws: (any Error).self, comment) {
            try world.profile("user_id", "whoever", at: 2)
        }
        // The others go on, and say what is wrong with node 2.
        let status = try world.cluster.run(at: 1) { try await $0.status() }
        #expect(String(decoding: status, as: UTF8.self).contains("down"), comment)
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a node with an emptied folder ends and answers nobody`(seed: UInt64) throws {
        let (world, _) = try PeerWorld.populated(seed: seed)
        defer { shutdown(world) }
        try world.cluster.stop(2)
        world.cluster.setDisk(SimulatedDisk(), 2)

        try expectEnd(of: world, "seed \(seed)")
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a node with an older folder ends; put back as meant it keeps what it holds`(
        seed: UInt64
    ) throws {
        let (world, persons) = try PeerWorld.populated(seed: seed)
        defer { shutdown(world) }
        try world.cluster.stop(2)
        let old = world.image(of: 2)
        try world.cluster.start(2)
        try world.settle()
        let later = world.person("later", cookieAt: 2, accountAt: 2)
        #expect(try world.ingestAll(later.events.map(\.event), at: 1).allSatisfy { $0 == .ok })
        try world.pass(milliseconds: 2_500)
        let applied = try world.applied(at: 2)
        try world.cluster.stop(2)
        world.cluster.setDisk(old, 2)

        try expectEnd(of: world, "seed \(seed)")

        world.cluster.setDisk(world.image(of: 2), 2)
        try restart(world, .restored)
        #expect(try world.applied(at: 2) > applied)
        let kept = try #require(persons.first { $0.cookieNode == 2 && $0.accountNode == 2 })
        #expect(try world.profile("user_id", kept.account, at: 1) != nil)
        #expect(try world.ingestAll(later.events.map(\.event), at: 3).allSatisfy { $0 == .ok })
        try world.cluster.checkInvariants()
        // And its folder is its own again.
        try world.cluster.stop(2)
        try world.cluster.start(2)
        try world.settle()
        #expect(world.cluster.isUp(2))
    }

    /// The copy was made while the node ran, so that it knows of the start and lacks only entries.
    @Test func `a folder that lacks entries which others have heard of is refused`() throws {
        let (world, _) = try PeerWorld.populated(seed: 5)
        defer { shutdown(world) }
        let old = world.image(of: 2)
        let later = world.person("later", cookieAt: 2, accountAt: 2)
        #expect(try world.ingestAll(later.events.map(\.event), at: 1).allSatisfy { $0 == .ok })
        try world.pass(milliseconds: 2_500)
        try world.cluster.stop(2)
        world.cluster.setDisk(old, 2)

        try expectEnd(of: world, "a log that is shorter")
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a node begins anew above all that others have heard of it`(seed: UInt64) throws {
        let (world, persons) = try PeerWorld.populated(seed: seed)
        defer { shutdown(world) }
        let before = try world.applied(at: 2)
        try world.cluster.stop(2)
        world.cluster.setDisk(SimulatedDisk(), 2)

        try restart(world, .new)

        #expect(
            try world.applied(at: 2) > LogIndex(before.rawValue + FolderStarts.unheardEntriesMax))
        let fresh = world.person("fresh", cookieAt: 1, accountAt: 2)
        #expect(try world.ingestAll(fresh.events.map(\.event), at: 3).allSatisfy { $0 == .ok })
        // Those whose account was lost are known anew by the next event that names it.
        for person in persons where person.accountNode == 2 {
            #expect(try world.ingestAll([person.link], at: 1).allSatisfy { $0 == .ok })
        }
        try world.cluster.checkInvariants()
        try world.cluster.stop(2)
        try world.cluster.start(2)
        try world.settle()
        #expect(world.cluster.isUp(2))
        #expect(try world.profile("user_id", fresh.account, at: 2) != nil)
    }

    @Test func `beginning anew needs all other nodes and an empty folder`() throws {
        let (world, _) = try PeerWorld.populated(seed: 4)
        defer { shutdown(world) }
        try world.cluster.stop(2)
        let used = world.image(of: 2)
        #expect(throws: NodeError.folderNotEmpty) { try world.cluster.start(2, folder: .new) }
        world.cluster.setDisk(SimulatedDisk(), 2)
        #expect(throws: NodeError.nothingRestored) { try world.cluster.start(2, folder: .restored) }
        world.cluster.setDisk(SimulatedDisk(), 2)
        try world.cluster.stop(3)
        let error = #expect(throws: NodeError.self) { try world.cluster.start(2, folder: .new) }
        guard case .nodeNotAsked(3, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(world.cluster.disk(2).paths.filter { $0 != "lock" }.isEmpty)
        world.cluster.setDisk(used, 2)
        try world.cluster.start(2)
        try world.pass(milliseconds: 2_000)
        #expect(world.cluster.isUp(2))
    }

    /// The power fails after each operation of a start that was to begin anew.
    @Test func `whenever beginning anew is cut short, it can be done again`() throws {
        let (world, _) = try PeerWorld.populated(seed: 6)
        defer { shutdown(world) }
        let before = try world.applied(at: 2)
        try world.cluster.stop(2)
        for k in 1...300 {
            world.cluster.setDisk(SimulatedDisk(), 2)
            world.cluster.disk(2).failAt(operation: k, isPersistent: true)
            let hasStarted = (try? world.cluster.start(2, folder: .new)) != nil
            if hasStarted { try world.pass(milliseconds: 100) }
            let hasFailed = world.cluster.disk(2).hasFailed
            world.cluster.crash(2, keeping: { _ in .nothing })
            // A folder that is a node's by now is taken as it is, else the start is made again.
            do {
                try world.cluster.start(2, folder: .new)
            } catch NodeError.folderNotEmpty {
                world.cluster.setDisk(world.image(of: 2), 2)
                try world.cluster.start(2)
            }
            try world.pass(milliseconds: 1_500)
            #expect(world.cluster.isUp(2), "cut short at operation \(k)")
            #expect(
                try world.applied(at: 2)
                    > LogIndex(before.rawValue + FolderStarts.unheardEntriesMax))
            try world.cluster.stop(2)
            if !hasFailed { return }
        }
        Issue.record("a start takes more than 300 disk operations")
    }

    /// Cut off while it starts, so that only the greetings can tell.
    @Test func `a node that could ask nobody when it started ends when it meets the others`() throws
    {
        let (world, _) = try PeerWorld.populated(seed: 9)
        defer { shutdown(world) }
        try world.cluster.stop(2)
        let old = world.image(of: 2)
        try world.cluster.start(2)
        try world.pass(milliseconds: 2_500)
        try world.cluster.stop(2)
        world.cluster.setDisk(old, 2)
        let until = world.cluster.simulator.nanoseconds + 4_000_000_000
        for other in ["n1", "n3"] {
            world.cluster.network.weather.block(from: "n2", to: other, until: until)
        }
        try world.cluster.start(2)
        try world.pass(milliseconds: 8_000)

        switch world.cluster.failure(2) {
        case .folderRefused(let by, let why):
            #expect([1, 3].contains(by) && why.contains("wrongFolder"))
        case .folderReplaced(let by, .unknownStart): #expect([1, 3].contains(by))
        case let other: Issue.record("\(String(describing: other))")
        }
    }

    /// Its log would grow by what a start writes, until it is as long as the one that was seen.
    @Test func `an older folder is refused however often it is started`() throws {
        let (world, _) = try PeerWorld.populated(seed: 10)
        defer { shutdown(world) }
        let old = world.image(of: 2)
        let later = world.person("later", cookieAt: 2, accountAt: 2)
        #expect(try world.ingestAll([later.events[0].event], at: 1).allSatisfy { $0 == .ok })
        try world.pass(milliseconds: 2_500)
        try world.cluster.stop(2)
        world.cluster.setDisk(old, 2)
        for start in 1...20 {
            #expect(throws: NodeError.self, "start \(start)") { try world.cluster.start(2) }
            world.cluster.setDisk(world.image(of: 2), 2)
        }
    }

    @Test func `a running node that meets a later start of itself ends`() throws {
        let (world, _) = try PeerWorld.populated(seed: 7)
        defer { shutdown(world) }
        let lane = world.cluster.simulator.lane(node: "copy")
        let host = world.cluster.network.host("copy")
        let settings = NodeSettings(
            configuration: world.settings.configuration(), nodeID: NodeID(2), software: "copy")
        let reply = try world.cluster.simulator.run(on: lane) {
            let stream = try await host.connect(host: "127.0.0.1", port: 7101, loop: lane)
            var handshake = PeerHandshake(stream, to: NodeID(1), PeerIntroduction(settings))
            #expect(try await handshake.hello() == nil)
            let known = try await handshake.greet(nil).get()
            let start = try #require(known.news.words.first { $0.node == NodeID(2) }?.start)
            // The copy knows of that start, and has had one more since.
            let word = FolderWord(
                starts: StartList(number: start.number + 1, ids: [start.id, 4711]),
                news: NodeNews(
                    words: [
                        NodeWord(
                            node: NodeID(2),
                            start: StartID(number: start.number + 1, id: 4711),
                            ends: known.news.words.first { $0.node == NodeID(2) }?.ends ?? [])
                    ]))
            var second = PeerHandshake(
                try await host.connect(host: "127.0.0.1", port: 7101, loop: lane), to: NodeID(1),
                PeerIntroduction(settings))
            #expect(try await second.hello() == nil)
            let taken = try await second.greet(word)
            stream.close()
            second.stream.close()
            if case .success = taken { return true }
            return false
        }
        #expect(reply)
        try world.pass(milliseconds: 3_000)
        guard case .folderReplaced(_, .unknownStart)? = world.cluster.failure(2) else {
            Issue.record("\(String(describing: world.cluster.failure(2)))")
            return
        }
    }

    /// Its log never ends earlier than it did while it runs: that another has seen more cannot be.
    @Test func `a running node does not end for what cannot have been seen of it`() throws {
        let (world, _) = try PeerWorld.populated(seed: 7)
        defer { shutdown(world) }
        let lane = world.cluster.simulator.lane(node: "liar")
        let host = world.cluster.network.host("liar")
        let settings = NodeSettings(
            configuration: world.settings.configuration(), nodeID: NodeID(3), software: "liar")
        let refusal = try world.cluster.simulator.run(on: lane) {
            func handshake() async throws -> PeerHandshake {
                var handshake = PeerHandshake(
                    try await host.connect(host: "127.0.0.1", port: 7102, loop: lane),
                    to: NodeID(2), PeerIntroduction(settings))
                #expect(try await handshake.hello() == nil)
                return handshake
            }
            var first = try await handshake()
            let known = try await first.greet(nil).get()
            let own = try #require(known.news.words.first { $0.node == NodeID(3) })
            var other = try #require(known.news.words.first { $0.node == NodeID(2) })
            for place in other.ends.indices { other.ends[place].index = LogIndex(1 << 40) }
            let word = FolderWord(
                starts: StartList(number: own.start.number, ids: [own.start.id]),
                news: NodeNews(words: [own, other]))
            var second = try await handshake()
            let answer = try await second.greet(word)
            first.stream.close()
            second.stream.close()
            if case .failure(let failure) = answer { return "\(failure)" }
            return "taken"
        }
        #expect(refusal.contains("cannot be of this node"), "\(refusal)")
        try world.pass(milliseconds: 3_000)
        #expect(world.cluster.isUp(2) && world.cluster.failure(2) == nil)
    }

    @Test func `a node that was down hears of a start from the third`() throws {
        let (world, _) = try PeerWorld.populated(seed: 8)
        defer { shutdown(world) }
        try world.cluster.stop(2)
        let old = world.image(of: 2)
        try world.cluster.stop(1)
        try world.cluster.start(2)
        try world.pass(milliseconds: 2_500)
        try world.cluster.stop(2)
        try world.cluster.start(1)
        try world.pass(milliseconds: 2_500)
        try world.cluster.stop(3)
        world.cluster.setDisk(old, 2)

        try expectEnd(of: world, "only node 1 is there, and it was down")
    }

    // MARK: One node

    @Test func `an empty folder that was there is not taken for a first start`() throws {
        let cluster = SimulatedCluster(ClusterSettings(seed: 1))
        defer { try? cluster.shutdown() }
        #expect(throws: NodeError.folderEmpty) {
            try cluster.start(folder: .asFound(mayMake: false))
        }
        #expect(cluster.disk().paths.isEmpty)
        // With nobody to ask, nothing else is needed.
        try cluster.start(folder: .new)
        try cluster.stop()
        try cluster.start(folder: .asFound(mayMake: false))
        try cluster.stop()
    }

    @Test(arguments: ["simulated", "another"])
    func `a log without what says whose it is is refused`(name: String) throws {
        let cluster = SimulatedCluster(ClusterSettings(seed: 2))
        try cluster.start()
        let person = MergingEvents.event("one", ["userId": "u"])
        let payload = PeerWorld.payload([person])
        #expect(try cluster.run { try await $0.ingest(payload) }.results == [.ok])
        try cluster.stop()
        let disk = cluster.disk()
        try cluster.simulator.run(on: cluster.clientLane) {
            try await disk.remove("identity")
            try await disk.syncDirectory(".")
        }
        let segment = try #require(disk.paths.first { $0.hasSuffix(".seg") })
        let before = disk.bytes(of: segment)
        var settings = ClusterSettings(seed: 2)
        settings.name = name
        let other = SimulatedCluster(settings)
        other.setDisk(disk)

        let error = #expect(throws: NodeError.self) { try other.start() }

        let isForeign = name != "simulated"
        if isForeign {
            #expect("\(error.map { "\($0)" } ?? "nothing")".contains("otherCluster"))
        } else {
            #expect(error == .identityMissing)
        }
        #expect(other.disk().bytes(of: segment) == before)
        try cluster.shutdown()
        try other.shutdown()
    }

    // MARK: Support

    /// Where the log of node 2's group ends.
    /// Starts node 2 and has all nodes speak to each other again.
    private func restart(_ world: PeerWorld, _ folder: FolderUse) throws {
        try world.cluster.start(2, folder: folder)
        try world.pass(milliseconds: 2_500)
        try #require(world.cluster.isUp(2), "\(String(describing: world.cluster.failure(2)))")
        try world.settle()
    }
}
