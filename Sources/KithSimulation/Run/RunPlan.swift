internal import KithCore

/// All that a run will do, drawn from its seed before it begins: the cluster, the work, the faults.
struct RunPlan {
    var settings: ClusterSettings
    var work: PlannedWork
    var faults: FaultSchedule
    /// Wall clocks go; else they stand still but for the work's `pass`.
    var hasRunningClocks: Bool

    /// What the seed says, but for what the options say.
    init(_ options: RunOptions) {
        var random = Xoshiro256(seed: options.seed, label: "run")
        settings = ClusterSettings(seed: options.seed)
        let nodeCount = [1, 3, 3, 3, 5][random.below(5)]
        let groups = 1 + random.below(5)
        let loopCount = random.oneIn(4) ? 8 : 1 + random.below(2)
        let isFirst = random.oneIn(4)
        let steps = 8 << random.below(5)
        hasRunningClocks = random.oneIn(2)
        settings.nodeCount = options.nodes ?? nodeCount
        settings.groups = options.groups ?? groups
        settings.loopCount = options.loops ?? loopCount
        settings.identity.sharedDevice = isFirst ? .first : .quarantine

        var generator = WorkloadGenerator(
            seed: options.seed, settings: settings, steps: options.steps ?? steps)
        work = generator.plan()
        faults = FaultSchedule.drawn(
            seed: options.seed, nodeCount: settings.nodeCount,
            stepTimes: work.steps.map(\.at), choice: options.faults)
        if let only = options.onlyFaults { faults.faults.removeAll { !only.contains($0.number) } }
        if let only = options.onlySteps { work.steps.removeAll { !only.contains($0.number) } }
        if let clients = options.clients { work.steps.removeAll { $0.client > clients } }
    }

    /// `3 nodes, 5 groups, 2 loops, 64 steps, 4 faults`.
    var summary: String {
        "\(settings.nodeCount) nodes, \(settings.groups) groups, \(settings.loopCount) loops, "
            + "\(work.steps.count) steps, \(faults.faults.count) faults"
    }

    /// When work and faults are over, in nanoseconds from the begin of the run.
    var end: UInt64 { max(work.steps.last?.at ?? 0, faults.end) }
}
