internal import KithBytes

/// Texts interned as 16-bit numbers, counted by use.
///
/// A number is given back with its last use, so what the table holds follows from what the records
/// hold and from nothing else: two replicas at one log index agree on when it is full, whatever
/// each of them has seen or restored before. Numbers themselves may differ between replicas; they
/// never leave the table.
///
/// An entry is 16 bytes: text offset u32, text bytes u16, spare u16, uses u32, hash u32. Texts lie
/// one after another and are rewritten when half of them is unused. The index is linear probing
/// with shift-back removal, as in `RecordIndex`.
struct NameTable: ~Copyable, Sendable {
    /// Names at most; with "(other)" 65,535.
    static let namesMax = 65_534
    /// The number that stands for "(other)": event names that found no room count under it, and
    /// a trait or a facet that has it spells its name out. Never counted, never given back.
    static let other: UInt16 = .max
    /// Longer texts are never interned.
    static let nameBytesMax = 4_096
    private static let entryBytes = 16
    private static let emptyPlace: UInt16 = .max

    private var entries = MemoryRegion()
    private var texts = MemoryRegion()
    private var places = MemoryRegion()
    private var placeCount = 0
    private(set) var entryCount = 0
    private var freeIDs: [UInt16] = []
    private var textsUsed = 0
    private var textsUnused = 0
    /// Names in use.
    private(set) var count = 0
    private let limit: Int
    private static let otherText: StaticString = "(other)"

    init(limit: Int = NameTable.namesMax) { self.limit = limit }

    var memoryBytes: Int {
        entries.byteCount + texts.byteCount + places.byteCount + freeIDs.count * 2
    }

    private static func hash(_ text: RawSpan) -> UInt32 {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(text.byteCount)
        var offset = 0
        while offset + 8 <= text.byteCount {
            let word = unsafe text.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
            state = mix(state ^ word)
            offset += 8
        }
        var tail: UInt64 = 0
        while offset < text.byteCount {
            tail = tail << 8 | UInt64(text[offset])
            offset += 1
        }
        return UInt32(truncatingIfNeeded: mix(state ^ tail))
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
        return product.high ^ product.low
    }

    private func place(_ index: Int) -> UInt16 { places.u16(at: index &* 2) }
    private func hashOf(_ id: UInt16) -> UInt32 { entries.u32(at: Int(id) * Self.entryBytes + 12) }
    func uses(_ id: UInt16) -> UInt32 { entries.u32(at: Int(id) * Self.entryBytes + 8) }

    /// The text of a name in use.
    @_lifetime(borrow self)
    func text(_ id: UInt16) -> RawSpan {
        if id == Self.other { return RawSpan.constant(Self.otherText) }
        let entry = Int(id) * Self.entryBytes
        let offset = Int(entries.u32(at: entry))
        return texts.bytes(at: offset, count: Int(entries.u16(at: entry + 4)))
    }

    func find(_ text: RawSpan) -> UInt16? {
        if text.isEqual(to: .constant(Self.otherText)) { return Self.other }
        guard placeCount > 0 else { return nil }
        let hash = Self.hash(text)
        var index = Int(hash) & (placeCount &- 1)
        while true {
            let id = place(index)
            if id == Self.emptyPlace { return nil }
            if hashOf(id) == hash, self.text(id).isEqual(to: text) { return id }
            index = (index &+ 1) & (placeCount &- 1)
        }
    }

    /// The number of `text` with one more use; `nil` when the table is full or the text too long.
    /// `other` for the text "(other)".
    mutating func retain(_ text: RawSpan) -> UInt16? {
        guard let id = find(text) ?? add(text) else { return nil }
        retain(id)
        return id
    }

    /// One more use of a name.
    mutating func retain(_ id: UInt16) {
        guard id != Self.other else { return }
        entries.store(uses(id) + 1, at: Int(id) * Self.entryBytes + 8)
    }

