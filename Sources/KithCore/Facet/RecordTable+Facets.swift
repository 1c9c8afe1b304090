public import KithBytes

// Facets of a record: finding, adding and dropping them, and the fields every facet has.

/// Where the parts of one facet lie, in bytes from the arena's start.
struct FacetShape {
    var start: Int
    var length: Int
    var parts: FacetParts
    var sealVersion: Int
    var forgetTime: Int
    var groups: Int
    var texts: Int
    var value: Int
    var valueBytes: Int
    var counters: Int
    var counterCount: Int
    var traits: Int
    var traitCount: Int
    /// The window's base time; the end of the facet where the window is empty.
    var window: Int
    var windowCount: Int
    /// The place of the oldest message among those of the window; above 0 only where it is full.
    var windowOldest: Int

    var end: Int { start + length }
    var counterBytes: Int {
        parts.contains(.wideCounters) ? FacetLayout.wideCounterBytes : FacetLayout.counterBytes
    }

    /// Where message `index` of the window lies, the oldest being 0.
    func message(_ index: Int) -> Int {
        var place = index + windowOldest
        if place >= windowCount { place -= windowCount }
        return window + FacetLayout.windowBaseBytes + place * FacetLayout.windowEntryBytes
    }
}

extension RecordTable {
    func start(_ facet: FacetRef) -> Int {
        payloadStart(facet.slot.rawValue) &+ Int(facet.offset)
    }

    func shape(_ facet: FacetRef) -> FacetShape {
        let start = start(facet)
        let region = arena.region.bytes(at: start, count: FacetLayout.headerBytes)
        let parts = FacetParts(rawValue: region[FacetLayout.parts])
        let length = Int(arena.region.u32(at: start))
        let sealVersion = start + FacetLayout.headerBytes + (parts.contains(.leaf) ? 16 : 0)
        let forgetTime = sealVersion + (parts.contains(.sealVersion) ? 8 : 0)
        let groups = forgetTime + (parts.contains(.forgetTime) ? 8 : 0)
        var texts = groups
        if parts.contains(.groups) { texts += 2 + 2 * Int(arena.region.u16(at: groups)) }
        var value = texts
        if arena.region.u16(at: start + FacetLayout.space) == NameTable.other {
            value += 1 + Int(arena.region.u8(at: value))
        }
        if arena.region.u16(at: start + FacetLayout.namespace) == NameTable.other {
            value += 1 + Int(arena.region.u8(at: value))
        }
        let valueBytes = Int(arena.region.u16(at: start + FacetLayout.valueBytes))
        let counters = value + valueBytes
        let counterCount = Int(arena.region.u16(at: start + FacetLayout.counters))
        let messages = Int(arena.region.u16(at: start + FacetLayout.window))
        let windowCount = min(messages, FacetLimits.windowMax)
        let windowBytes =
            windowCount == 0
            ? 0 : FacetLayout.windowBaseBytes + windowCount * FacetLayout.windowEntryBytes
        return FacetShape(
            start: start, length: length, parts: parts, sealVersion: sealVersion,
            forgetTime: forgetTime, groups: groups, texts: texts, value: value,
            valueBytes: valueBytes, counters: counters, counterCount: counterCount,
            traits: counters + counterCount
                * (parts.contains(.wideCounters)
                    ? FacetLayout.wideCounterBytes : FacetLayout.counterBytes),
            traitCount: Int(arena.region.u16(at: start + FacetLayout.traits)),
            window: start + length - windowBytes, windowCount: windowCount,
            windowOldest: messages - windowCount)
    }

    /// Replaces bytes inside a facet, `offset` from its start, and corrects all lengths.
    mutating func resize(_ facet: FacetRef, at offset: Int, removing: Int, inserting: Int) {
        let slot = facet.slot.rawValue
        let end = facetsEnd(slot)
        splice(slot, at: Int(facet.offset) + offset, removing: removing, inserting: inserting)
        setFacetsEnd(slot, end + inserting - removing)
        let start = start(facet)
        let length = Int(arena.region.u32(at: start)) + inserting - removing
        arena.region.store(UInt32(length), at: start)
    }

