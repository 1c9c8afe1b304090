internal import KithBytes

extension ShardMachine {
    /// Which of an event's identifiers it counts in, and how the message came here.
    public struct EventTarget: Sendable, Equatable {
        /// The record the message is addressed to.
        public var record: LeafID
        /// The identifier's number in the event.
        public var ordinal: Int
        /// The event counts in that identifier's quarantine leaf instead.
        public var isQuarantine: Bool
        /// Count it although the leaf is contested (`sharedDevice: first`, nothing else left).
        var evenIfContested: Bool
        /// `alias: merge`: the link between an alias's two user ids joins them.
        public var aliasJoinsAccounts: Bool
        /// The version of the leaf's own Forward, where the message came along it.
        public var proof: OperationIndex
        /// Whether it depends on the operations before it.
        public var place: RunPlace
        public var attempt: EventTry

        public init(
            record: LeafID, ordinal: Int, isQuarantine: Bool = false, evenIfContested: Bool = false,
            aliasJoinsAccounts: Bool = true, proof: OperationIndex = .none,
            place: RunPlace = .alone,
            attempt: EventTry = .only
        ) {
            self.record = record
            self.ordinal = ordinal
            self.isQuarantine = isQuarantine
            self.evenIfContested = evenIfContested
            self.aliasJoinsAccounts = aliasJoinsAccounts
            self.proof = proof
            self.place = place
            self.attempt = attempt
        }
    }

    /// An event's place in a run of operations that follow one another in one entry. A run begins
    /// with an event that stands alone, and holds what joins it and what depends on it. It *stands*
    /// while each event in it has settled: it was counted, a duplicate with all links settled, or
    /// dropped.
    public enum RunPlace: UInt8, Sendable {
        /// Begins a run.
        case alone = 0
        /// Carried out whatever became of those before it.
        case joins = 8
        /// Carried out only where the run stands; else the outcome is `again`.
        case depends = 16

        init(flags: UInt8) {
            self = flags & 16 != 0 ? .depends : flags & 8 != 0 ? .joins : .alone
        }
    }

    /// Counts an event, or says where it must go. Steady state: one lookup, a few in-place writes.
    func applyEvent(_ target: EventTarget, _ body: borrowing EventBody, _ context: ApplyContext)
        -> Outcome
    {
        let identifier = body.identifier(at: target.ordinal)
        let leaf =
            target.isQuarantine ? identifier.quarantineLeaf ?? identifier.leaf : identifier.leaf
        let time = context.judged(body.time)
        let w = target.record
        let slot = current(w, context)
        if let elsewhere = standing(leaf, at: w, slot, proof: target.proof, context) {
            return elsewhere
        }

        let found = slot.flatMap { table.facet($0, leaf) }
        let known = Rules.known(toEventOf: leaf, at: w, slot, in: self)
        if Rules.countsNothing(target.attempt) {
            return linksAgain(target, leaf, body, slot, known, context)
        }
        // The window first: a retry must find itself whatever has become of the leaf since.
        if let found,
            Rules.isRetry(body.messageHash, at: found, isContested: known.isContested, in: self)
        {
            mark(leaf == w ? .eventDuplicate : .eventDuplicateAfterMerge)
            countDuplicate(body)
            return duplicate(target, leaf, body, found.slot, context)
        }
        if time <= known.forgetTime {
            mark(.eventForgotten)
            countForgotten(body)
            return .forgotten
        }
        if known.isContested, !target.evenIfContested, leaf.identifierClass == .anonymous,
            !target.isQuarantine
        {
            mark(.eventContested)
            return .contested
        }
        let isLive = slot.map { table.facetCount($0) > 0 } ?? false
        let mayEnd =
            Rules.mayExpireOnArrival(leaf, at: w, isLive: isLive)
            || target.isQuarantine && target.attempt.wasExpired
        if mayEnd, context.isOverdue(time) {
            mark(.eventExpiredOnArrival)
            if Rules.countsExpired(target.attempt) { countExpired(body) }
            return .expiredOnArrival
        }

        let at = slot ?? table.insert(w)
        var facet: FacetRef
        if let found {
            facet = found
            if !identifier.isUnlisted { list(facet) }
        } else {
            facet = addFacet(
                at, leaf, seen: time, known,
                flags: target.isQuarantine ? .quarantine : identifier.isUnlisted ? .unlisted : [],
                space: body.space, namespace: identifier.namespace, value: identifier.value, context
            )
            if !isLive { countRoot(w, by: 1) }
            if !isLive, table.hasLedger(at) { mark(.eventRevives) }
        }
        table.touch(facet, eventTime: time)
        table.addToWindow(&facet, messageHash: body.messageHash, at: context.now)
        table.count(&facet, name: body.counterName, namesMax: context.eventNamesMax)
        var aside = EventAside(isTimeMoved: time < body.time && body.isTimeStated)
        aside.traitsRefused = setTraits(
            &facet, body, Rules.traitTime(ofEventAt: time, context), context)
        countAccepted(target, body)
        if target.evenIfContested { mark(.eventOfOwner) }
        if w.identifierClass == .anonymous {
            // A record that waited with its ledger is filed for another day than its new life ends.
            if isLive { fileForExpiry(at, context) } else { refile(at, context) }
        }
        let open = openLinks(at, leaf, target, body, context, &aside)
        return aside.isEmpty
            ? .counted(root: w, open: open)
            : .told(root: w, open: open, isDuplicate: false, aside)
    }

