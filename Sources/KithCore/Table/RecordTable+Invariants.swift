internal import KithBytes

extension RecordTable {
    /// Traps, with the numbers, where a rule of the table is broken. O(everything); for tests.
    public func checkInvariants() {
        checkSlotsAndIndex()
        checkArena()
        checkBuckets()
        checkFacets()
    }

    private func checkSlotsAndIndex() {
        var live = 0
        forEachSlot { slot in
            live += 1
            let found = index.find(id(slot), in: slab)
            precondition(found == slot.rawValue, "slot \(slot.rawValue) is not found again")
        }
        precondition(live == slab.live, "\(live) live slots, counted as \(slab.live)")
        precondition(index.count == live, "\(index.count) in the index, \(live) live")
        precondition(index.countedEntries() == live, "the index holds other slots too")
        precondition(index.count * 4 <= index.capacity * 3, "the index is too full")
        var free = 0
        var slot = slab.firstFree
        while slot != RecordSlab.none {
            precondition(!slab.isLive(slot), "slot \(slot) is live and in the free list")
            free += 1
            precondition(free <= Int(slab.used), "the free list of slots is a circle")
            slot = slab.nextFree(slot)
        }
        precondition(live + free == Int(slab.used), "\(live) + \(free) of \(slab.used) slots")
    }

    private func checkArena() {
        var blocks: [(unit: Int, units: Int)] = []
        forEachSlot { slot in
            let number = slot.rawValue
            guard hasPayload(number) else {
                precondition(facetCount(slot) == 0, "facets without a payload in \(number)")
                return
            }
            let sizeClass = slab.sizeClass(number)
            let bytes = payloadBytes(slot)
            precondition(
                bytes > Self.payloadHeaderBytes && bytes <= PayloadArena.bytes(ofClass: sizeClass),
                "\(bytes) bytes in a block of class \(sizeClass)")
            blocks.append((Int(slab.payload(number)), PayloadArena.units(ofClass: sizeClass)))
        }
        var free = 0
        for (sizeClass, head) in arena.freeHeads.enumerated() {
            let units = PayloadArena.units(ofClass: UInt8(sizeClass))
            var unit = head
            while unit != PayloadArena.none {
                blocks.append((Int(unit), units))
                free += units
                precondition(free <= arena.used, "a free list of blocks is a circle")
                unit = arena.nextFree(unit)
            }
        }
        precondition(free == arena.freeUnits, "\(free) free units, counted as \(arena.freeUnits)")
        blocks.sort { $0.unit < $1.unit }
        var end = 0
        for block in blocks {
            precondition(block.unit == end, "block at \(block.unit), the last one ended at \(end)")
            end += block.units
        }
        precondition(end == arena.used, "blocks end at \(end), the arena at \(arena.used)")
        precondition(
            arena.used * PayloadArena.unitBytes <= arena.region.byteCount, "an arena too long")
    }

    private func checkBuckets() {
        var filed = 0
        for (place, bucket) in buckets.enumerated() {
            precondition(place == 0 || buckets[place - 1].day < bucket.day, "buckets out of order")
            precondition(bucket.first != RecordSlab.none, "an empty bucket of day \(bucket.day)")
            var previous = RecordSlab.none
            var slot = bucket.first
            while slot != RecordSlab.none {
                precondition(slab.isLive(slot) && slab.isFiled(slot), "slot \(slot) is not filed")
                precondition(slab.state(slot) == .root, "slot \(slot) is filed and no root")
                precondition(slab.day(slot) == bucket.day, "slot \(slot) is in the wrong bucket")
                precondition(slab.previous(slot) == previous, "slot \(slot): wrong back link")
                precondition(
                    !bucket.isSorted || previous == RecordSlab.none
                        || slab.id(previous) < slab.id(slot), "day \(bucket.day) is not sorted")
                filed += 1
                precondition(filed <= slab.live, "a bucket is a circle")
                previous = slot
                slot = slab.next(slot)
            }
        }
        forEachSlot { if slab.isFiled($0.rawValue) { filed -= 1 } }
        precondition(filed == 0, "\(-filed) filed slots are in no bucket")
    }

