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
/// Order: an event starts after every earlier one that shares an identifier is settled, but events
/// with the very same identifiers travel together, in order. With stamps (event clock) an event
/// that may need more than one step holds back all later ones, so that log time never runs ahead of
/// a link that is still to be judged.
///
/// An `overloaded` event is not stored and will be sent again. So what waits for it is `overloaded`
/// too, and what waits for that; with stamps, all that have not started.
public struct IngestMachine {
    /// Steps one event may take before it is given up as `unknown`.
    public static let stepsMax = 200

    let batch: EventBatch
    let table: GroupTable
    var policy: LinkPolicy
    var tracks: [Track]
    /// The event clock's order applies.
    let isStamped: Bool
    /// Events not settled yet.
    public private(set) var unsettled: Int
    private var active: [Int32] = []
    private var nextToStart = 0
    /// With stamps: an event was overloaded, and none after it may start.
    private var isOverloaded = false
    private var heldBack: [Int32]
    private var edges: [Edge] = []
    public private(set) var results: [EventResult]
    /// The greatest log index that answered, by group.
    public private(set) var tokens: [LogIndex]
    public private(set) var retryAfterMillis: UInt32 = 0
    /// What is to be counted in the log beside the events themselves, and what of it is under way.
    var counts: Counts
    var countsUnderWay = Counts()
    private var countTries = 0
    let rejected: [(name: [UInt8], count: UInt32)]
    /// The group that counts go to.
    let countGroup: Int

    struct Track {
        var phase: Phase = .held
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
    }

    struct Counts {
        /// The events refused and the identifiers ignored when the batch was read.
        var ofBatch = false
        /// Identifiers ignored because a limit refused their link.
        var limits: UInt32 = 0

        var isEmpty: Bool { !ofBatch && limits == 0 }
    }

    /// How often counts are sent while the group is overloaded, before they are given up.
    static let countTriesMax = 8

    enum Phase: UInt8 { case held, place, link, settled }

    private struct Edge {
        var event: Int32
        var next: Int32
    }

    /// `hint` gives a root a leaf was last seen at. `rejected` are events refused before they came
    /// here, counted in the log of `countGroup` with the batch: a group that can be reached
    /// whatever becomes of others.
    public init(
        batch: EventBatch, table: GroupTable, policy: LinkPolicy, isStamped: Bool,
        rejected: [(name: [UInt8], count: UInt32)] = [], countGroup: GroupID = GroupID(0),
        hint: (LeafID) -> LeafID?
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
        counts = Counts(ofBatch: !(rejected.isEmpty && batch.ignored.isEmpty))
        heldBack = []
        tracks = []
        tracks.reserveCapacity(count)
        for index in 0..<count {
            let leaf = batch.identifier(index, 0).leaf
            tracks.append(Track(cursor: Cursor(leaf, hint: hint(leaf))))
        }
        if !isStamped { linkOrder() }
    }

    /// What is left to do is counting refusals, which must not be refused itself.
    public var isOnlyCounting: Bool { unsettled == 0 }

    public var isDone: Bool { unsettled == 0 && counts.isEmpty }

    // MARK: Order

    /// Finds for each event the earlier ones it has to wait for.
    private mutating func linkOrder() {
        let identifierCount = batch.identifiers.count
        guard identifierCount > 0 else { return }
        var size = 16
        while size < identifierCount * 2 { size *= 2 }
        // Open addressing from leaf to the last event that names it.
        var places = [Int32](repeating: -1, count: size)
        var last = [Int32](repeating: -1, count: identifierCount)
        for event in tracks.indices {
            let head = batch.heads[event]
            for index in head.identifierRange {
                let leaf = batch.identifiers[index].leaf
                var place = Int(truncatingIfNeeded: leaf.low ^ leaf.high) & (size - 1)
                while places[place] >= 0, batch.identifiers[Int(places[place])].leaf != leaf {
                    place = (place + 1) & (size - 1)
                }
                if places[place] < 0 {
                    places[place] = Int32(index)
                } else {
                    let earlier = last[Int(places[place])]
                    if earlier >= 0, Int(earlier) != event {
                        wait(Int32(event), for: earlier)
                    }
                }
                last[Int(places[place])] = Int32(event)
            }
        }
    }

