public import KithBytes

/// Drives every sealed record of one group to its end, and every dropped leaf to its release: the
/// work of the `MergeCoordinator`, as a pure machine.
///
/// It owns no truth. The sealed record is the durable intent; after any crash the list of them is
/// in the group's state and the driver begins again, with the same idempotent messages:
///
///     absorb ──▶ absorbed by t ──▶ forward(to t) logged ──▶ done
///       │ ▲      sealed(w): wait for w, which has a driver of its own
///       │ │      moved: redirect, lower      unknown facet: back to the leaf sealed into
///       └─┘      released: release that leaf's home, then back to it
///                declined ──▶ reopen logged ──▶ done
///
/// Waits go from larger ids to smaller only, so they never form a circle.
public struct MergeDriver: Sendable {
    public let group: GroupID
    let table: GroupTable
    private var merges: [Merge] = []
    private var releases: [Release] = []

    /// Absorbs and releases under way at a time; the rest waits in the group's lists.
    public static let underWayMax = 512
    /// Bytes at which a round is sent; it holds one request more at most.
    static let roundBytesGoal = 1 << 20

    private struct Merge: Sendable {
        let leaf: LeafID
        let version: OperationIndex
        /// The leaf sealed into: where the message begins, and begins again.
        var into: LeafID?
        var target: LeafID?
        var proof: OperationIndex = .none
        var step: Step = .absorb
        var isAsked = false
        /// Absorbs that came to nothing, and the rounds that the merge sits out for them.
        var failures: UInt8 = 0
        var rest = 0
    }

    /// A merge that cannot get on is asked again after 2, 4, … rounds, at most this power of two:
    /// each try is a log entry as long as the absorb.
    private static let failuresMax: UInt8 = 12

    private enum Step: Sendable {
        case absorb
        case wait(LeafID)
        case release(ReleaseOrder)
        case forward(LeafID)
        case reopen
        case done
    }

    /// The same for what went to a group that did not answer: it is asked again within seconds of
    /// its return.
    private static let silencesMax: UInt8 = 8

    private struct Release: Sendable {
        let root: LeafID
        let entry: Ledger.Release
        var silences: UInt8 = 0
        var rest = 0
        var isAnswered = false
        var isAsked = false
        var isDone = false
    }

    public init(group: GroupID, table: GroupTable) {
        self.group = group
        self.table = table
    }

    /// Something is under way.
    public var isBusy: Bool { !merges.isEmpty || !releases.isEmpty }

    /// The next requests. One round is out at a time: owners name jobs by their position.
    public mutating func nextRound(_ machine: inout GroupMachine, on shards: some ShardAccess)
        -> Round
    {
        // First what has ended: a release that was given up while its root was sealed must not
        // stand in the way of the same one once that root is reopened.
        merges.removeAll { if case .done = $0.step { true } else { false } }
        releases.removeAll(where: \.isDone)
        begin(&machine, on: shards)
        var round = Round(groupCount: table.groupCount)
        let context = machine.context()
        for index in merges.indices where !merges[index].isAsked {
            if isFull(round) {
                mark(.driverRoundFull)
                return round
            }
            if merges[index].rest > 0 {
                merges[index].rest -= 1
                continue
            }
            merges[index].isAsked = true
            askMerge(index, context, shards, &round)
        }
        for index in releases.indices where !releases[index].isAsked {
            if isFull(round) { return round }
            if releases[index].rest > 0 {
                releases[index].rest -= 1
                continue
            }
            askRelease(index, context, shards, &round)
        }
        return round
    }

    private func isFull(_ round: Round) -> Bool {
        round.parts.reduce(0) { $0 + $1.operations.byteCount } >= Self.roundBytesGoal
    }

    private mutating func begin(_ machine: inout GroupMachine, on shards: some ShardAccess) {
        for record in machine.sealed {
            if merges.count >= Self.underWayMax { break }
            if !merges.contains(where: { $0.leaf == record.leaf && $0.version == record.version }) {
                merges.append(Merge(leaf: record.leaf, version: record.version))
            }
        }
        var taken = 0
        while taken < machine.releasing.count, releases.count < Self.underWayMax {
            let root = machine.releasing[taken]
            taken += 1
            for entry in shards.machine(root.shard).pendingReleases(of: root)
            where !releases.contains(where: { $0.root == root && $0.entry == entry }) {
                releases.append(Release(root: root, entry: entry))
            }
        }
        machine.releasing.removeFirst(taken)
    }

    private func part(_ leaf: LeafID) -> Int { Int(table.group(of: leaf).rawValue) }

    private mutating func askMerge(
        _ index: Int, _ context: ApplyContext, _ shards: some ShardAccess, _ round: inout Round
    ) {
        let merge = merges[index]
        let owner = Round.Owner(event: Int32(index), role: .link)
        switch merge.step {
        case .absorb:
            guard
                var order = shards.machine(merge.leaf.shard).absorbOrder(
                    merge.leaf, version: merge.version, context)
            else {
                merges[index].step = .done
                return
            }
            if merges[index].failures > 0 { mark(.driverAsksAgain) }
            merges[index].into = order.target
            order.target = merge.target ?? order.target
            order.proof = merge.proof
            merges[index].target = order.target
            round.parts[part(order.target)].operations.absorb(order)
            round.parts[part(order.target)].operationOwners.append(owner)
        case .wait(let leaf):
            round.parts[part(leaf)].waits.append(leaf)
            round.parts[part(leaf)].waitOwners.append(owner)
        case .release(let order):
            round.parts[part(order.leaf)].operations.release(order)
            round.parts[part(order.leaf)].operationOwners.append(owner)
        case .forward(let parent):
            let own = Int(group.rawValue)
            round.parts[own].operations.forward(merge.leaf, version: merge.version, to: parent)
            round.parts[own].operationOwners.append(owner)
        case .reopen:
            let own = Int(group.rawValue)
            round.parts[own].operations.reopen(merge.leaf, version: merge.version)
            round.parts[own].operationOwners.append(owner)
        case .done:
            break
        }
    }

