public import KithBytes

/// The way from a group to its shards. In the server it goes through the `Shard` actors, which
/// share the group's loop; in tests it is an array.
public protocol ShardAccess {
    func machine(_ id: ShardID) -> ShardMachine
}

/// The replicated state machine of one group: applies log entries, in order, to the group's shards.
///
/// What it keeps beside them is small: log time, the applied index, the settled marks heard of
/// every group, and the list of sealed records, oldest seal first, from which its own mark follows.
/// Pure and deterministic: the same entries give the same state and the same outcomes.
public struct GroupMachine: Sendable {
    public let group: GroupID
    public let table: GroupTable
    /// Log time: rises only, with each entry (wall clock) or each stamp (event clock).
    public private(set) var now: LogTime
    public private(set) var applied: LogIndex
    public private(set) var retentionMillis: Int64
    /// Settled marks heard of the other groups, by group number.
    public private(set) var heard: [OperationIndex]
    /// Records sealed and not yet forwarded, oldest seal first.
    public internal(set) var sealed: [SealedRecord]
    /// Roots with leaves to release, in the order in which they dropped them. A work list for the
    /// driver, not state: rebuilt from the ledgers by `rebuildWork`.
    public var releasing: [LeafID]
    /// `heard`, with the group's own mark in its place.
    public private(set) var marks: [OperationIndex]
    /// Absorbs from other groups since marks were last logged by themselves.
    public private(set) var absorbsSinceMarks = 0
    /// The part of the log that was lost, behind `after` and up to `upTo`, while Forwards of it are
    /// to be restored.
    public private(set) var lost: (after: LogIndex, upTo: LogIndex)?
    /// Searches of other nodes for Forwards of theirs. No state: of this process only.
    var watches: [ForwardWatch] = []
    /// How the entry now applied, or the last one, means its time.
    private var clock = EntryClock.wall

    /// A record that was sealed and whose Forward is not logged yet.
    public struct SealedRecord: Equatable, Sendable {
        public var version: OperationIndex
        public var leaf: LeafID
    }

    /// Identifiers a profile may hold. The same in every replica; only tests make it less.
    public var identifiersMax = ShardMachine.identifiersMax
    /// Event names that a profile counts apart. The same in every replica; only tests make it less.
    public var eventNamesMax = FacetLimits.eventNamesMax

    /// 90 days, until a settings operation says otherwise.
    static let retentionMillisDefault: Int64 = 90 * 86_400_000

    public init(group: GroupID, table: GroupTable) {
        self.group = group
        self.table = table
        now = LogTime(0)
        applied = .zero
        retentionMillis = Self.retentionMillisDefault
        heard = Array(repeating: .none, count: table.groupCount)
        sealed = []
        releasing = []
        marks = heard
        updateOwnMark()
    }

    /// The group's own settled mark is the lowest version still sealed, or else the place after all
    /// it has applied. To be called when either changes.
    mutating func updateOwnMark() {
        let own = Int(group.rawValue)
        marks[own] = Rules.ownMark(
            heard: heard[own], oldestSealed: sealed.first?.version,
            next: OperationIndex(entry: applied.next, ordinal: 0))
    }

    /// The context of a read at `time` (log time, where that is later).
    public func context(at time: LogTime? = nil) -> ApplyContext {
        makeContext(at: OperationIndex(entry: applied.next, ordinal: 0), now: max(now, time ?? now))
    }

    private func makeContext(at: OperationIndex, now: LogTime) -> ApplyContext {
        var context = ApplyContext(
            group: group, at: at, now: now, retentionMillis: retentionMillis,
            takesEventTimes: clock == .event, marks: marks, table: table)
        context.identifiersMax = identifiersMax
        context.eventNamesMax = eventNamesMax
        return context
    }

    // MARK: Applying

    /// How an entry's time is meant.
    public enum EntryClock: UInt8, Sendable {
        /// The entry's time is log time.
        case wall = 1
        /// Log time rises by the operations' stamps, never past the entry's time.
        case event = 2
    }

