internal import KithBytes

// A facet's counters, one for each event name, and its window of recent messages.
//
// Counters lie in the order of their names' numbers, so that one of thousands is found in a dozen
// looks. Which name gets a counter of its own is decided at the root that counts: a name that the
// profile counts already, or one of the first `eventNamesMax`, or a reserved one (`EventNames`).
// All others count under "(other)".

extension RecordTable {
    /// Events counted under the facet: the sum of its counters. O(names).
    public func eventCount(_ facet: FacetRef) -> UInt64 {
        let shape = shape(facet)
        var sum: UInt64 = 0
        for index in 0..<shape.counterCount {
            sum = sum.addingSaturated(counter(index, shape).count)
        }
        return sum
    }

    func counter(_ index: Int, _ shape: FacetShape) -> (name: UInt32, count: UInt64) {
        let at = shape.counters + index * shape.counterBytes
        let count =
            shape.parts.contains(.wideCounters)
            ? arena.region.u64(at: at + 4) : UInt64(arena.region.u32(at: at + 4))
        return (arena.region.u32(at: at), count)
    }

    /// The place of a name's counter, or where it would be. O(log names).
    private func place(of name: UInt32, _ shape: FacetShape) -> (index: Int, isThere: Bool) {
        let stride = shape.counterBytes
        var low = 0
        var high = shape.counterCount
        while low < high {
            let middle = (low &+ high) / 2
            let here = arena.region.u32(at: shape.counters &+ middle &* stride)
            if here == name { return (middle, true) }
            if here < name { low = middle &+ 1 } else { high = middle }
        }
        return (low, false)
    }

    /// Counts one event under its name, or under "(other)" where the profile has no room for a
    /// further name: it counts `namesMax` already, reserved ones apart, or is as large as it may
    /// get. O(log names), for a name that is new in the facet O(payload).
    public mutating func count(
        _ facet: inout FacetRef, name: RawSpan, namesMax: Int = FacetLimits.eventNamesMax
    ) {
        let shape = shape(facet)
        let known = events.findAndRemember(name)
        if let known {
            let (index, isThere) = place(of: known, shape)
            if isThere { return increment(facet, index, shape) }
        }
        let isReserved =
            known.map { $0 < EventNames.reservedCount } ?? EventNames.isReserved(name)
        let isCounted = known.map { counts($0, facet.slot) } ?? false
        let mayAdd =
            Rules.isCountedApart(isReserved)
            || hasRoom(forCounterIn: facet, shape)
                && (isCounted || hasRoom(forEventName: name, facet.slot, namesMax: namesMax))
        guard mayAdd, let id = events.retain(name, knownAs: known) else {
            mark(.eventNameOther)
            return countOther(facet, shape)
        }
        insertCounter(facet, id, shape)
        guard !isReserved, !isCounted else { return }
        slab.setEventNames(facet.slot.rawValue, eventNames(facet.slot) + 1)
        grow(facet.slot, by: Profile.eventBytesMin + name.byteCount)
    }

    private mutating func countOther(_ facet: FacetRef, _ shape: FacetShape) {
        if events.entryCount == 0 { _ = events.retain(.constant(EventNames.reserved[0])) }
        let (index, isThere) = place(of: EventNames.other, shape)
        if isThere { return increment(facet, index, shape) }
        insertCounter(facet, EventNames.other, shape)
    }

    /// Whether the facet may get a counter of a name that is not reserved. For the six reserved
    /// ones there is always room.
    private func hasRoom(forCounterIn facet: FacetRef, _ shape: FacetShape) -> Bool {
        shape.counterCount < FacetLimits.countersMax
            && payloadBytes(facet.slot) < FacetLimits.counterPayloadMax
    }

    private func hasRoom(forEventName name: RawSpan, _ slot: SlotIndex, namesMax: Int) -> Bool {
        Rules.isWithinEventNames(eventNames(slot), max: namesMax)
            && name.byteCount <= FacetLimits.nameBytesMax
            && hasRoom(forProfileBytes: Profile.eventBytesMin + name.byteCount, slot)
    }