    func facetRefs(_ slot: SlotIndex) -> [FacetRef] {
        var refs: [FacetRef] = []
        forEachFacet(slot) { facet, _ in refs.append(facet) }
        return refs
    }

    /// The facets in the order of their leaves: what folds and encodings are made in.
    func facetsByLeaf(_ slot: SlotIndex) -> [FacetRef] {
        let refs = facetRefs(slot)
        return refs.count < 2 ? refs : refs.sorted { leaf($0) < leaf($1) }
    }

    /// The facet's value text goes to `body`, unpacked where it was packed.
    func withValue<R>(_ shape: FacetShape, _ body: (RawSpan) -> R) -> R {
        guard shape.parts.contains(.packedValue) else {
            return body(arena.region.bytes(at: shape.value, count: shape.valueBytes))
        }
        let text = PackedUUID(
            high: arena.region.u64(at: shape.value), low: arena.region.u64(at: shape.value + 8)
        ).text
        return unsafe body(text.span.bytes)
    }

    @_lifetime(borrow self)
    func spaceText(_ shape: FacetShape) -> RawSpan {
        let id = arena.region.u16(at: shape.start + FacetLayout.space)
        guard id == NameTable.other else { return scopes.text(id) }
        return arena.region.bytes(
            at: shape.texts + 1, count: Int(arena.region.u8(at: shape.texts)))
    }

    @_lifetime(borrow self)
    func namespaceText(_ shape: FacetShape) -> RawSpan {
        let id = arena.region.u16(at: shape.start + FacetLayout.namespace)
        guard id == NameTable.other else { return scopes.text(id) }
        var at = shape.texts
        if arena.region.u16(at: shape.start + FacetLayout.space) == NameTable.other {
            at += 1 + Int(arena.region.u8(at: at))
        }
        return arena.region.bytes(at: at + 1, count: Int(arena.region.u8(at: at)))
    }

    /// Gives back every name that the record's facets use.
    mutating func releaseNames(_ slot: SlotIndex) {
        for facet in facetRefs(slot) {
            let shape = shape(facet)
            scopes.release(arena.region.u16(at: shape.start + FacetLayout.space))
            scopes.release(arena.region.u16(at: shape.start + FacetLayout.namespace))
            for index in 0..<shape.counterCount {
                events.release(arena.region.u32(at: shape.counters + index * shape.counterBytes))
            }
            var cell: TraitCell?
            for _ in 0..<shape.traitCount {
                let next = trait(after: cell, in: shape)
                names.release(next.name)
                cell = next
            }
        }
    }
}

// MARK: - Facets of a record

extension RecordTable {
    /// The facet of `leaf` in the record. O(facets).
    public func facet(_ slot: SlotIndex, _ leaf: LeafID) -> FacetRef? {
        let count = facetCount(slot)
        guard count > 0 else { return nil }
        let start = payloadStart(slot.rawValue)
        let own = id(slot) == leaf
        var offset = Self.payloadHeaderBytes
        for _ in 0..<count {
            let base = start + offset
            let parts = FacetParts(rawValue: arena.region.u8(at: base + FacetLayout.parts))
            let isMatch =
                parts.contains(.leaf)
                ? arena.region.u64(at: base + FacetLayout.headerBytes) == leaf.high
                    && arena.region.u64(at: base + FacetLayout.headerBytes + 8) == leaf.low
                : own
            if isMatch { return FacetRef(slot: slot, offset: UInt32(offset)) }
            offset += Int(arena.region.u32(at: base))
        }
        return nil
    }

    func hasFacet(_ slot: SlotIndex, _ leaf: LeafID) -> Bool { facet(slot, leaf) != nil }

    /// Every facet, in the order in which they came.
    func forEachFacet(_ slot: SlotIndex, _ body: (FacetRef, LeafID) -> Void) {
        var offset = Self.payloadHeaderBytes
        for _ in 0..<facetCount(slot) {
            let facet = FacetRef(slot: slot, offset: UInt32(offset))
            offset += Int(arena.region.u32(at: start(facet)))
            body(facet, leaf(facet))
        }
    }