    /// Applies one entry and appends the outcome of each operation, in order. `index` must follow
    /// the last one applied. An operation that cannot be carried out ends it, and is returned: what
    /// is committed and not understood must not be passed over.
    public mutating func apply(
        index: LogIndex, time: LogTime, clock: EntryClock, operations: RawSpan,
        on shards: some ShardAccess, outcomes: inout [Outcome]
    ) -> OperationFault? {
        precondition(index == applied.next, "entry \(index.rawValue) after \(applied.rawValue)")
        self.clock = clock
        if clock == .wall { now = Rules.logTime(now, after: time) }
        var reader = OperationReader(operations)
        var step = Step(entry: index)
        var fault: OperationFault?
        do throws(OperationFault) {
            while let payload = try reader.next() {
                let stamp = reader.stamp
                if clock == .event, stamp > now.rawValue, time > now {
                    now = LogTime(min(stamp, time.rawValue))
                }
                if reader.type == .event {
                    let event = try reader.event(payload, of: group, table)
                    outcomes.append(apply(event, &step, shards))
                } else {
                    step.runStands = false
                    let operation = try reader.operation(payload, of: group, table)
                    outcomes.append(apply(operation, &step, shards))
                }
            }
        } catch {
            outcomes.append(.malformed)
            fault = error
        }
        applied = index
        updateOwnMark()
        return fault
    }

    /// Goes on behind `index`, after a loss, as if entries that changed nothing had come up to
    /// there. `index` must be above the last one applied.
    public mutating func skip(to index: LogIndex) {
        precondition(index > applied, "back to \(index.rawValue) from \(applied.rawValue)")
        lost = (lost?.after ?? applied, index)
        applied = index
        updateOwnMark()
    }

    /// Hands out the places of an entry's steps, and knows of its last event.
    struct Step {
        let entry: LogIndex
        var ordinal: UInt32 = 0
        /// The operation before is an event, and its run stands.
        var runStands = false

        @discardableResult
        mutating func next() -> OperationIndex {
            defer { ordinal += 1 }
            return OperationIndex(entry: entry, ordinal: ordinal)
        }
    }

    private mutating func apply(
        _ event: borrowing EventOperation, _ step: inout Step, _ shards: some ShardAccess
    ) -> Outcome {
        let target = event.target
        guard Rules.isCarriedOut(target.place, runStands: step.runStands) else {
            mark(.runDependsInVain)
            return .again
        }
        let outcome = applyEvent(target, event.body, &step, shards)
        step.runStands = outcome.isSettledEvent && (target.place == .alone || step.runStands)
        return outcome
    }

