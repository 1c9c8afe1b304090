internal import KithBytes

/// Link(first, other) on its way: find both roots, decide, seal the higher, begin
/// again until one root holds both ends.
///
/// Two finds that end at two roots prove nothing by themselves; only a root that holds one end and
/// not the other may be the reason to refuse, and the entry that acts looks again.
final class LinkTrack {
    let first: LeafID
    let other: LeafID
    let otherOrdinal: Int
    /// A link between the two user ids of an alias: the only one that may join two accounts.
    let isAlias: Bool
    var a: Cursor
    var b: Cursor
    var foundA: Finding?
    var foundB: Finding?
    var step: Step = .find
    /// The winner of the seal that this link logged last.
    private var sealedInto: LeafID?
    /// Leaves to count as ignored for exceeding a limit, once the refusal is logged.
    var ignoresOther = false
    /// Why the link was not made, once it is settled without.
    private(set) var unmade: Unmade?

    enum Step {
        case find
        case seal(SealOrder)
        /// Wait until the record that this link sealed is free.
        case wait(LeafID)
        case contest(at: LeafID)
        case refuse(RefusalRule, at: LeafID)
    }

    /// Why a link was not made.
    enum Unmade {
        case refused(RefusalRule)
        case void(LinkVoid)
    }

    /// What a decision came to.
    enum Verdict {
        /// Go on with `step`.
        case go
        /// Settled: merged, refused or void.
        case settled
    }

    init(
        first: LeafID, other: LeafID, otherOrdinal: Int, isAlias: Bool, firstHint: LeafID,
        otherHint: LeafID?
    ) {
        self.first = first
        self.other = other
        self.otherOrdinal = otherOrdinal
        self.isAlias = isAlias
        a = Cursor(first, hint: firstHint)
        b = Cursor(other, hint: otherHint)
    }

    /// Finds both ends again, from a hint or from their homes.
    func startAgain(hint: LeafID? = nil) {
        a.startAgain(hint: hint)
        b.startAgain(hint: hint)
        foundA = nil
        foundB = nil
        ignoresOther = false
        unmade = nil
        step = .find
    }

    /// Both finds are in: what now?
    func decide(
        time: Int64, firstText: IdentifierText, otherText: IdentifierText, policy: LinkPolicy
    ) -> Verdict {
        guard let fa = foundA, let fb = foundB else { return .go }
        if Rules.areTogether(fa, fb) {
            mark(.linkTogether)
            return .settled
        }
        if fa.root == fb.root {
            // The two answers are of two moments; begin again rather than guess.
            mark(.linkSameRoot)
            startAgain()
            return .go
        }
        if Rules.isVoid(linkTime: time, forgetTime: max(fa.forgetTime, fb.forgetTime)) {
            mark(.linkForgotten)
            unmade = .void(.forgotten)
            return .settled
        }
        guard Rules.mayLink(first, isContested: fa.isContested),
            Rules.mayLink(other, isContested: fb.isContested)
        else {
            mark(.linkContested)
            return refuse(.contested, fa)
        }

        if Rules.areTwoAccounts(
            fa.root, fb.root, areJoinedByAlias: isAlias && policy.aliasJoinsAccounts)
        {
            if Rules.makesContested(first, other) {
                mark(.linkMakesContested)
                step = .contest(at: fb.root)
                return .go
            }
            mark(.linkTwoAccounts)
            return refuse(.twoAccounts, fa)
        }
        if exceedsLimit(fa, fb, firstText, otherText, policy) {
            mark(.linkLimit)
            ignoresOther = !fb.holds
            return refuse(.limit, fa)
        }
        let loserIsA = Rules.loses(fa.root, to: fb.root, linkTime: time)
        let (loser, winner) = loserIsA ? (fa, fb) : (fb, fa)
        // The seal judges this by the loser's log time. Where the winner's group is ahead of that,
        // what the absorb attaches would expire at once, and the link never settle.
        if Rules.isVoidByAge(
            into: winner.root, isPastRetention: time <= winner.pastRetention,
            areBothHeld: loser.holds && winner.holds)
        {
            unmade = .void(.age)
            return .settled
        }
        step = .seal(
            SealOrder(
                loser: loser.root, winner: winner.root,
                loserEnd: LinkEnd(
                    leaf: loserIsA ? first : other,
                    isListed: !(loserIsA ? firstText : otherText).flags.contains(.unlisted)),
                winnerEnd: LinkEnd(
                    leaf: loserIsA ? other : first,
                    isListed: !(loserIsA ? otherText : firstText).flags.contains(.unlisted)),
                winnerHolds: winner.holds, eventTime: time,
                loserText: loser.rootText ?? (loserIsA ? firstText : otherText),
                winnerText: winner.rootText ?? (loserIsA ? otherText : firstText)))
        return .go
    }

