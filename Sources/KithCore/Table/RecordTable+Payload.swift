internal import KithBytes

// A payload is one block of the arena:
//
// | at | bytes | field |
// |----|-------|-------|
// | 0  | 4 | bytes of all facets (31 bits); the top bit: there is a ledger |
// | 4  | … | the facets, one after another (`FacetLayout`) |
// | …  | 4 | bytes of the ledger, where there is one |
// | …  | … | the ledger |
//
// What is left of the block's size class is slack. `splice` is the one way a payload changes its
// length: it moves what lies behind the change, and the whole payload when the block is too small.

extension RecordTable {
    static let payloadHeaderBytes = 4
    private static let ledgerBit: UInt32 = 1 << 31

    /// Where the payload starts in the arena, in bytes. The record must have one.
    func payloadStart(_ slot: UInt32) -> Int {
        Int(slab.payload(slot)) &* PayloadArena.unitBytes
    }

    func hasPayload(_ slot: UInt32) -> Bool { slab.sizeClass(slot) != RecordSlab.noClass }

    /// Bytes of the record's facets and ledger, as they lie in memory: what the limit of a
    /// profile is checked against.
    public func payloadBytes(_ slot: SlotIndex) -> Int {
        let slot = slot.rawValue
        guard hasPayload(slot) else { return 0 }
        return facetsEnd(slot) + ledgerBytes(slot)
    }

    /// Where the facets end, from the payload's start.
    func facetsEnd(_ slot: UInt32) -> Int {
        guard hasPayload(slot) else { return Self.payloadHeaderBytes }
        let header = arena.region.u32(at: payloadStart(slot))
        return Self.payloadHeaderBytes + Int(header & ~Self.ledgerBit)
    }

    /// Bytes of the ledger with its length; 0 where there is none.
    private func ledgerBytes(_ slot: UInt32) -> Int {
        let start = payloadStart(slot)
        let header = arena.region.u32(at: start)
        guard header & Self.ledgerBit != 0 else { return 0 }
        let at = start + Self.payloadHeaderBytes + Int(header & ~Self.ledgerBit)
        return 4 + Int(arena.region.u32(at: at))
    }

    /// Says how many bytes the facets have, after a splice among them.
    mutating func setFacetsEnd(_ slot: UInt32, _ end: Int) {
        guard hasPayload(slot) else { return }
        let start = payloadStart(slot)
        let ledger = arena.region.u32(at: start) & Self.ledgerBit
        arena.region.store(ledger | UInt32(end - Self.payloadHeaderBytes), at: start)
    }

    /// Replaces `removing` bytes at `offset` of the payload by `inserting` bytes for the caller
    /// to fill. The header is the caller's to correct afterwards. A payload that holds nothing any
    /// more is freed. O(payload).
    mutating func splice(_ slot: UInt32, at offset: Int, removing: Int, inserting: Int) {
        guard hasPayload(slot) else {
            precondition(removing == 0 && offset == Self.payloadHeaderBytes)
            guard inserting > 0 else { return }
            let sizeClass = PayloadArena.sizeClass(forBytes: offset + inserting)
            let unit = allocateBlock(sizeClass)
            slab.setPayload(slot, unit, sizeClass: sizeClass)
            arena.region.store(UInt32(0), at: payloadStart(slot))
            return
        }
        let length = payloadBytes(SlotIndex(rawValue: slot))
        let newLength = length - removing + inserting
        let tail = length - offset - removing
        precondition(offset >= Self.payloadHeaderBytes && removing >= 0 && tail >= 0)
        guard newLength > Self.payloadHeaderBytes else {
            freePayload(SlotIndex(rawValue: slot))
            return
        }
        let oldClass = slab.sizeClass(slot)
        let newClass = PayloadArena.sizeClass(forBytes: newLength)
        let isTooBig =
            PayloadArena.units(ofClass: newClass) * 2 < PayloadArena.units(ofClass: oldClass)
        guard newClass > oldClass || isTooBig else {
            let start = payloadStart(slot)
            if inserting != removing, tail > 0 {
                arena.region.move(
                    from: start + offset + removing, to: start + offset + inserting, count: tail)
            }
            return
        }
        // Allocating may rewrite the arena, so the old place is read after it.
        let unit = allocateBlock(newClass)
        let oldUnit = slab.payload(slot)
        let ownClass = slab.sizeClass(slot)
        let source = payloadStart(slot)
        let target = Int(unit) * PayloadArena.unitBytes
        arena.region.move(from: source, to: target, count: offset)
        arena.region.move(
            from: source + offset + removing, to: target + offset + inserting, count: tail)
        slab.setPayload(slot, unit, sizeClass: newClass)
        arena.free(oldUnit, ownClass)
    }

