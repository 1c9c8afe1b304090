internal import KithBytes

/// The slots of a record table: 64 bytes each, one cache line, one after another.
///
/// | at | bytes | field |
/// |----|-------|-------|
/// | 0  | 16 | leaf id, high half first; in a free slot the next free slot, u32 |
/// | 16 | 16 | parent; while filed for expiry: day i32, next u32, previous u32 |
/// | 32 | 8  | version: the operation of its seal |
/// | 40 | 8  | last seen, the greatest of its facets; `Int64.min` with none |
/// | 48 | 4  | payload, in units of 16 bytes from the arena's start |
/// | 52 | 2  | facet count (13 bits), filed (1 bit), state (2 bits; 3 is a free slot) |
/// | 54 | 1  | size class of the payload; 255: it has none |
/// | 55 | 1  | spare |
/// | 56 | 4  | bytes of its profile, as `RecordTable.profileBytes` counts them |
/// | 60 | 4  | event names that its facets count, reserved ones not among them |
///
/// The parent shares its place with the expiry links, since only roots are filed and only sealed
/// records and forwards point. A freed slot is reused first, last freed first.
struct RecordSlab: ~Copyable, Sendable {
    static let slotBytes = 64
    static let facetCountMax = 0x1FFF
    static let noClass: UInt8 = 255
    static let none = UInt32.max

    private enum Field {
        static let parent = 16
        static let version = 32
        static let lastSeen = 40
        static let payload = 48
        static let word = 52
        static let sizeClass = 54
        static let profileBytes = 56
        static let eventNames = 60
        static let day = 16
        static let next = 20
        static let previous = 24
    }
    private static let filedBit: UInt16 = 1 << 13
    private static let stateShift: UInt16 = 14
    private static let freeState: UInt16 = 3

    private(set) var region = MemoryRegion()
    /// Slots ever used: live ones and free ones.
    private(set) var used: UInt32 = 0
    private(set) var live = 0
    private(set) var firstFree = RecordSlab.none

    /// A slot for a root without facets.
    mutating func allocate(_ id: LeafID) -> UInt32 {
        let slot: UInt32
        if firstFree != Self.none {
            slot = firstFree
            firstFree = region.u32(at: at(slot))
        } else {
            precondition(used < Self.none - 1, "\(used) slots")
            slot = used
            let needed = (Int(used) + 1) * Self.slotBytes
            if needed > region.byteCount {
                region.grow(toHold: needed, smallest: 2 * Self.slotBytes)
            }
            used += 1
        }
        live += 1
        let base = at(slot)
        region.store(id.high, at: base)
        region.store(id.low, at: base + 8)
        for field in stride(from: 16, to: Self.slotBytes, by: 8) {
            region.store(UInt64(0), at: base + field)
        }
        region.store(Int64.min, at: base + Field.lastSeen)
        region.store(Self.noClass, at: base + Field.sizeClass)
        return slot
    }

    mutating func free(_ slot: UInt32) {
        precondition(isLive(slot), "slot \(slot) is free")
        region.store(firstFree, at: at(slot))
        region.store(Self.freeState << Self.stateShift, at: at(slot) + Field.word)
        firstFree = slot
        live -= 1
    }

    func isLive(_ slot: UInt32) -> Bool {
        slot < used && word(slot) >> Self.stateShift != Self.freeState
    }

    private func at(_ slot: UInt32) -> Int { Int(slot) &* Self.slotBytes }
    private func word(_ slot: UInt32) -> UInt16 { region.u16(at: at(slot) + Field.word) }

    func id(_ slot: UInt32) -> LeafID {
        LeafID(high: region.u64(at: at(slot)), low: region.u64(at: at(slot) + 8))
    }

    func state(_ slot: UInt32) -> RecordState {
        guard let state = RecordState(rawValue: UInt8(word(slot) >> Self.stateShift)) else {
            preconditionFailure("slot \(slot) is free")
        }
        return state
    }