    /// A new facet of a leaf that the record has none of, without events; `seen` is its first and
    /// last seen. The texts obey `FacetLimits`.
    mutating func addFacet(
        _ slot: SlotIndex, leaf: LeafID, life: OperationIndex, group: GroupID, seen: Int64,
        flags: FacetFlags, forgetTime: Int64?, space: RawSpan, namespace: RawSpan, value: RawSpan
    ) -> FacetRef {
        requireLive(slot)
        precondition(!hasFacet(slot, leaf), "the record holds a facet of \(leaf.hex)")
        precondition(value.byteCount <= FacetLimits.valueBytesMax, "\(value.byteCount) bytes")
        precondition(
            max(space.byteCount, namespace.byteCount) <= FacetLimits.scopeBytesMax,
            "a space of \(space.byteCount) or a namespace of \(namespace.byteCount) bytes")
        let spaceID = scopes.retain(space) ?? NameTable.other
        let namespaceID = scopes.retain(namespace) ?? NameTable.other
        let packed = PackedUUID(value)
        var parts: FacetParts = []
        if leaf != id(slot) { parts.insert(.leaf) }
        if forgetTime != nil { parts.insert(.forgetTime) }
        if packed != nil { parts.insert(.packedValue) }
        let valueBytes = packed == nil ? value.byteCount : PackedUUID.packedBytes
        let length =
            FacetLayout.headerBytes + (parts.contains(.leaf) ? 16 : 0)
            + (forgetTime == nil ? 0 : 8)
            + (spaceID == NameTable.other ? 1 + space.byteCount : 0)
            + (namespaceID == NameTable.other ? 1 + namespace.byteCount : 0) + valueBytes

        let end = facetsEnd(slot.rawValue)
        splice(slot.rawValue, at: end, removing: 0, inserting: length)
        setFacetsEnd(slot.rawValue, end + length)
        slab.setFacetCount(slot.rawValue, facetCount(slot) + 1)
        slab.setLastSeen(slot.rawValue, max(lastSeen(slot), StoredTime.rounded(seen)))
        grow(
            slot, by: Profile.identifierBytesMin + namespace.byteCount + value.byteCount)

        let facet = FacetRef(slot: slot, offset: UInt32(end))
        let start = start(facet)
        arena.region.store(UInt32(length), at: start)
        arena.region.store(life.rawValue, at: start + FacetLayout.life)
        arena.region.setTime(seen, at: start + FacetLayout.firstSeen)
        arena.region.setTime(seen, at: start + FacetLayout.lastSeen)
        arena.region.store(group.rawValue, at: start + FacetLayout.lifeGroup)
        arena.region.store(spaceID, at: start + FacetLayout.space)
        arena.region.store(namespaceID, at: start + FacetLayout.namespace)
        arena.region.store(UInt16(valueBytes), at: start + FacetLayout.valueBytes)
        arena.region.store(UInt16(0), at: start + FacetLayout.counters)
        arena.region.store(UInt16(0), at: start + FacetLayout.traits)
        arena.region.store(UInt16(0), at: start + FacetLayout.window)
        arena.region.store(flags.rawValue, at: start + FacetLayout.flags)
        arena.region.store(parts.rawValue, at: start + FacetLayout.parts)
        var at = start + FacetLayout.headerBytes
        if parts.contains(.leaf) {
            arena.region.store(leaf.high, at: at)
            arena.region.store(leaf.low, at: at + 8)
            at += 16
        }
        if let forgetTime {
            arena.region.store(forgetTime, at: at)
            at += 8
        }
        if spaceID == NameTable.other {
            arena.region.store(UInt8(space.byteCount), at: at)
            arena.region.store(bytes: space, at: at + 1)
            at += 1 + space.byteCount
        }
        if namespaceID == NameTable.other {
            arena.region.store(UInt8(namespace.byteCount), at: at)
            arena.region.store(bytes: namespace, at: at + 1)
            at += 1 + namespace.byteCount
        }
        if let packed {
            arena.region.store(packed.high, at: at)
            arena.region.store(packed.low, at: at + 8)
        } else {
            arena.region.store(bytes: value, at: at)
        }
        return facet
    }

