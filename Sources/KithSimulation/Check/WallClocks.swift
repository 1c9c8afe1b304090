/// What nodes' wall clocks showed, as far as a checker knows: of simulated nodes exactly; of real
/// ones, or of a plan without a world, by the plan's `pass` steps, give or take.
///
/// Moments are nanoseconds from the begin of the clients' work. A group's log time is its leader's
/// and never goes back, so that what may have ended is asked of the greatest that was shown so far,
/// and of the leaders alone; an event's time is bounded by the clock of any node that takes it.
struct WallClocks {
    /// One a node; or one for all.
    private let clocks: [WallClock]
    /// How far a clock may have been before what is known of it, and behind, in milliseconds.
    private let ahead: Int64
    private let behind: Int64
    /// When the last questions were asked.
    private let end: UInt64
    /// When the plan has time pass, ascending.
    let passes: [UInt64]

    /// The clocks of a run: where none are known, those of a plan that begins at `start` and ends
    /// at `final`, in milliseconds since 1970. Where that is later than what passed, they were
    /// running.
    init(
        _ work: PlannedWork, known: [WallClock], start: Int64, final: Int64, ahead: Int64,
        behind: Int64
    ) {
        let steps = work.steps.compactMap { step -> (at: UInt64, milliseconds: Int64)? in
            guard case .pass(let milliseconds) = step.action else { return nil }
            return (step.at, milliseconds)
        }.sorted { $0.at < $1.at }
        passes = steps.map(\.at)
        self.ahead = ahead
        self.behind = behind
        guard known.isEmpty else {
            clocks = known
            end = .max
            return
        }
        let passed = steps.reduce(start) { $0 + $1.milliseconds }
        let isRunning = final > passed
        var clock = WallClock(wall: start, drift: isRunning ? 0 : -1_000_000)
        for step in steps { clock.advance(by: step.milliseconds, at: step.at) }
        clocks = [clock]
        end = isRunning ? UInt64(final - passed) * 1_000_000 : .max
    }

    /// What every one of these clocks showed at least, all the time from one moment to another.
    func least(from: UInt64, to: UInt64, of nodes: [Int] = []) -> Int64 {
        let (from, to) = (min(from, end), min(to, end))
        return of(nodes).reduce(.max) { min($0, $1.least(from: from, to: to)) } - behind
    }

    /// What any of these clocks showed at most until then.
    func greatest(to: UInt64, of nodes: [Int] = []) -> Int64 {
        of(nodes).reduce(.min) { max($0, $1.greatest(to: min(to, end))) } + ahead
    }

    /// By number, from 1; all where none are named.
    private func of(_ nodes: [Int]) -> [WallClock] {
        let chosen = nodes.compactMap { $0 <= clocks.count ? clocks[$0 - 1] : nil }
        return chosen.isEmpty || clocks.count == 1 ? clocks : chosen
    }
}
