public import KithBytes

/// What a record knows beside its facets, and keeps when they are dropped.
///
///  * `absorbed`: the seals whose facets this record took in, or declined. A late
///    second copy of an absorb is answered from it. An entry leaves once its version is below the
///    settled mark of its group.
///  * `remembered`: of dropped leaves, the time they were forgotten at and whether they were
///    contested. A leaf that was neither is not listed.
///  * `releases`: dropped leaves whose home record still has to hear of it.
///  * `refusals`: the last links refused, so that a shared device's every event need not travel.
///  * `seal`: while the record is sealed, what its absorb needs besides the facets.
///
/// Expiry and erasing drop facets, never the ledger. A record without facets and with an empty
/// ledger is absent.
///
///     u8 present parts (1 absorbed, 2 remembered, 4 releases, 8 refusals, 16 seal); then of each
///     part present, in that order, u32 count and the entries (the seal: no count)
///     absorbed    leaf 16 · version u64 · group u16 · declined u8
///     remembered  leaf 16 · forget time i64 (least value: never) · contested u8
///     release     leaf 16 · version u64
///     refusal     first 16 · other 16 · rule u8 · time i64
///     seal        see `SealNote`
public struct Ledger: Equatable, Sendable {
    /// A seal whose facets this record took in or declined.
    public struct Absorbed: Equatable, Sendable {
        public var leaf: LeafID
        public var version: OperationIndex
        /// The group that logged the seal: whose mark retires the entry.
        public var group: GroupID
        /// There was no room for the facets: they stay where they are.
        public var isDeclined: Bool
    }

    /// What outlives a dropped leaf.
    struct Remembered: Equatable, Sendable {
        public var leaf: LeafID
        /// Events up to this time are forgotten; `never` where the leaf only expired.
        public var forgetTime: Int64
        public var isContested: Bool
        public static let never = Int64.min
    }

    /// A dropped leaf whose home still has to hear of it.
    public struct Release: Equatable, Sendable {
        public var leaf: LeafID
        /// The seal by which the leaf's home became a Forward.
        public var version: OperationIndex
    }

    /// A link that was refused, and when it was last asked for.
    public struct Refusal: Equatable, Sendable {
        public var first: LeafID
        public var other: LeafID
        public var rule: RefusalRule
        public var time: LogTime
    }

    public var absorbed: [Absorbed] = []
    var remembered: [Remembered] = []
    var releases: [Release] = []
    public var refusals: [Refusal] = []
    public var seal: SealNote?

    /// Refusals kept a record; the oldest goes first.
    static let refusalsMax = 32

    /// Absorbed seals and dropped leaves that two records may have together, to be linked. Links
    /// under way side by side may pass it by their number, and so may the drop of the profile that
    /// came together, by its leaves: an absorb and a release have room for four times as many.
    public static let entriesMax = 16_384

    public init() {}

    /// What of it travels with a release: what it remembers, and nothing that its record has to do.
    var withoutDuties: Ledger {
        var ledger = self
        ledger.releases = []
        ledger.refusals = []
        ledger.seal = nil
        return ledger
    }

    /// Absorbed seals and dropped leaves.
    var entryCount: Int { absorbed.count + remembered.count }

    public var isEmpty: Bool {
        absorbed.isEmpty && remembered.isEmpty && releases.isEmpty && refusals.isEmpty
            && seal == nil
    }

    /// What became of a seal's absorb here.
    public func absorbed(_ leaf: LeafID, _ version: OperationIndex) -> Absorbed? {
        absorbed.first { $0.leaf == leaf && $0.version == version }
    }

    func remembered(_ leaf: LeafID) -> Remembered? {
        remembered.first { $0.leaf == leaf }
    }

    public mutating func insert(absorbed entry: Absorbed) {
        if absorbed(entry.leaf, entry.version) == nil { absorbed.append(entry) }
    }

