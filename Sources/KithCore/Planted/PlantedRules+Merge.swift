#if KITH_PLANTED
internal import KithBytes

// MARK: Absorb

extension PlantedRules {
    static func answerBefore(_ order: AbsorbOrder, _ held: Ledger) -> Ledger.Absorbed? {
        planted(.absorbedSetIgnored) ? nil : PlainRules.answerBefore(order, held)
    }

    static func isStale(_ order: AbsorbOrder, _ marks: [OperationIndex]) -> Bool {
        !planted(.noMarks) && PlainRules.isStale(order, marks)
    }

    static func ledger(broughtBy order: AbsorbOrder) -> Ledger? {
        var ledger = PlainRules.ledger(broughtBy: order)
        if planted(.releasesLeftBehind) { ledger?.releases = [] }
        return ledger
    }

    static func mayAbsorb(_ root: LeafID, sealedInto leaf: LeafID, holds: Bool) -> Bool {
        planted(.absorbAtAnyRoot) || PlainRules.mayAbsorb(root, sealedInto: leaf, holds: holds)
    }

    static func forgetTime(
        swallowing seal: SealNote, at root: LeafID, _ slot: SlotIndex?, in machine: ShardMachine
    ) -> Int64? {
        if planted(.absorbRevives) { return nil }
        if planted(.absorbRevivesBesideLife), let slot, machine.table.facetCount(slot) > 0 {
            return nil
        }
        let holds = slot.map { machine.table.hasFacet($0, seal.into) } ?? false
        var seal = seal
        if planted(.swallowedByRoot) || seal.into != root && !holds { seal.into = root }
        return PlainRules.forgetTime(swallowing: seal, at: root, slot, in: machine)
    }

    static func isStillLinked(
        _ seal: SealNote, _ slot: SlotIndex?, in machine: ShardMachine
    ) -> Bool {
        planted(.absorbWithoutItsEnd) || planted(.absorbAtAnyRoot) || planted(.anyRootSpeaks)
            || PlainRules.isStillLinked(seal, slot, in: machine)
    }

    static func hasRoom(
        for order: AbsorbOrder, _ slot: SlotIndex?, held: Ledger, brought: Ledger,
        in machine: ShardMachine, _ context: ApplyContext
    ) -> Bool {
        planted(.neverDeclined)
            || PlainRules.hasRoom(
                for: order, slot, held: held, brought: brought, in: machine, context)
    }

    static func takeFacets(
        of order: AbsorbOrder, into slot: SlotIndex, of machine: ShardMachine
    ) -> Bool {
        guard PlainRules.takeFacets(of: order, into: slot, of: machine) else { return false }
        guard planted(.windowLeftBehind) || planted(.contestedStaysBehind) else { return true }
        var scratch = RecordTable(key: machine.key)
        let copy = scratch.insert(order.loser)
        var facets = unsafe ByteReader(order.facets.span.bytes)
        guard (try? scratch.importFacets(copy, &facets)) != nil else { return false }
        scratch.forEachFacet(copy) { _, leaf in
            guard let facet = machine.table.facet(slot, leaf) else { return }
            if planted(.contestedStaysBehind) {
                machine.table.setFlags(
                    facet, machine.table.flags(facet).subtracting(.contested))
            }
            if planted(.windowLeftBehind) { machine.table.clearWindow(facet) }
        }
        return true
    }

    static func rememberDeclined(
        _ order: AbsorbOrder, _ slot: SlotIndex?, held: Ledger, in machine: ShardMachine,
        _ context: ApplyContext
    ) {
        if planted(.declineForgotten) { return }
        PlainRules.rememberDeclined(order, slot, held: held, in: machine, context)
    }
}

// MARK: The driver

extension PlantedRules {
    static func afterSilence(_ merge: MergeDriver.Merge) -> MergeDriver.Step {
        if planted(.silentAbsorbDone), case .absorb = merge.step, let target = merge.target {
            return .forward(target)
        }
        return PlainRules.afterSilence(merge)
    }

