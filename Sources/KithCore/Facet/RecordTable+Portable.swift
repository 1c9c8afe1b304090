internal import KithBytes

// The portable encoding of facets: what an absorb, a release and a snapshot carry. Names are spelt
// out, integers are little-endian, and the encoding is canonical: facets stand in the order of
// their leaves, counters and traits in the order of their names, so equal contents have equal
// bytes however they came together.
//
// | bytes | field |
// |-------|-------|
// | 4 | facets; then for each: |
// | 4 | bytes of the facet that follow |
// | 16 | leaf id, high half first |
// | 8, 2 | life, and the group of its life |
// | 1 | flags |
// | 8 | seal version, 0: none |
// | 8, 8 | first and last seen |
// | 1 (+ 8) | 1 and the forget time, or 0 |
// | 3 × (2 + n) | space, namespace, value |
// | 2 + 2n | groups that ever held it, rising, each below 256 |
// | 4, then n | counters: name (2 + n), count u64 |
// | 4, then n | traits: name (2 + n), time i64, message id (1 + n), value (4 + n) |
// | 2, then n | messages in the window; if any: first time i64, then hash u64 and ms after it u32 |

extension RecordTable {
    /// Appends every facet of the record. O(payload), and a sort of each facet's names.
    func exportFacets(_ slot: SlotIndex, into writer: inout ByteWriter) {
        let facets = facetsByLeaf(slot)
        writer.u32(UInt32(facets.count))
        for facet in facets {
            let lengthAt = writer.count
            writer.u32(0)
            export(facet, into: &writer)
            writer.patchU32(UInt32(writer.count - lengthAt - 4), at: lengthAt)
        }
    }

    private func export(_ facet: FacetRef, into writer: inout ByteWriter) {
        let shape = shape(facet)
        let leaf = leaf(facet)
        writer.u64(leaf.high)
        writer.u64(leaf.low)
        writer.u64(life(facet).rawValue)
        writer.u16(lifeGroup(facet).rawValue)
        writer.u8(flags(facet).rawValue)
        writer.u64(sealVersion(facet).rawValue)
        writer.i64(firstSeen(facet))
        writer.i64(lastSeen(facet))
        if let forgetTime = forgetTime(facet) {
            writer.u8(1)
            writer.i64(forgetTime)
        } else {
            writer.u8(0)
        }
        writer.bytes16(spaceText(shape))
        writer.bytes16(namespaceText(shape))
        withValue(shape) { writer.bytes16($0) }
        let groups = groups(facet)
        writer.u16(UInt16(groups.count))
        for group in groups { writer.u16(group.rawValue) }

        writer.u32(UInt32(shape.counterCount))
        for counter in countersByName(shape) {
            writer.bytes16(events.text(counter.name))
            writer.u64(counter.count)
        }

        var cells: [TraitCell] = []
        appendTraits(of: shape, to: &cells)
        cells.sort { nameText($0).compare(nameText($1)) < 0 }
        writer.u32(UInt32(cells.count))
        for cell in cells {
            writer.bytes16(nameText(cell))
            writer.i64(cell.time)
            withMessageID(cell) {
                writer.u8(UInt8($0.byteCount))
                writer.raw($0)
            }
            writer.bytes32(valueBytes(cell))
        }
        exportWindow(shape, into: &writer)
    }

    func countersByName(_ shape: FacetShape) -> [(name: UInt32, count: UInt64)] {
        var counters = (0..<shape.counterCount).map { counter($0, shape) }
        if counters.count > 1 {
            counters.sort { events.text($0.name).compare(events.text($1.name)) < 0 }
        }
        return counters
    }

    private func exportWindow(_ shape: FacetShape, into writer: inout ByteWriter) {
        writer.u16(UInt16(shape.windowCount))
        guard shape.windowCount > 0 else { return }
        let first = arena.region.u32(at: shape.message(0) + 8)
        writer.i64(arena.region.time(at: shape.window) + Int64(first))
        for index in 0..<shape.windowCount {
            let at = shape.message(index)
            writer.u64(arena.region.u64(at: at))
            writer.u32(arena.region.u32(at: at + 8) - first)
        }
    }

