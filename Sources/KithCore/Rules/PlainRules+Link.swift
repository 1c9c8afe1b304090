internal import KithBytes

// What becomes of a link: who wins, and what is void or refused.

extension PlainRules {
    // MARK: Order

    /// The lower id wins.
    static func wins(_ winner: LeafID, over loser: LeafID) -> Bool { winner < loser }

    /// Whether the root `a` is the one to be sealed of two that a link of that time joins.
    static func loses(_ a: LeafID, to b: LeafID, linkTime: Int64) -> Bool { a > b }

    /// Two finds that end at two roots prove nothing; one root that holds both ends does.
    static func areTogether(_ a: Finding, _ b: Finding) -> Bool { a.holdsOther || b.holdsOther }

    /// The same at the root of one end, when the entry that acts looks again.
    static func areTogether(rootHoldsOther: Bool) -> Bool { rootHoldsOther }

    // MARK: Void

    /// A link is void where it is not later than the forget time of either end.
    static func isVoid(linkTime: Int64, forgetTime: Int64) -> Bool { linkTime <= forgetTime }

    /// A link into an anonymous root is void where it is past retention and an end is absent; into
    /// a member it is made as usual.
    static func isVoidByAge(into winner: LeafID, isPastRetention: Bool, areBothHeld: Bool) -> Bool {
        winner.identifierClass == .anonymous && isPastRetention && !areBothHeld
    }

    /// The entry that seals looks at the loser again: its end may have been forgotten or become
    /// contested since the find. What ends the link, if anything.
    static func lookAgain(
        at end: LeafID, _ known: ShardMachine.Known, linkTime: Int64
    ) -> Outcome? {
        if Rules.isVoid(linkTime: linkTime, forgetTime: known.forgetTime) { return .void }
        if !Rules.mayLink(end, isContested: known.isContested) { return .refused(.contested) }
        return nil
    }

    // MARK: Refused

    /// A contested leaf makes no links, for anyone, from any event.
    static func mayLink(_ leaf: LeafID, isContested: Bool) -> Bool {
        !isContested || leaf.identifierClass != .anonymous
    }

    /// Two roots of accounts are joined by an alias only.
    static func areTwoAccounts(_ a: LeafID, _ b: LeafID, areJoinedByAlias: Bool) -> Bool {
        a.identifierClass == .account && b.identifierClass == .account && !areJoinedByAlias
    }

    /// Of an alias only the link between its two user ids joins accounts.
    static func isAliasLink(_ batch: EventBatch, _ event: Int, from ordinal: Int, to other: Int)
        -> Bool
    {
        batch.isAliasLink(event, from: ordinal, to: other)
    }

    /// An account's event that names another account's device makes the device contested.
    static func makesContested(_ first: LeafID, _ other: LeafID) -> Bool {
        first.identifierClass == .account && other.identifierClass == .anonymous
    }

    /// Contested is logged at the root that holds the leaf at that moment, before the refusal is
    /// told. Where the record is none the link is looked at again.
    static func contestElsewhere(_ state: RecordState) -> Outcome? {
        state == .root ? nil : .again
    }

    // MARK: Limits

    /// A profile holds so many identifiers of one namespace.
    static func isWithinLimit(_ count: Int, _ limit: Int) -> Bool { count <= limit }

    /// A profile is no larger than a read can carry.
    static func isReadable(profileBytes: Int) -> Bool {
        profileBytes <= FacetLimits.profileBytesMax
    }

    /// A ledger remembers so much.
    static func isWithinLedger(entries: Int) -> Bool { entries <= Ledger.entriesMax }
}
