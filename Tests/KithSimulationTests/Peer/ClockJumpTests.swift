import KithBytes
import KithWire
import Testing

@testable import KithSimulation

/// Where every clock is believed (`GuardedClockTests` has those where not): one node's clock jumps
/// 91 days ahead, or back. Nobody whom another node keeps expires, and nothing comes back. Whom
/// that node keeps, its own jump ahead does end, for all who ask and for good.
@Suite struct ClockJumpTests {
    private static let jump: Int64 = 91 * 86_400_000

    /// A visitor at each node, each seen once.
    private func visited(seed: UInt64) throws -> (PeerWorld, cookies: [String]) {
        let world = try PeerWorld.started(seed: seed, believesClocks: true)
        let cookies = (1...3).map { world.value("anonymous_id", "visitor", at: $0) }
        for (place, cookie) in cookies.enumerated() {
            let results = try world.ingestAll([page(cookie, "first")], at: (place + 1) % 3 + 1)
            #expect(results == [.ok], "seed \(seed)")
        }
        return (world, cookies)
    }

    private func page(_ cookie: String, _ name: String) -> CBORValue {
        MergingEvents.event("\(name) of \(cookie)", ["anonymousId": .text(cookie)])
    }

    /// What each node says of each cookie.
    private func answers(_ world: PeerWorld, _ cookies: [String]) throws -> [[[UInt8]?]] {
        try cookies.map { try world.profiles("anonymous_id", $0) }
    }

    @Test(arguments: 1...3, 1...2 as ClosedRange<UInt64>)
    func `a clock that jumps ahead and back ends nobody else's visitors, and brings none back`(
        jumper: Int, seed: UInt64
    ) throws {
        let comment = "seed \(seed), node \(jumper)"
        let (world, cookies) = try visited(seed: seed)
        let before = try answers(world, cookies)
        #expect(before.allSatisfy { $0.allSatisfy { $0 != nil } }, "\(comment)")

        world.cluster.advanceWallTime(ofNode: jumper, milliseconds: Self.jump)
        var expected = before
        expected[jumper - 1] = [nil, nil, nil]
        #expect(try answers(world, cookies) == expected, "\(comment): after the jump ahead")

        world.cluster.advanceWallTime(ofNode: jumper, milliseconds: -Self.jump)
        #expect(try answers(world, cookies) == expected, "\(comment): after the jump back")
        world.cluster.crashAll()
        try world.cluster.startAll()
        try world.settle()
        #expect(try answers(world, cookies) == expected, "\(comment): after a power loss")
        for totals in try world.totals() {
            #expect(totals["profiles", "anonymous"] == .unsigned(2), "\(comment)")
            #expect(totals["expired"] == .unsigned(1), "\(comment)")
        }
        try world.end()
    }

    @Test(arguments: 1...3, 1...2 as ClosedRange<UInt64>)
    func `events through a node whose clock is far ahead end nobody`(
        jumper: Int, seed: UInt64
    ) throws {
        let comment = "seed \(seed), node \(jumper)"
        let (world, cookies) = try visited(seed: seed)
        let others = (1...3).filter { $0 != jumper }.map { cookies[$0 - 1] }
        world.cluster.advanceWallTime(ofNode: jumper, milliseconds: Self.jump)

        let results = try world.ingestAll(others.map { page($0, "second") }, at: jumper)
        #expect(results == [.ok, .ok], "\(comment)")
        for cookie in others {
            for profile in try world.profiles("anonymous_id", cookie) {
                let counts = try PeerWorld.counts(profile)
                #expect(
                    counts == ["first of \(cookie)": 1, "second of \(cookie)": 1], "\(comment)")
            }
        }
        try world.end()
    }

    @Test(arguments: 1...3, 1...2 as ClosedRange<UInt64>)
    func `a clock that jumps back ends nobody and brings nobody back`(
        jumper: Int, seed: UInt64
    ) throws {
        let comment = "seed \(seed), node \(jumper)"
        let (world, cookies) = try visited(seed: seed)
        let before = try answers(world, cookies)
        world.cluster.advanceWallTime(ofNode: jumper, milliseconds: -Self.jump)
        #expect(try answers(world, cookies) == before, "\(comment): after the jump back")

        // Ninety-one right days later everybody has ended, at that node too once it knows.
        for node in 1...3 {
            world.cluster.advanceWallTime(
                ofNode: node, milliseconds: node == jumper ? 2 * Self.jump : Self.jump)
        }
        let nobody = [[UInt8]?](repeating: nil, count: 3)
        #expect(try answers(world, cookies) == [nobody, nobody, nobody], "\(comment)")
        world.cluster.advanceWallTime(ofNode: jumper, milliseconds: -Self.jump)
        #expect(try answers(world, cookies) == [nobody, nobody, nobody], "\(comment): back again")
        world.cluster.crash(jumper)
        try world.cluster.start(jumper)
        try world.settle()
        #expect(try answers(world, cookies) == [nobody, nobody, nobody], "\(comment): restarted")
        for totals in try world.totals() {
            #expect(totals["expired"] == .unsigned(3), "\(comment)")
        }
        try world.end()
    }
}