    private mutating func askRelease(
        _ index: Int, _ context: ApplyContext, _ shards: some ShardAccess, _ round: inout Round
    ) {
        let release = releases[index]
        let owner = Round.Owner(event: Int32(index), role: .event)
        releases[index].isAsked = true
        if release.isAnswered {
            let own = Int(group.rawValue)
            round.parts[own].operations.answered(root: release.root, release.entry)
            round.parts[own].operationOwners.append(owner)
            return
        }
        guard
            let order = shards.machine(release.root.shard).pendingReleaseOrder(
                release.entry, at: release.root, context)
        else {
            releases[index].isDone = true
            return
        }
        round.parts[part(order.leaf)].operations.release(order)
        round.parts[part(order.leaf)].operationOwners.append(owner)
    }

    /// Takes a round back with its answers. True when some request failed or has to be asked again
    /// later, so that the caller pauses before the next round.
    public mutating func take(_ round: Round) -> Bool {
        // Nothing was asked, yet something waits: for its turn.
        var mustPause = round.isEmpty && isBusy
        for part in round.parts where !part.isEmpty {
            switch part.answer {
            case .answered(let operations, _, let waits, _):
                for (owner, outcome) in zip(part.operationOwners, operations) {
                    if owner.role == .link {
                        mustPause = takeMerge(outcome, Int(owner.event)) || mustPause
                    } else {
                        mustPause = takeRelease(outcome, Int(owner.event)) || mustPause
                    }
                }
                for (owner, isFree) in zip(part.waitOwners, waits) {
                    if isFree {
                        merges[Int(owner.event)].step = .absorb
                    } else {
                        mark(.driverWaitedInVain)
                        mustPause = true
                    }
                }
            case .overloaded, .unknown, .unanswered:
                mark(.driverSilence)
                mustPause = true
                for owner in part.operationOwners + part.waitOwners {
                    restAfterSilence(owner)
                    if planted(.silentAbsorbDone) { plantDone(owner) }
                }
            }
            for owners in [part.operationOwners, part.findOwners, part.waitOwners] {
                for owner in owners {
                    if owner.role == .link {
                        merges[Int(owner.event)].isAsked = false
                    } else {
                        releases[Int(owner.event)].isAsked = false
                    }
                }
            }
        }
        return mustPause
    }

    private mutating func restAfterSilence(_ owner: Round.Owner) {
        let index = Int(owner.event)
        if owner.role == .link {
            merges[index].failures = min(merges[index].failures + 1, Self.silencesMax)
            merges[index].rest = 1 << Int(merges[index].failures)
        } else {
            releases[index].silences = min(releases[index].silences + 1, Self.silencesMax)
            releases[index].rest = 1 << Int(releases[index].silences)
        }
    }

    /// What a planted fault makes of an absorb that nobody answered.
    private mutating func plantDone(_ owner: Round.Owner) {
        #if KITH_PLANTED
        let index = Int(owner.event)
        guard owner.role == .link, case .absorb = merges[index].step,
            let target = merges[index].target
        else { return }
        merges[index].step = .forward(target)
        #endif
    }

    private mutating func takeMerge(_ outcome: Outcome, _ index: Int) -> Bool {
        switch (merges[index].step, outcome) {
        case (.absorb, .absorbed(let parent)):
            merges[index].step = .forward(parent)
        case (.absorb, .declined):
            mark(.driverReopens)
            merges[index].step = .reopen
        case (.absorb, .moved(let parent, let version)):
            mark(.driverRedirected)
            if planted(.redirectLost) {
                merges[index].step = .forward(parent)
                return false
            }
            // Only the Forward of the leaf sealed into is a proof.
            if merges[index].target == merges[index].into { merges[index].proof = version }
            merges[index].target = parent
        case (.absorb, .sealed(let leaf)):
            mark(.driverWaits)
            merges[index].step = .wait(leaf)
        case (.absorb, .unknownFacet):
            mark(.driverBackToStart)
            startAgain(index)
        case (.absorb, .released(let order)):
            mark(.driverReleasesFirst)
            merges[index].step = .release(order)
        case (.release, _):
            startAgain(index)
        case (.forward, _), (.reopen, _):
            merges[index].step = .done
        default:
            mark(.driverRests)
            // Stale or malformed: the record itself says what is left to do; ask it again later.
            startAgain(index)
            merges[index].failures = min(merges[index].failures + 1, Self.failuresMax)
            merges[index].rest = 1 << Int(merges[index].failures)
            return true
        }
        return false
    }

    private mutating func startAgain(_ index: Int) {
        merges[index].target = nil
        merges[index].proof = .none
        merges[index].step = .absorb
    }

    private mutating func takeRelease(_ outcome: Outcome, _ index: Int) -> Bool {
        if releases[index].isAnswered {
            releases[index].isDone = true
            return false
        }
        if case .notYet = outcome {
            mark(.driverReleaseTooEarly)
            return true
        }
        releases[index].isAnswered = true
        return false
    }
}