    mutating func freePayload(_ slot: SlotIndex) {
        guard hasPayload(slot.rawValue) else { return }
        arena.free(slab.payload(slot.rawValue), slab.sizeClass(slot.rawValue))
        slab.setPayload(slot.rawValue, 0, sizeClass: RecordSlab.noClass)
    }

    private mutating func allocateBlock(_ sizeClass: UInt8) -> UInt32 {
        if let unit = arena.allocate(sizeClass) { return unit }
        if arena.isFragmented {
            rewriteArena(roomFor: sizeClass)
        } else {
            arena.grow(for: sizeClass)
        }
        guard let unit = arena.allocate(sizeClass) else {
            preconditionFailure("no block of class \(sizeClass) after growing")
        }
        return unit
    }

    /// Copies every payload into a fresh arena, each in the smallest class that holds it. O(n).
    mutating func rewriteArena(roomFor sizeClass: UInt8?) {
        let room = sizeClass.map { PayloadArena.units(ofClass: $0) } ?? 0
        let live = arena.used - arena.freeUnits
        let bytes = MemoryRegion.grownSize(
            from: live * PayloadArena.unitBytes,
            toHold: (live + room) * PayloadArena.unitBytes, smallest: 256)
        var fresh = PayloadArena(units: bytes / PayloadArena.unitBytes)
        for slot in 0..<slab.used where slab.isLive(slot) && hasPayload(slot) {
            let length = payloadBytes(SlotIndex(rawValue: slot))
            let smallest = PayloadArena.sizeClass(forBytes: length)
            guard let unit = fresh.allocate(smallest) else {
                preconditionFailure("a rewrite of \(live) units does not fit \(bytes) bytes")
            }
            fresh.region.copy(
                from: arena.region, at: payloadStart(slot),
                to: Int(unit) * PayloadArena.unitBytes, count: length)
            slab.setPayload(slot, unit, sizeClass: smallest)
        }
        arena = fresh
    }
}

// MARK: - Ledger

extension RecordTable {
    func hasLedger(_ slot: SlotIndex) -> Bool {
        hasPayload(slot.rawValue) && ledgerBytes(slot.rawValue) > 0
    }

    /// The bytes kept beside the facets; empty where there are none.
    public func ledger(_ slot: SlotIndex) -> [UInt8] {
        guard hasLedger(slot) else { return [] }
        let at = payloadStart(slot.rawValue) + facetsEnd(slot.rawValue)
        return arena.region.bytes(at: at + 4, count: ledgerBytes(slot.rawValue) - 4).copied()
    }

    /// Replaces the ledger; empty bytes take it away.
    mutating func setLedger(_ slot: SlotIndex, _ bytes: [UInt8]) {
        requireLive(slot)
        let slot = slot.rawValue
        let end = facetsEnd(slot)
        let old = hasPayload(slot) ? ledgerBytes(slot) : 0
        let new = bytes.isEmpty ? 0 : 4 + bytes.count
        guard old > 0 || new > 0 else { return }
        splice(slot, at: end, removing: old, inserting: new)
        guard hasPayload(slot) else { return }
        let start = payloadStart(slot)
        let facets = UInt32(end - Self.payloadHeaderBytes)
        arena.region.store(bytes.isEmpty ? facets : facets | Self.ledgerBit, at: start)
        if !bytes.isEmpty {
            arena.region.store(UInt32(bytes.count), at: start + end)
            unsafe arena.region.store(bytes: bytes.span.bytes, at: start + end + 4)
        }
    }
}
