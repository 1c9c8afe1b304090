// Faults that wait for a merge to be at a step: chance alone seldom hits what lasts as long as one
// message takes. Looks at the records between two steps of the world, and says so in no other way.

internal import KithBytes
internal import KithClient
internal import KithCore
internal import KithServer

/// A fault that waits for a merge.
struct MergeWatch {
    let fault: Fault
    /// What the merge is to be at.
    let step: CrashMatrix.Step
    /// Which node of it is to die.
    let role: CrashMatrix.Role
    /// So many merges at that step are let go by.
    var skipped: Int
    /// It looks once in so many steps of the world.
    let stride: Int
    /// Where a node is to die it is stopped instead.
    let isClean: Bool
    /// It happens so often.
    var left: Int

    /// What the fault's seed says.
    init(_ fault: Fault, _ settings: ClusterSettings) {
        self.fault = fault
        var chance = Xoshiro256(seed: fault.chance)
        var cells = CrashMatrix.cells
        // Only there a winner may have no room.
        let isSmall = settings.tuning.identifiersMax < ShardMachine.identifiersMax
        let isOfDeclined = isSmall && !chance.oneIn(3)
        cells.removeAll { ($0.step == .declined || $0.step == .reopenAsked) != isOfDeclined }
        // What needs several merges at once, or time to pass between two steps, is seldom.
        let seldom: [CrashMatrix.Step] = [.winnerSealed, .winnerMoved, .winnerEmpty]
        if !isOfDeclined, chance.oneIn(2) { cells.removeAll { !seldom.contains($0.step) } }
        // One node that leads is always both.
        if min(settings.groups, settings.nodeCount) == 1 {
            cells.removeAll { $0.role == .loser || $0.role == .winner || $0.step == .winnerDown }
        }
        if settings.nodeCount == 1 { cells.removeAll { $0.role != .both } }
        let cell = cells[chance.below(cells.count)]
        step = cell.step
        role = cell.role
        skipped = chance.oneIn(2) ? 0 : Int(chance.logarithmic(1...8)) - 1
        stride = [1, 1, 2, 4][chance.below(4)]
        isClean = chance.oneIn(6)
        left = 1 + chance.below(3)
    }
}

extension ClusterRun {
    /// Lets what waits for a merge happen where its time has come.
    func watchMerges() {
        let count = simulator.stepCount
        guard watches.contains(where: { count % $0.stride == 0 }) else { return }
        let merges = cluster.mergesUnderWay()
        if merges.isEmpty { return }
        for place in watches.indices where count % watches[place].stride == 0 {
            let watch = watches[place]
            guard let merge = merges.first(where: { fits($0, watch) }) else { continue }
            if watch.skipped > 0 {
                watches[place].skipped -= 1
                continue
            }
            watches[place].left -= 1
            note("\(watch.fault.kind.rawValue): a merge is at \"\(watch.step.rawValue)\"")
            countInjected(watch.fault)
            strike(watch, merge)
            lookAfterFolders()
            watches.removeAll { $0.left == 0 }
            // The records have changed.
            return
        }
    }

    private func fits(_ merge: SimulatedCluster.MergeUnderWay, _ watch: MergeWatch) -> Bool {
        guard merge.step == watch.step else { return false }
        switch watch.fault.kind {
        case .cutInMerge: return merge.losers != merge.winners
        case .jumpInMerge: return true
        default: return victim(of: watch, merge) != nil
        }
    }

    private func victim(
        of watch: MergeWatch, _ merge: SimulatedCluster.MergeUnderWay
    ) -> Int? {
        let routers = routers(merge.merge.loser, merge.merge.into)
        return (1...plan.settings.nodeCount).first { number in
            keeper(number).isServing && merge.role(of: number, routers: routers) == watch.role
        }
    }

    private func strike(_ watch: MergeWatch, _ merge: SimulatedCluster.MergeUnderWay) {
        switch watch.fault.kind {
        case .cutInMerge:
            let until = simulator.nanoseconds + watch.fault.nanoseconds
            let (one, other) = ("n\(merge.losers)", "n\(merge.winners)")
            cluster.network.weather.block(from: one, to: other, until: until)
            cluster.network.weather.block(from: other, to: one, until: until)
        case .jumpInMerge:
            let number = watch.role == .loser ? merge.losers : merge.winners
            cluster.node(number).clock.advance(by: 91 * 86_400_000)
        default:
            guard let victim = victim(of: watch, merge) else { return }
            if watch.isClean {
                stop(victim, down: watch.fault.nanoseconds)
            } else {
                crash(victim, down: watch.fault.nanoseconds, isSilent: random.oneIn(2))
            }
        }
    }

    /// The nodes that a client waits at for the answer to a batch that names one of the leaves.
    func routers(_ loser: LeafID, _ into: LeafID) -> Set<Int> {
        var nodes: Set<Int> = []
        for (stepNumber, number) in doing.sorted(by: { $0.key < $1.key }) {
            guard leaves(of: stepNumber).contains(where: { $0 == loser || $0 == into }) else {
                continue
            }
            let client = cluster.client(number + plan.settings.nodeCount)
            let address = simulator.inspect { client.assumeIsolated { $0.address } } ?? nil
            if let address { nodes.insert(Int(address.port) - 7100) }
        }
        return nodes
    }

    /// The leaves that a step's batch names; none where it sends no batch.
    private func leaves(of number: Int) -> [LeafID] {
        if let known = knownLeaves[number] { return known }
        var leaves: [LeafID] = []
        if let step = plan.work.steps.first(where: { $0.number == number }),
            case .ingest(let space, let events) = step.action
        {
            leaves = events.flatMap(\.identifiers).compactMap {
                cluster.places.leaf(of: $0.namespace, $0.value, space: space)
            }
        }
        knownLeaves[number] = leaves
        return leaves
    }
}
