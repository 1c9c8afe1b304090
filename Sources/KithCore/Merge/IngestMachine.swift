public import KithBytes

/// What a client is told of one event.
public enum EventResult: UInt8, Sendable, CaseIterable {
    case ok = 0
    case duplicate = 1
    case rejected = 2
    case expiredOnArrival = 3
    case forgotten = 4
    case suppressed = 5
    /// May or may not be stored, or stored with links unsettled. Safe to send again.
    case unknown = 6
    /// Nothing of it is stored.
    case overloaded = 7
}

/// A batch of events on its way through the groups, as a pure machine: it makes rounds of requests,
/// takes their answers, and ends with a result for each event.
///
/// An event goes to the root of its first identifier; where that is contested, to the next. Then
/// its other identifiers are linked to the one it counts in, one after another. It is settled when
/// every link is merged, refused or void; only then may it be acknowledged.
///
/// Order: an event takes effect after every earlier one that shares an identifier is settled, but
/// events with the very same identifiers travel together, in order. What waits is asked for beside
/// what it waits for where both go to one group: as an operation that is carried out only where
/// those before it in its run have settled (`RunPlace`), so that a person who is known costs one
/// round however many events there are. With stamps (event clock) an event that may need more than
/// one step holds back all later ones, so that log time never runs ahead of a link that is still to
/// be judged.
///
/// An `overloaded` event is not stored and will be sent again. So what waits for it is `overloaded`
/// too, and what waits for that; with stamps, all that have not started.
public struct IngestMachine {
    /// Steps one event may take before it is given up as `unknown`.
    public static let stepsMax = 200

    /// How often an event is asked for beside what it depends on; from then on it waits. Each try
    /// in vain is an operation in the log.
    static let vainTriesMax = 30

    let batch: EventBatch
    let table: GroupTable
    let policy: LinkPolicy
    var tracks: [Track]
    /// The event clock's order applies.
    let isStamped: Bool
    /// Events not settled yet.
    public internal(set) var unsettled: Int
    /// What is not settled and may be asked for. Without stamps all of the batch, those that share
    /// identifiers next to each other, in order.
    var active: [Int32] = []
    /// The first event of those that share identifiers, also through others. Empty with stamps.
    var components: [Int32] = []
    /// With stamps: the first event that has not started.
    var nextToStart = 0
    /// With stamps: an event was overloaded, and none after it may start.
    var isOverloaded = false
    var edges: [Edge] = []
    public internal(set) var results: [EventResult]
    /// What of the events' traits and links was not taken.
    public private(set) var notes: [EventNote] = []
    /// The greatest log index that answered, by group.
    public private(set) var tokens: [LogIndex]
    public private(set) var retryAfterMillis: UInt32 = 0
    /// Whether refused events, and the identifiers ignored in them, are counted in the log.
    var counts: Counts
    private var countTries = 0
    /// What the senders of the refused events are told: `rejected` only once that is counted in the
    /// log, so that the totals never lack a refusal that somebody was told of for certain.
    public private(set) var refusal = EventResult.rejected
    let rejected: [(name: [UInt8], count: UInt32)]
    /// The group that counts go to.
    let countGroup: Int

    struct Track {
        var phase: Phase = .place
        var ordinal: UInt8 = 0
        var isQuarantine = false
        var evenIfContested = false
        var isDuplicate = false
        var isStored = false
        var steps: UInt8 = 0
        var cursor: Cursor
        var open: UInt32 = 0
        var link: LinkTrack?
        /// Earlier events that must settle first, and the head of the list of those that wait for
        /// this.
        var waitsFor: UInt32 = 0
        var dependents: Int32 = -1
        /// The event before this one that it travels with, and the head of the list of those that
        /// start when this one does.
        var companion: Int32 = -1
        var followers: Int32 = -1
        /// It has been asked for with nothing to wait for, or answered.
        var hasStarted = false
        /// It waits for the gate.
        var isGated = false
        /// How often it was asked for and what it depends on had not settled.
        var vainTries: UInt8 = 0
    }

    enum Counts { case none, due, underWay }

    /// How often counts are sent while the group is overloaded, before they are given up.
    static let countTriesMax = 8

    enum Phase: UInt8 { case place, link, settled }

    struct Edge {
        var event: Int32
        var next: Int32
    }

    /// Events that wait for others of the same sender that share an identifier.
    var gated: [Int32] = []

