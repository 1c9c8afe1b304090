internal import KithBytes

/// One end of a link as the operation that seals it spells it out.
public struct LinkEnd: Sendable, Equatable {
    public var leaf: LeafID
    /// An event carried it as an identifier of its own (an alias's previous id is not).
    public var isListed: Bool

    public init(leaf: LeafID, isListed: Bool) {
        self.leaf = leaf
        self.isListed = isListed
    }
}

/// Step 1 of a merge: turn root `loser` into a record sealed into `winner`.
public struct SealOrder: Sendable, Equatable {
    public var loser: LeafID
    public var winner: LeafID
    var loserEnd: LinkEnd
    var winnerEnd: LinkEnd
    /// The winner held its end's facet when its find ended.
    var winnerHolds: Bool
    public var eventTime: Int64
    /// Labels the loser's own facet where it has none (then the loser is its end's home).
    var loserText: IdentifierText
    /// Labels the winner's own facet, should the absorb find it without one.
    var winnerText: IdentifierText

    public init(
        loser: LeafID, winner: LeafID, loserEnd: LinkEnd, winnerEnd: LinkEnd, winnerHolds: Bool,
        eventTime: Int64, loserText: IdentifierText, winnerText: IdentifierText
    ) {
        self.loser = loser
        self.winner = winner
        self.loserEnd = loserEnd
        self.winnerEnd = winnerEnd
        self.winnerHolds = winnerHolds
        self.eventTime = eventTime
        self.loserText = loserText
        self.winnerText = winnerText
    }
}

extension ShardMachine {
    /// The compare-and-set of a merge. Looks at the loser again: its end may have been forgotten or
    /// become contested since the find.
    func seal(_ order: SealOrder, _ context: ApplyContext) -> Outcome {
        let time = context.judged(order.eventTime)
        let loser = order.loser
        let end = order.loserEnd.leaf
        guard Rules.wins(order.winner, over: loser) else { return .malformed }
        let slot = current(loser, context)
        if let slot, table.state(slot) != .root {
            mark(.sealMoved)
            return .again
        }
        let known = known(end, at: loser, slot)
        guard Rules.speaks(loser, for: end, holds: known.holds) else {
            mark(.sealEndMoved)
            return .again
        }
        if let ended = Rules.lookAgain(at: end, known, linkTime: time) {
            mark(ended == .void ? .sealForgotten : .sealContested)
            return ended
        }
        if Rules.isVoidByAge(
            into: order.winner, isPastRetention: context.isOverdue(time),
            areBothHeld: known.holds && order.winnerHolds)
        {
            mark(.sealExpired)
            return .voidByAge
        }
        if let slot, !fitsAbsorb(slot) {
            mark(.sealTooLarge)
            return .refused(.limit)
        }

        let at = slot ?? table.insert(loser)
        let wasLive = table.facetCount(at) > 0
        if wasLive {
            countProfile(at, by: -1)
        } else {
            mark(.sealOfAbsent)
        }
        var ledger = ledger(at)
        if !table.hasFacet(at, loser) {
            beginOwnFacet(at, order.loserText, seen: time, context)
        }
        if order.loserEnd.isListed, let facet = table.facet(at, end) {
            table.setFlags(facet, table.flags(facet).subtracting(.unlisted))
        }
        if let facet = table.facet(at, loser) { table.setSealVersion(facet, context.at) }
        ledger.refusals = []
        ledger.seal = SealNote(
            into: order.winner, eventTime: time, wasLive: wasLive,
            winnerEnd: order.winnerEnd.leaf, winnerEndIsListed: order.winnerEnd.isListed,
            intoText: order.winnerText)
        setLedger(at, ledger)
        table.unfile(at)
        table.setState(at, .sealed)
        table.setParent(at, order.winner)
        table.setVersion(at, context.at)
        return .sealedNow(version: context.at)
    }

    /// Step 3: the winner has answered; the payload goes and the record points at whoever answered.
    /// An answer to another version is of another life and counts for nothing.
    func forward(
        _ leaf: LeafID, version: OperationIndex, to parent: LeafID, _ context: ApplyContext
    )
        -> Outcome
    {
        guard let slot = table.find(leaf), table.state(slot) == .sealed,
            Rules.counts(.forward, to: version, sealedAt: table.version(slot)),
            Rules.wins(parent, over: leaf)
        else {
            mark(.forwardElsewhen)
            return .done
        }
        table.removeAllFacets(slot)
        table.setLedger(slot, [])
        table.setState(slot, .forward)
        table.setParent(slot, parent)
        return .done
    }

