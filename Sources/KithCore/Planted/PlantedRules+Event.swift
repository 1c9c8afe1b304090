#if KITH_PLANTED
internal import KithBytes

// MARK: Reading

extension PlantedRules {
    static func hash(_ key: HashKey, in space: RawSpan) -> SipHash128 {
        planted(.spacesMixed) ? SipHash128(key) : PlainRules.hash(key, in: space)
    }

    static func isMessageID(_ id: RawSpan, _ normaliser: borrowing IdentifierNormaliser) -> Bool {
        !planted(.messageIDsReplaced) && PlainRules.isMessageID(id, normaliser)
    }
}

// MARK: Counting

extension PlantedRules {
    static func known(
        toEventOf leaf: LeafID, at record: LeafID, _ slot: SlotIndex?, in machine: ShardMachine
    ) -> ShardMachine.Known {
        var known = PlainRules.known(toEventOf: leaf, at: record, slot, in: machine)
        if planted(.forgetTimeLost), !known.holds { known.forgetTime = Ledger.Remembered.never }
        return known
    }

    static func isRetry(
        _ messageHash: UInt64, at facet: FacetRef, isContested: Bool, in machine: ShardMachine
    ) -> Bool {
        if planted(.contestedBeforeWindow), isContested { return false }
        return PlainRules.isRetry(messageHash, at: facet, isContested: isContested, in: machine)
    }

    static func linksOfDuplicate(_ open: UInt32) -> UInt32 {
        planted(.duplicatesDriveNoLinks) ? 0 : PlainRules.linksOfDuplicate(open)
    }

    static func mayExpireOnArrival(_ leaf: LeafID, at root: LeafID, isLive: Bool) -> Bool {
        planted(.oldOfMembersExpires) && leaf.identifierClass == .anonymous
            || PlainRules.mayExpireOnArrival(leaf, at: root, isLive: isLive)
    }

    static func countsExpired(_ attempt: EventTry) -> Bool {
        planted(.provisionalCounted) || PlainRules.countsExpired(attempt)
    }

    static func countsNothing(_ attempt: EventTry) -> Bool {
        !planted(.linksCounted) && PlainRules.countsNothing(attempt)
    }

    static var duplicatesCountIgnored: Bool {
        planted(.ignoredCountedAgain) || PlainRules.duplicatesCountIgnored
    }

    static func traitTime(ofEventAt time: Int64, _ context: ApplyContext) -> Int64 {
        planted(.lastTraitWins)
            ? context.now.rawValue : PlainRules.traitTime(ofEventAt: time, context)
    }

    static func isCountedApart(_ isReserved: Bool) -> Bool {
        !planted(.typeNamesBounded) && PlainRules.isCountedApart(isReserved)
    }

    static func isWithinEventNames(_ count: Int, max: Int) -> Bool {
        planted(.eventNamesUnbounded) || PlainRules.isWithinEventNames(count, max: max)
    }

    static func knownLink(
        _ first: LeafID, _ other: LeafID, isAlias: Bool, at slot: SlotIndex,
        in machine: ShardMachine, _ context: ApplyContext
    ) -> KnownLink {
        let isAlias = isAlias && !planted(.refusalAnswersAlias)
        if planted(.refusalsBeforeFacets), !isAlias,
            let rule = machine.refusedRule(slot, first, other, context)
        {
            return .refused(rule)
        }
        return PlainRules.knownLink(
            first, other, isAlias: isAlias, at: slot, in: machine, context)
    }
}

// MARK: The batch

extension PlantedRules {
    static func place(
        _ event: Int, in run: inout IngestMachine.Run, of machine: IngestMachine
    ) -> ShardMachine.RunPlace? {
        planted(.orderIgnored) ? .alone : PlainRules.place(event, in: &run, of: machine)
    }

    static func isHeldBack(_ leaf: LeafID, by busy: [LeafID]) -> Bool {
        !planted(.gateIgnored) && PlainRules.isHeldBack(leaf, by: busy)
    }

    static var resultOfSilence: EventResult {
        planted(.silentPartDone) ? .ok : PlainRules.resultOfSilence
    }

    static func refusal(uncounted result: EventResult) -> EventResult {
        planted(.refusedUncounted) ? .rejected : PlainRules.refusal(uncounted: result)
    }

    static func contested(_ event: Int, in machine: inout IngestMachine) {
        if planted(.contestedDropped) {
            machine.settle(event, .ok)
        } else {
            PlainRules.contested(event, in: &machine)
        }
    }

    static func awaited(_ open: UInt32) -> UInt32 {
        planted(.linksNotAwaited) ? 0 : PlainRules.awaited(open)
    }
}
#endif