    /// `hint` gives a root a leaf was last seen at. `rejected` are events refused before they came
    /// here, counted in the log of `countGroup` with the batch: a group that can be reached
    /// whatever becomes of others. `busy` as in `openGate`; none with stamps.
    public init(
        batch: EventBatch, table: GroupTable, policy: LinkPolicy, isStamped: Bool,
        rejected: [(name: [UInt8], count: UInt32)] = [], countGroup: GroupID = GroupID(0),
        busy: [LeafID] = [], hint: (LeafID) -> LeafID?
    ) {
        self.countGroup = Int(countGroup.rawValue)
        self.batch = batch
        self.table = table
        self.policy = policy
        self.isStamped = isStamped
        self.rejected = rejected
        let count = batch.heads.count
        unsettled = count
        results = Array(repeating: .unknown, count: count)
        tokens = Array(repeating: .zero, count: table.groupCount)
        counts = rejected.isEmpty ? .none : .due
        tracks = []
        tracks.reserveCapacity(count)
        for index in 0..<count {
            let leaf = batch.identifier(index, 0).leaf
            tracks.append(Track(cursor: Cursor(leaf, hint: hint(leaf))))
        }
        if isStamped { return }
        linkOrder()
        if !busy.isEmpty { shutGate(busy) }
    }

    /// What is left to do is counting refusals, which must not be refused itself.
    public var isOnlyCounting: Bool { unsettled == 0 }

    public var isDone: Bool { unsettled == 0 && counts != .due }

    mutating func settle(_ event: Int, _ result: EventResult) {
        guard tracks[event].phase != .settled else { return }
        tracks[event].phase = .settled
        tracks[event].link = nil
        results[event] = result
        unsettled -= 1
        if result == .unknown { mark(.ingestUnknown) }
        if result == .overloaded {
            mark(.ingestOverloaded)
            refuseWaiting(for: event)
        }
        start(event)
        if result == .ok || result == .duplicate { showTheWay(event) }
        letGo(tracks[event].dependents)
    }

    // MARK: Asking

    /// The next round of requests; empty when all is settled, or what is left waits for the gate.
    public mutating func nextRound() -> Round {
        var round = Round(groupCount: table.groupCount)
        askCounts(&round)
        repeat {
            active.removeAll { tracks[Int($0)].phase == .settled }
            if isStamped { startStamped() }
            var run = Run()
            reserve(&round)
            for index in active.indices { ask(Int(active[index]), &run, &round) }
            // Where all that was active has been given up, what comes after may start.
        } while round.isEmpty && isStamped && unsettled > 0
        return round
    }

    /// Room for what many events will ask, so that it is not copied again and again as it grows.
    private func reserve(_ round: inout Round) {
        guard active.count >= 32 else { return }
        let eventBytes = batch.bytes.count / batch.heads.count + OperationWriter.eventHeadBytes
        // Groups get about as many each; a tenth more than that is seldom not enough.
        let bytes = active.count * eventBytes / round.parts.count
        for part in round.parts.indices {
            round.parts[part].operations.reserve(bytes + bytes / 10)
        }
    }

    private mutating func ask(_ event: Int, _ run: inout Run, _ round: inout Round) {
        guard tracks[event].phase != .settled else { return }
        var place = ShardMachine.RunPlace.alone
        if !isStamped {
            guard let found = Rules.place(event, in: &run, of: self) else {
                mark(.ingestHeldBack)
                return
            }
            place = found
        }
        tracks[event].steps &+= 1
        if Int(tracks[event].steps) >= Self.stepsMax {
            mark(.ingestGivenUp)
            return settle(event, .unknown)
        }
        if tracks[event].waitsFor == 0 { start(event) }
        ask(event, place, &round)
    }

    // MARK: Taking answers