    /// Drops every facet and what was learnt under it; the ledger stays.
    mutating func removeAllFacets(_ slot: SlotIndex) {
        requireLive(slot)
        guard facetCount(slot) > 0 else { return }
        releaseNames(slot)
        let end = facetsEnd(slot.rawValue)
        splice(
            slot.rawValue, at: Self.payloadHeaderBytes,
            removing: end - Self.payloadHeaderBytes, inserting: 0)
        setFacetsEnd(slot.rawValue, Self.payloadHeaderBytes)
        slab.setFacetCount(slot.rawValue, 0)
        slab.setLastSeen(slot.rawValue, Int64.min)
        slab.setProfileBytes(slot.rawValue, 0)
        slab.setEventNames(slot.rawValue, 0)
        if arena.isMostlyFree { rewriteArena(roomFor: nil) }
    }

    /// How many identifiers of the namespace the record holds, unlisted ones too. O(facets).
    func namespaceCount(_ slot: SlotIndex, namespace: RawSpan) -> Int {
        guard facetCount(slot) > 0 else { return 0 }
        let known = scopes.find(namespace)
        var count = 0
        var offset = Self.payloadHeaderBytes
        for _ in 0..<facetCount(slot) {
            let facet = FacetRef(slot: slot, offset: UInt32(offset))
            let start = start(facet)
            let id = arena.region.u16(at: start + FacetLayout.namespace)
            if id == NameTable.other {
                if namespaceText(shape(facet)).isEqual(to: namespace) { count += 1 }
            } else if id == known {
                count += 1
            }
            offset += Int(arena.region.u32(at: start))
        }
        return count
    }

    /// How many identifiers the record holds of each namespace, by namespace. O(facets).
    public func identifiers(_ slot: SlotIndex) -> [IdentifierCount] {
        var counts: [(namespace: [UInt8], count: Int)] = []
        forEachFacet(slot) { facet, _ in
            let namespace = namespaceText(shape(facet)).copied()
            if let index = counts.firstIndex(where: { $0.namespace == namespace }) {
                counts[index].count += 1
            } else {
                counts.append((namespace, 1))
            }
        }
        counts.sort { $0.namespace.lexicographicallyPrecedes($1.namespace) }
        return counts.map { IdentifierCount(namespace: $0.namespace, count: $0.count) }
    }
}

// MARK: - Fields of one facet

extension RecordTable {
    public func leaf(_ facet: FacetRef) -> LeafID {
        let start = start(facet)
        let parts = FacetParts(rawValue: arena.region.u8(at: start + FacetLayout.parts))
        guard parts.contains(.leaf) else { return id(facet.slot) }
        return LeafID(
            high: arena.region.u64(at: start + FacetLayout.headerBytes),
            low: arena.region.u64(at: start + FacetLayout.headerBytes + 8))
    }

    /// The space of the facet's identifier, as UTF-8.
    public func space(_ facet: FacetRef) -> [UInt8] { spaceText(shape(facet)).copied() }

    /// The namespace of the facet's identifier, as UTF-8.
    public func namespace(_ facet: FacetRef) -> [UInt8] { namespaceText(shape(facet)).copied() }

    /// The value of the facet's identifier, as UTF-8.
    public func value(_ facet: FacetRef) -> [UInt8] { withValue(shape(facet)) { $0.copied() } }

    /// The operation that created the facet, in the log of `lifeGroup`.
    public func life(_ facet: FacetRef) -> OperationIndex {
        OperationIndex(rawValue: arena.region.u64(at: start(facet) + FacetLayout.life))
    }

    func lifeGroup(_ facet: FacetRef) -> GroupID {
        GroupID(arena.region.u16(at: start(facet) + FacetLayout.lifeGroup))
    }

    public func flags(_ facet: FacetRef) -> FacetFlags {
        FacetFlags(rawValue: arena.region.u8(at: start(facet) + FacetLayout.flags))
    }

    mutating func setFlags(_ facet: FacetRef, _ flags: FacetFlags) {
        arena.region.store(flags.rawValue, at: start(facet) + FacetLayout.flags)
    }