    /// The winner had no room: the record is a root again, as it was before its seal.
    func reopen(_ leaf: LeafID, version: OperationIndex, _ context: ApplyContext) -> Outcome {
        guard let slot = table.find(leaf), table.state(slot) == .sealed,
            Rules.counts(.reopen, to: version, sealedAt: table.version(slot))
        else {
            mark(.reopenElsewhen)
            return .done
        }
        var ledger = ledger(slot)
        let wasLive = ledger.seal?.wasLive ?? true
        ledger.seal = nil
        table.setState(slot, .root)
        table.setVersion(slot, .none)
        // The driver gave them up while the record was sealed.
        if !ledger.releases.isEmpty { dropped.append(leaf) }
        mark(wasLive ? .reopened : .reopenedEmpty)
        guard wasLive else {
            // The seal began the only facet; what it took over of the leaf the ledger has still.
            table.removeAllFacets(slot)
            settle(slot, ledger, context)
            return .done
        }
        if let facet = table.facet(slot, leaf) { table.setSealVersion(facet, .none) }
        setLedger(slot, ledger)
        countProfile(slot, by: 1)
        fileForExpiry(slot, context)
        return .done
    }

    /// The leaf's facet was dropped at the root its Forward led to: it is a root again, empty, with
    /// the ledger of that root.
    func release(_ order: ReleaseOrder, _ context: ApplyContext) -> Outcome {
        guard let slot = table.find(order.leaf) else {
            mark(.releaseOfAbsent)
            return .done
        }
        switch table.state(slot) {
        case .root:
            mark(.releaseOfRoot)
            return .done
        case .sealed:
            mark(table.version(slot) == order.version ? .releaseOfSealed : .releaseElsewhen)
            return table.version(slot) == order.version ? .notYet : .done
        case .forward:
            guard Rules.counts(.release, to: order.version, sealedAt: table.version(slot)) else {
                mark(.releaseElsewhen)
                return .done
            }
        }
        mark(.released)
        var reader = unsafe ByteReader(order.ledger.span.bytes)
        guard let ledger = try? Ledger(decoding: &reader) else { return .malformed }
        table.setState(slot, .root)
        table.setVersion(slot, .none)
        settle(slot, Rules.ledger(takenBy: order.leaf, from: ledger), context)
        return .done
    }

    /// Marks a shared device: an account's event names `end`, which belongs to another account.
    func contest(_ end: LeafID, at root: LeafID, first: LeafID, _ context: ApplyContext) -> Outcome
    {
        guard let slot = current(root, context) else { return .again }
        if let elsewhere = Rules.contestElsewhere(table.state(slot)) {
            mark(.contestMoved)
            return elsewhere
        }
        guard let facet = table.facet(slot, end) else {
            mark(.contestMoved)
            return .again
        }
        if Rules.areTogether(rootHoldsOther: table.hasFacet(slot, first)) {
            mark(.contestTogether)
            return .together
        }
        mark(.contestSet)
        table.setFlags(facet, table.flags(facet).union(.contested))
        return .refused(.twoAccounts)
    }

    /// Remembers a refusal at the root of the event's first identifier; counts it once.
    ///
    /// `isIgnored`: over the limit, and nothing else is known of the other identifier, which counts
    /// as ignored with the refusal.
    func refuse(
        _ refusal: Ledger.Refusal, isIgnored: Bool, at root: LeafID, _ context: ApplyContext
    ) -> Outcome {
        guard let slot = current(root, context), table.state(slot) == .root,
            table.hasFacet(slot, refusal.first)
        else {
            mark(.refuseMoved)
            return .again
        }
        // An event like this one, with it under way, was refused a moment ago: had they come one
        // after the other, this link would not have been tried. That of an alias always is.
        let mayBeAlias =
            refusal.first.identifierClass == .account
            && refusal.other.identifierClass == .account
        if !mayBeAlias, isRefused(slot, refusal.first, refusal.other, context) {
            mark(.refuseOvertaken)
            return .done
        }
        var ledger = ledger(slot)
        if ledger.remember(refusal) {
            statistics.countRefusal(refusal.rule)
            if isIgnored { statistics.countIgnored(.limit, by: 1) }
        } else {
            mark(.refuseAgain)
        }
        setLedger(slot, ledger)
        return .done
    }