    /// Adds the facets of an encoding. Everything is checked before anything changes: bytes that
    /// break the format, a facet that the record holds already, more facets than leave room for
    /// the record's own and a payload that would pass `importBytesMax` throw and leave the record
    /// as it was.
    mutating func importFacets(
        _ slot: SlotIndex, _ reader: inout ByteReader
    ) throws(ByteError) {
        requireLive(slot)
        var check = reader
        let count = try validateFacets(slot, &check)
        guard count > 0 else {
            reader.offset = check.offset
            return
        }
        var encoded = ByteWriter(capacity: check.offset - reader.offset)
        var newest = lastSeen(slot)
        _ = try reader.u32()
        for _ in 0..<count {
            var facet = ByteReader(try reader.bytes32(limit: Self.importBytesMax))
            newest = max(newest, try storeFacet(slot, &facet, into: &encoded))
        }
        let end = facetsEnd(slot.rawValue)
        splice(slot.rawValue, at: end, removing: 0, inserting: encoded.count)
        setFacetsEnd(slot.rawValue, end + encoded.count)
        let target = payloadStart(slot.rawValue) + end
        unsafe arena.region.store(bytes: encoded.bytes.span.bytes, at: target)
        slab.setFacetCount(slot.rawValue, facetCount(slot) + count)
        slab.setLastSeen(slot.rawValue, newest)
        let (bytes, eventNames) = recountProfile(slot)
        slab.setProfileBytes(slot.rawValue, bytes)
        slab.setEventNames(slot.rawValue, eventNames)
    }

    /// The most that a record's payload and the facets to import may come to together.
    static let importBytesMax = 32 << 20

    private func validateFacets(
        _ slot: SlotIndex, _ reader: inout ByteReader
    ) throws(ByteError) -> Int {
        let start = reader.offset
        let count = Int(try reader.u32())
        let room = RecordSlab.facetCountMax - facetCount(slot)
        guard count <= room else { throw .tooLong(length: count, limit: room) }
        var hasOwn = hasFacet(slot, id(slot))
        var previous: LeafID?
        for _ in 0..<count {
            let at = reader.offset
            var facet = ByteReader(try reader.bytes32(limit: Self.importBytesMax))
            let leaf = try PortableFacet.validate(&facet)
            if let previous, previous >= leaf { throw .malformed(offset: at) }
            guard !hasFacet(slot, leaf) else { throw .malformed(offset: at) }
            previous = leaf
            if leaf == id(slot) { hasOwn = true }
        }
        // A root holds its own facet beside what it takes in, and may have to be given it yet.
        guard hasOwn || count < room else { throw .tooLong(length: count, limit: room - 1) }
        let total = payloadBytes(slot) + reader.offset - start
        guard total <= Self.importBytesMax else {
            throw .tooLong(length: total, limit: Self.importBytesMax)
        }
        return count
    }
}

/// The rules of the portable encoding of one facet.
enum PortableFacet {
    /// Reads a facet to its end and checks every rule of the format.
    static func validate(_ reader: inout ByteReader) throws(ByteError) -> LeafID {
        let leaf = LeafID(high: try reader.u64(), low: try reader.u64())
        try reader.skip(8)
        let lifeGroup = try reader.u16()
        try reader.skip(1 + 8)
        let firstSeen = try reader.i64()
        guard firstSeen <= (try reader.i64()) else { throw .malformed(offset: reader.offset - 8) }
        let flag = try reader.u8()
        guard flag < 2 else { throw .unknownTag(flag, offset: reader.offset - 1) }
        if flag == 1 { try reader.skip(8) }
        _ = try reader.bytes16(limit: FacetLimits.scopeBytesMax)
        _ = try reader.bytes16(limit: FacetLimits.scopeBytesMax)
        _ = try reader.bytes16(limit: FacetLimits.valueBytesMax)
        try validateGroups(&reader, lifeGroup)
        try validateCounters(&reader)
        try validateTraits(&reader)
        try validateWindow(&reader)
        guard reader.isAtEnd else { throw .malformed(offset: reader.offset) }
        return leaf
    }

