internal import KithBytes

/// From leaf id to slot: open addressing over 32-bit slot numbers, about six bytes a record.
///
/// Linear probing from the home of the id, no tombstones: a removal shifts back what probed past
/// it, so that a search may stop at the first empty place. At most three quarters are taken. Keys
/// stay in the slab; ids are keyed hashes already, so one multiplication spreads them.
struct RecordIndex: ~Copyable, Sendable {
    static let empty = UInt32.max
    private static let smallest = 8

    private(set) var region = MemoryRegion()
    private(set) var capacity = 0
    private(set) var count = 0

    /// Ids with equal keys collide at every size.
    static func key(_ id: LeafID) -> UInt64 {
        id.low ^ id.high &* 0x9E37_79B9_7F4A_7C15
    }

    private func home(_ id: LeafID) -> Int {
        let mixed = Self.key(id) &* 0xD6E8_FEB8_6659_FD93
        return Int((mixed >> 32) & UInt64(capacity &- 1))
    }

    private func entry(_ place: Int) -> UInt32 { region.u32(at: place &* 4) }
    private mutating func setEntry(_ place: Int, _ slot: UInt32) {
        region.store(slot, at: place &* 4)
    }

    func find(_ id: LeafID, in slab: borrowing RecordSlab) -> UInt32? {
        guard count > 0 else { return nil }
        var place = home(id)
        while true {
            let slot = entry(place)
            if slot == Self.empty { return nil }
            if slab.id(slot) == id { return slot }
            place = (place &+ 1) & (capacity &- 1)
        }
    }

    /// Adds a slot whose id is not in the index. O(1), and O(n) when it grows.
    mutating func insert(_ slot: UInt32, in slab: borrowing RecordSlab) {
        if (count + 1) * 4 > capacity * 3 { grow(slab) }
        place(slot, slab)
        count += 1
    }

    private mutating func place(_ slot: UInt32, _ slab: borrowing RecordSlab) {
        var place = home(slab.id(slot))
        while entry(place) != Self.empty { place = (place &+ 1) & (capacity &- 1) }
        setEntry(place, slot)
    }

    private mutating func grow(_ slab: borrowing RecordSlab) {
        let oldCapacity = capacity
        capacity = max(Self.smallest, oldCapacity * 2)
        var old = MemoryRegion(byteCount: capacity * 4)
        swap(&old, &region)
        for place in 0..<capacity { setEntry(place, Self.empty) }
        for place in 0..<oldCapacity {
            let slot = old.u32(at: place * 4)
            if slot != Self.empty { self.place(slot, slab) }
        }
    }

    /// Takes a slot out, whose id must still be readable in the slab.
    mutating func remove(_ slot: UInt32, in slab: borrowing RecordSlab) {
        let mask = capacity - 1
        var hole = home(slab.id(slot))
        while entry(hole) != slot {
            precondition(entry(hole) != Self.empty, "slot \(slot) is not in the index")
            hole = (hole + 1) & mask
        }
        var next = (hole + 1) & mask
        while entry(next) != Self.empty {
            let distance = (next &- home(slab.id(entry(next)))) & mask
            if distance >= (next &- hole) & mask {
                setEntry(hole, entry(next))
                hole = next
            }
            next = (next + 1) & mask
        }
        setEntry(hole, Self.empty)
        count -= 1
    }

    /// How many places hold a slot number: for the invariant check.
    func countedEntries() -> Int {
        (0..<capacity).count { entry($0) != Self.empty }
    }
}