    private mutating func apply(
        _ operation: borrowing Operation, _ step: inout Step, _ shards: some ShardAccess
    ) -> Outcome {
        switch operation {
        case .seal(let order): return seal(order, &step, shards)
        case .absorb(let order): return absorb(order, &step, shards)
        case .forward(let loser, let version, let parent):
            let context = makeContext(at: step.next(), now: now)
            let outcome = shards.machine(loser.shard).forward(
                loser, version: version, to: parent, context)
            unseal(loser, shards)
            return outcome
        case .reopen(let loser, let version):
            let context = makeContext(at: step.next(), now: now)
            let outcome = shards.machine(loser.shard).reopen(loser, version: version, context)
            unseal(loser, shards)
            noteDropped(loser, shards)
            return outcome
        case .release(let order): return release(order, &step, shards)
        case .contest(let root, let end, let first):
            let context = makeContext(at: step.next(), now: now)
            let outcome = shards.machine(root.shard).contest(end, at: root, first: first, context)
            noteDropped(root, shards)
            return outcome
        case .refuse(let root, let first, let other, let rule, let isIgnored):
            let context = makeContext(at: step.next(), now: now)
            let outcome = shards.machine(root.shard).refuse(
                Ledger.Refusal(first: first, other: other, rule: rule, time: now),
                isIgnored: isIgnored, at: root, context)
            noteDropped(root, shards)
            return outcome
        case .erase(let record, let leaf, let proof):
            let context = makeContext(at: step.next(), now: now)
            let outcome = shards.machine(record.shard).erase(
                leaf, at: record, proof: proof, context)
            noteDropped(record, shards)
            return outcome
        case .touch(let record):
            let context = makeContext(at: step.next(), now: now)
            _ = shards.machine(record.shard).current(record, context)
            noteDropped(record, shards)
            return .done
        case .reclaim(let shard, let limit, let exact):
            let context = makeContext(at: step.next(), now: now)
            let machine = shards.machine(shard)
            let outcome = machine.reclaim(limit: limit, exact: exact, context)
            noteDropped(machine)
            return outcome
        case .marks(let marks):
            hear(marks)
            absorbsSinceMarks = 0
            return .done
        case .count(let lists):
            count(lists, shards)
            return .done
        case .settings(let retentionMillis):
            let millis = max(1, retentionMillis)
            if millis != self.retentionMillis {
                self.retentionMillis = millis
                let context = makeContext(at: step.next(), now: now)
                for shard in table.shards(of: group) { shards.machine(shard).refileAll(context) }
            }
            return .done
        case .time: return .done
        case .restore(let forward):
            step.next()
            let outcome = shards.machine(forward.leaf.shard).restore(forward)
            unseal(forward.leaf, shards)
            return outcome
        case .restored:
            if lost != nil { sealAgain(&step, shards) }
            lost = nil
            return .done
        case .answered(let root, let release):
            let context = makeContext(at: step.next(), now: now)
            return shards.machine(root.shard).releaseAnswered(root, release, context)
        }
    }

    /// Counts what no profile counts. The lists are whole.
    private func count(_ lists: RawSpan, _ shards: some ShardAccess) {
        let statistics = shards.machine(firstShard)
        var reader = ByteReader(lists)
        do throws(ByteError) {
            for isIgnored in [false, true] {
                for _ in 0..<(try reader.u16()) {
                    let name = try reader.take(Int(try reader.u8()))
                    let count = Int64(try reader.u32())
                    if isIgnored {
                        statistics.statistics.countIgnored(name, by: count)
                    } else {
                        statistics.statistics.countRejected(name, by: count)
                    }
                }
            }
        } catch {
            preconditionFailure("lists that were whole when they were decoded: \(error)")
        }
    }

    var firstShard: ShardID { ShardID(UInt8(group.rawValue)) }

    private func owns(_ leaf: LeafID) -> Bool { table.group(of: leaf) == group }

    private mutating func hear(_ marks: [OperationIndex]) {
        for index in 0..<min(marks.count, heard.count) {
            heard[index] = max(heard[index], marks[index])
            self.marks[index] = max(self.marks[index], heard[index])
        }
    }

    // MARK: Merging

    private mutating func seal(
        _ order: SealOrder, _ step: inout Step, _ shards: some ShardAccess
    ) -> Outcome {
        let at = step.next()
        let outcome = shards.machine(order.loser.shard).seal(order, makeContext(at: at, now: now))
        noteDropped(order.loser, shards)
        guard case .sealedNow(let version) = outcome else { return outcome }
        sealed.append(SealedRecord(version: version, leaf: order.loser))
        updateOwnMark()
        guard owns(order.winner) else { return outcome }
        switch mergeLocally(order.loser, version, &step, shards) {
        case .declined:
            return .again
        case .absorbed:
            // The winner may have swallowed the loser: then the link is not settled by this.
            let winner = shards.machine(order.winner.shard)
            guard let slot = winner.table.find(order.winner),
                winner.table.hasFacet(slot, order.loserEnd.leaf),
                winner.table.hasFacet(slot, order.winnerEnd.leaf)
            else {
                mark(.mergedAgain)
                return .again
            }
            return .merged(root: order.winner)
        default:
            mark(.mergedLater)
            return outcome
        }
    }