    private static func validateGroups(
        _ reader: inout ByteReader, _ lifeGroup: UInt16
    ) throws(ByteError) {
        let count = Int(try reader.u16())
        guard count <= FacetLimits.groupsMax else {
            throw .tooLong(length: count, limit: FacetLimits.groupsMax)
        }
        var previous = -1
        var hasLifeGroup = false
        for _ in 0..<count {
            let group = try reader.u16()
            guard Int(group) > previous, group < FacetLimits.groupsMax else {
                throw .malformed(offset: reader.offset - 2)
            }
            if group == lifeGroup { hasLifeGroup = true }
            previous = Int(group)
        }
        guard hasLifeGroup else { throw .malformed(offset: reader.offset) }
    }

    private static func validateCounters(_ reader: inout ByteReader) throws(ByteError) {
        let count = Int(try reader.u32())
        let most = FacetLimits.countersMax + EventNames.reservedCount
        guard count <= most else { throw .tooLong(length: count, limit: most) }
        var reserved = 0
        var previous = reader
        for index in 0..<count {
            let at = reader.offset
            let here = reader
            let name = try reader.bytes16(limit: FacetLimits.nameBytesMax)
            if index > 0 {
                let before = try previous.bytes16()
                guard before.compare(name) < 0 else { throw .malformed(offset: at) }
            }
            if EventNames.isReserved(name) { reserved += 1 }
            previous = here
            try reader.skip(8)
        }
        guard count - reserved <= FacetLimits.countersMax else {
            throw .tooLong(length: count - reserved, limit: FacetLimits.countersMax)
        }
    }

    private static func validateTraits(_ reader: inout ByteReader) throws(ByteError) {
        let count = Int(try reader.u32())
        guard count <= Int(UInt16.max) else {
            throw .tooLong(length: count, limit: Int(UInt16.max))
        }
        var previous = reader
        for index in 0..<count {
            let at = reader.offset
            let here = reader
            let name = try reader.bytes16(limit: FacetLimits.nameBytesMax)
            if index > 0 {
                let before = try previous.bytes16()
                guard before.compare(name) < 0 else { throw .malformed(offset: at) }
            }
            previous = here
            try reader.skip(8)
            try reader.skip(Int(try reader.u8()))
            _ = try reader.bytes32(limit: RecordTable.importBytesMax)
        }
    }

    private static func validateWindow(_ reader: inout ByteReader) throws(ByteError) {
        let count = Int(try reader.u16())
        guard count <= FacetLimits.windowMax else {
            throw .tooLong(length: count, limit: FacetLimits.windowMax)
        }
        guard count > 0 else { return }
        let base = try reader.i64()
        guard base >= 0, base < 1 << 47 - 1 else { throw .malformed(offset: reader.offset - 8) }
        var previous: UInt32 = 0
        for index in 0..<count {
            try reader.skip(8)
            let after = try reader.u32()
            guard after >= previous, index > 0 || after == 0, base + Int64(after) < 1 << 47 - 1
            else { throw .malformed(offset: reader.offset - 4) }
            previous = after
        }
    }
}

// MARK: - From portable to stored

