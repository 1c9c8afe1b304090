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
///
/// Each group is asked by itself, one part at a time: while one does not answer, merges into the
/// others go on. A request names its job by a number that stays the job's until it ends.
public struct MergeDriver: Sendable {
    public let group: GroupID
    let table: GroupTable
    private var merges = JobList<Merge>()
    private var releases = JobList<Release>()
    /// The records among `merges`.
    private var begun: Set<Merge.Name> = []
    /// By group number: whether its part of a round is on its way.
    private var isOut: [Bool]
    /// The seal that the last look at a long list of them ended with.
    private var looked = OperationIndex.none
    /// Bytes that one part of a round holds, or one request.
    public var partBytesGoal: Int
    /// Something waits for a round after the last one, whether or not any part of that comes back.
    public private(set) var wantsLaterRound = false

    /// Merges under way into one group at a time, and releases in all; the rest waits in the
    /// group's lists.
    static let underWayMax = 512
    /// Merges under way at a time, into whatever groups.
    static let underWayAllMax = 8_192
    /// Sealed records that one round looks at, for those to begin with.
    static let lookMax = 1_024
    /// Bytes that a round has at most, shared among the groups; each part holds one request more
    /// at most.
    static let roundBytesGoal = 1 << 20
    /// The least share of a group.
    static let partBytesLeast = 64 << 10

    struct Merge: Sendable {
        let leaf: LeafID
        let version: OperationIndex
        /// The leaf sealed into: where the message begins, and begins again.
        let into: LeafID
        var target: LeafID?
        var proof: OperationIndex = .none
        var step: Step = .absorb
        var isAsked = false
        /// Absorbs that came to nothing, and the rounds that the merge sits out for them.
        var failures: UInt8 = 0
        var rest = 0

        var name: Name { Name(leaf: leaf, version: version) }

        struct Name: Hashable, Sendable {
            let leaf: LeafID
            let version: OperationIndex
        }
    }

    /// A merge that cannot get on is asked again after 2, 4, … rounds, at most this power of two:
    /// each try is a log entry as long as the absorb.
    private static let failuresMax: UInt8 = 12

    enum Step: Sendable {
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
        isOut = Array(repeating: false, count: table.groupCount)
        partBytesGoal = max(Self.roundBytesGoal / table.groupCount, Self.partBytesLeast)
    }

    /// Something is under way.
    public var isBusy: Bool { merges.count + releases.count > 0 }

    /// The next requests, to groups whose last part has come back. O(jobs under way).
    public mutating func nextRound(_ machine: inout GroupMachine, on shards: some ShardAccess)
        -> Round
    {
        // First what has ended: a release that was given up while its root was sealed must not
        // stand in the way of the same one once that root is reopened.
        removeEnded()
        begin(&machine, on: shards)
        wantsLaterRound = machine.sealed.count > max(merges.count, Self.lookMax)
        var round = Round(groupCount: table.groupCount)
        let context = machine.context()
        for number in merges.numbers where !merges[number].isAsked {
            guard canAsk(place(of: merges[number]), in: round) else { continue }
            if merges[number].rest > 0 {
                merges[number].rest -= 1
                wantsLaterRound = true
                continue
            }
            askMerge(number, context, shards, &round)
        }
        for number in releases.numbers where !releases[number].isAsked {
            guard canAsk(place(of: releases[number]), in: round) else { continue }
            if releases[number].rest > 0 {
                releases[number].rest -= 1
                wantsLaterRound = true
                continue
            }
            askRelease(number, context, shards, &round)
        }
        for place in round.parts.indices where !round.parts[place].isEmpty { isOut[place] = true }
        return round
    }

    /// Whether the group's part may take another request: the part of an earlier round has come
    /// back, and this one is below the group's share.
    private func canAsk(_ place: Int, in round: Round) -> Bool {
        guard round.parts[place].operations.byteCount < partBytesGoal else {
            mark(.driverRoundFull)
            return false
        }
        return !isOut[place]
    }

    private mutating func removeEnded() {
        for number in merges.numbers {
            guard case .done = merges[number].step else { continue }
            begun.remove(merges[number].name)
            merges.remove(number)
        }
        for number in releases.numbers where releases[number].isDone { releases.remove(number) }
    }

    private mutating func begin(_ machine: inout GroupMachine, on shards: some ShardAccess) {
        beginMerges(machine.sealed, on: shards)
        var taken = 0
        while taken < machine.releasing.count, releases.count < Self.underWayMax {
            let root = machine.releasing[taken]
            taken += 1
            for entry in shards.machine(root.shard).pendingReleases(of: root)
            where !releases.contains(where: { $0.root == root && $0.entry == entry }) {
                releases.add(Release(root: root, entry: entry))
            }
        }
        machine.releasing.removeFirst(taken)
    }

