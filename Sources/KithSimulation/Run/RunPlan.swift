internal import KithBytes
internal import KithCore
internal import KithServer
internal import KithStorage
internal import KithWire

/// All that a run will do, drawn from its seed before it begins: the cluster, the work, the faults.
struct RunPlan {
    var settings: ClusterSettings
    var work: PlannedWork
    var faults: FaultSchedule
    /// Wall clocks go; else they stand still but for the work's `pass`.
    var hasRunningClocks: Bool
    /// When all is healed, wall clocks stay as wrong as they are.
    var keepsClocks: Bool
    /// Whoever starts a node says that its clock is right, at each start; else only after the node
    /// has refused it, and once all is healed.
    var acceptsClocks: Bool

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
        // In half of all runs every clock is believed: log times go wrong for good. In the others
        // nodes guard against that, and clocks must be put right for all to serve again.
        var guarding = Xoshiro256(seed: options.seed, label: "guarded clocks")
        let isGuarded = guarding.oneIn(2)
        if !isGuarded { settings.tuning.clockStepMillisMax = .max }
        keepsClocks = Self.drawsKeepingClocks(options.seed) && !isGuarded
        var accepting = Xoshiro256(seed: options.seed, label: "accepted clocks")
        acceptsClocks = !isGuarded || accepting.oneIn(2)
        var choice = options.faults
        choice.isBeyond = choice.isBeyond || random.oneIn(12)
        // In part of the runs all that goes wrong waits for merges, and merges take their time.
        var merging = Xoshiro256(seed: options.seed, label: "merging")
        choice.isMerging = merging.oneIn(4)
        settings.nodeCount = options.nodes ?? nodeCount
        settings.groups = options.groups ?? groups
        settings.loopCount = options.loops ?? loopCount
        settings.identity.sharedDevice = isFirst ? .first : .quarantine
        var aliases = Xoshiro256(seed: options.seed, label: "aliases")
        if aliases.oneIn(8) { settings.identity.alias = .refuse }
        choice.hasRunningClocks = hasRunningClocks
        choice.leaders = min(settings.groups, settings.nodeCount)
        var lanes = Xoshiro256(seed: options.seed, label: "lanes")
        settings.world.hasLanePerActor = options.hasLanePerActor ?? lanes.oneIn(4)

        // Few names apart leave few rules to look at the run: in few runs.
        var names = Xoshiro256(seed: options.seed, label: "names")
        if names.oneIn(16) { settings.tuning.eventNamesMax = 1 + names.below(8) }

        // Days end at any time of a run, not only when profiles do.
        if random.oneIn(2) {
            settings.start = LogTime(
                settings.start.rawValue + Int64(random.below(UInt64(86_400_000))))
        }

