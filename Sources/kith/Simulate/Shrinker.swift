// Makes a failing run smaller, as long as the same rule is broken: first the cluster, since another
// number of nodes is another run; then faults and steps, halves of them, quarters, and so on down
// to single ones, until nothing can be left out.

import KithSimulation

/// Finds a small run that breaks the same rule as a given one.
struct Shrinker {
    private var options: RunOptions
    private var report: RunReport
    private let rule: String
    private let console: Console
    private var runs = 0

    /// Runs at most.
    private static let runsMax = 400

    /// To shrink that run; nil where it broke no rule.
    init?(_ failed: SeedResult, _ console: Console) {
        guard let broken = failed.report.violations.first else { return nil }
        options = failed.report.options
        report = failed.report
        rule = broken.invariant
        self.console = console
    }

    /// The smallest run found.
    mutating func run() -> SeedResult {
        shrinkCluster()
        var before = (faults: -1, steps: -1)
        while before != (report.schedule.count, report.stepNumbers.count), runs < Self.runsMax {
            before = (report.schedule.count, report.stepNumbers.count)
            shrinkFaults()
            shrinkSteps()
        }
        return SeedPool.run(options, isTwice: false, trace: nil)
    }

    private mutating func shrinkCluster() {
        for nodes in [1, 2, 3] where nodes < report.nodes {
            if attempt({ $0.nodes = nodes }) { break }
        }
        for groups in [1, 2, 3] where groups < report.groups {
            if attempt({ $0.groups = groups }) { break }
        }
        if report.loops > 1 { attempt { $0.loops = 1 } }
        if report.hasLanePerActor { attempt { $0.hasLanePerActor = false } }
        for clients in 0..<report.clients where attempt({ $0.clients = clients }) { break }
    }

    private mutating func shrinkFaults() {
        thin(report.schedule.map(\.number)) { options, numbers in
            options.onlyFaults = Set(numbers)
        }
    }

    private mutating func shrinkSteps() {
        thin(report.stepNumbers) { options, numbers in
            options.onlySteps = Set(numbers)
        }
    }

    /// Leaves out ever smaller parts of `numbers` while the run fails without them.
    private mutating func thin(
        _ numbers: [Int], _ apply: (inout RunOptions, [Int]) -> Void
    ) {
        var kept = numbers
        if !kept.isEmpty, attempt({ apply(&$0, []) }) { return }
        var size = kept.count / 2
        while size > 0 {
            var start = 0
            while start < kept.count {
                var fewer = kept
                fewer.removeSubrange(start..<min(start + size, kept.count))
                if attempt({ apply(&$0, fewer) }) { kept = fewer } else { start += size }
            }
            size /= 2
        }
    }

    /// Whether a run with changed options breaks the rule; if so, goes on from there.
    @discardableResult
    private mutating func attempt(_ change: (inout RunOptions) -> Void) -> Bool {
        guard runs < Self.runsMax else { return false }
        runs += 1
        var changed = options
        change(&changed)
        let result = ClusterRun.run(changed)
        guard result.violations.contains(where: { $0.invariant == rule }) else { return false }
        options = changed
        report = result
        console.drawLive(
            "\(runs) runs: \(result.summary), \(result.stepNumbers.count) steps of work")
        return true
    }
}
