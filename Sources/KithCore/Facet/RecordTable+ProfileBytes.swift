internal import KithBytes

// How long the answer to a read of a record can be, without making it. The slot keeps the sum, so
// that every rule that asks costs the same however large the profile is.

extension RecordTable {
    /// Bytes that the record's `Profile` has at most: all texts spelt out, every event name once,
    /// every trait once a facet, and the reserved event names as if they were all counted. Zero
    /// where there are no facets. O(1).
    func profileBytes(_ slot: SlotIndex) -> Int {
        facetCount(slot) == 0 ? 0 : Self.profileBaseBytes + slab.profileBytes(slot.rawValue)
    }

    /// Event names that the record's facets count, reserved ones not among them. O(1).
    func eventNames(_ slot: SlotIndex) -> Int { slab.eventNames(slot.rawValue) }

    /// What a profile has besides the entries that are counted: its head and the reserved names.
    static let profileBaseBytes =
        Profile.headBytesMax
        + EventNames.reserved.reduce(0) { $0 + Profile.eventBytesMin + $1.utf8CodeUnitCount }

    /// Whether the profile may grow by so many bytes.
    func hasRoom(forProfileBytes bytes: Int, _ slot: SlotIndex) -> Bool {
        bytes <= 0 || profileBytes(slot) + bytes <= FacetLimits.profileBytesMax
    }

    mutating func grow(_ slot: SlotIndex, by bytes: Int) {
        slab.setProfileBytes(slot.rawValue, slab.profileBytes(slot.rawValue) + bytes)
    }

    /// Bytes of the facet's identifier and traits in a profile.
    func spelledBytes(_ shape: FacetShape) -> Int {
        var sum = Profile.identifierBytesMin + namespaceText(shape).byteCount
        sum += shape.parts.contains(.packedValue) ? PackedUUID.textBytes : shape.valueBytes
        var cell: TraitCell?
        for _ in 0..<shape.traitCount {
            let next = trait(after: cell, in: shape)
            sum += Profile.traitBytesMin + nameText(next).byteCount + next.valueBytes
            cell = next
        }
        return sum
    }

    /// The different event names of the record's facets, reserved ones left out, and the bytes of
    /// their entries in a profile. O(counters log facets).
    func countEventNames(_ slot: SlotIndex) -> (count: Int, bytes: Int) {
        var numbers: [UInt32] = []
        forEachFacet(slot) { facet, _ in
            let shape = shape(facet)
            for index in 0..<shape.counterCount {
                let name = counter(index, shape).name
                if name >= EventNames.reservedCount { numbers.append(name) }
            }
        }
        // Each facet's numbers rise, and a sort finds such runs.
        if facetCount(slot) > 1 { numbers.sort() }
        var count = 0
        var bytes = 0
        for (place, number) in numbers.enumerated()
        where place == 0 || numbers[place - 1] != number {
            count += 1
            bytes += Profile.eventBytesMin + events.byteCount(number)
        }
        return (count, bytes)
    }

    /// What `profileBytes` and `eventNames` must be, counted anew. O(payload).
    func recountProfile(_ slot: SlotIndex) -> (bytes: Int, eventNames: Int) {
        let (count, bytes) = countEventNames(slot)
        var sum = bytes
        forEachFacet(slot) { facet, _ in sum += spelledBytes(shape(facet)) }
        return (sum, count)
    }
}
