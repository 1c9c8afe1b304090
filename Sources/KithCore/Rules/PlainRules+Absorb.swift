internal import KithBytes

// Step 2 of a merge, as the winner's group decides it.

extension PlainRules {
    /// Whether the loser at this version was answered before: then it is answered alike.
    static func answerBefore(_ order: AbsorbOrder, _ held: Ledger) -> Ledger.Absorbed? {
        held.absorbed(order.loser, order.version)
    }

    /// A copy from below its group's settled mark is of a merge that ended long ago.
    static func isStale(_ order: AbsorbOrder, _ marks: [OperationIndex]) -> Bool {
        let group = Int(order.loserGroup.rawValue)
        return group < marks.count && order.version < marks[group]
    }

    /// The loser's ledger, with all that it still has to release; nil where it is damaged.
    static func ledger(broughtBy order: AbsorbOrder) -> Ledger? {
        var reader = unsafe ByteReader(order.ledger.span.bytes)
        return try? Ledger(decoding: &reader)
    }

    /// Only a root that is home of the leaf that the loser was sealed into, or holds it, absorbs.
    static func mayAbsorb(_ root: LeafID, sealedInto leaf: LeafID, holds: Bool) -> Bool {
        Rules.speaks(root, for: leaf, holds: holds)
    }

    /// The forget time that swallows the loser: that of the leaf that it was sealed into, as it
    /// stands at the absorbing root, where the link is not later. Never another root's own, and
    /// also beside a newer life.
    static func forgetTime(
        swallowing seal: SealNote, at root: LeafID, _ slot: SlotIndex?, in machine: ShardMachine
    ) -> Int64? {
        let forgetTime = machine.known(seal.into, at: root, slot).forgetTime
        return seal.eventTime <= forgetTime ? forgetTime : nil
    }

    /// Whether the leaf that the loser was sealed into is still with the one that the link named.
    /// They part when their profile ends, and with it its links: the loser is linked to another
    /// leaf than this then, or to none (decision 0023).
    static func isStillLinked(
        _ seal: SealNote, _ slot: SlotIndex?, in machine: ShardMachine
    ) -> Bool {
        if seal.winnerEnd == seal.into { return true }
        return slot.map { machine.table.hasFacet($0, seal.winnerEnd) } ?? false
    }

    /// An absorb that would pass a bound is declined whole.
    static func hasRoom(
        for order: AbsorbOrder, _ slot: SlotIndex?, held: Ledger, brought: Ledger,
        in machine: ShardMachine, _ context: ApplyContext
    ) -> Bool {
        machine.hasRoom(for: order, slot, held: held, brought: brought, context)
    }

    /// A facet moves whole: with its window of recent messages and its contested flag. False where
    /// the bytes are damaged; then nothing has moved.
    static func takeFacets(
        of order: AbsorbOrder, into slot: SlotIndex, of machine: ShardMachine
    ) -> Bool {
        var facets = unsafe ByteReader(order.facets.span.bytes)
        return (try? machine.table.importFacets(slot, &facets)) != nil
    }

    /// What declined an absorb remembers it, and answers every later copy alike: the loser can be a
    /// root again without ever being absorbed at that version.
    static func rememberDeclined(
        _ order: AbsorbOrder, _ slot: SlotIndex?, held: Ledger, in machine: ShardMachine,
        _ context: ApplyContext
    ) {
        machine.rememberDeclined(order, slot, held: held, context)
    }

    // MARK: The driver

    /// Silence is no answer: what nobody answered is asked again.
    static func afterSilence(_ merge: MergeDriver.Merge) -> MergeDriver.Step { merge.step }

    /// The winner has moved on: the absorb goes where it points. Only the Forward of the leaf
    /// sealed into is a proof.
    static func redirect(
        _ merge: inout MergeDriver.Merge, to parent: LeafID, version: OperationIndex
    ) {
        if merge.target == merge.into { merge.proof = version }
        merge.target = parent
    }
}
