public import KithBytes

/// The rules of one shard: every record whose leaf hashes here, and what each logged operation
/// does to it. Pure: no clock, no I/O, no other shard. Owned by one `Shard` actor and never shared.
///
///              events, traits, absorb           seal(into w < self)          acknowledged
///  absent ≡ Root ───────────────────▶ Root ─────────────────────▶ Sealed ─────────────▶ Forward(to w)
///     ▲                               ▲│                            │ facets frozen        facets gone
///     │                               └┼── w has no room: reopened ─┘                          │
///     │                                │ anonymous, expired                                    │
///     ├────────────────────────────────┘ or erased                                             │
///     └──────────────────── released: its facet expired or was erased at the root ─────────────┘
///
/// Invariants, checked by `checkInvariants()`: a parent is below its child; a Forward holds no
/// facet; a root that holds any facet holds its own leaf's; only anonymous roots and roots that
/// wait with a ledger are filed for expiry.
///
/// A class so that the group can reach it without a closure; it is not `Sendable`.
public final class ShardMachine {
    public let id: ShardID
    /// What texts of strangers are hashed with.
    let key: HashKey
    public var table: RecordTable
    public var statistics: Statistics
    /// Roots that came to hold leaves to release since the group last looked.
    var dropped: [LeafID] = []

    /// How long a refusal is answered from memory before the other side is asked again.
    static let refusalMillis: Int64 = 3_600_000
    /// Identifiers a profile may hold.
    public static let identifiersMax = 256
    /// Bytes of facets and ledger a profile may hold, so that an absorb fits one log entry.
    public static let payloadBytesMax = 1 << 20
    /// How long the deletion of a trait beats older values, in milliseconds of log time: 90 days.
    static let deletionMillis: Int64 = 90 * 86_400_000
    /// Forget times and contested flags of dropped leaves are kept this long.
    static let rememberMillis: Int64 = 400 * 86_400_000
    static let dayMillis: Int64 = 86_400_000

    public init(id: ShardID, key: HashKey) {
        self.id = id
        self.key = key
        table = RecordTable(key: key)
        statistics = Statistics()
    }

    // MARK: Looking

    /// The record of a leaf after expiry by log time: an overdue anonymous root is dropped first.
    /// `nil` is an absent record, which is the same as an empty root.
    func current(_ leaf: LeafID, _ context: ApplyContext) -> SlotIndex? {
        guard let slot = table.find(leaf) else { return nil }
        guard leaf.identifierClass == .anonymous, table.facetCount(slot) > 0,
            Rules.expires(table.state(slot), lastSeen: table.lastSeen(slot), context)
        else { return slot }
        mark(.expiryAtTouch)
        drop(slot, eraseTime: nil, context)
        statistics.expired += 1
        return table.find(leaf)
    }

    func ledger(_ slot: SlotIndex?) -> Ledger {
        guard let slot, table.hasLedger(slot) else { return Ledger() }
        let bytes = table.ledger(slot)
        var reader = unsafe ByteReader(bytes.span.bytes)
        do {
            return try Ledger(decoding: &reader)
        } catch {
            // The ledger was encoded by this machine and nothing else writes it.
            preconditionFailure("ledger of a record does not decode: \(error)")
        }
    }

    /// What the record's ledger remembers: absorbed seals and dropped leaves. O(ledger).
    func ledgerEntries(_ slot: SlotIndex) -> Int {
        table.hasLedger(slot) ? ledger(slot).entryCount : 0
    }

    func setLedger(_ slot: SlotIndex, _ ledger: Ledger) {
        var writer = ByteWriter()
        ledger.encode(into: &writer)
        table.setLedger(slot, writer.bytes)
    }

    /// What is known of `leaf` at the record `home`: from its facet, or, at its own home, from the
    /// ledger.
    func known(_ leaf: LeafID, at home: LeafID, _ slot: SlotIndex?) -> Known {
        guard let slot else { return Known() }
        if let facet = table.facet(slot, leaf) {
            return Known(
                holds: true, forgetTime: table.forgetTime(facet) ?? Ledger.Remembered.never,
                isContested: table.flags(facet).contains(.contested))
        }
        guard leaf == home, let entry = ledger(slot).remembered(leaf) else { return Known() }
        return Known(forgetTime: entry.forgetTime, isContested: entry.isContested)
    }

    /// What a record remembers of one leaf.
    struct Known {
        /// It holds the leaf's facet.
        var holds = false
        var forgetTime = Ledger.Remembered.never
        var isContested = false
    }

    /// Where a message for `leaf` stands at record `w`: nil when it may be acted on here.
    func standing(
        _ leaf: LeafID, at w: LeafID, _ slot: SlotIndex?, proof: OperationIndex,
        _ context: ApplyContext
    ) -> Outcome? {
        if let slot {
            switch table.state(slot) {
            case .sealed:
                mark(.standingSealed)
                return Rules.atSealed(
                    w, into: table.parent(slot), version: table.version(slot), .message)
            case .forward:
                mark(.standingMoved)
                return .moved(to: table.parent(slot), version: table.version(slot))
            case .root: break
            }
            if table.hasFacet(slot, leaf) { return nil }
        }
        if leaf == w { return nil }
        guard let proof = Rules.proofOfDrop(proof) else {
            mark(.standingWrongHint)
            return .unknownFacet
        }
        mark(.standingReleased)
        return Rules.atDropped(leaf, proof, slot, in: self, context)
    }

