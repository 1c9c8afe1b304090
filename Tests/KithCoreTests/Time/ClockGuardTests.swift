import KithBytes
import KithCore
import Testing

/// How far a wall clock is believed, by itself and with others to compare with.
@Suite struct ClockGuardTests {
    private static let start: Int64 = 1_767_225_600_000
    private static let hour: Int64 = 3_600_000
    private static let day: Int64 = 24 * hour

    /// A node whose boot clock goes on, and whose wall clock is `off` by so many milliseconds.
    private struct Node {
        var boot: UInt64 = 5_000_000_000
        var off: Int64 = 0
        var clock: ClockGuard
        var right: Int64 { start + Int64(boot / 1_000_000) }

        init(off: Int64 = 0) {
            self.off = off
            clock = ClockGuard(
                ClockGuard.Reading(wall: LogTime(start + 5_000 + off), boot: 5_000_000_000))
        }

        /// Believed time less the right time, after some milliseconds.
        mutating func error(after millis: Int64 = 1_000) -> Int64 {
            boot += UInt64(millis) * 1_000_000
            return clock.time(
                ClockGuard.Reading(wall: LogTime(right + off), boot: boot)
            ).rawValue - right
        }

        mutating func hear(_ node: UInt16, off: Int64 = 0) {
            clock.hear(LogTime(right + off), of: NodeID(node), at: boot)
        }
    }

    @Test(arguments: [0, 1, -1, 5_000, hour, -hour] as [Int64])
    func `a step of up to an hour is followed`(step: Int64) {
        var node = Node()
        _ = node.error()
        node.off = step

        #expect(node.error() == step)
        #expect(node.clock.heldBackMillis == 0)
        #expect(node.clock.steps == 0)
    }

    @Test(arguments: [hour + 1, -hour - 1, 120 * day, -400 * day, .max / 4, .min / 4] as [Int64])
    func `a larger step is not followed by a node that is alone`(step: Int64) {
        var node = Node()
        _ = node.error()
        node.off = step

        #expect(node.error() == 0)
        #expect(node.error(after: 50 * Self.day) == 0)
        #expect(node.clock.heldBackMillis == step)
        #expect(node.clock.problem == .unconfirmed(byMillis: step))
        #expect(node.clock.refusesEvents == (step > 0))
        #expect(node.clock.steps == 1)
    }

    @Test func `a clock that is put right again is followed again`() {
        var node = Node()
        node.off = 120 * Self.day
        _ = node.error()
        node.off = 0

        #expect(node.error() == 0)
        #expect(node.clock.problem == nil)
        #expect(!node.clock.refusesEvents)
        node.off = 2 * Self.hour
        _ = node.error()
        #expect(node.clock.steps == 2)
    }

    @Test func `many steps within an hour are followed, each`() {
        var node = Node()
        for _ in 0..<10 {
            node.off += Self.hour
            #expect(node.error(after: 1) == node.off)
        }
    }

    @Test func `a step that the median of three agrees with is followed`() {
        var node = Node(off: -3 * Self.hour)
        #expect(node.error() == -3 * Self.hour)
        node.off = 0
        node.hear(2)
        #expect(node.error() == -3 * Self.hour)
        node.hear(3, off: 700)

        #expect(node.error() == 0)
        #expect(node.clock.problem == nil)
    }

    @Test func `one of three that jumps is not believed, and goes on serving`() {
        var node = Node()
        node.hear(2)
        node.hear(3)
        node.off = 91 * Self.day

        #expect(node.error() == 0)
        #expect(node.clock.problem == .unconfirmed(byMillis: 91 * Self.day))
        #expect(node.clock.refusesEvents)
    }

    @Test(arguments: [2 * hour, -2 * hour, 91 * day] as [Int64])
    func `a node that started with a wrong clock finds itself astray`(off: Int64) {
        var node = Node(off: off)
        node.hear(2)
        #expect(node.error() == off)
        // Of two clocks nobody knows which is right: it warns and serves.
        #expect(node.clock.problem == .apart(byMillis: off, clocks: 2))
        node.hear(3)
        #expect(node.error() == off)

        #expect(node.clock.problem == .astray(byMillis: off, clocks: 3))
    }

    @Test func `one wrong clock of five moves nothing`() {
        var node = Node()
        for other in 2...5 as ClosedRange<UInt16> {
            node.hear(other, off: other == 4 ? -500 * Self.day : 0)
        }

        #expect(node.error() == 0)
        #expect(node.clock.problem == nil)
        #expect(node.clock.differences.map(\.millis) == [0, 0, -500 * Self.day, 0])
    }

    @Test func `ten seconds off are warned of`() {
        var node = Node(off: 10_000)
        node.hear(2)
        node.hear(3)
        _ = node.error()
        #expect(node.clock.problem == nil)
        node.off = 10_001
        _ = node.error()
        #expect(node.clock.problem == .apart(byMillis: 10_001, clocks: 3))
    }

    @Test func `what was heard long ago counts no more`() {
        var node = Node(off: 2 * Self.hour)
        node.hear(2)
        node.hear(3)
        _ = node.error(after: 10_000)
        #expect(node.clock.problem == .astray(byMillis: 2 * Self.hour, clocks: 3))
        _ = node.error(after: 1)
        #expect(node.clock.problem == nil)
        #expect(node.clock.differences.isEmpty)
    }

    @Test func `what another node claims cannot trap`() {
        var node = Node()
        for wall in [.min, .max, 0] as [Int64] {
            node.clock.hear(LogTime(wall), of: NodeID(2), at: .max)
            node.clock.hear(LogTime(wall), of: NodeID(3), at: 0)
            _ = node.error()
            _ = node.clock.problem
            _ = node.clock.differences
        }
        _ = node.clock.time(ClockGuard.Reading(wall: LogTime(.min), boot: .max))
        _ = node.clock.time(ClockGuard.Reading(wall: LogTime(.max), boot: 0))
        _ = node.clock.problem
    }

    @Test(arguments: [false, true])
    func `a clock behind what the folder has seen refuses events where nobody accepts it`(
        isAccepted: Bool
    ) {
        var node = Node()
        node.clock.compare(
            with: LogTime(node.right + 1_000 + 30 * Self.day), isAccepted: isAccepted)

        #expect(node.error() == 0, "the clock is believed")
        #expect(node.clock.behindMillis == 30 * Self.day)
        #expect(node.clock.problem == .behind(byMillis: 30 * Self.day, isAccepted: isAccepted))
        #expect(node.clock.refusesEvents == !isAccepted)
        #expect(node.error(after: 30 * Self.day - Self.hour) == 0)
        #expect(node.clock.behindMillis == Self.hour)
        #expect(!node.clock.refusesEvents)
        _ = node.error(after: Self.hour - 10_000)
        #expect(node.clock.problem == nil)
        _ = node.error(after: 20_000)
        #expect(node.clock.behindMillis == 0)
    }

    @Test func `a clock that jumps to what the folder has seen is a step like any other`() {
        var node = Node()
        node.clock.compare(with: LogTime(node.right + 30 * Self.day), isAccepted: false)
        _ = node.error()
        node.off = 30 * Self.day

        #expect(node.error() == 0)
        #expect(node.clock.problem == .unconfirmed(byMillis: 30 * Self.day))
        #expect(node.clock.refusesEvents)
    }
}
