/// The records filed for one day: the head of a list through their slots.
struct ExpiryBucket: Sendable {
    let day: Int32
    var first: UInt32
    /// Whether the list stands in the order of leaf ids.
    var isSorted = true
}

// Day buckets: where retention looks for anonymous roots to expire. A bucket is a doubly linked
// list through the slots; buckets stand sorted by day, about ninety of them in a running table. A
// record is in one bucket at most. The day says only when to look at the record again: whether it
// expires is decided by its last seen.
//
// Filing is O(1), at the front. A bucket is read in the order of leaf ids: it is sorted when
// somebody asks for its first, which is once, when its day comes. So the order follows from what is
// filed, not from the order of filing, and a replica restored from a snapshot reads it the same
// way.

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
        if old != RecordSlab.none {
            slab.setPrevious(old, number)
            if slab.id(old) < slab.id(number) { buckets[index].isSorted = false }
        }
        buckets[index].first = number
    }

    private mutating func sortBucket(_ index: Int) {
        guard !buckets[index].isSorted else { return }
        var filed: [(id: LeafID, slot: UInt32)] = []
        var slot = buckets[index].first
        while slot != RecordSlab.none {
            filed.append((slab.id(slot), slot))
            slot = slab.next(slot)
        }
        filed.sort { $0.id < $1.id }
        for (place, entry) in filed.enumerated() {
            slab.setPrevious(entry.slot, place == 0 ? RecordSlab.none : filed[place - 1].slot)
            slab.setNext(
                entry.slot, place + 1 == filed.count ? RecordSlab.none : filed[place + 1].slot)
        }
        buckets[index].first = filed[0].slot
        buckets[index].isSorted = true
    }

    /// Takes the record out of its bucket, if it is in one.
    mutating func unfile(_ slot: SlotIndex) {
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
    func filedDay(_ slot: SlotIndex) -> Int32? {
        slab.isFiled(slot.rawValue) ? slab.day(slot.rawValue) : nil
    }

    /// The earliest day under which anything is filed.
    func earliestFiledDay() -> Int32? { buckets.first?.day }

    /// The earliest day after `day` under which anything is filed.
    func earliestFiledDay(after day: Int32) -> Int32? {
        guard day < Int32.max else { return nil }
        let (index, _) = bucketIndex(day + 1)
        return index < buckets.count ? buckets[index].day : nil
    }

    /// The lowest leaf filed under `day`. O(1), and O(n log n) when the bucket has to be sorted.
    mutating func firstFiled(day: Int32) -> SlotIndex? {
        let (index, isPresent) = bucketIndex(day)
        guard isPresent else { return nil }
        sortBucket(index)
        return SlotIndex(rawValue: buckets[index].first)
    }

    /// The record behind this one in its bucket: the next higher leaf, as long as nothing was filed
    /// under that day since `firstFiled`.
    func nextFiled(_ slot: SlotIndex) -> SlotIndex? {
        guard slab.isFiled(slot.rawValue) else { return nil }
        let next = slab.next(slot.rawValue)
        return next == RecordSlab.none ? nil : SlotIndex(rawValue: next)
    }
}
