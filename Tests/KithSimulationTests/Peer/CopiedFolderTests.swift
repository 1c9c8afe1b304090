import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation

/// Copies of a node's folder: beside the node itself, after it, and as another node.
@Suite struct CopiedFolderTests {
    /// Starts a second process of the node, and returns how it ended within ten seconds; nil where
    /// it goes on.
    private func start(_ copy: SimulatedNode, of world: PeerWorld) throws -> NodeError? {
        let life = world.cluster.begin(copy) { [port = copy.port] in
            $0.port = port
            $0.folder = .asFound(mayMake: false)
        }
        try world.pass(milliseconds: 10_000)
        return life.failure
    }

    /// Everybody is counted once, at every node that is asked.
    private func expectAll(
        _ persons: [PeerWorld.Person], in world: PeerWorld, at nodes: [Int]
    ) throws {
        for person in persons {
            for node in nodes {
                let profile = try world.profile("user_id", person.account, at: node)
                #expect(try PeerWorld.counts(profile) == person.counts, "\(person.name) at \(node)")
            }
        }
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a copy beside the node itself is refused, and disturbs nobody`(seed: UInt64) throws {
        let (world, persons) = try PeerWorld.populated(seed: seed)
        defer { try? world.cluster.shutdown() }
        let copy = world.cluster.copy(of: 2, on: world.image(of: 2))

        guard case .runsAlready(2, _)? = try start(copy, of: world) else {
            Issue.record("\(String(describing: copy.life?.failure))")
            return
        }
        #expect(world.cluster.isUp(1) && world.cluster.isUp(2) && world.cluster.isUp(3))
        let later = world.person("later", cookieAt: 2, accountAt: 2)
        #expect(try world.ingestAll(later.events.map(\.event), at: 3).allSatisfy { $0 == .ok })
        try expectAll(persons + [later], in: world, at: [1, 2, 3])
    }

    /// It does not reach the node itself, and is older than what the others have heard.
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `an older copy that does not reach the node itself is refused by the others`(
        seed: UInt64
    ) throws {
        let (world, persons) = try PeerWorld.populated(seed: seed)
        defer { try? world.cluster.shutdown() }
        let copy = world.cluster.copy(of: 2, on: world.image(of: 2))
        let later = world.person("later", cookieAt: 2, accountAt: 2)
        #expect(try world.ingestAll(later.events.map(\.event), at: 3).allSatisfy { $0 == .ok })
        try world.pass(milliseconds: 2_500)
        cut(copy, off: 2, in: world)

        guard case .folderReplaced(let by, .shorterLog)? = try start(copy, of: world) else {
            Issue.record("\(String(describing: copy.life?.failure))")
            return
        }
        #expect([1, 3].contains(by))
        #expect(world.cluster.isUp(1) && world.cluster.isUp(2) && world.cluster.isUp(3))
        try expectAll(persons + [later], in: world, at: [1, 2, 3])
    }

    private func cut(_ copy: SimulatedNode, off node: Int, in world: PeerWorld) {
        world.cluster.network.weather.refuse(from: copy.name, to: "n\(node)", until: .max)
    }

    /// Nobody can know which of two equal folders is meant: the one that was started last.
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `of two equal folders the later start stays, and the earlier one ends by name`(
        seed: UInt64
    ) throws {
        let (world, persons) = try PeerWorld.populated(seed: seed)
        defer { try? world.cluster.shutdown() }
        world.cluster.pause(2)
        let copy = world.cluster.copy(of: 2, on: world.image(of: 2))
        #expect(try start(copy, of: world) == nil)
        #expect(copy.isUp)
        world.cluster.resume(2)
        try world.pass(milliseconds: 5_000)

        switch world.cluster.failure(2) {
        case .folderReplaced(let by, .unknownStart): #expect([1, 3].contains(by))
        case .folderRefused(let by, let why):
            #expect([1, 3].contains(by) && why.contains("wrongFolder"))
        case let other: Issue.record("node 2 goes on: \(String(describing: other))")
        }
        #expect(copy.isUp && world.cluster.isUp(1) && world.cluster.isUp(3))
        // The drill: both stop, and the folder that is to stay is put in the node's place.
        world.cluster.kill(copy)
        world.cluster.bury(2)
        world.cluster.setDisk(copy.disk.crash(keeping: { _ in .everything }), 2)
        try world.cluster.start(2)
        try world.settle()
        try expectAll(persons, in: world, at: [1, 2, 3])
    }

    /// The disk was copied to a new machine, and the old one is switched on again.
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a folder whose copy went on in its place is refused when it comes back`(
        seed: UInt64
    ) throws {
        let (world, persons) = try PeerWorld.populated(seed: seed)
        defer { try? world.cluster.shutdown() }
        try world.cluster.stop(2)
        let former = world.image(of: 2)
        try world.cluster.start(2)
        try world.settle()
        let later = world.person("later", cookieAt: 2, accountAt: 2)
        #expect(try world.ingestAll(later.events.map(\.event), at: 3).allSatisfy { $0 == .ok })
        try world.pass(milliseconds: 2_500)
        let back = world.cluster.copy(of: 2, on: former)
        cut(back, off: 2, in: world)

        guard case .folderReplaced(let by, .unknownStart)? = try start(back, of: world) else {
            Issue.record("\(String(describing: back.life?.failure))")
            return
        }
        #expect([1, 3].contains(by))
        try expectAll(persons + [later], in: world, at: [1, 2, 3])
    }

    @Test func `a folder of another node is refused by name, and not changed`() throws {
        let (world, persons) = try PeerWorld.populated(seed: 4)
        defer { try? world.cluster.shutdown() }
        try world.cluster.stop(2)
        let own = world.image(of: 2)
        let foreign = world.image(of: 3)
        world.cluster.setDisk(foreign, 2)
        for folder in [.asFound(mayMake: true), .restored] as [FolderUse] {
            #expect(throws: NodeError.otherCluster(key: "node", folder: "3", file: "2")) {
                try world.cluster.start(2, folder: folder)
            }
            world.cluster.setDisk(world.image(of: 2), 2)
        }
        let disk = world.cluster.disk(2)
        for path in foreign.paths { #expect(disk.bytes(of: path) == foreign.bytes(of: path)) }

        world.cluster.setDisk(own, 2)
        try world.cluster.start(2)
        try world.settle()
        try expectAll(persons, in: world, at: [1, 2, 3])
    }
}
