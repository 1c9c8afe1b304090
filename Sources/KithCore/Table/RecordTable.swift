public import KithBytes

/// Every record of one shard: a hash table from leaf id to state, pointers and facets.
///
/// ```
///  index: UInt32 slots ──▶ slab: 64-byte slots ──▶ arena: payload blocks ──▶ names: texts by number
///  (RecordIndex)           (RecordSlab)            (PayloadArena)            (TextTable)
/// ```
///
/// There is no object, array, string or dictionary per record. A payload holds the record's facets
/// one after another, then its ledger; a record with neither has no payload. Invariant: every live
/// slot is in the index once, owns at most one block, shares it with nobody, and is in the expiry
/// bucket that its slot names or in none. The alternative, a class and two dictionaries a profile,
/// was measured at 643 bytes and a quarter of the speed.
///
/// Slots are stable until `remove`. Folds, encodings, the order of an expiry bucket and what is
/// refused as a limit follow from what the records hold, so they are the same on every replica at
/// one log index, restored from a snapshot or not. Slot numbers, and with them slab order, follow
/// from the order of inserts and removals. An empty table owns no memory.
public struct RecordTable: ~Copyable, Sendable {
    var slab = RecordSlab()
    var index = RecordIndex()
    var arena = PayloadArena()
    /// Names of events (`EventNames`).
    var events: TextTable
    /// Names of traits.
    var names: NameTable
    /// Spaces and namespaces.
    var scopes: NameTable
    /// One for each day on which something is filed, by day.
    var buckets: [ExpiryBucket] = []
    private let inPlace = InPlace()

    /// An empty table, whose names are hashed with `key`. It interns at most `namesMax` names of
    /// traits, and of spaces and namespaces together.
    public init(key: HashKey, namesMax: Int = RecordTable.namesMax) {
        events = EventNames.table(key: key)
        names = NameTable(key: key, limit: namesMax)
        scopes = NameTable(key: key, limit: namesMax)
    }

    /// Names that a table interns of each kind; further ones are spelt out where they are used.
    public static let namesMax = NameTable.namesMax

    /// Records of any state.
    public var count: Int { slab.live }

    /// Bytes of memory owned, whether used or spare; of small arrays what they hold, since their
    /// spare is the allocator's choice, and what a node says must be a function of its history.
    public var memoryBytes: Int {
        MemoryLayout<Self>.size + slab.region.byteCount + arena.memoryBytes
            + index.region.byteCount + events.memoryBytes + names.memoryBytes
            + scopes.memoryBytes
            + buckets.count * MemoryLayout<ExpiryBucket>.stride
    }

    /// The record of a leaf.
    public func find(_ id: LeafID) -> SlotIndex? {
        index.find(id, in: slab).map { SlotIndex(rawValue: $0) }
    }

    /// A new root without facets, with an empty ledger. The id must be absent.
    public mutating func insert(_ id: LeafID) -> SlotIndex {
        precondition(index.find(id, in: slab) == nil, "record \(id.hex) is present")
        let slot = slab.allocate(id)
        index.insert(slot, in: slab)
        return SlotIndex(rawValue: slot)
    }

    /// Takes the record out of the table and of its expiry bucket, and frees its payload.
    public mutating func remove(_ slot: SlotIndex) {
        requireLive(slot)
        unfile(slot)
        releaseNames(slot)
        freePayload(slot)
        index.remove(slot.rawValue, in: slab)
        slab.free(slot.rawValue)
        if arena.isMostlyFree { rewriteArena(roomFor: nil) }
    }

    /// Every record, in slab order.
    func forEachSlot(_ body: (SlotIndex) -> Void) {
        for slot in 0..<slab.used where slab.isLive(slot) { body(SlotIndex(rawValue: slot)) }
    }

    /// Slots that were ever used, of live records and free ones: those of the slab from 0 on.
    var slotsUsed: UInt32 { slab.used }

    /// The record in that slot; nil where it is free.
    func record(atSlot slot: UInt32) -> SlotIndex? {
        slab.isLive(slot) ? SlotIndex(rawValue: slot) : nil
    }

    func requireLive(_ slot: SlotIndex) {
        precondition(slab.isLive(slot.rawValue), "slot \(slot.rawValue) holds no record")
    }
}

// MARK: - The fixed part of a record

extension RecordTable {
    public func id(_ slot: SlotIndex) -> LeafID { slab.id(slot.rawValue) }

    public func state(_ slot: SlotIndex) -> RecordState { slab.state(slot.rawValue) }

    /// A record that stops being a root leaves its expiry bucket.
    mutating func setState(_ slot: SlotIndex, _ state: RecordState) {
        requireLive(slot)
        if state != .root { unfile(slot) }
        slab.setState(slot.rawValue, state)
    }

    /// Where a sealed record or a forward points; zero until it is set.
    public func parent(_ slot: SlotIndex) -> LeafID {
        slab.isFiled(slot.rawValue) ? LeafID(high: 0, low: 0) : slab.parent(slot.rawValue)
    }

    /// A record that gets a parent leaves its expiry bucket; filing it again loses the parent.
    mutating func setParent(_ slot: SlotIndex, _ parent: LeafID) {
        requireLive(slot)
        unfile(slot)
        slab.setParent(slot.rawValue, parent)
    }

    /// The operation that sealed the record.
    public func version(_ slot: SlotIndex) -> OperationIndex {
        OperationIndex(rawValue: slab.version(slot.rawValue))
    }

    mutating func setVersion(_ slot: SlotIndex, _ version: OperationIndex) {
        slab.setVersion(slot.rawValue, version.rawValue)
    }

    public func facetCount(_ slot: SlotIndex) -> Int { slab.facetCount(slot.rawValue) }

    /// The greatest last seen of the record's facets; `Int64.min` with none. O(1).
    public func lastSeen(_ slot: SlotIndex) -> Int64 { slab.lastSeen(slot.rawValue) }
}
