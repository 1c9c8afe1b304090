/// What wall clocks show at a moment, by the plan's `pass` steps. A step takes effect a little
/// after its time, so there is a least and a greatest answer.
struct PlannedClock {
    /// How late a step may be at most, in nanoseconds: its client waits for nothing but its time.
    static let lateness: UInt64 = 2_000_000

    /// Ascending.
    let passes: [(at: UInt64, milliseconds: Int64)]
    let start: Int64
    /// Clocks go with virtual time besides.
    let isRunning: Bool
    /// How far a node's clock may be before all others, and behind them, in milliseconds.
    let ahead: Int64
    let behind: Int64

    /// The clock of a plan that begins at `start`, in milliseconds since 1970, and ends at `end`:
    /// where that is later than what passed, clocks were running.
    init(_ work: PlannedWork, start: Int64, end: Int64, ahead: Int64, behind: Int64) {
        self.start = start
        self.ahead = ahead
        self.behind = behind
        passes = work.steps.compactMap { step in
            guard case .pass(let milliseconds) = step.action else { return nil }
            return (step.at, milliseconds)
        }.sorted { $0.at < $1.at }
        isRunning = end > passes.reduce(start) { $0 + $1.milliseconds }
    }

    /// What every clock shows at least.
    func least(_ at: UInt64) -> Int64 {
        passes.reduce(start) {
            at > $1.at && at - $1.at > Self.lateness ? $0 + $1.milliseconds : $0
        } - behind
    }

    /// What any clock shows at most; of `UInt64.max`, the end of all times.
    func greatest(_ at: UInt64) -> Int64 {
        if at == .max { return .max }
        let passed = isRunning ? Int64(at / 1_000_000) + 1 : 0
        return passes.reduce(start) { at >= $1.at ? $0 + $1.milliseconds : $0 } + passed + ahead
    }
}
