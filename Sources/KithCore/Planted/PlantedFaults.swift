#if KITH_PLANTED
internal import KithBytes

/// Deliberate faults: each breaks one rule of the merge, so that the checkers can show that they
/// would notice. What each does is in `PlantedRules`; no other build has them.
public struct PlantedFaults: OptionSet, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Every fault by the name that the reference model gives it.
    public static let names: [String] = [
        "nowin", "noproof", "higher", "noab", "abnomove", "evthrough", "through", "proof", "abdrop",
        "abdropall", "rootany", "absany", "swallow0", "swallow1", "forgothome", "tombnocopy",
        "tombnomove", "linkold", "linkdead", "contnodup", "nocontest", "contreset", "contlinks",
        "nofence", "prunefree", "vecnomove", "relnover", "acknover", "relnoab", "members",
        "duplinks",
        "expsealed", "swallowroot", "twofinds", "contsealed", "contskip", "contstay", "aliasall",
        "refsalias", "refsfirst", "stalelo", "declforget", "reopnover", "noroom",
        "endgone", "relsnomove", "hugeprof", "ledgerfull",
    ]

    public init?(name: String) {
        guard let bit = Self.names.firstIndex(of: name) else { return nil }
        self.init(rawValue: 1 << UInt64(bit))
    }

    static func bit(_ number: UInt64) -> PlantedFaults {
        PlantedFaults(rawValue: 1 << number)
    }
    /// An absorb leaves the windows of recent messages behind.
    static let windowLeftBehind = bit(0)
    /// A root reached by a hint is believed to prove that the facet is gone.
    static let hintIsProof = bit(1)
    /// The higher id may win.
    static let higherMayWin = bit(2)
    /// The absorbed set is not looked at.
    static let absorbedSetIgnored = bit(3)
    /// The absorbed set stays behind when its record is absorbed.
    static let absorbedSetNotCarried = bit(4)
    /// Events pass through a sealed record.
    static let eventsPassThroughSealed = bit(5)
    /// Absorbs pass through a sealed record.
    static let absorbsPassThroughSealed = bit(6)
    /// A facet is started afresh at the old root instead of releasing its leaf.
    static let freshFacetAtOldRoot = bit(7)
    /// Expiry drops the absorbed set.
    static let expiryDropsAbsorbed = bit(8)
    /// Expiry and erase drop the absorbed set.
    static let eraseDropsAbsorbed = bit(9)
    /// Any root reached by pointers speaks for a leaf.
    static let anyRootSpeaks = bit(10)
    /// An absorb is accepted at any root.
    static let absorbAtAnyRoot = bit(11)
    /// An absorb revives a forgotten winner.
    static let absorbRevives = bit(12)
    /// An absorb revives a forgotten leaf beside its next life.
    static let absorbRevivesBesideLife = bit(13)
    /// The forget time is lost in the next life.
    static let forgetTimeLost = bit(14)
    /// A release does not carry forget times.
    static let releaseWithoutForgetTimes = bit(15)
    /// An absorb does not carry the ledger's forget times.
    static let absorbWithoutForgetTimes = bit(16)
    /// Old events re-link forgotten leaves.
    static let oldEventsLink = bit(17)
    /// Links older than retention are never void.
    static let expiredLinksNeverVoid = bit(18)
    /// Contested is looked at before the window.
    static let contestedBeforeWindow = bit(19)
    /// The contested flag is never set.
    static let contestedNotSet = bit(20)
    /// Forgetting clears the contested flag.
    static let forgetClearsContested = bit(21)
    /// A contested leaf still links.
    static let contestedStillLinks = bit(22)
    /// No settled marks.
    static let noMarks = bit(23)
    /// Absorbed entries are pruned without marks.
    static let pruneWithoutMarks = bit(24)
    /// An absorb carries the mark of its own group only.
    static let absorbCarriesOneMark = bit(25)
    /// A release does not compare versions.
    static let releaseWithoutVersion = bit(26)
    /// An acknowledgement does not compare versions.
    static let forwardWithoutVersion = bit(27)
    /// A release does not carry the ledger.
    static let releaseWithoutLedger = bit(28)
    /// Accounts may merge by any link.
    static let accountsMerge = bit(29)
    /// A duplicate does not drive its links.
    static let duplicatesDriveNoLinks = bit(30)
    /// A sealed record expires.
    static let sealedExpires = bit(31)
    /// An absorb is swallowed by the forget time of the absorbing root's own leaf.
    static let swallowedByRoot = bit(32)
    /// Refused because two finds differ, wherever they ended.
    static let refusedByTwoFinds = bit(33)
    /// Contested is logged at a sealed record.
    static let contestedAtSealed = bit(34)
    /// The root moved: acknowledged without the contested flag.
    static let contestedSkipped = bit(35)
    /// The contested flag stays behind when its facet moves.
    static let contestedStaysBehind = bit(36)
    /// Every link of an alias joins accounts.
    static let aliasJoinsAll = bit(37)
    /// A remembered refusal answers an alias.
    static let refusalAnswersAlias = bit(38)
    /// Remembered refusals are looked at before the facets.
    static let refusalsBeforeFacets = bit(39)
    /// The seal does not look at the loser again.
    static let staleLookAtLoser = bit(40)
    /// A root that declined an absorb does not remember it.
    static let declineForgotten = bit(41)
    /// A reopening does not compare versions.
    static let reopenWithoutVersion = bit(42)
    /// An absorb is never declined.
    static let neverDeclined = bit(43)
    /// An absorb is taken in though the leaf that its link named has parted from this one.
    static let absorbWithoutItsEnd = bit(44)
    /// What a record still has to release is dropped when it is absorbed.
    static let releasesLeftBehind = bit(45)
    /// A link is made though the profile is too large to be read then.
    static let profilesUnbounded = bit(46)
    /// A link is made though the ledgers remember too much.
    static let ledgersUnbounded = bit(47)
}

/// Whether the fault is planted in the world of this thread (`MarkBoard.plant`).
func planted(_ fault: PlantedFaults) -> Bool { MarkBoard.plantedBits & fault.rawValue != 0 }
#endif
