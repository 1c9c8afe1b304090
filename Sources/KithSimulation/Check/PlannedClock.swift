/// What wall clocks show at a moment, by the plan's `pass` steps. A step takes effect a little after
/// its time, so there is a least and a greatest answer.
struct PlannedClock {
    /// How late a step may be at most, in nanoseconds: its client waits for nothing but its time.
    static let lateness: UInt64 = 20_000_000

    /// Ascending.
    let passes: [(at: UInt64, milliseconds: Int64)]
    let start: Int64

    /// The clock of a plan that begins at `start`, in milliseconds since 1970.
    init(_ work: PlannedWork, start: Int64) {
        self.start = start
        passes = work.steps.compactMap { step in
            guard case .pass(let milliseconds) = step.action else { return nil }
            return (step.at, milliseconds)
        }.sorted { $0.at < $1.at }
    }

    /// What clocks show at least.
    func least(_ at: UInt64) -> Int64 {
        passes.reduce(start) {
            at > $1.at && at - $1.at > Self.lateness ? $0 + $1.milliseconds : $0
        }
    }

    /// What clocks show at most.
    func greatest(_ at: UInt64) -> Int64 {
        passes.reduce(start) { at >= $1.at ? $0 + $1.milliseconds : $0 }
    }
}
