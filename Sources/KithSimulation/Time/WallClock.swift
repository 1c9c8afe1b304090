// What one wall clock showed during a run, kept as it was set, so that a checker knows it at every
// moment and does not have to guess how wrong it was.
//
//     wall
//      │            ╱      a stretch each: from that moment on, this wall time, this rate
//      │   ╱───────╱
//      │  ╱   jump │
//      └─────────────▶ virtual time
//
// Between two settings a wall clock never goes back: it stands still at the least.

/// What a wall clock showed, from the first moment on.
package struct WallClock: Sendable {
    /// From `at` on, in nanoseconds, the clock shows `wall` milliseconds and goes on at that rate.
    package struct Stretch: Sendable {
        package var at: UInt64
        package var wall: Int64
        /// How much too fast, in millionths: 0 is right, −1,000,000 stands still.
        package var drift: Int64

        /// What the clock shows at that moment, which is not before `at`.
        package func wallTime(at moment: UInt64) -> Int64 {
            if drift == -1_000_000 { return wall }
            let passed = Int64(clamping: (moment - at) / 1_000_000)
            let wide = passed.multipliedFullWidth(by: 1_000_000 + drift)
            return wall &+ Int64(1_000_000).dividingFullWidth(wide).quotient
        }
    }

    /// Ascending; several of one moment in the order in which they were set.
    private(set) var stretches: [Stretch]
    /// What moments are counted from.
    private var origin: UInt64 = 0
    /// What a node may believe that does not follow a step of this clock: it goes on from where the
    /// clock was, at the right rate. One list of stretches a step.
    private var heldBack: [[Stretch]] = []
    /// Steps of at least so many milliseconds may not be followed: of several within an hour the
    /// node sees one, if it does not look between them.
    private static let heldBackMillisMin: Int64 = 900_000
    /// How far what is believed may be from that, in milliseconds: the node looked last some time
    /// before the step.
    private static let heldBackSlackMillis: Int64 = 900_000

    /// A clock that showed `wall` milliseconds at moment 0.
    package init(wall: Int64, drift: Int64 = 0) {
        stretches = [Stretch(at: 0, wall: wall, drift: drift)]
    }

    /// The stretch at hand.
    var current: Stretch { stretches[stretches.count - 1] }

    /// From `at` on, which is not before the last stretch, the clock shows that.
    package mutating func set(wall: Int64, drift: Int64, at: UInt64) {
        stretches.append(Stretch(at: at, wall: wall, drift: drift))
    }

    /// The clock is set to that at `at`, at the rate there is: nodes may not follow.
    mutating func step(to wall: Int64, at: UInt64) {
        let before = current.wallTime(at: max(at, current.at))
        if abs(wall - before) >= Self.heldBackMillisMin {
            heldBack.append([Stretch(at: max(at, current.at), wall: before, drift: 0)])
        }
        set(wall: wall, drift: current.drift, at: at)
    }

    /// What is not followed goes on by as much as passes for a suspended machine.
    mutating func passHeldBack(milliseconds: Int64, at: UInt64) {
        changeHeldBack(by: milliseconds, drift: 0, at: at)
    }

    /// From `at` on no node holds on to what the clock was before.
    mutating func endHeldBack(at: UInt64) { changeHeldBack(by: 0, drift: -1_000_000, at: at) }

    private mutating func changeHeldBack(by milliseconds: Int64, drift: Int64, at: UInt64) {
        for place in heldBack.indices {
            let last = heldBack[place][heldBack[place].count - 1]
            heldBack[place].append(
                Stretch(at: at, wall: last.wallTime(at: at) &+ milliseconds, drift: drift))
        }
    }

    /// From `at` on, `milliseconds` more; at the rate there is.
    mutating func advance(by milliseconds: Int64, at: UInt64) {
        set(
            wall: current.wallTime(at: max(at, current.at)) &+ milliseconds, drift: current.drift,
            at: max(at, current.at))
    }

    /// The same clock, with moments counted from `moment`.
    package func counted(from moment: UInt64) -> WallClock {
        var clock = self
        clock.origin = moment
        return clock
    }

    /// The least that it showed between two moments.
    func least(from: UInt64, to: UInt64) -> Int64 {
        extremes(shifted(from), max(shifted(from), shifted(to))).lowerBound
    }

    /// The greatest that it showed so far; it must stand still, or no time has passed since it was
    /// set.
    var greatestShown: Int64 { Self.extremes(stretches, 0, .max).1 }

    /// The greatest that it showed up to that moment.
    func greatest(to: UInt64) -> Int64 {
        extremes(0, shifted(to)).upperBound
    }

    private func shifted(_ moment: UInt64) -> UInt64 {
        let (sum, overflow) = moment.addingReportingOverflow(origin)
        return overflow ? .max : sum
    }

    /// O(stretches).
    private func extremes(_ from: UInt64, _ to: UInt64) -> ClosedRange<Int64> {
        var (least, greatest) = Self.extremes(stretches, from, to)
        for held in heldBack where held[0].at <= to {
            let (low, high) = Self.extremes(held, from, to)
            least = min(least, low &- Self.heldBackSlackMillis)
            greatest = max(greatest, high &+ Self.heldBackSlackMillis)
        }
        return least...max(least, greatest)
    }

    private static func extremes(
        _ stretches: [Stretch], _ from: UInt64, _ to: UInt64
    ) -> (Int64, Int64) {
        var least = Int64.max
        var greatest = Int64.min
        for (place, stretch) in stretches.enumerated() where stretch.at <= to {
            let end = place + 1 < stretches.count ? stretches[place + 1].at : .max
            if end < from { continue }
            least = min(least, stretch.wallTime(at: max(from, stretch.at)))
            greatest = max(greatest, stretch.wallTime(at: min(to, end)))
        }
        return (least, greatest)
    }
}