    static func redirect(
        _ merge: inout MergeDriver.Merge, to parent: LeafID, version: OperationIndex
    ) {
        if planted(.redirectLost) {
            merge.step = .forward(parent)
        } else {
            PlainRules.redirect(&merge, to: parent, version: version)
        }
    }
}

// MARK: Link

extension PlantedRules {
    static func wins(_ winner: LeafID, over loser: LeafID) -> Bool {
        planted(.higherMayWin) || PlainRules.wins(winner, over: loser)
    }

    static func loses(_ a: LeafID, to b: LeafID, linkTime: Int64) -> Bool {
        let loses = PlainRules.loses(a, to: b, linkTime: linkTime)
        let isTurned =
            planted(.higherMayWin) && min(a, b).identifierClass == .anonymous && linkTime & 1 == 0
        return loses != isTurned
    }

    static func areTogether(_ a: Finding, _ b: Finding) -> Bool {
        // One root that holds both would be asked for ever.
        if planted(.refusedByTwoFinds), a.root != b.root { return false }
        return PlainRules.areTogether(a, b)
    }

    static func areTogether(rootHoldsOther: Bool) -> Bool {
        !planted(.refusedByTwoFinds) && PlainRules.areTogether(rootHoldsOther: rootHoldsOther)
    }

    static func isVoid(linkTime: Int64, forgetTime: Int64) -> Bool {
        !planted(.oldEventsLink) && PlainRules.isVoid(linkTime: linkTime, forgetTime: forgetTime)
    }

    static func isVoidByAge(into winner: LeafID, isPastRetention: Bool, areBothHeld: Bool) -> Bool {
        !planted(.expiredLinksNeverVoid)
            && PlainRules.isVoidByAge(
                into: winner, isPastRetention: isPastRetention, areBothHeld: areBothHeld)
    }

    static func lookAgain(
        at end: LeafID, _ known: ShardMachine.Known, linkTime: Int64
    ) -> Outcome? {
        planted(.staleLookAtLoser)
            ? nil : PlainRules.lookAgain(at: end, known, linkTime: linkTime)
    }

    static func mayLink(_ leaf: LeafID, isContested: Bool) -> Bool {
        planted(.contestedStillLinks) || PlainRules.mayLink(leaf, isContested: isContested)
    }

    static func areTwoAccounts(_ a: LeafID, _ b: LeafID, areJoinedByAlias: Bool) -> Bool {
        !planted(.accountsMerge)
            && PlainRules.areTwoAccounts(a, b, areJoinedByAlias: areJoinedByAlias)
    }

    static func isAliasLink(_ batch: EventBatch, _ event: Int, from ordinal: Int, to other: Int)
        -> Bool
    {
        planted(.aliasJoinsAll) && batch.heads[event].hasAlias
            || PlainRules.isAliasLink(batch, event, from: ordinal, to: other)
    }

    static func makesContested(_ first: LeafID, _ other: LeafID) -> Bool {
        !planted(.contestedNotSet) && PlainRules.makesContested(first, other)
    }

    static func contestElsewhere(_ state: RecordState) -> Outcome? {
        if planted(.contestedSkipped), state != .root { return .refused(.twoAccounts) }
        if planted(.contestedAtSealed), state == .sealed { return nil }
        return PlainRules.contestElsewhere(state)
    }

    static func isWithinLimit(_ count: Int, _ limit: Int) -> Bool {
        planted(.limitsIgnored) || PlainRules.isWithinLimit(count, limit)
    }

    static func isReadable(profileBytes: Int) -> Bool {
        planted(.profilesUnbounded) || PlainRules.isReadable(profileBytes: profileBytes)
    }

    static func isWithinLedger(entries: Int) -> Bool {
        planted(.ledgersUnbounded) || PlainRules.isWithinLedger(entries: entries)
    }
}
#endif
