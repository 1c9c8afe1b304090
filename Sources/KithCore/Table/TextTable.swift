internal import KithBytes

/// Texts interned as numbers, counted by use.
///
/// A number is given back with its last use, so what the table holds follows from what the records
/// hold and from nothing else. Numbers themselves may differ between replicas; they never leave
/// the table. Numbers below `reservedCount` are those of the reserved texts, which are there from
/// the first use of the table on and are never given back.
///
/// An entry is 16 bytes: text offset u32, text bytes u16, spare u16, uses u32, hash u32. A free one
/// has the next free number in place of its offset, and no uses. Texts lie one after another and
/// are rewritten when half of them is unused. The index is linear probing with shift-back removal,
/// as in `RecordIndex`. Texts come from strangers, so they are hashed with the cluster's key:
/// nobody who does not hold it can make them meet. Before it hashes, a search looks at the text
/// that was found last among those of the same length and ends: names come again and again.
struct TextTable: ~Copyable, Sendable {
    /// Bytes of one text.
    static let textBytesMax = Int(UInt16.max)
    /// Bytes of all texts of a table, those given back and not yet overwritten included.
    static let bytesMax = Int(UInt32.max)
    private static let entryBytes = 16
    private static let none = UInt32.max

    private let key: HashKey
    private let reserved: [StaticString]
    /// Texts at most, reserved ones not counted.
    private let limit: Int
    private var entries = MemoryRegion()
    private var texts = MemoryRegion()
    private var places = MemoryRegion()
    private var placeCount = 0
    /// Numbers ever used: those in use and free ones.
    private(set) var entryCount = 0
    private var firstFree = TextTable.none
    private var textsUsed = 0
    private var textsUnused = 0
    private var held = 0
    /// Numbers found lately, by `recentPlace`. Numbers of other texts, and of none, are possible.
    private var recent = MemoryRegion()
    private static let recentCount = 16

    /// Texts in use; reserved ones are not counted.
    var count: Int { max(0, held - reserved.count) }
    var reservedCount: UInt32 { UInt32(reserved.count) }

    /// `limit` is below 2³² - 1 with the reserved texts, which differ from each other.
    init(key: HashKey, limit: Int = Int(UInt32.max) - 256, reserved: [StaticString] = []) {
        self.key = key
        self.limit = limit
        self.reserved = reserved
    }

    var memoryBytes: Int {
        entries.byteCount + texts.byteCount + places.byteCount + recent.byteCount
    }

    private func hash(_ text: RawSpan) -> UInt32 {
        UInt32(truncatingIfNeeded: SipHash64.hash(text, key: key))
    }

    private func place(_ index: Int) -> UInt32 { places.u32(at: index &* 4) }
    private func entry(_ id: UInt32) -> Int { Int(id) &* Self.entryBytes }
    private func hashOf(_ id: UInt32) -> UInt32 { entries.u32(at: entry(id) &+ 12) }
    func uses(_ id: UInt32) -> UInt32 { entries.u32(at: entry(id) &+ 8) }

    /// The text of a number in use.
    @_lifetime(borrow self)
    func text(_ id: UInt32) -> RawSpan {
        let entry = entry(id)
        return texts.bytes(
            at: Int(entries.u32(at: entry)), count: Int(entries.u16(at: entry &+ 4)))
    }

    /// How many bytes the text of a number in use has.
    func byteCount(_ id: UInt32) -> Int { Int(entries.u16(at: entry(id) &+ 4)) }

    func find(_ text: RawSpan) -> UInt32? {
        if placeCount == 0 { return nil }
        return findRecent(text) ?? find(text, hash(text))
    }

    /// As `find`; a search for the same text finds it sooner.
    mutating func findAndRemember(_ text: RawSpan) -> UInt32? {
        if placeCount == 0 { return nil }
        if let id = findRecent(text) { return id }
        guard let id = find(text, hash(text)) else { return nil }
        recent.store(id, at: Self.recentPlace(text) &* 4)
        return id
    }

    private static func recentPlace(_ text: RawSpan) -> Int {
        let count = text.byteCount
        if count == 0 { return 0 }
        return (Int(text[0] &+ text[count &- 1] &* 5) &+ count) & (recentCount &- 1)
    }

    private func findRecent(_ text: RawSpan) -> UInt32? {
        let id = recent.u32(at: Self.recentPlace(text) &* 4)
        guard id < entryCount, uses(id) > 0, self.text(id).isEqual(to: text) else { return nil }
        return id
    }

    private func find(_ text: RawSpan, _ hash: UInt32) -> UInt32? {
        guard placeCount > 0 else { return nil }
        let mask = placeCount &- 1
        var index = Int(hash) & mask
        while true {
            let id = place(index)
            if id == Self.none { return nil }
            if hashOf(id) == hash, self.text(id).isEqual(to: text) { return id }
            index = (index &+ 1) & mask
        }
    }

    /// How many places of the index a search for a text in use looks at; for tests.
    func looks(for text: RawSpan) -> Int {
        guard let id = find(text) else { return 0 }
        var index = Int(hashOf(id)) & (placeCount - 1)
        var looks = 1
        while place(index) != id {
            index = (index + 1) & (placeCount - 1)
            looks += 1
        }
        return looks
    }

