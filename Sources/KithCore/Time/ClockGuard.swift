public import KithBytes

// How far a node believes its wall clock. Time decides who is forgotten, so a clock that somebody
// set wrong must not move it, and a clock that was put right must.
//
//     wall      ┌────────────────────      more than an hour at once: not followed,
//               │                          unless the median of what nodes show agrees
//     ──────────┘
//     believed  ────────────────────       goes on with the boot clock meanwhile
//
// Believed time rises with the boot clock, which nobody sets, and follows the wall clock as long as
// that is within an hour of it. At a start there is nothing to compare with but what the data
// folder has seen: a clock far beyond that is refused before (`ClockNote`), one behind it is
// believed, and takes no events where that is more than an hour and nobody has accepted it.
//
//     seen by the folder  ──────────────┬───   log time never goes back, so that whatever is taken
//     believed            ...........╱         here is judged up to so much too late
//
// Not chosen: to believe the median instead of the own clock. Three clocks that agree to a second
// need no correcting, and a node that is alone has no median.

/// A wall clock and what of it is believed, as a pure value: readings in, believed times out.
public struct ClockGuard: Sendable {
    /// How far believed time follows the wall clock by itself, in milliseconds; and how far a
    /// node's time may be from the median for it to serve.
    public static let stepMillisMax: Int64 = 3_600_000
    /// How far from the median is warned of, in milliseconds.
    static let warnMillis: Int64 = 10_000
    /// What another node said of its clock counts that long, in milliseconds of the boot clock.
    static let heardMillisMax: UInt64 = 10_000
    /// Clocks that make a median, the own among them.
    public static let clocksMin = 3

    /// What a node's wall clock and boot clock showed at one moment.
    public struct Reading: Sendable, Equatable {
        /// Milliseconds since 1970.
        public var wall: Int64
        /// Nanoseconds.
        public var boot: UInt64

        public init(wall: LogTime, boot: UInt64) {
            self.wall = wall.rawValue
            self.boot = boot
        }

        /// What the clock would show at a later moment, had it gone on like the boot clock.
        func advanced(to boot: UInt64) -> Int64 {
            let passed = boot > self.boot ? (boot - self.boot) / 1_000_000 : 0
            let (sum, overflow) = wall.addingReportingOverflow(Int64(clamping: passed))
            return overflow ? .max : sum
        }
    }

    /// What is wrong with a node's time, the worst first.
    public enum Problem: Sendable, Equatable {
        /// Believed time is more than an hour off the median: the node does not serve.
        case astray(byMillis: Int64, clocks: Int)
        /// The wall clock made a step that nobody confirms: believed time does not follow.
        case unconfirmed(byMillis: Int64)
        /// Behind the last time that the folder had seen at the start.
        case behind(byMillis: Int64, isAccepted: Bool)
        /// More than 10 s off the median, or, of two clocks, off the other.
        case apart(byMillis: Int64, clocks: Int)
    }

    /// The last reading that was believed.
    private var anchor: Reading
    /// The last reading.
    private var last: Reading
    /// What other nodes said of their clocks, by node, and when that was heard.
    private var heard: [(node: NodeID, reading: Reading)] = []
    /// Steps of more than an hour that were not followed at once.
    public private(set) var steps: UInt64 = 0
    private var isHolding = false
    /// The last time that the data folder had seen when the node started.
    private var seen: LogTime?
    private var isBehindAccepted = false

    /// How far believed time follows the wall clock by itself, and may be from the median.
    private let stepMillisMax: Int64

    /// A guard that believes its first reading.
    public init(_ first: Reading, stepMillisMax: Int64 = Self.stepMillisMax) {
        anchor = first
        last = first
        self.stepMillisMax = stepMillisMax
    }

    /// Has the clock compared with the last time that the data folder has seen. `isAccepted`: the
    /// clock is right all the same.
    public mutating func compare(with seen: LogTime?, isAccepted: Bool) {
        self.seen = seen
        isBehindAccepted = isAccepted
    }

