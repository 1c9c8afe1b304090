import KithBytes
import KithClient
import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation

/// Reads of a session: they include what its token has seen, or are refused by name.
@Suite struct SessionTokenTests {
    private func read(
        _ world: PeerWorld, _ account: String, _ token: SessionToken, at node: Int
    ) throws -> ProfileReply {
        let get = Get(
            space: "default", namespace: "user_id", value: account, consistency: .session(token))
        return try world.cluster.run(at: node) { try await $0.get(get, retries: 5) }
    }

    /// What the read is refused with by each node.
    private func refusals(
        _ world: PeerWorld, _ account: String, _ token: SessionToken
    ) throws -> [ErrorCode?] {
        try (1...3).map { node in
            try world.refusal { _ = try read(world, account, token, at: node) }?.code
        }
    }

    private func ingest(
        _ world: PeerWorld, _ person: PeerWorld.Person, at node: Int
    ) throws -> SessionToken {
        let reply = try world.ingest(person.events.map(\.event), at: node)
        #expect(reply.results == [.ok, .ok, .ok])
        return reply.token
    }

    private static let refused: [ErrorCode?] = [.wrongToken, .wrongToken, .wrongToken]
    private static let taken: [ErrorCode?] = [nil, nil, nil]

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a token is taken as far as the log goes, and refused beyond`(seed: UInt64) throws {
        let world = try PeerWorld.started(seed: seed)
        defer { try? world.cluster.shutdown() }
        let person = world.person("p", cookieAt: 1, accountAt: 2)
        let token = try ingest(world, person, at: 3)
        let group = GroupID(1)
        let index = try #require(token.index(of: group))

        #expect(try refusals(world, person.account, token) == Self.taken)
        #expect(try read(world, person.account, token, at: 3).profile != nil)
        var ahead = token
        ahead.raise(group, to: LogIndex(index.rawValue + 1_000))
        #expect(try refusals(world, person.account, ahead) == Self.refused)
        #expect(
            try refusals(
                world, person.account,
                SessionToken([.init(group: group, index: LogIndex(.max))])) == Self.refused)
        #expect(
            try refusals(
                world, person.account,
                SessionToken([.init(group: GroupID(3), index: LogIndex(1))])) == Self.refused)
    }

    @Test(arguments: 4...6 as ClosedRange<UInt64>)
    func `a token from before a log was lost is refused, however far the new one goes`(
        seed: UInt64
    ) throws {
        let world = try PeerWorld.started(seed: seed)
        defer { try? world.cluster.shutdown() }
        let person = world.person("p", cookieAt: 1, accountAt: 2)
        let token = try ingest(world, person, at: 3)
        let elsewhere = world.person("q", cookieAt: 1, accountAt: 1)
        try world.pass(milliseconds: 3_000)

        try world.cluster.stop(2)
        world.cluster.setDisk(SimulatedDisk(), 2)
        try world.cluster.start(2, folder: .new)
        try world.settle()

        for round in 0..<2 {
            #expect(try refusals(world, person.account, token) == Self.refused)
            #expect(try refusals(world, elsewhere.account, token) == Self.taken)
            // More than the lost log had.
            var fresh = SessionToken()
            for number in 0..<20 {
                let other = world.person("other-\(round)-\(number)", cookieAt: 2, accountAt: 2)
                fresh = try ingest(world, other, at: 1)
            }
            #expect(try refusals(world, person.account, fresh) == Self.taken)
            #expect(try refusals(world, person.account, token) == Self.refused)
            // Just so after a start.
            try world.cluster.stop(2)
            try world.cluster.start(2)
            try world.settle()
        }
    }
}
