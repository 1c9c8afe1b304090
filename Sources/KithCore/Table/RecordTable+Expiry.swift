/// The records filed for one day: the head of a list through their slots.
struct ExpiryBucket: Sendable {
    let day: Int32
    var first: UInt32
}

// Day buckets: where retention looks for anonymous roots to expire. A bucket is a doubly linked
// list through the slots, the record filed last at its front; buckets stand sorted by day, about
// ninety of them in a running table. A record is in one bucket at most. The day says only when to
// look at the record again: whether it expires is decided by its last seen.

extension RecordTable {
    private func bucketIndex(_ day: Int32) -> (index: Int, isPresent: Bool) {
        var low = 0
        var high = buckets.count
        while low < high {
            let middle = (low + high) / 2
            if buckets[middle].day < day { low = middle + 1 } else { high = middle }
        }
        return (low, low < buckets.count && buckets[low].day == day)
    }

    /// Files a root under `day` (days since 1970). Filed under another day, it is moved; under
    /// that day already, nothing changes.
    public mutating func file(_ slot: SlotIndex, day: Int32) {
        requireLive(slot)
        precondition(state(slot) == .root, "only roots are filed")
        let number = slot.rawValue
        if slab.isFiled(number), slab.day(number) == day { return }
        unfile(slot)
        let (index, isPresent) = bucketIndex(day)
        if !isPresent { buckets.insert(ExpiryBucket(day: day, first: RecordSlab.none), at: index) }
        let old = buckets[index].first
        slab.setFiled(number, true)
        slab.setDay(number, day)
        slab.setNext(number, old)
        slab.setPrevious(number, RecordSlab.none)
        if old != RecordSlab.none { slab.setPrevious(old, number) }
        buckets[index].first = number
    }

    /// Takes the record out of its bucket, if it is in one.
    public mutating func unfile(_ slot: SlotIndex) {
        let number = slot.rawValue
        guard slab.isFiled(number) else { return }
        let next = slab.next(number)
        let previous = slab.previous(number)
        if next != RecordSlab.none { slab.setPrevious(next, previous) }
        if previous != RecordSlab.none {
            slab.setNext(previous, next)
        } else {
            let (index, isPresent) = bucketIndex(slab.day(number))
            precondition(isPresent, "no bucket for day \(slab.day(number))")
            if next == RecordSlab.none {
                buckets.remove(at: index)
            } else {
                buckets[index].first = next
            }
        }
        slab.setFiled(number, false)
        slab.setParent(number, LeafID(high: 0, low: 0))
    }

    /// The day the record is filed under.
    public func filedDay(_ slot: SlotIndex) -> Int32? {
        slab.isFiled(slot.rawValue) ? slab.day(slot.rawValue) : nil
    }

    /// The earliest day under which anything is filed.
    public func earliestFiledDay() -> Int32? { buckets.first?.day }

    /// The earliest day after `day` under which anything is filed.
    public func earliestFiledDay(after day: Int32) -> Int32? {
        let (index, isPresent) = bucketIndex(day)
        let next = isPresent ? index + 1 : index
        return next < buckets.count ? buckets[next].day : nil
    }

    /// The record filed last under `day`.
    public func firstFiled(day: Int32) -> SlotIndex? {
        let (index, isPresent) = bucketIndex(day)
        return isPresent ? SlotIndex(rawValue: buckets[index].first) : nil
    }

    /// The record filed under the same day before this one.
    public func nextFiled(_ slot: SlotIndex) -> SlotIndex? {
        guard slab.isFiled(slot.rawValue) else { return nil }
        let next = slab.next(slot.rawValue)
        return next == RecordSlab.none ? nil : SlotIndex(rawValue: next)
    }
}
