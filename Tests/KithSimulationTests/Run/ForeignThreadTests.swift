import Testing

@testable import KithSimulation

/// What a foreign thread does in the middle of a whole run fails it: the seed does not say any more
/// what happened.
@Suite struct ForeignThreadTests {
    @Test(arguments: [50, 2_000, 9_000])
    func `a job from a foreign thread fails a whole run`(step: Int) {
        var options = RunOptions(seed: 3)
        options.nodes = 3
        options.steps = 32
        let run = ClusterRun(options)
        let lane = run.cluster.clientLane
        var hasReachedIn = false
        run.cluster.simulator.onTrace = { record in
            guard record.step == step, !hasReachedIn else { return }
            hasReachedIn = true
            onForeignThread { lane.start {} }
        }

        let report = run.run()
        run.cluster.simulator.onTrace = nil

        #expect(hasReachedIn)
        #expect(report.violations.first?.invariant == "0 determinism", "\(report.violations)")
        #expect(report.violations.first?.text.contains("start on lane client/0") ?? false)
        #expect(report.steps <= step + 1, "it went on to step \(report.steps)")
    }
}