    private mutating func wait(_ event: Int32, for earlier: Int32) {
        if hasSameIdentifiers(Int(event), Int(earlier)) {
            tracks[Int(event)].companion = earlier
            // Travels with the earlier one: there is nothing to wait for but that one's start.
            if tracks[Int(earlier)].waitsFor == 0 { return }
            tracks[Int(event)].waitsFor += 1
            edges.append(Edge(event: event, next: tracks[Int(earlier)].followers))
            tracks[Int(earlier)].followers = Int32(edges.count - 1)
            return
        }
        // Of events that travel together any may be the last to settle. Each identifier of such a
        // convoy is the next event's once, so all edges together are O(identifiers).
        var last = earlier
        while last >= 0 {
            tracks[Int(event)].waitsFor += 1
            edges.append(Edge(event: event, next: tracks[Int(last)].dependents))
            tracks[Int(last)].dependents = Int32(edges.count - 1)
            last = tracks[Int(last)].companion
        }
    }

    private func hasSameIdentifiers(_ a: Int, _ b: Int) -> Bool {
        let first = batch.heads[a]
        let second = batch.heads[b]
        guard first.identifierCount == second.identifierCount, first.hasAlias == second.hasAlias
        else { return false }
        for offset in 0..<first.identifierCount
        where batch.identifier(a, offset).leaf != batch.identifier(b, offset).leaf
            || batch.identifier(a, offset).flags != batch.identifier(b, offset).flags
        {
            return false
        }
        return true
    }

    private mutating func start(_ event: Int) {
        tracks[event].phase = .place
        active.append(Int32(event))
        letGo(tracks[event].followers)
    }

    /// One thing less to wait for, for each event of a list.
    private mutating func letGo(_ list: Int32) {
        var edge = list
        while edge >= 0 {
            let waiting = Int(edges[Int(edge)].event)
            tracks[waiting].waitsFor -= 1
            if tracks[waiting].waitsFor == 0, waiting < nextToStart,
                tracks[waiting].phase == .held
            {
                heldBack.append(Int32(waiting))
            }
            edge = edges[Int(edge)].next
        }
    }

    /// Refuses all that waits for an overloaded event, however many events lie between. O(events).
    private mutating func refuseWaiting(for event: Int) {
        if isStamped {
            isOverloaded = true
            return
        }
        var refused = [event]
        while let earlier = refused.popLast() {
            for list in [tracks[earlier].dependents, tracks[earlier].followers] {
                var edge = list
                while edge >= 0 {
                    let waiting = Int(edges[Int(edge)].event)
                    edge = edges[Int(edge)].next
                    guard tracks[waiting].phase == .held else { continue }
                    tracks[waiting].phase = .settled
                    results[waiting] = .overloaded
                    unsettled -= 1
                    refused.append(waiting)
                }
            }
        }
    }

    /// Whether time decides nothing about the event: it makes no link, and its profile is a
    /// member's.
    private func isLone(_ event: Int) -> Bool {
        batch.heads[event].identifierCount == 1
            && batch.identifier(event, 0).leaf.identifierClass != .anonymous
    }

    /// Starts what may start now.
    private mutating func startReady() {
        if isStamped {
            // Active is a run of lone events, or one that is not lone.
            active.removeAll { tracks[Int($0)].phase == .settled }
            while nextToStart < tracks.count {
                if isOverloaded {
                    settle(nextToStart, .overloaded)
                    nextToStart += 1
                    continue
                }
                if let first = active.first, !isLone(Int(first)) || !isLone(nextToStart) { return }
                start(nextToStart)
                nextToStart += 1
            }
            return
        }
        while nextToStart < tracks.count {
            if tracks[nextToStart].waitsFor == 0, tracks[nextToStart].phase == .held {
                start(nextToStart)
            }
            nextToStart += 1
        }
        // `active` is sorted before it is asked: the order of the batch, whoever let them go.
        while let event = heldBack.popLast() { start(Int(event)) }
    }