        var generator = WorkloadGenerator(
            seed: options.seed, settings: settings, steps: options.steps ?? steps)
        generator.names = options.workloads
        generator.rate = options.rate
        let isCrowded = choice.isMerging && merging.oneIn(3)
        if isCrowded {
            generator.names = options.workloads ?? ["storm"]
        } else if options.workloads == nil, choice.isMerging, merging.oneIn(2) {
            generator.names = ["storm", "hot", "alias", "race", "expiry", "late"]
        }
        work = generator.plan()
        faults = .none
        hasten()
        importAgain()
        shrinkLimits()
        if choice.isMerging {
            settings.cables.delayNanoseconds =
                20_000...(1_000_000 << UInt64(merging.below(7)))
        }
        if isCrowded { settings.tuning.identifiersMax = 2 + merging.below(4) }
        faults = FaultSchedule.drawn(
            seed: options.seed, nodeCount: settings.nodeCount,
            stepTimes: work.steps.map(\.at), passes: work.passes, choice: choice)
        // So that the room of an outbox is used up.
        if faults.faults.contains(where: { $0.kind == .deafClient }) {
            settings.tuning.outboxBytesMax = 32 << 10
        }
        if let only = options.onlyFaults { faults.faults.removeAll { !only.contains($0.number) } }
        if let only = options.onlySteps { work.steps.removeAll { !only.contains($0.number) } }
        if let clients = options.clients { work.steps.removeAll { $0.client > clients } }
    }

    private static func drawsKeepingClocks(_ seed: UInt64) -> Bool {
        var random = Xoshiro256(seed: seed, label: "clocks")
        return random.oneIn(2)
    }

    /// In half of all runs some clients send batches without waiting for the answers to others.
    private mutating func hasten() {
        var random = Xoshiro256(seed: settings.seed, label: "haste")
        guard random.oneIn(2) else { return }
        let clients = work.steps.map(\.client).max() ?? 0
        let isHasty = (0...clients).map { _ in random.oneIn(2) }
        for place in work.steps.indices where isHasty[work.steps[place].client] {
            guard case .ingest = work.steps[place].action else { continue }
            work.steps[place].isHasty = true
        }
    }

    /// In a quarter of all runs half of the batches are an import's: what of them is expired comes
    /// again, up to three times.
    private mutating func importAgain() {
        var random = Xoshiro256(seed: settings.seed, label: "imports")
        guard random.oneIn(4) else { return }
        for place in work.steps.indices where random.oneIn(2) {
            guard case .ingest = work.steps[place].action else { continue }
            work.steps[place].passes = 2 + random.below(3)
        }
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
        if random.oneIn(8) { settings.ingestBytesMax = 80_000 << random.below(3) }
        if random.oneIn(12) { settings.limits.frameBytesMax = 16_384 << UInt32(random.below(3)) }
        shrinkProfiles(&random)
        shrinkMessages(&random)
        // As in a real log, an entry of what may wait fits a segment.
        let room = settings.log.segmentBytes
        settings.tuning.pendingBytesMax = min(settings.tuning.pendingBytesMax, room / 4 * 3)
        settings.tuning.entryBytesGoal = min(settings.tuning.entryBytesGoal, room / 2)
        settings.tuning.submissionBytesGoal = min(settings.tuning.submissionBytesGoal, room / 2)
        let pending = settings.tuning.pendingBytesMax
        settings.tuning.runBytesMax = min(settings.tuning.runBytesMax, pending / 4 * 3)
    }

    /// Profiles of few identifiers: limits refuse links, and winners have no room.
    private mutating func shrinkProfiles(_ random: inout Xoshiro256) {
        if random.oneIn(4) { settings.tuning.identifiersMax = 2 + random.below(8) }
        guard random.oneIn(8) else { return }
        for place in settings.identity.namespaces.indices
        where settings.identity.namespaces[place].identifierClass != .account {
            settings.identity.namespaces[place].limit = 1 + random.below(4)
        }
    }

    /// Parts of rounds, merges and reclaiming in small pieces, and few requests at a time.
    private mutating func shrinkMessages(_ random: inout Xoshiro256) {
        if random.oneIn(6) {
            settings.tuning.submissionBytesGoal = 1 + random.below(1_024)
            // Above any event that workloads send.
            if random.oneIn(2) { settings.tuning.pendingBytesMax = 2_048 << random.below(3) }
        }
        if random.oneIn(4) {
            settings.cables.delayNanoseconds = 20_000...(1_000_000 << UInt64(random.below(7)))
        }
        if random.oneIn(6) { settings.tuning.messageBytesGoal = 1 + random.below(1_024) }
        if random.oneIn(6) { settings.tuning.messageFindsMax = 1 + random.below(4) }
        if random.oneIn(6) { settings.tuning.mergeBytesGoal = 1 + random.below(1_024) }
        if random.oneIn(6) { settings.tuning.requestsInFlightMax = 1 + random.below(4) }
        if random.oneIn(8) { settings.tuning.requestsWaitingMax = 8 + random.below(24) }
        if random.oneIn(2) { settings.tuning.reclaimStep = 1 + random.below(3) }
        if random.oneIn(3) { settings.tuning.marksNanoseconds = 1_000_000 << random.below(12) }
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

extension PlannedWork {
    /// When wall clocks go ahead, ascending.
    fileprivate var passes: [UInt64] {
        steps.compactMap { step in
            if case .pass = step.action { step.at } else { nil }
        }
    }
}