    /// Takes a round back with its answers.
    public mutating func take(_ round: Round) {
        for part in round.parts where !part.isEmpty {
            switch part.answer {
            case .answered(let operations, let finds, let waits, let token):
                let group = Int(part.group.rawValue)
                tokens[group] = max(tokens[group], token)
                for (owner, outcome) in zip(part.operationOwners, operations) {
                    take(outcome, owner)
                }
                for (owner, outcome) in zip(part.findOwners, finds) { take(outcome, owner) }
                for (owner, isFree) in zip(part.waitOwners, waits) { takeWait(isFree, owner) }
                if operations.count < part.operationOwners.count {
                    mark(.ingestShortAnswer)
                    fail(part.operationOwners[operations.count...], .unknown)
                    if operations.isEmpty { loseCounts(part, .unknown) }
                }
                if finds.count < part.findOwners.count {
                    fail(part.findOwners[finds.count...], .unknown)
                }
            case .overloaded(let retryAfter, _):
                retryAfterMillis = max(retryAfterMillis, retryAfter)
                fail(part, .overloaded)
                if part.hasCounts { takeBackCounts() }
            case .unknown, .unanswered:
                fail(part, Rules.resultOfSilence)
                loseCounts(part, .unknown)
            }
        }
        for index in active.indices { decide(Int(active[index])) }
    }

    /// The group was overloaded and has stored nothing of the counts: they are sent again.
    private mutating func takeBackCounts() {
        mark(.ingestCountsAgain)
        countTries += 1
        if countTries < Self.countTriesMax {
            counts = .due
        } else {
            loseCounts(.overloaded)
        }
    }

    private mutating func loseCounts(_ part: Round.Part, _ result: EventResult) {
        if part.hasCounts { loseCounts(result) }
    }

    /// The counts under way will not be sent again: what is refused may be uncounted, and must be
    /// sent again itself.
    private mutating func loseCounts(_ result: EventResult) {
        mark(.ingestRefusedUncounted)
        refusal = Rules.refusal(uncounted: result)
        counts = .none
    }

    private mutating func fail(_ part: Round.Part, _ result: EventResult) {
        for owners in [part.operationOwners, part.findOwners, part.waitOwners] {
            fail(owners[...], result)
        }
    }

    private mutating func fail(_ owners: ArraySlice<Round.Owner>, _ result: EventResult) {
        for owner in owners where owner.event >= 0 {
            let isStored = tracks[Int(owner.event)].isStored
            settle(Int(owner.event), isStored && result != .ok ? .unknown : result)
        }
    }

    private mutating func takeWait(_ isFree: Bool, _ owner: Round.Owner) {
        let event = Int(owner.event)
        guard tracks[event].phase != .settled else { return }
        if owner.role == .link {
            if tracks[event].link?.takeWait(isFree: isFree) == false { settle(event, .unknown) }
            return
        }
        guard isFree else { return settle(event, .unknown) }
        switch owner.role {
        case .event:
            mark(.ingestPlaceWaits)
            tracks[event].cursor.step = .ask
        case .firstEnd: tracks[event].link?.a.step = .ask
        case .otherEnd: tracks[event].link?.b.step = .ask
        case .link, .none: break
        }
    }

    private mutating func take(_ outcome: Outcome, _ owner: Round.Owner) {
        guard owner.event >= 0 else { return }
        let event = Int(owner.event)
        guard tracks[event].phase != .settled else { return }
        switch owner.role {
        case .event: takeEvent(outcome, event)
        case .firstEnd:
            guard let link = tracks[event].link else { return }
            takeFind(outcome, event, &link.a, &link.foundA)
        case .otherEnd:
            guard let link = tracks[event].link else { return }
            takeFind(outcome, event, &link.b, &link.foundB)
        case .link:
            guard let link = tracks[event].link else { return }
            if case .malformed = outcome { return settle(event, .unknown) }
            if link.take(outcome, policy: policy) == .settled { finishLink(event) }
        case .none: break
        }
    }

    private mutating func takeFind(
        _ outcome: Outcome, _ event: Int, _ cursor: inout Cursor, _ found: inout Finding?
    ) {
        if case .release = cursor.step {
            cursor.startAgain()
        } else if case .found(let finding) = outcome {
            found = finding
        } else if !cursor.take(outcome) {
            settle(event, .unknown)
        }
    }

    private mutating func takeEvent(_ outcome: Outcome, _ event: Int) {
        if case .release = tracks[event].cursor.step {
            tracks[event].cursor.startAgain()
            return
        }
        // What it depends on has not settled in that round.
        if case .again = outcome {
            mark(.ingestAskedInVain)
            tracks[event].vainTries += 1
            return
        }
        start(event)
        if case .told(_, _, _, let aside) = outcome { note(aside, event) }
        switch outcome.plain {
        case .counted(let root, let open):
            tracks[event].isStored = true
            beginLinks(event, root, open)
        case .duplicate(let root, let open):
            tracks[event].isStored = true
            tracks[event].isDuplicate = true
            beginLinks(event, root, open)
        case .forgotten: settle(event, .forgotten)
        case .expiredOnArrival: settle(event, .expiredOnArrival)
        case .suppressed: settle(event, .suppressed)
        case .contested: Rules.contested(event, in: &self)
        default:
            if !tracks[event].cursor.take(outcome) { settle(event, .unknown) }
        }
    }

