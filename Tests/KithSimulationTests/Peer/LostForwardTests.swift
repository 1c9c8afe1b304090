import KithBytes
import KithPorts
import Testing

@testable import KithCore
@testable import KithServer
@testable import KithSimulation
@testable import KithWire

/// After a node has lost its log, what led from its identifiers to profiles at other nodes.
@Suite struct LostForwardTests {
    private func serve(
        _ cluster: SimulatedCluster, _ numbers: [Int], _ use: FolderUse,
        within seconds: UInt64 = 20
    ) throws {
        for number in numbers { _ = cluster.begin(number) { $0.folder = use } }
        try cluster.simulator.run(nanoseconds: seconds * 1_000_000_000)
        for number in numbers {
            let life = cluster.node(number).life
            try #require(
                life?.node != nil && life?.end == nil,
                "\(number): \(String(describing: life?.end))")
        }
    }

    private func lose(_ cluster: SimulatedCluster, _ numbers: [Int]) throws {
        for number in numbers {
            try cluster.stop(number)
            cluster.setDisk(SimulatedDisk(), number)
        }
    }

    /// All that was ever sent comes again; then everybody is whole, and counted once.
    private func expectMendedByIngest(_ world: PeerWorld, _ persons: [PeerWorld.Person]) throws {
        for person in persons {
            let results = try world.ingestAll(person.events.map(\.event), at: 2)
            #expect(results.allSatisfy { $0 == .ok || $0 == .duplicate }, "\(person.name)")
        }
        try world.pass(milliseconds: 3_000)
        try world.expectWhole(persons, "seed \(world.settings.seed)")
        try world.end()
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `a profile at another node is found by the identifiers of a lost log`(
        seed: UInt64
    ) throws {
        let (world, persons) = try PeerWorld.populated(seed: seed)
        defer { try? world.cluster.shutdown() }

        try lose(world.cluster, [2])
        try serve(world.cluster, [2], .new)
        try world.settle()

        try world.expectWhole(persons.filter { $0.accountNode != 2 }, "seed \(seed)")
        try expectMendedByIngest(world, persons)
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `two nodes that lost theirs together find all that the third knows`(
        seed: UInt64
    ) throws {
        let (world, persons) = try PeerWorld.populated(seed: seed)
        defer { try? world.cluster.shutdown() }

        try lose(world.cluster, [1, 2])
        try serve(world.cluster, [1, 2], .new)
        try world.settle()

        try world.expectWhole(persons.filter { $0.accountNode == 3 }, "seed \(seed)")
        try expectMendedByIngest(world, persons)
    }

    /// The cookie's record of the copy holds what has gone to the account since.
    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `merges that were made after a copy are found again`(seed: UInt64) throws {
        let world = try PeerWorld.started(seed: seed)
        defer { try? world.cluster.shutdown() }
        let persons = world.personsEverywhere()
        for person in persons {
            let first = person.events.dropLast().map(\.event)
            #expect(try world.ingestAll(first, at: 1).allSatisfy { $0 == .ok })
        }
        try world.pass(milliseconds: 3_000)
        let copy = world.image(of: 2)
        for person in persons {
            #expect(try world.ingestAll([person.link], at: 1) == [.ok])
        }
        try world.pass(milliseconds: 3_000)
        try world.cluster.stop(2)
        world.cluster.setDisk(copy, 2)
        try serve(world.cluster, [2], .restored)
        try world.settle()

        try world.expectWhole(persons.filter { $0.accountNode != 2 }, "seed \(seed)")
        try expectMendedByIngest(world, persons)
    }

    @Test func `a node whose folder lacks nothing is as it was`() throws {
        let (world, persons) = try PeerWorld.populated(seed: 7)
        defer { try? world.cluster.shutdown() }

        try world.cluster.stop(2)
        try serve(world.cluster, [2], .restored)
        try world.settle()

        try world.expectWhole(persons, "restored as it was")
        try world.end()
    }

    /// One that is down has to come first: what it knows nobody else does.
    @Test func `a search waits for a node that is down, and says so`() throws {
        let (world, persons) = try PeerWorld.populated(seed: 8)
        defer { try? world.cluster.shutdown() }
        try world.cluster.stop(2)
        // Cut short once it knows that it begins anew, and before it has asked for more.
        let lane = world.cluster.simulator.lane(node: "hand")
        var hasBegun = false
        for k in 1...100 where !hasBegun {
            world.cluster.setDisk(SimulatedDisk(), 2)
            world.cluster.disk(2).failAt(operation: k, isPersistent: true)
            _ = try? world.cluster.start(2, folder: .new)
            world.cluster.crash(2, keeping: { _ in .everything })
            let disk = world.cluster.disk(2)
            hasBegun = try world.cluster.simulator.run(on: lane) {
                try await FolderStarts.load(disk: disk, loop: lane) != nil
            }
        }
        try world.cluster.stop(3)
        _ = world.cluster.begin(2)
        try world.pass(milliseconds: 30_000)
        #expect(world.cluster.node(2).life?.node == nil && world.cluster.node(2).life?.end == nil)
        let said = world.cluster.node(2).said.lines
        #expect(
            said.contains {
                $0.hasPrefix(
                    "starting: it waits for node 3, which must say first which of its identifiers "
                        + "have a profile there")
            }, "\(said)")

        try world.cluster.start(3)
        try world.pass(milliseconds: 10_000)
        try world.settle()
        try world.expectWhole(persons.filter { $0.accountNode != 2 }, "waited")
    }

    /// Nobody who starts the node again after that says `--new`.
    @Test func `wherever a search is cut short, a plain start makes it`() throws {
        let (world, persons) = try PeerWorld.populated(seed: 9)
        defer { try? world.cluster.shutdown() }
        try world.cluster.stop(2)
        var searched = 0
        for k in 1...300 {
            let (hasFailed, wentOn) = try world.beginAnew(
                failingAt: k, keeping: { _ in .everything })
            if wentOn { searched += 1 }
            try world.settle()
            try world.expectWhole(persons.filter { $0.accountNode != 2 }, "cut at \(k)")
            try world.cluster.stop(2)
            if !hasFailed {
                #expect(searched > 1, "no start was cut short before it served")
                return
            }
        }
        Issue.record("a start takes more than 300 disk operations")
    }
}