    /// Takes the greater forget time and either contested flag. An entry that says nothing is not
    /// kept.
    mutating func remember(_ entry: Remembered) {
        if let at = remembered.firstIndex(where: { $0.leaf == entry.leaf }) {
            remembered[at].forgetTime = max(remembered[at].forgetTime, entry.forgetTime)
            remembered[at].isContested = remembered[at].isContested || entry.isContested
        } else if entry.forgetTime != Remembered.never || entry.isContested {
            remembered.append(entry)
        }
    }

    public mutating func insert(release entry: Release) {
        if !releases.contains(entry) { releases.append(entry) }
    }

    /// The union that absorb and release make: everything that must survive a move.
    public mutating func formUnion(_ other: Ledger) {
        for entry in other.absorbed { insert(absorbed: entry) }
        for entry in other.remembered { remember(entry) }
        for entry in other.releases { insert(release: entry) }
    }

    /// Drops the absorbed entries that no copy of a message can name any more: those whose version
    /// is below the settled mark this group has heard of theirs.
    mutating func prune(marks: [OperationIndex]) {
        absorbed.removeAll { entry in
            Int(entry.group.rawValue) < marks.count
                && entry.version < marks[Int(entry.group.rawValue)]
        }
    }

    public func refusal(first: LeafID, other: LeafID) -> Refusal? {
        refusals.first { $0.first == first && $0.other == other }
    }

    /// Remembers a refusal; true when the pair and rule are new here.
    mutating func remember(_ refusal: Refusal) -> Bool {
        if let at = refusals.firstIndex(where: {
            $0.first == refusal.first && $0.other == refusal.other && $0.rule == refusal.rule
        }) {
            refusals[at].time = refusal.time
            return false
        }
        if refusals.count >= Self.refusalsMax { refusals.removeFirst() }
        refusals.append(refusal)
        return true
    }

    // MARK: Encoding

    public init(decoding reader: inout ByteReader) throws(ByteError) {
        guard !reader.isAtEnd else { return }
        let parts = try reader.u8()
        guard parts < 32 else { throw .unknownTag(parts, offset: reader.offset) }
        if parts & 1 != 0 {
            for _ in 0..<(try Self.count(&reader, entryBytes: 27)) {
                absorbed.append(
                    Absorbed(
                        leaf: try reader.leaf(),
                        version: OperationIndex(rawValue: try reader.u64()),
                        group: GroupID(try reader.u16()), isDeclined: try reader.u8() != 0))
            }
        }
        if parts & 2 != 0 {
            for _ in 0..<(try Self.count(&reader, entryBytes: 25)) {
                remembered.append(
                    Remembered(
                        leaf: try reader.leaf(), forgetTime: try reader.i64(),
                        isContested: try reader.u8() != 0))
            }
        }
        if parts & 4 != 0 {
            for _ in 0..<(try Self.count(&reader, entryBytes: 24)) {
                releases.append(
                    Release(
                        leaf: try reader.leaf(), version: OperationIndex(rawValue: try reader.u64())
                    ))
            }
        }
        if parts & 8 != 0 {
            for _ in 0..<(try Self.count(&reader, entryBytes: 41)) {
                let first = try reader.leaf()
                let other = try reader.leaf()
                let raw = try reader.u8()
                guard let rule = RefusalRule(rawValue: raw) else {
                    throw .unknownTag(raw, offset: reader.offset)
                }
                refusals.append(
                    Refusal(
                        first: first, other: other, rule: rule, time: LogTime(try reader.i64())))
            }
        }
        if parts & 16 != 0 { seal = try SealNote(decoding: &reader) }
    }

    /// A count, checked against the bytes that must follow before anything is allocated for it.
    static func count(_ reader: inout ByteReader, entryBytes: Int) throws(ByteError) -> Int {
        let count = Int(try reader.u32())
        guard count <= reader.remaining / entryBytes else {
            throw .tooLong(length: count, limit: reader.remaining / entryBytes)
        }
        return count
    }