    public func firstSeen(_ facet: FacetRef) -> Int64 {
        arena.region.time(at: start(facet) + FacetLayout.firstSeen)
    }

    public func lastSeen(_ facet: FacetRef) -> Int64 {
        arena.region.time(at: start(facet) + FacetLayout.lastSeen)
    }

    /// Widens first and last seen to hold `eventTime`, and the record's last seen with them.
    public mutating func touch(_ facet: FacetRef, eventTime: Int64) {
        let start = start(facet)
        let time = StoredTime.rounded(eventTime)
        if time < arena.region.time(at: start + FacetLayout.firstSeen) {
            arena.region.setTime(time, at: start + FacetLayout.firstSeen)
        }
        if time > arena.region.time(at: start + FacetLayout.lastSeen) {
            arena.region.setTime(time, at: start + FacetLayout.lastSeen)
            if time > lastSeen(facet.slot) { slab.setLastSeen(facet.slot.rawValue, time) }
        }
    }

    /// The version at which the leaf's own record was sealed; `none` while it is a root.
    func sealVersion(_ facet: FacetRef) -> OperationIndex {
        let shape = shape(facet)
        guard shape.parts.contains(.sealVersion) else { return .none }
        return OperationIndex(rawValue: arena.region.u64(at: shape.sealVersion))
    }

    mutating func setSealVersion(_ facet: FacetRef, _ version: OperationIndex) {
        setPart(
            facet, .sealVersion, at: shape(facet).sealVersion,
            word: version == .none ? nil : version.rawValue)
    }

    /// The time up to which events of the leaf are forgotten.
    public func forgetTime(_ facet: FacetRef) -> Int64? {
        let shape = shape(facet)
        guard shape.parts.contains(.forgetTime) else { return nil }
        return arena.region.load(Int64.self, at: shape.forgetTime)
    }

    mutating func setForgetTime(_ facet: FacetRef, _ time: Int64?) {
        setPart(
            facet, .forgetTime, at: shape(facet).forgetTime,
            word: time.map(UInt64.init(bitPattern:)))
    }

    /// Writes, adds or removes an optional 8-byte part, which lies or would lie at `place`.
    private mutating func setPart(
        _ facet: FacetRef, _ part: FacetParts, at place: Int, word: UInt64?
    ) {
        let offset = place - start(facet)
        var parts = FacetParts(rawValue: arena.region.u8(at: start(facet) + FacetLayout.parts))
        if parts.contains(part) != (word != nil) {
            resize(
                facet, at: offset, removing: word == nil ? 8 : 0, inserting: word == nil ? 0 : 8)
            if word == nil { parts.remove(part) } else { parts.insert(part) }
            arena.region.store(parts.rawValue, at: start(facet) + FacetLayout.parts)
        }
        if let word { arena.region.store(word, at: start(facet) + offset) }
    }

    /// The groups whose log or history ever held the facet, in order; that of its life is one.
    public func groups(_ facet: FacetRef) -> [GroupID] {
        let shape = shape(facet)
        guard shape.parts.contains(.groups) else { return [lifeGroup(facet)] }
        return (0..<Int(arena.region.u16(at: shape.groups))).map { index in
            GroupID(arena.region.u16(at: shape.groups + 2 + 2 * index))
        }
    }

    /// Remembers one more group; one that is there already changes nothing.
    mutating func addGroup(_ facet: inout FacetRef, _ group: GroupID) {
        var groups = groups(facet)
        let place = groups.firstIndex { $0 >= group } ?? groups.count
        guard place == groups.count || groups[place] != group else { return }
        groups.insert(group, at: place)
        let shape = shape(facet)
        let offset = shape.groups - shape.start
        let hadGroups = shape.parts.contains(.groups)
        resize(facet, at: offset, removing: 0, inserting: hadGroups ? 2 : 2 + 2 * groups.count)
        let start = start(facet)
        let parts = shape.parts.union(.groups)
        arena.region.store(parts.rawValue, at: start + FacetLayout.parts)
        arena.region.store(UInt16(groups.count), at: start + offset)
        for (index, group) in groups.enumerated() {
            arena.region.store(group.rawValue, at: start + offset + 2 + 2 * index)
        }
    }
}
