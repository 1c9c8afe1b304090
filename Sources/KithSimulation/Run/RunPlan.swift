internal import KithBytes
internal import KithCore
internal import KithServer
internal import KithStorage

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
        var choice = options.faults
        choice.isBeyond = choice.isBeyond || random.oneIn(16)
        settings.nodeCount = options.nodes ?? nodeCount
        settings.groups = options.groups ?? groups
        settings.loopCount = options.loops ?? loopCount
        settings.identity.sharedDevice = isFirst ? .first : .quarantine
        var lanes = Xoshiro256(seed: options.seed, label: "lanes")
        settings.world.hasLanePerActor = options.hasLanePerActor ?? lanes.oneIn(4)

        var generator = WorkloadGenerator(
            seed: options.seed, settings: settings, steps: options.steps ?? steps)
        generator.names = options.workloads
        generator.rate = options.rate
        work = generator.plan()
        faults = .none
        shrinkLimits()
        faults = FaultSchedule.drawn(
            seed: options.seed, nodeCount: settings.nodeCount,
            stepTimes: work.steps.map(\.at), choice: choice)
        if let only = options.onlyFaults { faults.faults.removeAll { !only.contains($0.number) } }
        if let only = options.onlySteps { work.steps.removeAll { !only.contains($0.number) } }
        if let clients = options.clients { work.steps.removeAll { $0.client > clients } }
    }

    /// Makes limits small, each in some runs, so that what is rare happens often. Behind the plan:
    /// segments must hold the largest entry.
    private mutating func shrinkLimits() {
        var random = Xoshiro256(seed: settings.seed, label: "limits")
        if random.oneIn(2) {
            var bytes = 4 << 10
            while bytes < work.byteCount * 4, bytes < settings.log.segmentBytes { bytes *= 2 }
            settings.log.segmentBytes = bytes
        }
        if random.oneIn(4) { settings.log.batchBytesMax = 1 + random.below(2_048) }
        if random.oneIn(4) { settings.tuning.entryBytesGoal = 1 + random.below(1_024) }
        if random.oneIn(4) { settings.cables.streamBytesMax = 512 << random.below(6) }
        if random.oneIn(4) { settings.world.holdOneIn = 16 << UInt64(random.below(6)) }
        if random.oneIn(2) { settings.tuning.hints = hints(&random) }
    }

    /// Wrong places to begin, among the identifiers of the work.
    private func hints(_ random: inout Xoshiro256) -> [(leaf: LeafID, root: LeafID)] {
        let places = IdentifierPlaces(settings)
        let leaves = work.questions.filter { !$0.isQuarantine }.compactMap {
            places.leaf(of: $0.identifier.namespace, $0.identifier.value, space: $0.space)
        }
        return leaves.compactMap { leaf in
            let root = leaves[random.below(leaves.count)]
            return root < leaf ? (leaf, root) : nil
        }
    }

    /// `3 nodes, 5 groups, 2 loops, 64 steps, 4 faults`.
    var summary: String {
        "\(settings.nodeCount) nodes, \(settings.groups) groups, \(settings.loopCount) loops"
            + (settings.world.hasLanePerActor ? " with a lane an actor, " : ", ")
            + "\(work.steps.count) steps, \(faults.faults.count) faults"
    }

    /// When work and faults are over, in nanoseconds from the begin of the run.
    var end: UInt64 { max(work.steps.last?.at ?? 0, faults.end) }
}
