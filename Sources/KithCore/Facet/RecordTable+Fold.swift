internal import KithBytes

// A profile as bytes, straight from its facets: what a read costs is what the answer is long. The
// format is that of `Profile`.

extension RecordTable {
    /// Appends the encoding of the profile that the record's facets make together: counters add,
    /// times are least and greatest, a trait is its greatest cell. The same facets give the same
    /// bytes in whatever order they came. Anonymous profiles expire `retentionMillis` after they
    /// were last seen. The record must hold a facet. O(payload log names).
    func encodeProfile(
        _ slot: SlotIndex, retentionMillis: Int64, into writer: inout ByteWriter
    ) {
        let id = id(slot)
        let facets = facetsByLeaf(slot)
        let isMember = id.identifierClass != .anonymous
        var firstSeen = Int64.max
        var isQuarantine = false
        var identifiers: [FoldedIdentifier] = []
        var counters: [FoldedCounter] = []
        var cells: [TraitCell] = []
        for facet in facets {
            let shape = shape(facet)
            firstSeen = min(firstSeen, self.firstSeen(facet))
            let flags = flags(facet)
            if flags.contains(.quarantine) { isQuarantine = true }
            if flags.isDisjoint(with: [.unlisted, .quarantine]) {
                identifiers.append(
                    FoldedIdentifier(
                        identifierClass: leaf(facet).identifierClass, shape: shape,
                        isContested: flags.contains(.contested)))
            }
            if counters.isEmpty { counters.reserveCapacity(shape.counterCount) }
            for index in 0..<shape.counterCount {
                let (name, count) = counter(index, shape)
                counters.append(
                    FoldedCounter(name: name, count: count, prefix: events.text(name).prefix8))
            }
            appendTraits(of: shape, to: &cells)
        }
        let lastSeen = lastSeen(slot)
        writer.u64(id.high)
        writer.u64(id.low)
        if let first = facets.first {
            writer.repaired16(spaceText(shape(first)))
        } else {
            writer.u16(0)
        }
        writer.u8(
            (isMember ? Profile.Flag.member : Profile.Flag.expires)
                | (isQuarantine ? Profile.Flag.quarantine : 0))
        writer.i64(firstSeen)
        writer.i64(lastSeen)
        if !isMember {
            let (expiresAt, overflow) = lastSeen.addingReportingOverflow(retentionMillis)
            writer.i64(overflow ? Int64.max : expiresAt)
        }
        let total = counters.reduce(0 as UInt64) { $0.addingSaturated($1.count) }
        writer.u64(total)
        encode(&identifiers, into: &writer)
        encode(&cells, into: &writer)
        encode(&counters, into: &writer)
    }

    private struct FoldedIdentifier {
        var identifierClass: IdentifierClass
        var shape: FacetShape
        var isContested: Bool
    }

    private struct FoldedCounter {
        var name: UInt32
        var count: UInt64
        /// The name's first bytes as a number, which decides most comparisons.
        var prefix: UInt64
    }

    private func encode(
        _ identifiers: inout [FoldedIdentifier], into writer: inout ByteWriter
    ) {
        identifiers.sortFew { precedes($0, $1) }
        writer.u32(UInt32(identifiers.count))
        for identifier in identifiers {
            writer.u8(identifier.identifierClass.rawValue)
            writer.u8(identifier.isContested ? 1 : 0)
            writer.repaired16(namespaceText(identifier.shape))
            withValue(identifier.shape) { writer.repaired16($0) }
        }
    }

    /// By class, then namespace, then value, bytewise.
    private func precedes(_ a: FoldedIdentifier, _ b: FoldedIdentifier) -> Bool {
        if a.identifierClass != b.identifierClass { return a.identifierClass < b.identifierClass }
        let order = namespaceText(a.shape).compare(namespaceText(b.shape))
        if order != 0 { return order < 0 }
        return withValue(a.shape) { first in
            withValue(b.shape) { first.compare($0) < 0 }
        }
    }

    private func encode(_ counters: inout [FoldedCounter], into writer: inout ByteWriter) {
        counters.sortFew {
            if $0.prefix != $1.prefix { return $0.prefix < $1.prefix }
            return $0.name != $1.name && events.text($0.name).compare(events.text($1.name)) < 0
        }
        let place = writer.count
        writer.u32(0)
        var written: UInt32 = 0
        var index = 0
        while index < counters.count {
            let name = counters[index].name
            var sum: UInt64 = 0
            while index < counters.count, counters[index].name == name {
                sum = sum.addingSaturated(counters[index].count)
                index += 1
            }
            writer.repaired16(events.text(name))
            writer.u64(sum)
            written += 1
        }
        writer.patchU32(written, at: place)
    }

    private func encode(_ cells: inout [TraitCell], into writer: inout ByteWriter) {
        cells.sortFew {
            let order = nameText($0).compare(nameText($1))
            return order != 0 ? order < 0 : compare($0, $1) > 0
        }
        let place = writer.count
        writer.u32(0)
        var written: UInt32 = 0
        for index in cells.indices {
            let cell = cells[index]
            if index > 0, nameText(cells[index - 1]).isEqual(to: nameText(cell)) { continue }
            let value = valueBytes(cell)
            if value.byteCount == 1, value[0] == Profile.deletion { continue }
            writer.repaired16(nameText(cell))
            writer.bytes32(value)
            written += 1
        }
        writer.patchU32(written, at: place)
    }
}

extension RawSpan {
    /// The first eight bytes, big-endian, as if zeros followed: numbers in the order of the bytes,
    /// but for those that only what follows tells apart.
    fileprivate var prefix8: UInt64 {
        var number: UInt64 = 0
        for index in 0..<Swift.min(8, byteCount) {
            number |= UInt64(self[index]) << UInt64(56 - 8 * index)
        }
        return number
    }
}

extension ByteWriter {
    /// A 16-bit length and the text, repaired where it is no UTF-8.
    fileprivate mutating func repaired16(_ text: RawSpan) {
        if text.isUTF8() { bytes16(text) } else { text16(text.repairedText()) }
    }
}

extension Array {
    /// Sorts. Made for lists of a few entries: what `sort` costs beside the comparisons is most of
    /// it there.
    @inline(__always)
    fileprivate mutating func sortFew(_ precedes: (Element, Element) -> Bool) {
        guard count > 1 else { return }
        guard count <= 24 else { return sort(by: precedes) }
        for end in 1..<count {
            let entry = self[end]
            var place = end
            while place > 0, precedes(entry, self[place - 1]) {
                self[place] = self[place - 1]
                place -= 1
            }
            if place < end { self[place] = entry }
        }
    }
}
