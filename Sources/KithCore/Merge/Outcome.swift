internal import KithBytes

/// What one logged operation or one find came to. Steps of `IngestMachine` and `MergeDriver` turn
/// on it; nothing else does.
public enum Outcome: Sendable, Equatable {
    /// The event counts in the facet of its leaf at `root`. Bit *i* of `open` is set where the
    /// link to the event's identifier *i* is not settled yet.
    case counted(root: LeafID, open: UInt32)
    /// Its message id is in the window of its leaf already. Counts nothing; its links are driven.
    case duplicate(root: LeafID, open: UInt32)
    /// As `counted` or `duplicate`, and something of it was not taken.
    case told(root: LeafID, open: UInt32, isDuplicate: Bool, EventAside)
    /// The leaf was forgotten at or after the event's time. Counts nothing, links nothing.
    case forgotten
    /// Older than retention, and no live or member profile to count in.
    case expiredOnArrival
    /// The leaf is contested: the event goes to its next identifier.
    case contested
    /// The leaf is suppressed: the event is dropped.
    case suppressed

    /// The record is sealed; it can be asked again once its absorb is done.
    case sealed(LeafID)
    /// The record is a Forward, of that version, to `to`.
    case moved(to: LeafID, version: OperationIndex)
    /// This root neither is the home of the leaf nor holds it, and nothing proves that it should:
    /// start again at the leaf's home.
    case unknownFacet
    /// The leaf's own Forward led here and its facet is gone: its home must be released first.
    case released(ReleaseOrder)

    /// A find's end: the root, and what it knows.
    case found(Finding)

    /// A link's seal is logged: the driver of the loser's group takes it from here.
    case sealedNow(version: OperationIndex)
    /// Sealed, absorbed and forwarded in one entry: both records are of one group.
    case merged(root: LeafID)
    /// Something moved between find and entry: find both ends again. Of an event: what it depends
    /// on in its run has not settled, and nothing was done.
    case again
    /// Nothing to link any more: an end was forgotten.
    case void
    /// Nothing to link: an end is absent and the event older than retention.
    case voidByAge
    case refused(RefusalRule)
    /// Both ends are in one root by now.
    case together

    /// The winner took the facets in, now or earlier, or swallowed them.
    case absorbed(by: LeafID)
    /// The winner has no room for the facets, or had none at the first copy: the loser is to be a
    /// root again.
    case declined
    /// Below the settled mark: a late copy of an absorb that was settled long ago.
    case stale

    /// Done, or no longer needed.
    case done
    /// Not yet: the record is still sealed at that version.
    case notYet
    /// How many due records a reclaim step dropped or refiled, and whether more may be due.
    case reclaimed(count: Int, more: Bool)
    /// The operation's bytes break its format. Changes nothing.
    case malformed

    /// The outcome without what is told beside it.
    public var plain: Outcome {
        guard case .told(let root, let open, let isDuplicate, _) = self else { return self }
        return isDuplicate ? .duplicate(root: root, open: open) : .counted(root: root, open: open)
    }

    /// An event's last outcome: nothing of it is left to do.
    var isSettledEvent: Bool {
        switch self {
        case .counted(_, let open), .duplicate(_, let open), .told(_, let open, _, _): open == 0
        case .forgotten, .expiredOnArrival, .suppressed: true
        default: false
        }
    }
}

/// What of an event was not taken where it counts, to be told to who sent it.
public struct EventAside: Sendable, Equatable {
    /// Traits that were not kept.
    public var traitsRefused: UInt16 = 0
    /// Links that were refused before and are not tried again: two bits for each identifier, 0 for
    /// none, else the rule and 1.
    public var refused: UInt64 = 0
    /// The event's own time was later than that of the log, and is that now.
    public var isTimeMoved: Bool

    public init(isTimeMoved: Bool = false) { self.isTimeMoved = isTimeMoved }

    /// The rule that the link to identifier `ordinal` is remembered as refused by.
    public func rule(of ordinal: Int) -> RefusalRule? {
        let bits = UInt8(truncatingIfNeeded: refused >> UInt64(2 * ordinal)) & 3
        return bits == 0 ? nil : RefusalRule(rawValue: bits - 1)
    }

    mutating func refuse(_ ordinal: Int, _ rule: RefusalRule) {
        refused |= UInt64(rule.rawValue + 1) << UInt64(2 * ordinal)
    }

    var isEmpty: Bool { traitsRefused == 0 && refused == 0 && !isTimeMoved }
}

/// Proof that a leaf's facet was dropped with its profile, and what its home must then know.
public struct ReleaseOrder: Sendable, Equatable {
    public var leaf: LeafID
    /// The version of the leaf's Forward that led to the root without the facet.
    public var version: OperationIndex
    /// The root's ledger, encoded: absorbed set and forget times travel with every release.
    public var ledger: [UInt8]
    /// The settled marks of the root's group.
    public var marks: [OperationIndex]

    public init(
        leaf: LeafID, version: OperationIndex, ledger: [UInt8], marks: [OperationIndex]
    ) {
        self.leaf = leaf
        self.version = version
        self.ledger = ledger
        self.marks = marks
    }
}

/// What a find reports of the root where it ended.
public struct Finding: Sendable, Equatable {
    public var root: LeafID
    /// The root holds the facet of the leaf looked for (else it is the leaf's home, and empty of
    /// it).
    public var holds: Bool
    /// The root holds the facet of the other end of the link too: they are together.
    public var holdsOther: Bool
    /// The leaf was forgotten at that time (`Ledger.Remembered.never` if not).
    public var forgetTime: Int64
    /// What is not later is past retention at the log time of the root's group.
    public var pastRetention: Int64
    public var isContested: Bool
    /// The root holds any facet at all.
    public var isLive: Bool
    public var isListed: Bool
    /// Bytes of its facets and ledger.
    public var payloadBytes: Int
    /// Bytes that a read of it answers with at most.
    public var profileBytes: Int
    /// What its ledger remembers: absorbed seals and dropped leaves.
    public var ledgerEntries: Int
    /// Identifiers by namespace, sorted: what limits are checked against.
    public var identifiers: [IdentifierCount]
    /// The root's own identifier, where it holds one.
    public var rootText: IdentifierText?

    public init(root: LeafID) {
        self.root = root
        holds = false
        holdsOther = false
        forgetTime = Ledger.Remembered.never
        pastRetention = .min
        isContested = false
        isLive = false
        isListed = false
        payloadBytes = 0
        profileBytes = 0
        ledgerEntries = 0
        identifiers = []
        rootText = nil
    }
}