    /// An event that was counted before: its links are driven, as those of a duplicate, and nothing
    /// is counted, whatever its window remembers. Where its profile has ended there is nothing to
    /// link to.
    private func linksAgain(
        _ target: EventTarget, _ leaf: LeafID, _ body: borrowing EventBody, _ slot: SlotIndex?,
        _ known: Known, _ context: ApplyContext
    ) -> Outcome {
        if context.judged(body.time) <= known.forgetTime { return .forgotten }
        if known.isContested, !target.evenIfContested, !target.isQuarantine,
            leaf.identifierClass == .anonymous
        {
            return .contested
        }
        guard let slot, table.hasFacet(slot, leaf) else { return .expiredOnArrival }
        mark(.eventLinksAgain)
        return duplicate(target, leaf, body, slot, context)
    }

    /// The outcome of an event that its root knows.
    private func duplicate(
        _ target: EventTarget, _ leaf: LeafID, _ body: borrowing EventBody, _ slot: SlotIndex,
        _ context: ApplyContext
    ) -> Outcome {
        var aside = EventAside()
        let open = Rules.linksOfDuplicate(openLinks(slot, leaf, target, body, context, &aside))
        return aside.isEmpty
            ? .duplicate(root: target.record, open: open)
            : .told(root: target.record, open: open, isDuplicate: true, aside)
    }

    /// Deletions first, so that an event may take what it gives up. The traits that were not kept.
    private func setTraits(
        _ facet: inout FacetRef, _ body: borrowing EventBody, _ time: Int64,
        _ context: ApplyContext
    ) -> UInt16 {
        guard body.traitCount > 0 else { return 0 }
        let endedBefore = context.now.rawValue - Self.deletionMillis
        let messageID = body.messageID
        var known = TraitNames()
        var refused = 0
        for isDeleting in [true, false] {
            body.forEachTrait { key, value in
                guard value.isDeletion == isDeleting else { return }
                if !isDeleting, time <= endedBefore {
                    table.endDeletion(key, before: endedBefore, &facet, &known)
                }
                let outcome = table.setTrait(
                    &facet, name: key, time: time, messageID: messageID, value: value,
                    payloadLimit: Self.payloadBytesMax - Self.attachBytesMax, known: &known)
                if outcome == .limit {
                    mark(.eventTraitRefused)
                    refused += 1
                }
            }
            known.forgetDeletions()
        }
        statistics.traitsRefused += UInt64(refused)
        return UInt16(clamping: refused)
    }

