public import KithBytes

// A facet's counters, one for each event name, and its window of recent messages.

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

    func counter(_ index: Int, _ shape: FacetShape) -> (name: UInt16, count: UInt64) {
        let at = shape.counters + index * shape.counterBytes
        let count =
            shape.parts.contains(.wideCounters)
            ? arena.region.u64(at: at + 2) : UInt64(arena.region.u32(at: at + 2))
        return (arena.region.u16(at: at), count)
    }

    /// Counts one event under its name; a new one under "(other)" where the name table has no room
    /// or the record's payload has `FacetLimits.counterPayloadMax`.
    public mutating func count(_ facet: inout FacetRef, name: RawSpan) {
        let shape = shape(facet)
        if let known = names.find(name) {
            for index in 0..<shape.counterCount where counter(index, shape).name == known {
                return increment(facet, index, shape)
            }
        }
        let hasRoom = payloadBytes(facet.slot) < FacetLimits.counterPayloadMax
        let id = (hasRoom ? names.retain(name) : nil) ?? NameTable.other
        if id == NameTable.other {
            for index in 0..<shape.counterCount where counter(index, shape).name == id {
                return increment(facet, index, shape)
            }
        }
        let offset = shape.traits - shape.start
        resize(facet, at: offset, removing: 0, inserting: shape.counterBytes)
        let start = start(facet)
        arena.region.store(id, at: start + offset)
        if shape.parts.contains(.wideCounters) {
            arena.region.store(UInt64(1), at: start + offset + 2)
        } else {
            arena.region.store(UInt32(1), at: start + offset + 2)
        }
        arena.region.store(UInt16(shape.counterCount + 1), at: start + FacetLayout.counters)
    }

    private mutating func increment(_ facet: FacetRef, _ index: Int, _ shape: FacetShape) {
        let at = shape.counters + index * shape.counterBytes + 2
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
        for index in (0..<shape.counterCount).reversed() {
            let name = arena.region.u16(at: counters + 6 * index)
            let count = arena.region.u32(at: counters + 6 * index + 2)
            arena.region.store(name, at: counters + 10 * index)
            arena.region.store(UInt64(count), at: counters + 10 * index + 2)
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
    public func windowContains(_ facet: FacetRef, messageHash: UInt64) -> Bool {
        let shape = shape(facet)
        return arena.region.containsEntry(
            messageHash, from: shape.window + FacetLayout.windowBaseBytes,
            count: shape.windowCount)
    }

    /// Remembers a message and lets go of those at the front that are too old or too many.
    public mutating func addToWindow(
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
    public mutating func clearWindow(_ facet: FacetRef) {
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