    /// One use less; the last one takes the name out.
    mutating func release(_ id: UInt16) {
        guard id != Self.other else { return }
        let left = uses(id) - 1
        entries.store(left, at: Int(id) * Self.entryBytes + 8)
        if left == 0 { remove(id) }
    }

    private mutating func add(_ text: RawSpan) -> UInt16? {
        guard count < limit, text.byteCount <= Self.nameBytesMax else { return nil }
        let id: UInt16
        if let free = freeIDs.popLast() {
            id = free
        } else {
            id = UInt16(entryCount)
            entryCount += 1
            let needed = entryCount * Self.entryBytes
            if needed > entries.byteCount {
                entries.grow(toHold: needed, smallest: 64)
            }
        }
        let needed = textsUsed + text.byteCount
        if needed > texts.byteCount {
            texts.grow(toHold: needed, smallest: 64)
        }
        texts.store(bytes: text, at: textsUsed)
        let entry = Int(id) * Self.entryBytes
        entries.store(UInt32(textsUsed), at: entry)
        entries.store(UInt16(text.byteCount), at: entry + 4)
        entries.store(UInt32(0), at: entry + 8)
        entries.store(Self.hash(text), at: entry + 12)
        textsUsed += text.byteCount
        count += 1
        if count * 4 > placeCount * 3 { growPlaces() } else { enter(id) }
        return id
    }

    private mutating func enter(_ id: UInt16) {
        var index = Int(hashOf(id)) & (placeCount - 1)
        while place(index) != Self.emptyPlace { index = (index + 1) & (placeCount - 1) }
        places.store(id, at: index * 2)
    }

    private mutating func growPlaces() {
        placeCount = max(8, placeCount * 2)
        places = MemoryRegion(byteCount: placeCount * 2)
        for index in 0..<placeCount { places.store(Self.emptyPlace, at: index * 2) }
        let free = Set(freeIDs)
        for id in 0..<UInt16(entryCount) where !free.contains(id) { enter(id) }
    }

    private mutating func remove(_ id: UInt16) {
        let mask = placeCount - 1
        var hole = Int(hashOf(id)) & mask
        while place(hole) != id {
            precondition(place(hole) != Self.emptyPlace, "name \(id) is not in the index")
            hole = (hole + 1) & mask
        }
        var next = (hole + 1) & mask
        while place(next) != Self.emptyPlace {
            let distance = (next - Int(hashOf(place(next)))) & mask
            if distance >= (next - hole) & mask {
                places.store(place(next), at: hole * 2)
                hole = next
            }
            next = (next + 1) & mask
        }
        places.store(Self.emptyPlace, at: hole * 2)
        textsUnused += text(id).byteCount
        freeIDs.append(id)
        count -= 1
        if textsUnused > 1_024, textsUnused > textsUsed / 2 { rewriteTexts() }
    }

    private mutating func rewriteTexts() {
        var fresh = MemoryRegion(byteCount: max(64, textsUsed - textsUnused))
        var used = 0
        for index in 0..<entryCount where uses(UInt16(index)) > 0 {
            let entry = index * Self.entryBytes
            let length = Int(entries.u16(at: entry + 4))
            fresh.copy(from: texts, at: Int(entries.u32(at: entry)), to: used, count: length)
            entries.store(UInt32(used), at: entry)
            used += length
        }
        texts = fresh
        textsUsed = used
        textsUnused = 0
    }

    /// Traps unless every name in use is found again and the counts agree with `counted`, which
    /// holds the uses of every number as the caller counted them.
    func checkInvariants(counted: [UInt32]) {
        var live = 0
        for index in 0..<entryCount {
            let id = UInt16(index)
            let expected = index < counted.count ? counted[index] : 0
            precondition(uses(id) == expected, "name \(id): \(uses(id)) uses, not \(expected)")
            guard expected > 0 else { continue }
            live += 1
            precondition(find(text(id)) == id, "name \(id) is not found again")
        }
        precondition(live == count, "\(count) names, \(live) in use")
        precondition(live + freeIDs.count == entryCount, "names lost: \(entryCount)")
    }
}