    /// The number of `text` with one more use; `nil` when the table is full or the text too long.
    mutating func retain(_ text: RawSpan) -> UInt32? {
        if entryCount == 0 { addReserved() }
        if placeCount > 0, let id = findRecent(text) {
            retain(id)
            return id
        }
        let hash = hash(text)
        guard let id = find(text, hash) ?? add(text, hash) else { return nil }
        recent.store(id, at: Self.recentPlace(text) &* 4)
        retain(id)
        return id
    }

    /// As `retain`, of a text that `find` gave that number, or none.
    mutating func retain(_ text: RawSpan, knownAs known: UInt32?) -> UInt32? {
        guard let known else { return retain(text) }
        retain(known)
        return known
    }

    /// One more use of a text.
    mutating func retain(_ id: UInt32) {
        guard id >= reservedCount else { return }
        entries.store(uses(id) + 1, at: entry(id) + 8)
    }

    /// One use less; the last one takes the text out.
    mutating func release(_ id: UInt32) {
        guard id >= reservedCount else { return }
        let left = uses(id) - 1
        entries.store(left, at: entry(id) + 8)
        if left == 0 { remove(id) }
    }

    private mutating func addReserved() {
        for number in reserved.indices {
            let text = RawSpan.constant(reserved[number])
            guard let id = add(text, hash(text), isReserved: true), Int(id) == number else {
                preconditionFailure("reserved text \(number) is not new")
            }
            entries.store(UInt32(1), at: entry(id) + 8)
        }
    }

    private mutating func add(_ text: RawSpan, _ hash: UInt32, isReserved: Bool = false) -> UInt32?
    {
        guard isReserved || count < limit, text.byteCount <= Self.textBytesMax else { return nil }
        if textsUsed + text.byteCount > Self.bytesMax {
            guard textsUsed - textsUnused + text.byteCount <= Self.bytesMax else { return nil }
            rewriteTexts()
        }
        let id: UInt32
        if firstFree != Self.none {
            id = firstFree
            firstFree = entries.u32(at: entry(id))
        } else {
            id = UInt32(entryCount)
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
        let entry = entry(id)
        entries.store(UInt32(textsUsed), at: entry)
        entries.store(UInt16(text.byteCount), at: entry + 4)
        entries.store(UInt32(0), at: entry + 8)
        entries.store(hash, at: entry + 12)
        textsUsed += text.byteCount
        held += 1
        if held * 4 > placeCount * 3 { growPlaces() }
        enter(id)
        return id
    }

    private mutating func enter(_ id: UInt32) {
        let mask = placeCount - 1
        var index = Int(hashOf(id)) & mask
        while place(index) != Self.none { index = (index + 1) & mask }
        places.store(id, at: index * 4)
    }

    /// Doubles the index. O(texts).
    private mutating func growPlaces() {
        if placeCount == 0 { recent.resize(to: Self.recentCount * 4) }
        placeCount = max(8, placeCount * 2)
        places = MemoryRegion(byteCount: placeCount * 4)
        for index in 0..<placeCount { places.store(Self.none, at: index * 4) }
        // The text that asked for this has no use yet, and is entered by itself.
        for id in 0..<UInt32(entryCount) where uses(id) > 0 { enter(id) }
    }

    private mutating func remove(_ id: UInt32) {
        let mask = placeCount - 1
        var hole = Int(hashOf(id)) & mask
        while place(hole) != id {
            precondition(place(hole) != Self.none, "text \(id) is not in the index")
            hole = (hole + 1) & mask
        }
        var next = (hole + 1) & mask
        while place(next) != Self.none {
            let distance = (next - Int(hashOf(place(next)))) & mask
            if distance >= (next - hole) & mask {
                places.store(place(next), at: hole * 4)
                hole = next
            }
            next = (next + 1) & mask
        }
        places.store(Self.none, at: hole * 4)
        textsUnused += byteCount(id)
        entries.store(firstFree, at: entry(id))
        firstFree = id
        held -= 1
        if textsUnused > 1_024, textsUnused > textsUsed / 2 { rewriteTexts() }
    }

    private mutating func rewriteTexts() {
        var fresh = MemoryRegion(byteCount: max(64, textsUsed - textsUnused))
        var used = 0
        for id in 0..<UInt32(entryCount) where uses(id) > 0 {
            let length = byteCount(id)
            fresh.copy(from: texts, at: Int(entries.u32(at: entry(id))), to: used, count: length)
            entries.store(UInt32(used), at: entry(id))
            used += length
        }
        texts = fresh
        textsUsed = used
        textsUnused = 0
    }

    /// Traps unless every text in use is found again and the counts agree with `counted`, which
    /// holds the uses of every number as the caller counted them.
    func checkInvariants(counted: [UInt32]) {
        var live = 0
        for id in 0..<UInt32(entryCount) {
            let isReserved = id < reservedCount
            let expected = Int(id) < counted.count && !isReserved ? counted[Int(id)] : 0
            precondition(
                uses(id) == (isReserved ? 1 : expected),
                "text \(id): \(uses(id)) uses, not \(expected)")
            guard uses(id) > 0 else { continue }
            live += 1
            precondition(find(text(id)) == id, "text \(id) is not found again")
        }
        precondition(live == held, "\(held) texts, \(live) in use")
        var free = 0
        var id = firstFree
        while id != Self.none {
            free += 1
            precondition(free <= entryCount, "the free list of texts is a circle")
            id = entries.u32(at: entry(id))
        }
        precondition(live + free == entryCount, "texts lost: \(entryCount)")
    }
}