    /// Begins with the oldest seals. Of a long list each round looks at a stretch, so that the many
    /// that wait for one group do not hide those behind them.
    private mutating func beginMerges(
        _ sealed: [GroupMachine.SealedRecord], on shards: some ShardAccess
    ) {
        guard !sealed.isEmpty else { return }
        var underWay = [Int](repeating: 0, count: table.groupCount)
        for number in merges.numbers { underWay[self.place(of: merges[number])] += 1 }
        var place = sealed.count > Self.lookMax ? Self.firstPlace(in: sealed, after: looked) : 0
        for _ in 0..<min(sealed.count, Self.lookMax) {
            if merges.count >= Self.underWayAllMax { return }
            if place == sealed.count { place = 0 }
            let record = sealed[place]
            place += 1
            looked = record.version
            let name = Merge.Name(leaf: record.leaf, version: record.version)
            guard !begun.contains(name), let into = Self.winner(of: record, on: shards) else {
                continue
            }
            let target = part(into)
            if underWay[target] >= Self.underWayMax { continue }
            underWay[target] += 1
            begun.insert(name)
            merges.add(Merge(leaf: record.leaf, version: record.version, into: into))
        }
    }

    /// The first seal above `version`. O(log n): the list ascends.
    private static func firstPlace(
        in sealed: [GroupMachine.SealedRecord], after version: OperationIndex
    ) -> Int {
        var range = sealed.indices
        while !range.isEmpty {
            let middle = (range.lowerBound + range.upperBound) / 2
            if sealed[middle].version > version {
                range = range.lowerBound..<middle
            } else {
                range = (middle + 1)..<range.upperBound
            }
        }
        return range.lowerBound
    }

    private static func winner(
        of record: GroupMachine.SealedRecord, on shards: some ShardAccess
    ) -> LeafID? {
        let machine = shards.machine(record.leaf.shard)
        guard let slot = machine.table.find(record.leaf), machine.table.state(slot) == .sealed
        else { return nil }
        return machine.table.parent(slot)
    }

    private func part(_ leaf: LeafID) -> Int { Int(table.group(of: leaf).rawValue) }

    /// The number of the group that the merge asks next.
    private func place(of merge: Merge) -> Int {
        switch merge.step {
        case .absorb: part(merge.target ?? merge.into)
        case .wait(let leaf): part(leaf)
        case .release(let order): part(order.leaf)
        case .forward, .reopen, .done: Int(group.rawValue)
        }
    }

    private func place(of release: Release) -> Int {
        release.isAnswered ? Int(group.rawValue) : part(release.entry.leaf)
    }

    private mutating func askMerge(
        _ index: Int, _ context: ApplyContext, _ shards: some ShardAccess, _ round: inout Round
    ) {
        let merge = merges[index]
        let owner = Round.Owner(event: Int32(index), role: .link)
        merges[index].isAsked = true
        switch merge.step {
        case .absorb:
            guard
                var order = shards.machine(merge.leaf.shard).absorbOrder(
                    merge.leaf, version: merge.version, context)
            else {
                merges[index].step = .done
                merges[index].isAsked = false
                return
            }
            if merges[index].failures > 0 { mark(.driverAsksAgain) }
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
        if release.isAnswered {
            releases[index].isAsked = true
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
        releases[index].isAsked = true
        round.parts[part(order.leaf)].operations.release(order)
        round.parts[part(order.leaf)].operationOwners.append(owner)
    }

    /// Takes a part of a round back with its answer; its group may be asked again. True when some
    /// request failed or has to be asked again later, so that the caller pauses before the next
    /// round.
    public mutating func take(_ part: Round.Part) -> Bool {
        precondition(isOut[Int(part.group.rawValue)], "group \(part.group.rawValue) was not asked")
        isOut[Int(part.group.rawValue)] = false
        var mustPause = false
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
            }
        }
        for owners in [part.operationOwners, part.waitOwners] {
            for owner in owners {
                if owner.role == .link {
                    merges[Int(owner.event)].isAsked = false
                } else {
                    releases[Int(owner.event)].isAsked = false
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
            merges[index].step = Rules.afterSilence(merges[index])
        } else {
            releases[index].silences = min(releases[index].silences + 1, Self.silencesMax)
            releases[index].rest = 1 << Int(releases[index].silences)
        }
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
            Rules.redirect(&merges[index], to: parent, version: version)
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