    /// Forgets the whole profile that holds `leaf`: facets go, the ledger learns the time.
    func erase(
        _ leaf: LeafID, at w: LeafID, proof: OperationIndex, _ context: ApplyContext
    ) -> Outcome {
        let slot = current(w, context)
        if let elsewhere = standing(leaf, at: w, slot, proof: proof, context) { return elsewhere }
        if let slot, table.facetCount(slot) > 0 {
            drop(slot, eraseTime: context.now.rawValue, context)
        }
        return .done
    }

    /// Where a link's end is rooted, and what policy needs to know there. Reads only: an overdue
    /// record must be touched in the log first (`needsTouch`).
    public func find(
        _ leaf: LeafID, other: LeafID, at w: LeafID, proof: OperationIndex, _ context: ApplyContext
    ) -> Outcome {
        let slot = table.find(w)
        if let elsewhere = standing(leaf, at: w, slot, proof: proof, context) { return elsewhere }
        var finding = Finding(root: w)
        let known = known(leaf, at: w, slot)
        finding.holds = known.holds
        finding.forgetTime = known.forgetTime
        finding.pastRetention = context.pastRetention
        finding.isContested = known.isContested
        if let slot {
            finding.holdsOther = table.hasFacet(slot, other)
            finding.isLive = table.facetCount(slot) > 0
            finding.payloadBytes = table.payloadBytes(slot)
            finding.profileBytes = table.profileBytes(slot)
            finding.ledgerEntries = ledgerEntries(slot)
            finding.identifiers = table.identifiers(slot)
            if let facet = table.facet(slot, leaf) {
                finding.isListed = !table.flags(facet).contains(.unlisted)
            }
            if let own = table.facet(slot, w) { finding.rootText = text(own) }
        }
        return .found(finding)
    }

    func text(_ facet: FacetRef) -> IdentifierText {
        IdentifierText(
            flags: table.flags(facet).intersection([.unlisted, .quarantine]),
            space: table.space(facet), namespace: table.namespace(facet), value: table.value(facet))
    }

    /// Whether an event's entry may attach identifier `ordinal`, which is absent, to `root` at
    /// once. False leaves it to the full link, which refuses what must be refused.
    func allowsAttaching(
        _ body: borrowing EventBody, _ target: EventTarget, to ordinal: Int, root: LeafID,
        _ context: ApplyContext
    ) -> Bool {
        guard let slot = table.find(root), table.state(slot) == .root else { return false }
        let own = body.identifier(at: target.ordinal)
        let other = body.identifier(at: ordinal)
        let known = known(own.leaf, at: root, slot)
        guard known.holds, body.time > known.forgetTime else { return false }
        if known.isContested, own.leaf.identifierClass == .anonymous { return false }
        let isAlias =
            target.aliasJoinsAccounts && body.isAliasLink(from: target.ordinal, to: ordinal)
        if root.identifierClass == .account, other.leaf.identifierClass == .account, !isAlias {
            return false
        }
        guard table.facetCount(slot) < context.identifiersMax,
            table.payloadBytes(slot) < Self.payloadBytesMax - Self.attachBytesMax,
            table.hasRoom(forProfileBytes: 2 * Self.attachBytesMax, slot),
            ledgerEntries(slot) + 2 <= Ledger.entriesMax
        else { return false }
        return isAlias
            || Rules.isWithinLimit(
                table.namespaceCount(slot, namespace: other.namespace) + 1, Int(other.limit))
    }

    /// What a facet without events may take at most: its header and the longest identifier.
    static let attachBytesMax = 4096

    /// The text of an event's identifier, for a facet that a link may have to create.
    static func text(_ identifier: borrowing EventBodyIdentifier, space: RawSpan) -> IdentifierText
    {
        IdentifierText(
            flags: identifier.isUnlisted ? .unlisted : [], space: space.copied(),
            namespace: identifier.namespace.copied(), value: identifier.value.copied())
    }

    /// The text of a root's own identifier.
    func ownText(_ root: LeafID) -> IdentifierText? {
        guard let slot = table.find(root), let facet = table.facet(slot, root) else { return nil }
        return text(facet)
    }

    /// Whether the record is an anonymous root past its retention that still holds facets.
    public func needsTouch(_ w: LeafID, _ context: ApplyContext) -> Bool {
        guard let slot = table.find(w), table.state(slot) == .root, table.facetCount(slot) > 0
        else { return false }
        return w.identifierClass == .anonymous && context.isOverdue(table.lastSeen(slot))
    }
}