    private func refuse(_ rule: RefusalRule, _ fa: Finding) -> Verdict {
        unmade = .refused(rule)
        // Remembered at the root of the first identifier, where it has one.
        guard fa.holds else {
            mark(.linkRefusedUnseen)
            return .settled
        }
        step = .refuse(rule, at: fa.root)
        return .go
    }

    /// Whether the union of the two roots would hold too much. What neither holds yet counts too.
    private func exceedsLimit(
        _ fa: Finding, _ fb: Finding, _ firstText: IdentifierText, _ otherText: IdentifierText,
        _ policy: LinkPolicy
    ) -> Bool {
        if fa.payloadBytes + fb.payloadBytes + ShardMachine.attachBytesMax * 2
            > ShardMachine.payloadBytesMax
        {
            return true
        }
        guard
            Rules.isReadable(
                profileBytes: fa.profileBytes + fb.profileBytes + ShardMachine.attachBytesMax * 2)
        else {
            mark(.linkProfileTooLarge)
            return true
        }
        guard Rules.isWithinLedger(entries: fa.ledgerEntries + fb.ledgerEntries + 2) else {
            mark(.linkLedgerTooLarge)
            return true
        }
        var total = 0
        var namespaces: [(namespace: [UInt8], count: Int, grows: Bool)] = []
        func add(_ namespace: [UInt8], _ count: Int) {
            total += count
            if let at = namespaces.firstIndex(where: { $0.namespace == namespace }) {
                namespaces[at].count += count
                namespaces[at].grows = true
            } else {
                namespaces.append((namespace, count, false))
            }
        }
        for entry in fa.identifiers { add(entry.namespace, entry.count) }
        for entry in fb.identifiers { add(entry.namespace, entry.count) }
        if !fa.holds { add(firstText.namespace, 1) }
        if !fb.holds { add(otherText.namespace, 1) }
        if total > policy.identifiersMax { return true }
        for entry in namespaces where entry.grows || entry.namespace == otherText.namespace {
            guard let limit = policy.limit(entry.namespace) else { continue }
            if limit.identifierClass == .account, isAlias { continue }
            if !Rules.isWithinLimit(entry.count, limit.limit) { return true }
        }
        return false
    }

    /// The record that this link waited for is free, or is not: a merge of its own most likely came
    /// through, and both ends are where the record was sealed into. Nothing where it waits for
    /// none.
    func takeWait(isFree: Bool) -> Bool {
        guard case .wait = step else { return true }
        guard isFree else {
            mark(.linkWaitedInVain)
            return false
        }
        mark(.linkStartsFromSeal)
        startAgain(hint: sealedInto)
        return true
    }

    /// Takes the outcome of this link's own operation.
    func take(_ outcome: Outcome, policy: LinkPolicy) -> Verdict {
        switch (step, outcome) {
        case (.seal(let order), .sealedNow):
            mark(.linkWaited)
            step = .wait(order.loser)
            sealedInto = order.winner
            return .go
        case (.seal, .merged), (_, .together):
            unmade = nil
            return .settled
        case (.seal, .void):
            unmade = .void(.forgotten)
            return .settled
        case (.seal, .voidByAge):
            unmade = .void(.age)
            return .settled
        case (.seal, .refused(let rule)), (.contest, .refused(let rule)):
            if let fa = foundA { return refuse(rule, fa) }
            unmade = .refused(rule)
            return .settled
        case (.refuse, .done):
            return .settled
        default:
            mark(.linkAgain)
            startAgain()
            return .go
        }
    }
}