    /// Believed time at this reading. O(1) while the wall clock is believed, else O(nodes).
    public mutating func time(_ reading: Reading) -> LogTime {
        last = reading
        let expected = anchor.advanced(to: reading.boot)
        let step = Self.difference(reading.wall, expected)
        if abs(step) <= stepMillisMax || isConfirmed(reading) {
            anchor = reading
            isHolding = false
            return LogTime(reading.wall)
        }
        if !isHolding {
            isHolding = true
            steps += 1
            mark(.clockNotFollowed)
        }
        return LogTime(expected)
    }

    /// Another node's wall clock, as it said at about that moment of this node's boot clock.
    public mutating func hear(_ wall: LogTime, of node: NodeID, at boot: UInt64) {
        let reading = Reading(wall: wall, boot: boot)
        if let place = heard.firstIndex(where: { $0.node == node }) {
            heard[place].reading = reading
        } else {
            heard.append((node, reading))
        }
    }

    /// How far the wall clock is ahead of believed time, in milliseconds; 0 where it is followed.
    public var heldBackMillis: Int64 {
        isHolding ? Self.difference(last.wall, anchor.advanced(to: last.boot)) : 0
    }

    /// How far believed time is behind the last time that the folder had seen at the start, in
    /// milliseconds; 0 where it is not.
    public var behindMillis: Int64 {
        guard let seen else { return 0 }
        return max(0, Self.difference(seen.rawValue, believed))
    }

    /// More than an hour behind the own wall clock, or behind what the folder has seen: events
    /// would be moved to an arrival that is too early, so they are refused.
    public var refusesEvents: Bool {
        heldBackMillis > stepMillisMax || behindMillis > stepMillisMax && !isBehindAccepted
    }

    /// Believed time at the last reading.
    private var believed: Int64 { isHolding ? anchor.advanced(to: last.boot) : last.wall }

    /// What is wrong at the last reading; nil where nothing is.
    public var problem: Problem? {
        let believed = believed
        let clocks = shown(last)
        if clocks.count >= Self.clocksMin {
            let off = Self.difference(believed, Self.median(clocks))
            if abs(off) > stepMillisMax { return .astray(byMillis: off, clocks: clocks.count) }
        }
        if isHolding { return .unconfirmed(byMillis: heldBackMillis) }
        let behind = behindMillis
        if behind > Self.warnMillis {
            return .behind(byMillis: behind, isAccepted: isBehindAccepted)
        }
        let off =
            clocks.count >= Self.clocksMin
            ? Self.difference(believed, Self.median(clocks))
            : clocks.map { Self.difference(believed, $0) }.max { abs($0) < abs($1) } ?? 0
        return abs(off) > Self.warnMillis ? .apart(byMillis: off, clocks: clocks.count) : nil
    }

    /// How far a node's clock was ahead of this one's believed time when it was last heard, by
    /// node, ascending.
    public var differences: [(node: NodeID, millis: Int64)] {
        heard.filter { isFresh($0.reading, at: last.boot) }.map { entry in
            return (entry.node, Self.difference(entry.reading.advanced(to: last.boot), believed))
        }.sorted { $0.node < $1.node }
    }

    // MARK: The median

    private func isConfirmed(_ reading: Reading) -> Bool {
        let clocks = shown(reading)
        guard clocks.count >= Self.clocksMin else { return false }
        return abs(Self.difference(reading.wall, Self.median(clocks))) <= stepMillisMax
    }

    private func isFresh(_ reading: Reading, at boot: UInt64) -> Bool {
        boot < reading.boot || (boot - reading.boot) / 1_000_000 <= Self.heardMillisMax
    }

    /// What all clocks show at the moment of a reading, the own among them, ascending.
    private func shown(_ reading: Reading) -> [Int64] {
        var clocks = [reading.wall]
        for entry in heard where isFresh(entry.reading, at: reading.boot) {
            clocks.append(entry.reading.advanced(to: reading.boot))
        }
        return clocks.sorted()
    }

    /// The lower median of an ascending list that is not empty.
    private static func median(_ clocks: [Int64]) -> Int64 { clocks[(clocks.count - 1) / 2] }

    private static func difference(_ first: Int64, _ second: Int64) -> Int64 {
        let (difference, overflow) = first.subtractingReportingOverflow(second)
        guard overflow else { return difference == .min ? .min + 1 : difference }
        return first > second ? .max : .min + 1
    }
}
