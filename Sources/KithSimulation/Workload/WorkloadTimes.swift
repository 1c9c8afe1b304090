/// When wall clocks go forward during a plan, and by how much; laid down before any step, so that
/// every event can be given a time that is not after its arrival.
///
///     virtual time   0 ─────────────┬──────────┬─────────────▶ end
///     wall clocks    start          │ + 5 h    │ + 90 d
///                                 one `pass` each, by a client that does nothing else
struct WorkloadTimes: Sendable {
    /// What a workload asks of time.
    enum Passing: Int, Comparable, Sendable {
        /// Whatever others ask for.
        case anything
        /// Some hours, less than a day in all.
        case hours
        /// To just before, at and just after the end of retention.
        case retention

        static func < (first: Self, second: Self) -> Bool { first.rawValue < second.rawValue }
    }

    /// Ascending: from that virtual time on, so many milliseconds more.
    private(set) var passes: [(at: UInt64, milliseconds: Int64)] = []
    /// When the last step is due, in nanoseconds of virtual time.
    let end: UInt64
    /// What wall clocks show at first.
    let start: Int64
    /// How long anonymous profiles live, in milliseconds.
    let retention: Int64

    /// Draws the passes.
    init(
        _ passing: Passing, end: UInt64, start: Int64, retention: Int64,
        _ random: inout Xoshiro256
    ) {
        self.end = end
        self.start = start
        self.retention = retention
        switch passing {
        case .anything: return
        case .hours:
            let count = 1 + random.below(4)
            let longest = 20 * 3_600_000 / Int64(count)
            for _ in 0..<count {
                passes.append(
                    (random.below(end), 1 + Int64(random.below(UInt64(longest)))))
            }
        case .retention:
            // Events of the begin end their time at one of the last milliseconds, one by one.
            let first = end / 3 + random.below(end / 6)
            let early = 1 + Int64(random.below(UInt64(6)))
            passes.append((first, retention - early))
            for _ in 0..<(4 + random.below(8)) {
                passes.append(
                    (first + random.below(end - first), 1 + Int64(random.below(UInt64(3)))))
            }
            if random.oneIn(3) {
                passes.append((end / 10 * 9, retention / 2 + Int64(random.below(UInt64(1_000)))))
            }
        }
        passes.sort { ($0.at, $0.milliseconds) < ($1.at, $1.milliseconds) }
    }

    /// What wall clocks show at least, at that virtual time.
    func wall(_ at: UInt64) -> Int64 {
        var wall = start
        for pass in passes where pass.at <= at { wall += pass.milliseconds }
        return wall
    }
}
