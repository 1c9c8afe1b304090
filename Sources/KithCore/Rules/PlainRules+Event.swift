internal import KithBytes

// How an event counts at its root, and what a batch makes of the answers.

extension PlainRules {
    // MARK: Reading

    /// A leaf's id is of its space too: the same identifier is another leaf in another space.
    static func hash(_ key: HashKey, in space: RawSpan) -> SipHash128 {
        var hasher = SipHash128(key)
        LeafHasher.feed(space, to: &hasher)
        return hasher
    }

    /// An event keeps the message id that it carries.
    static func isMessageID(_ id: RawSpan, _ normaliser: borrowing IdentifierNormaliser) -> Bool {
        normaliser.isMessageID(id)
    }

    // MARK: Counting

    /// An event is judged by what is remembered of its leaf, also in the leaf's next life.
    static func known(
        toEventOf leaf: LeafID, at record: LeafID, _ slot: SlotIndex?, in machine: ShardMachine
    ) -> ShardMachine.Known {
        machine.known(leaf, at: record, slot)
    }

    /// The window first: a retry must find itself whatever has become of the leaf since.
    static func isRetry(
        _ messageHash: UInt64, at facet: FacetRef, isContested: Bool, in machine: ShardMachine
    ) -> Bool {
        machine.table.windowContains(facet, messageHash: messageHash)
    }

    /// A duplicate drives its links: the first try may have died between event and link.
    static func linksOfDuplicate(_ open: UInt32) -> UInt32 { open }

    /// Only what begins an anonymous profile may be past retention when it arrives: what comes to a
    /// profile that lives counts there, and a member's history is as old as it likes.
    static func mayExpireOnArrival(_ leaf: LeafID, at root: LeafID, isLive: Bool) -> Bool {
        root.identifierClass == .anonymous && !isLive
    }

    /// What is expired is counted once: not while it is to come again.
    static func countsExpired(_ attempt: EventTry) -> Bool { attempt == .only || attempt == .last }

    /// What was counted before, and comes again for its links, counts nothing.
    static func countsNothing(_ attempt: EventTry) -> Bool { attempt == .links }

    /// What an event names that is no identifier counts where the event does; a duplicate counted
    /// before.
    static var duplicatesCountIgnored: Bool { false }

    /// A trait is the value of the latest event, not of the one that came last.
    static func traitTime(ofEventAt time: Int64, _ context: ApplyContext) -> Int64 { time }

    /// The names of types are always there: their counters pass no bound.
    static func isCountedApart(_ isReserved: Bool) -> Bool { isReserved }

    /// A profile counts so many event names apart.
    static func isWithinEventNames(_ count: Int, max: Int) -> Bool { count < max }

    /// What a root knows of one link of an event.
    enum KnownLink {
        case together(FacetRef)
        case refused(RefusalRule)
        case open
    }

    /// Remembered refusals are looked at after the facets, and never for an alias.
    static func knownLink(
        _ first: LeafID, _ other: LeafID, isAlias: Bool, at slot: SlotIndex,
        in machine: ShardMachine, _ context: ApplyContext
    ) -> KnownLink {
        if let facet = machine.table.facet(slot, other) { return .together(facet) }
        if !isAlias, let rule = machine.refusedRule(slot, first, other, context) {
            return .refused(rule)
        }
        return .open
    }

    // MARK: The batch

    /// An event takes effect after every earlier one of its sender that shares an identifier; nil
    /// where it has to wait.
    static func place(
        _ event: Int, in run: inout IngestMachine.Run, of machine: IngestMachine
    ) -> ShardMachine.RunPlace? {
        machine.place(event, in: &run)
    }

    /// An identifier of an event whose batch came earlier holds back what shares it.
    static func isHeldBack(_ leaf: LeafID, by busy: [LeafID]) -> Bool { busy.containsSorted(leaf) }

    /// What a silent group was asked may have been stored, or not.
    static var resultOfSilence: EventResult { .unknown }

    /// Nobody is told of a refusal for certain that the totals may never have.
    static func refusal(uncounted result: EventResult) -> EventResult { result }

    /// An event of a contested identifier goes to its next one.
    static func contested(_ event: Int, in machine: inout IngestMachine) {
        machine.goToNext(event)
    }

    /// An event is acknowledged when all its links are settled: these are awaited.
    static func awaited(_ open: UInt32) -> UInt32 { open }
}