    mutating func setState(_ slot: UInt32, _ state: RecordState) {
        let rest = word(slot) & (1 << Self.stateShift - 1)
        region.store(
            rest | UInt16(state.rawValue) << Self.stateShift, at: at(slot) + Field.word)
    }

    func facetCount(_ slot: UInt32) -> Int { Int(word(slot)) & Self.facetCountMax }

    mutating func setFacetCount(_ slot: UInt32, _ count: Int) {
        precondition(count >= 0 && count <= Self.facetCountMax, "\(count) facets")
        let rest = word(slot) & ~UInt16(Self.facetCountMax)
        region.store(rest | UInt16(count), at: at(slot) + Field.word)
    }

    func isFiled(_ slot: UInt32) -> Bool { word(slot) & Self.filedBit != 0 }

    mutating func setFiled(_ slot: UInt32, _ isFiled: Bool) {
        let rest = word(slot) & ~Self.filedBit
        region.store(isFiled ? rest | Self.filedBit : rest, at: at(slot) + Field.word)
    }

    func parent(_ slot: UInt32) -> LeafID {
        let base = at(slot) + Field.parent
        return LeafID(high: region.u64(at: base), low: region.u64(at: base + 8))
    }

    mutating func setParent(_ slot: UInt32, _ parent: LeafID) {
        region.store(parent.high, at: at(slot) + Field.parent)
        region.store(parent.low, at: at(slot) + Field.parent + 8)
    }

    func version(_ slot: UInt32) -> UInt64 { region.u64(at: at(slot) + Field.version) }
    mutating func setVersion(_ slot: UInt32, _ version: UInt64) {
        region.store(version, at: at(slot) + Field.version)
    }

    func lastSeen(_ slot: UInt32) -> Int64 {
        region.load(Int64.self, at: at(slot) + Field.lastSeen)
    }
    mutating func setLastSeen(_ slot: UInt32, _ time: Int64) {
        region.store(time, at: at(slot) + Field.lastSeen)
    }

    func profileBytes(_ slot: UInt32) -> Int {
        Int(region.u32(at: at(slot) + Field.profileBytes))
    }
    mutating func setProfileBytes(_ slot: UInt32, _ count: Int) {
        region.store(UInt32(count), at: at(slot) + Field.profileBytes)
    }

    func eventNames(_ slot: UInt32) -> Int {
        Int(region.u32(at: at(slot) + Field.eventNames))
    }
    mutating func setEventNames(_ slot: UInt32, _ count: Int) {
        region.store(UInt32(count), at: at(slot) + Field.eventNames)
    }

    func payload(_ slot: UInt32) -> UInt32 { region.u32(at: at(slot) + Field.payload) }
    func sizeClass(_ slot: UInt32) -> UInt8 { region.u8(at: at(slot) + Field.sizeClass) }
    mutating func setPayload(_ slot: UInt32, _ unit: UInt32, sizeClass: UInt8) {
        region.store(unit, at: at(slot) + Field.payload)
        region.store(sizeClass, at: at(slot) + Field.sizeClass)
    }

    func day(_ slot: UInt32) -> Int32 { region.load(Int32.self, at: at(slot) + Field.day) }
    mutating func setDay(_ slot: UInt32, _ day: Int32) {
        region.store(day, at: at(slot) + Field.day)
    }
    func next(_ slot: UInt32) -> UInt32 { region.u32(at: at(slot) + Field.next) }
    mutating func setNext(_ slot: UInt32, _ next: UInt32) {
        region.store(next, at: at(slot) + Field.next)
    }
    func previous(_ slot: UInt32) -> UInt32 { region.u32(at: at(slot) + Field.previous) }
    mutating func setPrevious(_ slot: UInt32, _ previous: UInt32) {
        region.store(previous, at: at(slot) + Field.previous)
    }

    /// The next slot of the free list after `slot`; `none` at its end.
    func nextFree(_ slot: UInt32) -> UInt32 { region.u32(at: at(slot)) }
}
