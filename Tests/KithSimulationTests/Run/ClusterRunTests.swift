import KithSimulation
import Testing

/// Whole runs of seeds: they repeat themselves, parts can be left out, and each kind of fault alone
/// leaves the cluster right.
@Suite struct ClusterRunTests {
    private func options(_ seed: UInt64) -> RunOptions {
        var options = RunOptions(seed: seed)
        options.steps = 12
        return options
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `a seed repeats itself, whatever else runs`(seed: UInt64) {
        let first = ClusterRun.run(options(seed))
        let between = ClusterRun.run(options(seed + 100))
        let second = ClusterRun.run(options(seed))

        #expect(first.violations.isEmpty, "seed \(seed): \(first.violations)")
        #expect(first.hash == second.hash, "seed \(seed)")
        #expect(first.steps == second.steps, "seed \(seed)")
        #expect(first.hash != between.hash, "seed \(seed)")
    }

    @Test func `seeds differ in everything that a seed says`() {
        let reports = (1...8).map { ClusterRun.run(options($0)) }

        #expect(Set(reports.map(\.hash)).count == 8)
        #expect(Set(reports.map(\.nodes)).count > 1)
        #expect(Set(reports.map(\.groups)).count > 1)
    }

    @Test(arguments: FaultKind.allCases)
    func `a cluster with one kind of fault keeps its promises`(_ kind: FaultKind) {
        var injected = 0
        // Three seeds, and more where what was laid out has not taken effect in these.
        for seed in 1...40 as ClosedRange<UInt64> where seed <= 3 || injected == 0 {
            var options = options(seed)
            options.nodes = 3
            options.faults.only = [kind]
            options.faults.isBeyond = true
            let report = ClusterRun.run(options)
            #expect(report.violations.isEmpty, "\(kind.rawValue), seed \(seed)")
            injected += report.faults.reduce(0) { $0 + $1.count }
            #expect(report.faults.allSatisfy { $0.kind == kind })
        }
        #expect(injected > 0, "no \(kind.rawValue) in forty seeds")
    }

    @Test func `what is left out does not happen, and shifts nothing else`() {
        var whole = options(5)
        whole.faults.only = [.crash, .partition]
        let all = ClusterRun.run(whole)
        var part = whole
        part.onlyFaults = Set(all.schedule.prefix(1).map(\.number))
        part.onlySteps = Set(all.stepNumbers.prefix(3))
        let some = ClusterRun.run(part)

        #expect(all.schedule.count >= 1)
        #expect(some.schedule.count == 1)
        #expect(some.schedule.first?.at == all.schedule.first?.at)
        #expect(some.schedule.first?.chance == all.schedule.first?.chance)
        #expect(some.stepNumbers == Array(all.stepNumbers.prefix(3)))
        #expect(some.violations.isEmpty, "\(some.violations)")
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `with a lane an actor a seed repeats itself too, in another order`(seed: UInt64) {
        var split = options(seed)
        split.hasLanePerActor = true
        var shared = options(seed)
        shared.hasLanePerActor = false
        var lanes: Set<String> = []
        let first = ClusterRun.run(split) { _, lane in lanes.insert(lane) }
        let second = ClusterRun.run(split)

        #expect(first.violations.isEmpty, "seed \(seed): \(first.violations)")
        #expect(first.hash == second.hash, "seed \(seed)")
        #expect(first.hash != ClusterRun.run(shared).hash, "seed \(seed)")
        // The node, its log, its groups, their coordinators, links, connections.
        #expect(lanes.filter { $0.hasPrefix("n1/0.") }.count >= 4, "seed \(seed): \(lanes)")
    }

    @Test func `some seeds give each actor a lane`() {
        let reports = (1...12).map { ClusterRun.run(options($0)) }

        #expect(Set(reports.map(\.hasLanePerActor)).count == 2)
    }

    @Test func `steps come at the rate asked for`() {
        var options = RunOptions(seed: 1)
        options.nodes = 3
        options.workloads = ["browsing"]
        options.rate = 50
        options.steps = 200
        options.faults.only = []
        let report = ClusterRun.run(options)

        #expect(report.violations.isEmpty, "\(report.violations)")
        #expect(3_000_000_000...4_500_000_000 ~= report.workNanoseconds)
        #expect(report.calls == 200)
        #expect(report.events > 150)
    }

    @Test func `a run without faults injects none`() {
        var none = options(3)
        none.faults.only = []

        #expect(ClusterRun.run(none).faults.isEmpty)
    }

    @Test func `the trace has a line a step and names lanes`() {
        var lines = 0
        var lanes: Set<String> = []
        let report = ClusterRun.run(options(2)) { record, lane in
            if [.lane, .timer, .delivery, .disk].contains(record.kind) { lines += 1 }
            lanes.insert(lane)
        }

        #expect(lines == report.steps)
        #expect(lanes.contains("n1/0"))
        #expect(lanes.contains("client/0"))
    }
}