    /// Whether any facet of the record counts under that name. O(facets log names).
    private func counts(_ name: UInt32, _ slot: SlotIndex) -> Bool {
        var offset = Self.payloadHeaderBytes
        for _ in 0..<facetCount(slot) {
            let facet = FacetRef(slot: slot, offset: UInt32(offset))
            if place(of: name, shape(facet)).isThere { return true }
            offset += Int(arena.region.u32(at: start(facet)))
        }
        return false
    }

    private mutating func insertCounter(_ facet: FacetRef, _ name: UInt32, _ shape: FacetShape) {
        let index = place(of: name, shape).index
        let offset = shape.counters - shape.start + index * shape.counterBytes
        resize(facet, at: offset, removing: 0, inserting: shape.counterBytes)
        let start = start(facet)
        arena.region.store(name, at: start + offset)
        if shape.parts.contains(.wideCounters) {
            arena.region.store(UInt64(1), at: start + offset + 4)
        } else {
            arena.region.store(UInt32(1), at: start + offset + 4)
        }
        arena.region.store(UInt16(shape.counterCount + 1), at: start + FacetLayout.counters)
    }

    private mutating func increment(_ facet: FacetRef, _ index: Int, _ shape: FacetShape) {
        let at = shape.counters + index * shape.counterBytes + 4
        if shape.parts.contains(.wideCounters) {
            arena.region.store(arena.region.u64(at: at).addingSaturated(1), at: at)
        } else if arena.region.u32(at: at) < UInt32.max {
            arena.region.store(arena.region.u32(at: at) + 1, at: at)
        } else {
            widenCounters(facet, shape)
            increment(facet, index, self.shape(facet))
        }
    }

    /// Gives every counter of the facet 64 bits.
    private mutating func widenCounters(_ facet: FacetRef, _ shape: FacetShape) {
        let end = shape.traits - shape.start
        resize(facet, at: end, removing: 0, inserting: 4 * shape.counterCount)
        let start = start(facet)
        let counters = start + shape.counters - shape.start
        let (narrow, wide) = (FacetLayout.counterBytes, FacetLayout.wideCounterBytes)
        for index in (0..<shape.counterCount).reversed() {
            let name = arena.region.u32(at: counters + narrow * index)
            let count = arena.region.u32(at: counters + narrow * index + 4)
            arena.region.store(name, at: counters + wide * index)
            arena.region.store(UInt64(count), at: counters + wide * index + 4)
        }
        let parts = shape.parts.union(.wideCounters)
        arena.region.store(parts.rawValue, at: start + FacetLayout.parts)
    }
}

extension UInt64 {
    func addingSaturated(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}

// MARK: - Window
//
// The last 64 messages always, the messages of the last 24 hours of log time up to 4,096. Times in
// a window never fall: a message that arrives under an earlier log time, after its facet moved to
// another group, gets the time of the message before it. So only the front has to be looked at.
// Times are kept as milliseconds after the window's first; when that outgrows 32 bits, what is
// older than two days is moved up to two days ago, which no rule can tell from its true age.
//
// A full window is a ring: a message takes the place of the oldest one, and nothing is moved. It is
// put in order again before anything else happens to it, and in an export.

extension RecordTable {
    /// Whether the message was counted lately under this facet. O(window).
    func windowContains(_ facet: FacetRef, messageHash: UInt64) -> Bool {
        let shape = shape(facet)
        return arena.region.containsEntry(
            messageHash, from: shape.window + FacetLayout.windowBaseBytes,
            count: shape.windowCount)
    }