    /// Absorb and forward in the entry of the seal: both records are this group's. Where the
    /// winner is no root the record stays sealed and the driver takes it on; where it has no room
    /// the record is a root again.
    private mutating func mergeLocally(
        _ loser: LeafID, _ version: OperationIndex, _ step: inout Step, _ shards: some ShardAccess
    ) -> Outcome {
        let context = makeContext(at: step.next(), now: now)
        guard let order = shards.machine(loser.shard).absorbOrder(loser, version: version, context)
        else { return .notYet }
        let outcome = shards.machine(order.target.shard).absorb(order, isLocal: true, context)
        noteDropped(order.target, shards)
        switch outcome {
        case .absorbed(let parent):
            if !watches.isEmpty { noteForWatches(order.target, shards) }
            _ = shards.machine(loser.shard).forward(loser, version: version, to: parent, context)
        case .declined:
            _ = shards.machine(loser.shard).reopen(loser, version: version, context)
            noteDropped(loser, shards)
        default:
            return outcome
        }
        unseal(loser, shards)
        return outcome
    }

    private mutating func absorb(
        _ order: AbsorbOrder, _ step: inout Step, _ shards: some ShardAccess
    ) -> Outcome {
        hear(order.marks)
        absorbsSinceMarks += 1
        let context = makeContext(at: step.next(), now: now)
        let outcome = shards.machine(order.target.shard).absorb(order, isLocal: false, context)
        noteDropped(order.target, shards)
        if !watches.isEmpty, case .absorbed = outcome { noteForWatches(order.target, shards) }
        return outcome
    }

    private mutating func release(
        _ order: ReleaseOrder, _ step: inout Step, _ shards: some ShardAccess
    ) -> Outcome {
        hear(order.marks)
        let context = makeContext(at: step.next(), now: now)
        return shards.machine(order.leaf.shard).release(order, context)
    }

    private mutating func unseal(_ leaf: LeafID, _ shards: some ShardAccess) {
        if let slot = shards.machine(leaf.shard).table.find(leaf),
            shards.machine(leaf.shard).table.state(slot) == .sealed
        {
            return
        }
        // From the end: a merge within the group has put it there a moment ago.
        guard let index = sealed.lastIndex(where: { $0.leaf == leaf }) else { return }
        sealed.remove(at: index)
        updateOwnMark()
    }

    // MARK: Events

    private mutating func applyEvent(
        _ target: ShardMachine.EventTarget, _ body: borrowing EventBody, _ step: inout Step,
        _ shards: some ShardAccess
    ) -> Outcome {
        let machine = shards.machine(target.record.shard)
        let outcome = machine.applyEvent(target, body, makeContext(at: step.next(), now: now))
        noteDropped(machine)
        switch outcome {
        case .counted(let root, let open) where open != 0:
            let (root, left) = attach(open, to: root, target, body, &step, shards)
            return .counted(root: root, open: left)
        case .duplicate(let root, let open) where open != 0:
            let (root, left) = attach(open, to: root, target, body, &step, shards)
            return .duplicate(root: root, open: left)
        case .told(let root, let open, let isDuplicate, let aside) where open != 0:
            let (root, left) = attach(open, to: root, target, body, &step, shards)
            return .told(root: root, open: left, isDuplicate: isDuplicate, aside)
        default:
            return outcome
        }
    }