    private mutating func settle(_ event: Int, _ result: EventResult) {
        guard tracks[event].phase != .settled else { return }
        tracks[event].phase = .settled
        tracks[event].link = nil
        results[event] = result
        unsettled -= 1
        if result == .overloaded { refuseWaiting(for: event) }
        letGo(tracks[event].dependents)
    }

    // MARK: Asking

    /// The next round of requests; empty when all is settled.
    public mutating func nextRound() -> Round {
        var round = Round(groupCount: table.groupCount)
        askCounts(&round)
        repeat {
            active.removeAll { tracks[Int($0)].phase == .settled }
            startReady()
            active.sort()
            for index in active.indices {
                let event = Int(active[index])
                tracks[event].steps &+= 1
                if Int(tracks[event].steps) >= Self.stepsMax {
                    settle(event, .unknown)
                    continue
                }
                ask(event, &round)
            }
            active.removeAll { tracks[Int($0)].phase == .settled }
            // Where all that was active has been given up, what it held back may start.
        } while round.isEmpty
            && (!heldBack.isEmpty || active.isEmpty && nextToStart < tracks.count)
        return round
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
                    fail(part.operationOwners[operations.count...], .unknown)
                }
                if finds.count < part.findOwners.count {
                    fail(part.findOwners[finds.count...], .unknown)
                }
            case .overloaded(let retryAfter):
                retryAfterMillis = max(retryAfterMillis, retryAfter)
                fail(part, .overloaded)
                if part.operationOwners.contains(where: { $0.event < 0 }) { takeBackCounts() }
            case .unknown, .unanswered:
                fail(part, .unknown)
            }
        }
        for index in active.indices { decide(Int(active[index])) }
    }

    /// The group was overloaded and has stored nothing of the counts: they are sent again.
    private mutating func takeBackCounts() {
        countTries += 1
        if countTries < Self.countTriesMax {
            counts.ofBatch = counts.ofBatch || countsUnderWay.ofBatch
            counts.limits += countsUnderWay.limits
        }
        countsUnderWay = Counts()
    }

    private mutating func fail(_ part: Round.Part, _ result: EventResult) {
        for owners in [part.operationOwners, part.findOwners, part.waitOwners] {
            fail(owners[...], result)
        }
    }

    private mutating func fail(_ owners: ArraySlice<Round.Owner>, _ result: EventResult) {
        for owner in owners where owner.event >= 0 {
            let isStored = tracks[Int(owner.event)].isStored
            settle(Int(owner.event), isStored ? .unknown : result)
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
        case .event: tracks[event].cursor.step = .ask
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
        switch outcome {
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
        case .contested: next(event)
        default:
            if !tracks[event].cursor.take(outcome) { settle(event, .unknown) }
        }
    }

    /// The identifier is contested: the event goes to its next one, and with none left to the
    /// quarantine leaf of the last, or (`first`) to the owner of the first.
    private mutating func next(_ event: Int) {
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

    private mutating func beginLinks(_ event: Int, _ root: LeafID, _ open: UInt32) {
        // What another node says of identifiers that the event does not have is not looked at.
        let count = UInt64(batch.heads[event].identifierCount)
        let known = UInt32(truncatingIfNeeded: (1 << count) - 1 as UInt64)
        tracks[event].open = open & known
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
            isAlias: batch.isAliasLink(event, from: Int(tracks[event].ordinal), to: ordinal),
            firstHint: tracks[event].cursor.record, otherHint: nil)
    }

    private mutating func finishLink(_ event: Int) {
        if let link = tracks[event].link, link.ignoresOther {
            counts.limits += 1
        }
        nextLink(event)
    }

    private mutating func decide(_ event: Int) {
        guard tracks[event].phase == .link, let link = tracks[event].link, case .find = link.step,
            link.foundA != nil, link.foundB != nil
        else { return }
        policy.isAliasEvent = batch.heads[event].hasAlias
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