    func releaseOrder(
        _ leaf: LeafID, _ version: OperationIndex, _ slot: SlotIndex?, _ context: ApplyContext
    ) -> ReleaseOrder {
        var writer = ByteWriter()
        Rules.ledger(ofRelease: leaf, at: ledger(slot)).encode(into: &writer)
        return ReleaseOrder(
            leaf: leaf, version: version, ledger: writer.bytes,
            marks: Rules.marksOfRelease(context))
    }

    // MARK: Dropping

    /// Drops all facets of a root, by expiry (`eraseTime` nil) or by a forget. The ledger stays and
    /// learns of every leaf what must outlive it.
    func drop(_ slot: SlotIndex, eraseTime: Int64?, _ context: ApplyContext) {
        let home = table.id(slot)
        precondition(
            eraseTime != nil || home.identifierClass == .anonymous, "a member does not expire")
        var ledger = Rules.ledger(afterDropOf: ledger(slot), isErase: eraseTime != nil)
        table.forEachFacet(slot) { facet, leaf in
            let isContested = Rules.staysContested(
                table.flags(facet).contains(.contested), isHome: leaf == home)
            ledger.remember(
                Ledger.Remembered(
                    leaf: leaf,
                    forgetTime: max(
                        table.forgetTime(facet) ?? Ledger.Remembered.never,
                        eraseTime ?? Ledger.Remembered.never),
                    isContested: isContested))
            if isContested { mark(.dropContested) }
            if leaf != home {
                mark(.dropMember)
                ledger.insert(
                    release: Ledger.Release(leaf: leaf, version: table.sealVersion(facet)))
            }
        }
        ledger.refusals = []
        if !ledger.releases.isEmpty { dropped.append(home) }
        countProfile(slot, by: -1)
        table.removeAllFacets(slot)
        settle(slot, ledger, context)
    }

    /// Leaves a record without facets in the state its ledger asks for: gone, or waiting.
    func settle(_ slot: SlotIndex, _ ledger: Ledger, _ context: ApplyContext) {
        if ledger.isEmpty {
            mark(.ledgerGone)
            table.remove(slot)
        } else {
            mark(.ledgerKept)
            setLedger(slot, ledger)
            table.file(slot, day: Self.day(context.now.rawValue) + 1)
        }
    }

    static func day(_ millis: Int64) -> Int32 {
        let day = millis >= 0 ? millis / dayMillis : (millis - dayMillis + 1) / dayMillis
        return Int32(clamping: day)
    }

    /// Files an anonymous root that is not filed yet under the day its retention ends.
    func fileForExpiry(_ slot: SlotIndex, _ context: ApplyContext) {
        guard table.id(slot).identifierClass == .anonymous, table.filedDay(slot) == nil else {
            return
        }
        refile(slot, context)
    }

    func refile(_ slot: SlotIndex, _ context: ApplyContext) {
        let (due, overflow) = table.lastSeen(slot).addingReportingOverflow(context.retentionMillis)
        table.file(slot, day: Self.day(overflow ? .max : due))
    }

    // MARK: Counting profiles and identifiers

    /// Adds or takes away a root and all it holds from the totals.
    func countProfile(_ slot: SlotIndex, by sign: Int64) {
        guard table.facetCount(slot) > 0 else { return }
        if table.id(slot).identifierClass == .anonymous {
            statistics.anonymous += sign
        } else {
            statistics.members += sign
        }
        countIdentifiers(slot, by: sign)
    }

    func countIdentifiers(_ slot: SlotIndex, by sign: Int64) {
        table.forEachFacet(slot) { facet, _ in countIdentifier(facet, by: sign) }
    }

    func countIdentifier(_ facet: FacetRef, by sign: Int64) {
        if table.flags(facet).isDisjoint(with: [.unlisted, .quarantine]) {
            statistics.countIdentifier(table.namespace(facet), by: sign)
        }
    }

    /// An event has carried this leaf as an identifier of its own: from now on it is listed.
    func list(_ facet: FacetRef) {
        let flags = table.flags(facet)
        guard flags.contains(.unlisted) else { return }
        table.setFlags(facet, flags.subtracting(.unlisted))
        countIdentifier(facet, by: 1)
    }

    // MARK: Checking

    /// Traps where a rule of the record states is broken. O(records).
    public func checkInvariants() {
        table.checkInvariants()
        table.forEachSlot { slot in
            let leaf = table.id(slot)
            precondition(leaf.shard == id, "record \(leaf.hex) in shard \(id.rawValue)")
            let bytes = table.profileBytes(slot)
            precondition(bytes <= FacetLimits.profileBytesMax, "a profile of \(bytes) bytes")
            switch table.state(slot) {
            case .root:
                precondition(
                    table.facetCount(slot) == 0 || table.hasFacet(slot, leaf),
                    "root \(leaf.hex) holds facets but not its own")
            case .sealed:
                precondition(table.parent(slot) < leaf, "sealed \(leaf.hex) into a higher id")
                precondition(table.hasFacet(slot, leaf), "sealed \(leaf.hex) without its own facet")
                precondition(ledger(slot).seal != nil, "sealed \(leaf.hex) without its link")
            case .forward:
                precondition(table.parent(slot) < leaf, "forward \(leaf.hex) to a higher id")
                precondition(table.facetCount(slot) == 0, "forward \(leaf.hex) with facets")
            }
        }
    }
}