    /// Settles what can be settled in the event's own entry: links to identifiers that are absent
    /// and at home in this group. In the event's order, and only up to the first that must travel.
    private mutating func attach(
        _ open: UInt32, to start: LeafID, _ target: ShardMachine.EventTarget,
        _ body: borrowing EventBody, _ step: inout Step, _ shards: some ShardAccess
    ) -> (root: LeafID, open: UInt32) {
        var left = open
        var root = start
        let first = body.identifier(at: target.ordinal)
        for ordinal in 0..<body.identifierCount where left & 1 << UInt32(ordinal) != 0 {
            let other = body.identifier(at: ordinal)
            guard owns(other.leaf) else {
                mark(.attachTravels)
                break
            }
            let home = shards.machine(other.leaf.shard)
            guard home.table.find(other.leaf) == nil, owns(root) else { break }
            let context = makeContext(at: step.next(), now: now)
            let machine = shards.machine(root.shard)
            guard
                machine.allowsAttaching(
                    body, target, to: ordinal, root: root, context),
                let rootText = machine.ownText(root)
            else {
                mark(.attachNotAllowed)
                break
            }
            let otherText = ShardMachine.text(other, space: body.space)
            let rootEnd = LinkEnd(leaf: first.leaf, isListed: !first.isUnlisted)
            let otherEnd = LinkEnd(leaf: other.leaf, isListed: !other.isUnlisted)
            let rootWins = root < other.leaf
            let order = SealOrder(
                loser: rootWins ? other.leaf : root, winner: rootWins ? root : other.leaf,
                loserEnd: rootWins ? otherEnd : rootEnd, winnerEnd: rootWins ? rootEnd : otherEnd,
                winnerHolds: rootWins, eventTime: body.time,
                loserText: rootWins ? otherText : rootText,
                winnerText: rootWins ? rootText : otherText)
            switch seal(order, &step, shards) {
            case .merged(let merged): root = merged
            // Also what is void: the link says why to who sent the event.
            default: return (root, left)
            }
            left &= ~(1 << UInt32(ordinal))
        }
        return (root, left)
    }

    // MARK: Work for the driver

    private mutating func noteDropped(_ leaf: LeafID, _ shards: some ShardAccess) {
        noteDropped(shards.machine(leaf.shard))
    }

    private mutating func noteDropped(_ machine: ShardMachine) {
        if !machine.dropped.isEmpty {
            releasing.append(contentsOf: machine.dropped)
            machine.dropped.removeAll(keepingCapacity: true)
        }
    }

    /// Finds again what the driver has to do, from the records themselves: after a restart.
    public mutating func rebuildWork(on shards: some ShardAccess) {
        releasing = []
        for shard in table.shards(of: group) {
            let machine = shards.machine(shard)
            machine.dropped = []
            machine.table.forEachSlot { slot in
                let leaf = machine.table.id(slot)
                if !machine.pendingReleases(of: leaf).isEmpty { releasing.append(leaf) }
            }
        }
    }

    /// Traps where a rule of the group or of its shards is broken. O(records).
    public func checkInvariants(on shards: some ShardAccess) {
        var sealedFound = 0
        for shard in table.shards(of: group) {
            let machine = shards.machine(shard)
            machine.checkInvariants()
            machine.table.forEachSlot { slot in
                guard machine.table.state(slot) == .sealed else { return }
                sealedFound += 1
                let record = SealedRecord(
                    version: machine.table.version(slot), leaf: machine.table.id(slot))
                precondition(sealed.contains(record), "sealed \(record.leaf.hex) is not listed")
            }
        }
        precondition(
            sealedFound == sealed.count, "\(sealed.count) seals listed, \(sealedFound) found")
    }
}

extension SealOrder {
    init(decoding reader: inout ByteReader) throws(ByteError) {
        loser = try reader.leaf()
        winner = try reader.leaf()
        let loserLeaf = try reader.leaf()
        let winnerLeaf = try reader.leaf()
        eventTime = try reader.i64()
        let flags = try reader.u8()
        loserEnd = LinkEnd(leaf: loserLeaf, isListed: flags & 1 != 0)
        winnerEnd = LinkEnd(leaf: winnerLeaf, isListed: flags & 2 != 0)
        winnerHolds = flags & 4 != 0
        loserText = try IdentifierText(decoding: &reader)
        winnerText = try IdentifierText(decoding: &reader)
    }
}