extension RecordTable {
    /// Appends a validated facet to `out` in the layout of a payload, and takes hold of its
    /// names. Returns its last seen.
    private mutating func storeFacet(
        _ slot: SlotIndex, _ reader: inout ByteReader, into out: inout ByteWriter
    ) throws(ByteError) -> Int64 {
        let start = out.count
        let leaf = LeafID(high: try reader.u64(), low: try reader.u64())
        let life = try reader.u64()
        let lifeGroup = try reader.u16()
        let flags = try reader.u8()
        let sealVersion = try reader.u64()
        let firstSeen = try reader.i64()
        let lastSeen = try reader.i64()
        let hasForgetTime = try reader.u8() == 1
        let forgetTime = hasForgetTime ? try reader.i64() : 0
        let space = try reader.bytes16()
        let namespace = try reader.bytes16()
        let value = try reader.bytes16()
        let spaceID = scopes.retain(space) ?? NameTable.other
        let namespaceID = scopes.retain(namespace) ?? NameTable.other
        let packed = PackedUUID(value)

        var parts: FacetParts = []
        if leaf != id(slot) { parts.insert(.leaf) }
        if sealVersion != 0 { parts.insert(.sealVersion) }
        if hasForgetTime { parts.insert(.forgetTime) }
        if packed != nil { parts.insert(.packedValue) }
        out.u32(0)
        out.u64(life)
        out.storedTime(firstSeen)
        out.storedTime(lastSeen)
        out.u16(lifeGroup)
        out.u16(spaceID)
        out.u16(namespaceID)
        out.u16(UInt16(packed == nil ? value.byteCount : PackedUUID.packedBytes))
        out.u32(0)
        out.u16(0)
        out.u8(flags)
        out.u8(0)
        if parts.contains(.leaf) {
            out.u64(leaf.high)
            out.u64(leaf.low)
        }
        if sealVersion != 0 { out.u64(sealVersion) }
        if hasForgetTime { out.i64(forgetTime) }
        let groupCount = try reader.u16()
        if groupCount > 1 {
            parts.insert(.groups)
            out.u16(groupCount)
            out.raw(try reader.take(2 * Int(groupCount)))
        } else {
            try reader.skip(2)
        }
        if spaceID == NameTable.other {
            out.u8(UInt8(space.byteCount))
            out.raw(space)
        }
        if namespaceID == NameTable.other {
            out.u8(UInt8(namespace.byteCount))
            out.raw(namespace)
        }
        if let packed {
            out.u64(packed.high)
            out.u64(packed.low)
        } else {
            out.raw(value)
        }
        let counters = try storeCounters(&reader, into: &out)
        if counters.isWide { parts.insert(.wideCounters) }
        let traitCount = try storeTraits(&reader, into: &out)
        let windowCount = try reader.u16()
        if windowCount > 0 {
            out.storedTime(try reader.i64())
            out.raw(try reader.take(Int(windowCount) * FacetLayout.windowEntryBytes))
        }
        out.patchU32(UInt32(out.count - start), at: start)
        out.patchU16(UInt16(counters.count), at: start + FacetLayout.counters)
        out.patchU16(UInt16(traitCount), at: start + FacetLayout.traits)
        out.patchU16(windowCount, at: start + FacetLayout.window)
        out.bytes[start + FacetLayout.parts] = parts.rawValue
        return StoredTime.rounded(lastSeen)
    }

    private mutating func storeCounters(
        _ reader: inout ByteReader, into out: inout ByteWriter
    ) throws(ByteError) -> (count: Int, isWide: Bool) {
        var counters: [(name: UInt32, count: UInt64)] = []
        var other: UInt64?
        for _ in 0..<(try reader.u32()) {
            let name = try reader.bytes16()
            let count = try reader.u64()
            let id = events.retain(name) ?? EventNames.other
            if id == EventNames.other {
                other = (other ?? 0).addingSaturated(count)
            } else {
                counters.append((id, count))
            }
        }
        if let other { counters.append((EventNames.other, other)) }
        counters.sort { $0.name < $1.name }
        let isWide = counters.contains { $0.count > UInt64(UInt32.max) }
        for counter in counters {
            out.u32(counter.name)
            if isWide { out.u64(counter.count) } else { out.u32(UInt32(counter.count)) }
        }
        return (counters.count, isWide)
    }

    private mutating func storeTraits(
        _ reader: inout ByteReader, into out: inout ByteWriter
    ) throws(ByteError) -> Int {
        let count = Int(try reader.u32())
        var stampReader = reader
        var stampTime: Int64?
        for _ in 0..<count {
            let name = try reader.bytes16()
            let time = StoredTime.rounded(try reader.i64())
            let stampAt = reader.offset
            let messageID = try reader.take(Int(try reader.u8()))
            let value = try reader.bytes32(limit: Self.importBytesMax)
            let id = names.retain(name) ?? NameTable.other

            var isShared = false
            if time == stampTime {
                var before = stampReader
                isShared = try before.take(Int(try before.u8())).isEqual(to: messageID)
            }
            let packed = isShared ? nil : PackedUUID(messageID)
            var word = UInt32(value.byteCount) << 2
            if isShared { word |= TraitCell.sharedBit }
            if packed != nil { word |= TraitCell.packedBit }
            out.u16(id)
            out.u32(word)
            if !isShared {
                stampTime = time
                stampReader.offset = stampAt
                out.storedTime(time)
                if let packed {
                    out.u64(packed.high)
                    out.u64(packed.low)
                } else {
                    out.u8(UInt8(messageID.byteCount))
                    out.raw(messageID)
                }
            }
            if id == NameTable.other {
                out.u16(UInt16(name.byteCount))
                out.raw(name)
            }
            out.raw(value)
        }
        return count
    }
}
