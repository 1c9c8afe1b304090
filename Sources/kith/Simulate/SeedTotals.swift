import KithSimulation

/// The sum over the runs of a search, for its last line: how fast it went, and at what load. Time
/// that nothing happens in costs nothing: a ratio to real time means little without the load.
struct SeedTotals {
    private var seeds = 0
    private var failed = 0
    private var steps = 0
    private var events = 0
    private var requests = 0
    private var simulatedSeconds = 0.0
    private var workSeconds = 0.0
    private var realSeconds = 0.0

    /// Adds a run.
    mutating func add(_ result: SeedResult) {
        seeds += 1
        if !result.isOk { failed += 1 }
        steps += result.report.steps
        events += result.report.events
        requests += result.report.calls
        simulatedSeconds += Double(result.report.nanoseconds) / 1e9
        workSeconds += Double(result.report.workNanoseconds) / 1e9
        realSeconds += result.seconds
    }

    /// `20 seeds, 0 failed: 4.13 M steps in 8.2 s of one core (0.5 M a second); …`
    var line: String {
        func tenths(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
        let real = max(realSeconds, 1e-6)
        let work = max(workSeconds, 1e-6)
        let millions = Double(steps) / 1e6
        return "\(seeds) seeds, \(failed) failed: \(tenths(millions)) M steps in \(tenths(real)) s "
            + "of one core (\((millions / real * 100).rounded() / 100) M a second); "
            + "\(tenths(simulatedSeconds)) s simulated, \(Int(simulatedSeconds / real)) times real "
            + "time; while clients were at work, \(tenths(workSeconds)) s of it, "
            + "\(tenths(Double(requests) / work)) requests and \(tenths(Double(events) / work)) "
            + "events a simulated second"
    }
}
