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
        var least = Int64.max
        var greatest = Int64.min
        for (place, stretch) in stretches.enumerated() where stretch.at <= to {
            let end = place + 1 < stretches.count ? stretches[place + 1].at : .max
            if end < from { continue }
            least = min(least, stretch.wallTime(at: max(from, stretch.at)))
            greatest = max(greatest, stretch.wallTime(at: min(to, end)))
        }
        return least...max(least, greatest)
    }
}