    private func checkFacets() {
        var eventUses = [UInt32](repeating: 0, count: events.entryCount)
        var nameUses = NameUses(names)
        var scopeUses = NameUses(scopes)
        forEachSlot { slot in
            var end = Self.payloadHeaderBytes
            var newest = Int64.min
            var leaves: [LeafID] = []
            forEachFacet(slot) { facet, leaf in
                let shape = shape(facet)
                leaves.append(leaf)
                newest = max(newest, lastSeen(facet))
                precondition(firstSeen(facet) <= lastSeen(facet), "seen last before first")
                end += shape.length
                scopeUses.add(arena.region.u16(at: shape.start + FacetLayout.space))
                scopeUses.add(arena.region.u16(at: shape.start + FacetLayout.namespace))
                var previous: UInt32?
                for index in 0..<shape.counterCount {
                    let name = counter(index, shape).name
                    precondition(previous.map { $0 < name } ?? true, "counters out of order")
                    precondition(Int(name) < eventUses.count, "event name \(name) is in use")
                    eventUses[Int(name)] += 1
                    previous = name
                }
                checkTraits(shape, &nameUses)
                checkWindow(shape)
                let groups = groups(facet)
                precondition(groups.contains(lifeGroup(facet)), "the group of its life is missing")
                precondition(groups == groups.sorted(), "groups out of order")
            }
            precondition(end == facetsEnd(slot.rawValue), "facets end at \(end)")
            precondition(newest == lastSeen(slot), "last seen \(lastSeen(slot)), not \(newest)")
            precondition(Set(leaves).count == leaves.count, "two facets of one leaf")
            let recount = recountProfile(slot)
            precondition(
                slab.profileBytes(slot.rawValue) == recount.bytes
                    && eventNames(slot) == recount.eventNames,
                "\(slab.profileBytes(slot.rawValue)) bytes of a profile, not \(recount.bytes), and "
                    + "\(eventNames(slot)) event names, not \(recount.eventNames)")
        }
        events.checkInvariants(counted: eventUses)
        names.checkInvariants(counted: nameUses.counts)
        scopes.checkInvariants(counted: scopeUses.counts)
    }

    private func checkTraits(_ shape: FacetShape, _ uses: inout NameUses) {
        var cells: [TraitCell] = []
        appendTraits(of: shape, to: &cells)
        precondition(cells.first?.isShared != true, "the first trait has no stamp")
        let end = cells.last?.end ?? shape.traits
        precondition(end == shape.window, "traits end at \(end), the window is at \(shape.window)")
        for cell in cells { uses.add(cell.name) }
        cells.sort { nameText($0).compare(nameText($1)) < 0 }
        for index in cells.indices.dropFirst() {
            precondition(
                !nameText(cells[index - 1]).isEqual(to: nameText(cells[index])),
                "a trait twice in a facet")
        }
    }

    private func checkWindow(_ shape: FacetShape) {
        precondition(shape.windowCount <= FacetLimits.windowMax, "\(shape.windowCount) messages")
        precondition(
            shape.windowOldest == 0
                || shape.windowCount == FacetLimits.windowMax
                    && shape.windowOldest < FacetLimits.windowMax,
            "the oldest of \(shape.windowCount) messages at \(shape.windowOldest)")
        var previous: UInt32 = 0
        for index in 0..<shape.windowCount {
            let after = arena.region.u32(at: shape.message(index) + 8)
            precondition(after >= previous, "window times fall: \(previous), \(after)")
            previous = after
        }
    }
}

/// How often facets name each number of a table of names.
private struct NameUses {
    private(set) var counts: [UInt32]

    init(_ names: borrowing NameTable) {
        counts = [UInt32](repeating: 0, count: names.entryCount)
    }

    /// One more use; `NameTable.other` is not counted.
    mutating func add(_ id: UInt16) {
        if id == NameTable.other { return }
        precondition(Int(id) < counts.count, "name \(id) of \(counts.count) is in use")
        counts[Int(id)] += 1
    }
}