    /// Remembers a message and lets go of those at the front that are too old or too many.
    mutating func addToWindow(
        _ facet: inout FacetRef, messageHash: UInt64, at time: LogTime
    ) {
        var shape = shape(facet)
        let stride = FacetLayout.windowEntryBytes
        let count = shape.windowCount
        var now = min(max(time.rawValue, 0), 1 << 47 - 2)
        guard count > 0 else {
            resize(
                facet, at: shape.length, removing: 0,
                inserting: FacetLayout.windowBaseBytes + stride)
            let window = start(facet) + shape.length
            arena.region.setTime(now, at: window)
            arena.region.store(messageHash, at: window + FacetLayout.windowBaseBytes)
            arena.region.store(UInt32(0), at: window + FacetLayout.windowBaseBytes + 8)
            arena.region.store(UInt16(1), at: start(facet) + FacetLayout.window)
            return
        }
        let base = arena.region.time(at: shape.window)
        now = max(now, base + Int64(arena.region.u32(at: shape.message(count - 1) + 8)))
        let dropped = windowExcess(shape, adding: 1, base: base, now: now)
        if dropped == 1, count == FacetLimits.windowMax, now - base <= Int64(UInt32.max) {
            let oldest = shape.message(0)
            arena.region.store(messageHash, at: oldest)
            arena.region.store(UInt32(now - base), at: oldest + 8)
            let next = (shape.windowOldest + 1) % count
            arena.region.store(UInt16(count + next), at: shape.start + FacetLayout.window)
            return
        }
        putWindowInOrder(&shape)
        let kept = count - dropped
        let entries = shape.window + FacetLayout.windowBaseBytes
        if dropped > 0 {
            arena.region.move(
                from: entries + dropped * stride, to: entries, count: kept * stride)
        }
        let newBase = rebaseWindow(shape, kept: kept, base: base, now: now)
        let newLength = shape.length + stride * (1 - dropped)
        if dropped == 0 {
            resize(facet, at: shape.length, removing: 0, inserting: stride)
        } else if dropped > 1 {
            resize(facet, at: newLength, removing: shape.length - newLength, inserting: 0)
        }
        let start = start(facet)
        let last = start + newLength - stride
        arena.region.store(messageHash, at: last)
        arena.region.store(UInt32(now - newBase), at: last + 8)
        arena.region.store(UInt16(kept + 1), at: start + FacetLayout.window)
    }

    /// Lets the oldest message be the first one. O(window).
    private mutating func putWindowInOrder(_ shape: inout FacetShape) {
        guard shape.windowOldest > 0 else { return }
        let entries = shape.window + FacetLayout.windowBaseBytes
        let newer = shape.windowOldest * FacetLayout.windowEntryBytes
        let older = shape.windowCount * FacetLayout.windowEntryBytes - newer
        let copy = arena.region.bytes(at: entries, count: newer).copied()
        arena.region.move(from: entries + newer, to: entries, count: older)
        unsafe arena.region.store(bytes: copy.span.bytes, at: entries + older)
        arena.region.store(UInt16(shape.windowCount), at: shape.start + FacetLayout.window)
        shape.windowOldest = 0
    }

    /// Forgets every message of the window.
    mutating func clearWindow(_ facet: FacetRef) {
        let shape = shape(facet)
        resize(
            facet, at: shape.window - shape.start, removing: shape.end - shape.window,
            inserting: 0)
        arena.region.store(UInt16(0), at: start(facet) + FacetLayout.window)
    }

    /// How many messages at the front go when `adding` more arrive at `now`.
    private func windowExcess(_ shape: FacetShape, adding: Int, base: Int64, now: Int64) -> Int {
        var total = shape.windowCount + adding
        var dropped = 0
        while total > FacetLimits.windowAlways {
            let at = shape.message(dropped) + 8
            let age = now - base - Int64(arena.region.u32(at: at))
            guard total > FacetLimits.windowMax || age > FacetLimits.windowMillis else { break }
            total -= 1
            dropped += 1
        }
        return dropped
    }

    /// Moves the base up when `now` is more than 32 bits of milliseconds after it. The window is in
    /// order.
    private mutating func rebaseWindow(
        _ shape: FacetShape, kept: Int, base: Int64, now: Int64
    ) -> Int64 {
        guard now - base > Int64(UInt32.max) else { return base }
        let newBase = now - 2 * FacetLimits.windowMillis
        for index in 0..<kept {
            let at =
                shape.window + FacetLayout.windowBaseBytes + index * FacetLayout.windowEntryBytes
                + 8
            let time = base + Int64(arena.region.u32(at: at))
            arena.region.store(UInt32(max(time - newBase, 0)), at: at)
        }
        arena.region.setTime(newBase, at: shape.window)
        return newBase
    }
}