    public func encode(into writer: inout ByteWriter) {
        guard !isEmpty else { return }
        var parts: UInt8 = 0
        if !absorbed.isEmpty { parts |= 1 }
        if !remembered.isEmpty { parts |= 2 }
        if !releases.isEmpty { parts |= 4 }
        if !refusals.isEmpty { parts |= 8 }
        if seal != nil { parts |= 16 }
        writer.u8(parts)
        if !absorbed.isEmpty {
            writer.u32(UInt32(absorbed.count))
            for entry in absorbed {
                writer.leaf(entry.leaf)
                writer.u64(entry.version.rawValue)
                writer.u16(entry.group.rawValue)
                writer.u8(entry.isDeclined ? 1 : 0)
            }
        }
        if !remembered.isEmpty {
            writer.u32(UInt32(remembered.count))
            for entry in remembered {
                writer.leaf(entry.leaf)
                writer.i64(entry.forgetTime)
                writer.u8(entry.isContested ? 1 : 0)
            }
        }
        if !releases.isEmpty {
            writer.u32(UInt32(releases.count))
            for entry in releases {
                writer.leaf(entry.leaf)
                writer.u64(entry.version.rawValue)
            }
        }
        if !refusals.isEmpty {
            writer.u32(UInt32(refusals.count))
            for entry in refusals {
                writer.leaf(entry.first)
                writer.leaf(entry.other)
                writer.u8(entry.rule.rawValue)
                writer.i64(entry.time.rawValue)
            }
        }
        seal?.encode(into: &writer)
    }
}

/// What a sealed record keeps for its absorb: the link that sealed it.
///
///     into 16 · event time i64 · flags u8 (1 alias, 2 was live, 4 winner's end is listed)
///     · winner's end 16 · text of the leaf sealed into (`IdentifierText`)
public struct SealNote: Equatable, Sendable {
    /// The leaf that the record was sealed into; never changes while it is sealed.
    public var into: LeafID
    /// Event time of the link: what a forget of `into` is compared with.
    public var eventTime: Int64
    /// The loser held facets before the seal, so that its absorb is a merge and not an attachment.
    var wasLive: Bool
    /// The link's end on the winner's side, and whether an event carried it as its own identifier.
    var winnerEnd: LeafID
    var winnerEndIsListed: Bool
    /// Labels the facet of `into`, should the absorb find it without one.
    var intoText: IdentifierText

    public init(
        into: LeafID, eventTime: Int64, wasLive: Bool, winnerEnd: LeafID, winnerEndIsListed: Bool,
        intoText: IdentifierText
    ) {
        self.into = into
        self.eventTime = eventTime
        self.wasLive = wasLive
        self.winnerEnd = winnerEnd
        self.winnerEndIsListed = winnerEndIsListed
        self.intoText = intoText
    }

    public init(decoding reader: inout ByteReader) throws(ByteError) {
        into = try reader.leaf()
        eventTime = try reader.i64()
        let flags = try reader.u8()
        wasLive = flags & 2 != 0
        winnerEndIsListed = flags & 4 != 0
        winnerEnd = try reader.leaf()
        intoText = try IdentifierText(decoding: &reader)
    }

    public func encode(into writer: inout ByteWriter) {
        writer.leaf(into)
        writer.i64(eventTime)
        writer.u8((wasLive ? 2 : 0) | (winnerEndIsListed ? 4 : 0))
        writer.leaf(winnerEnd)
        intoText.encode(into: &writer)
    }
}

extension ByteReader {
    @inlinable
    public mutating func leaf() throws(ByteError) -> LeafID {
        LeafID(high: try u64(), low: try u64())
    }
}

extension ByteWriter {
    @inlinable
    public mutating func leaf(_ leaf: LeafID) {
        u64(leaf.high)
        u64(leaf.low)
    }
}