    /// The identifier is contested: the event goes to its next one, and with none left to the
    /// quarantine leaf of the last, or (`first`) to the owner of the first.
    mutating func goToNext(_ event: Int) {
        let head = batch.heads[event]
        if Int(tracks[event].ordinal) + 1 < head.identifierCount {
            tracks[event].ordinal += 1
        } else if policy.quarantinesContested {
            tracks[event].isQuarantine = true
        } else {
            tracks[event].ordinal = 0
            tracks[event].evenIfContested = true
        }
        let ordinal = Int(tracks[event].ordinal)
        tracks[event].cursor = Cursor(
            tracks[event].isQuarantine
                ? batch.quarantineLeaf(event, ordinal) : batch.identifier(event, ordinal).leaf)
    }

    private mutating func note(_ aside: EventAside, _ event: Int) {
        let head = batch.heads[event]
        if aside.isTimeMoved { notes.append(EventNote(position: head.position, .timeMoved)) }
        if aside.traitsRefused > 0 {
            notes.append(
                EventNote(position: head.position, .traitsRefused(aside.traitsRefused)))
        }
        for ordinal in 0..<head.identifierCount {
            guard let rule = aside.rule(of: ordinal) else { continue }
            let namespace = batch.identifier(event, ordinal).namespaceIndex
            notes.append(
                EventNote(position: head.position, .linkRefused(rule, namespace: namespace)))
        }
    }

    private mutating func note(_ link: LinkTrack, _ event: Int) {
        guard let unmade = link.unmade else { return }
        let namespace = batch.identifier(event, link.otherOrdinal).namespaceIndex
        let about: EventNote.About =
            switch unmade {
            case .refused(let rule): .linkRefused(rule, namespace: namespace)
            case .void(let cause): .linkVoid(cause, namespace: namespace)
            }
        notes.append(EventNote(position: batch.heads[event].position, about))
    }

    private mutating func beginLinks(_ event: Int, _ root: LeafID, _ open: UInt32) {
        // What another node says of identifiers that the event does not have is not looked at.
        let count = UInt64(batch.heads[event].identifierCount)
        let known = UInt32(truncatingIfNeeded: (1 << count) - 1 as UInt64)
        tracks[event].open = Rules.awaited(open & known)
        tracks[event].cursor.record = root
        nextLink(event)
    }

    private mutating func nextLink(_ event: Int) {
        let open = tracks[event].open
        guard open != 0 else {
            return settle(event, tracks[event].isDuplicate ? .duplicate : .ok)
        }
        let ordinal = open.trailingZeroBitCount
        tracks[event].open &= open - 1
        let first = batch.identifier(event, Int(tracks[event].ordinal))
        let other = batch.identifier(event, ordinal)
        tracks[event].phase = .link
        tracks[event].link = LinkTrack(
            first: first.leaf, other: other.leaf, otherOrdinal: ordinal,
            isAlias: Rules.isAliasLink(
                batch, event, from: Int(tracks[event].ordinal), to: ordinal),
            firstHint: tracks[event].cursor.record, otherHint: nil)
    }

    private mutating func finishLink(_ event: Int) {
        if let link = tracks[event].link {
            note(link, event)
        }
        nextLink(event)
    }

    private mutating func decide(_ event: Int) {
        guard tracks[event].phase == .link, let link = tracks[event].link, case .find = link.step,
            link.foundA != nil, link.foundB != nil
        else { return }
        let verdict = link.decide(
            time: batch.heads[event].time,
            firstText: batch.text(event, Int(tracks[event].ordinal)),
            otherText: batch.text(event, link.otherOrdinal), policy: policy)
        if verdict == .settled { finishLink(event) }
    }

    /// The root each event's leaf was last seen at: what a router may remember as a hint.
    public func learned(_ event: Int) -> (leaf: LeafID, root: LeafID)? {
        guard tracks[event].isStored, !tracks[event].isQuarantine else { return nil }
        return (tracks[event].cursor.leaf, tracks[event].cursor.record)
    }
}
