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
        public var evenIfContested: Bool
        /// `alias: merge`: the link between an alias's two user ids joins them.
        public var aliasJoinsAccounts: Bool
        /// The version of the leaf's own Forward, where the message came along it.
        public var proof: OperationIndex
        /// Whether it depends on the operations before it.
        public var place: RunPlace

        public init(
            record: LeafID, ordinal: Int, isQuarantine: Bool = false, evenIfContested: Bool = false,
            aliasJoinsAccounts: Bool = true, proof: OperationIndex = .none, place: RunPlace = .alone
        ) {
            self.record = record
            self.ordinal = ordinal
            self.isQuarantine = isQuarantine
            self.evenIfContested = evenIfContested
            self.aliasJoinsAccounts = aliasJoinsAccounts
            self.proof = proof
            self.place = place
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
        var slot = current(w, context)
        if let elsewhere = standing(leaf, at: w, slot, proof: target.proof, context) {
            return elsewhere
        }

        let found = slot.flatMap { table.facet($0, leaf) }
        var (_, forgetTime, isContested) = known(leaf, at: w, slot)
        if context.planted(.forgetTimeLost), found == nil {
            forgetTime = Ledger.Remembered.never
        }
        // The window first: a retry must find itself whatever has become of the leaf since.
        if let found, table.windowContains(found, messageHash: body.messageHash),
            !(context.planted(.contestedBeforeWindow) && isContested)
        {
            mark(leaf == w ? .eventDuplicate : .eventDuplicateAfterMerge)
            statistics.duplicate += 1
            if context.planted(.duplicatesDriveNoLinks) {
                return .duplicate(root: w, open: 0)
            }
            return .duplicate(root: w, open: openLinks(slot!, leaf, target, body, context))
        }
        if time <= forgetTime {
            mark(.eventForgotten)
            statistics.forgotten += 1
            return .forgotten
        }
        if isContested, !target.evenIfContested, leaf.identifierClass == .anonymous,
            !target.isQuarantine
        {
            mark(.eventContested)
            return .contested
        }
        let isLive = slot.map { table.facetCount($0) > 0 } ?? false
        let mayEnd =
            w.identifierClass == .anonymous && !isLive
            || planted(.oldOfMembersExpires) && leaf.identifierClass == .anonymous
        if mayEnd, context.isOverdue(time) {
            mark(.eventExpiredOnArrival)
            statistics.expiredOnArrival += 1
            return .expiredOnArrival
        }

        let at = slot ?? table.insert(w)
        slot = at
        var facet: FacetRef
        if let found {
            facet = found
            if !identifier.isUnlisted { list(facet) }
        } else {
            facet = addFacet(
                at, leaf, seen: time, forgetTime: forgetTime, isContested: isContested,
                flags: target.isQuarantine ? .quarantine : identifier.isUnlisted ? .unlisted : [],
                space: body.space, namespace: identifier.namespace, value: identifier.value, context
            )
            if !isLive { countRoot(w, by: 1) }
            if !isLive, table.hasLedger(at) { mark(.eventRevives) }
        }
        table.touch(facet, eventTime: time)
        table.addToWindow(&facet, messageHash: body.messageHash, at: context.now)
        table.count(&facet, name: body.counterName, namesMax: context.eventNamesMax)
        setTraits(&facet, body, planted(.lastTraitWins) ? context.now.rawValue : time)
        statistics.accepted += 1
        if target.isQuarantine { mark(.eventQuarantined) }
        if target.isQuarantine { statistics.quarantined += 1 }
        if target.evenIfContested { mark(.eventOfOwner) }
        if w.identifierClass == .anonymous {
            // A record that waited with its ledger is filed for another day than its new life ends.
            if isLive { fileForExpiry(at, context) } else { refile(at, context) }
        }
        return .counted(root: w, open: openLinks(at, leaf, target, body, context))
    }

    private func setTraits(
        _ facet: inout FacetRef, _ body: borrowing EventBody, _ time: Int64
    ) {
        guard body.traitCount > 0 else { return }
        let messageID = body.messageID
        var known = TraitNames()
        body.forEachTrait { key, value in
            // A deletion is always taken: it is how a full profile gets room again.
            if value.byteCount > 1,
                table.payloadBytes(facet.slot) + key.byteCount + value.byteCount
                    > Self.payloadBytesMax - Self.attachBytesMax
            {
                mark(.eventTraitRefused)
                statistics.traitsRefused += 1
                return
            }
            let outcome = table.setTrait(
                &facet, name: key, time: time, messageID: messageID, value: value, known: &known)
            if outcome == .limit { statistics.traitsRefused += 1 }
        }
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
        _ slot: SlotIndex, _ leaf: LeafID, seen: Int64, forgetTime: Int64, isContested: Bool,
        flags: FacetFlags, space: RawSpan, namespace: RawSpan, value: RawSpan,
        _ context: ApplyContext
    ) -> FacetRef {
        let facet = table.addFacet(
            slot, leaf: leaf, life: context.at, group: context.group, seen: seen,
            flags: isContested ? flags.union(.contested) : flags,
            forgetTime: forgetTime == Ledger.Remembered.never ? nil : forgetTime, space: space,
            namespace: namespace, value: value)
        countIdentifier(facet, by: 1)
        return facet
    }

    /// The links of an event that this root cannot call settled: bit *i* for identifier *i*.
    private func openLinks(
        _ slot: SlotIndex, _ leaf: LeafID, _ target: EventTarget, _ body: borrowing EventBody,
        _ context: ApplyContext
    ) -> UInt32 {
        guard !target.isQuarantine, !target.evenIfContested,
            target.ordinal + 1 < body.identifierCount
        else { return 0 }
        var open: UInt32 = 0
        for ordinal in (target.ordinal + 1)..<body.identifierCount {
            let other = body.identifier(at: ordinal)
            if other.leaf == leaf { continue }
            let isAlias =
                body.isAliasLink(from: target.ordinal, to: ordinal)
                && !context.planted(.refusalAnswersAlias)
            if context.planted(.refusalsBeforeFacets), !isAlias,
                isRefused(slot, leaf, other.leaf, context)
            {
                continue
            }
            if let known = table.facet(slot, other.leaf) {
                if !other.isUnlisted { list(known) }
                continue
            }
            if !isAlias, isRefused(slot, leaf, other.leaf, context) {
                mark(.linkKnownRefused)
                continue
            }
            open |= 1 << UInt32(ordinal)
        }
        return open
    }

    /// Whether the link is remembered as refused, by any rule, and not for too long.
    func isRefused(
        _ slot: SlotIndex, _ first: LeafID, _ other: LeafID, _ context: ApplyContext
    ) -> Bool {
        guard table.hasLedger(slot) else { return false }
        guard let refusal = ledger(slot).refusal(first: first, other: other) else { return false }
        return context.now.rawValue - refusal.time.rawValue < Self.refusalMillis
    }
}