    private func countAccepted(_ target: EventTarget, _ body: borrowing EventBody) {
        statistics.accepted += 1
        countIgnored(body)
        guard target.isQuarantine else { return }
        mark(.eventQuarantined)
        statistics.quarantined += 1
    }

    private func countDuplicate(_ body: borrowing EventBody) {
        statistics.duplicate += 1
        if Rules.duplicatesCountIgnored { countIgnored(body) }
    }

    private func countForgotten(_ body: borrowing EventBody) {
        statistics.forgotten += 1
        countIgnored(body)
    }

    private func countExpired(_ body: borrowing EventBody) {
        statistics.expiredOnArrival += 1
        countIgnored(body)
    }

    /// What the event names that is no identifier counts where the event itself does: once.
    private func countIgnored(_ body: borrowing EventBody) {
        body.forEachIgnored { statistics.countIgnored($0, by: Int64($1)) }
    }

    func countRoot(_ root: LeafID, by sign: Int64) {
        if root.identifierClass == .anonymous {
            statistics.anonymous += sign
        } else {
            statistics.members += sign
        }
    }

    /// A new facet with what is remembered of its leaf; counts it among the identifiers.
    func addFacet(
        _ slot: SlotIndex, _ leaf: LeafID, seen: Int64, _ known: Known, flags: FacetFlags,
        space: RawSpan, namespace: RawSpan, value: RawSpan, _ context: ApplyContext
    ) -> FacetRef {
        let facet = table.addFacet(
            slot, leaf: leaf, life: context.at, group: context.group, seen: seen,
            flags: known.isContested ? flags.union(.contested) : flags,
            forgetTime: known.forgetTime == Ledger.Remembered.never ? nil : known.forgetTime,
            space: space, namespace: namespace, value: value)
        countIdentifier(facet, by: 1)
        return facet
    }

    /// The links of an event that this root cannot call settled: bit *i* for identifier *i*.
    private func openLinks(
        _ slot: SlotIndex, _ leaf: LeafID, _ target: EventTarget, _ body: borrowing EventBody,
        _ context: ApplyContext, _ aside: inout EventAside
    ) -> UInt32 {
        guard !target.isQuarantine, !target.evenIfContested,
            target.ordinal + 1 < body.identifierCount
        else { return 0 }
        var open: UInt32 = 0
        for ordinal in (target.ordinal + 1)..<body.identifierCount {
            let other = body.identifier(at: ordinal)
            if other.leaf == leaf { continue }
            let isAlias = body.isAliasLink(from: target.ordinal, to: ordinal)
            switch Rules.knownLink(
                leaf, other.leaf, isAlias: isAlias, at: slot, in: self, context)
            {
            case .together(let facet):
                if !other.isUnlisted { list(facet) }
            case .refused(let rule):
                mark(.linkKnownRefused)
                aside.refuse(ordinal, rule)
            case .open:
                open |= 1 << UInt32(ordinal)
            }
        }
        return open
    }

    /// Whether the link is remembered as refused, by any rule, and not for too long.
    func isRefused(
        _ slot: SlotIndex, _ first: LeafID, _ other: LeafID, _ context: ApplyContext
    ) -> Bool {
        refusedRule(slot, first, other, context) != nil
    }

    /// The rule by which the link is remembered as refused, if not for too long.
    func refusedRule(
        _ slot: SlotIndex, _ first: LeafID, _ other: LeafID, _ context: ApplyContext
    ) -> RefusalRule? {
        guard table.hasLedger(slot),
            let refusal = ledger(slot).refusal(first: first, other: other),
            context.now.rawValue - refusal.time.rawValue < Self.refusalMillis
        else { return nil }
        return refusal.rule
    }
}
