import KithBytes
import Testing

@testable import KithCore

/// Which name an event counts under: decided by what its own profile counts, and by nothing else.
@Suite struct EventNamesTests {
    private static let max = FacetLimits.eventNamesMax

    private func events(_ table: borrowing RecordTable, _ slot: SlotIndex) -> [String: UInt64] {
        Dictionary(
            uniqueKeysWithValues: table.fold(slot, retentionMillis: 0).events.map {
                ($0.name, $0.count)
            })
    }

    @Test func `a profile counts a thousand names apart, and all further ones as one`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        var facet = table.addFacet(slot, testLeaf(1))

        for round in 0..<2 {
            for number in 0..<Self.max + 500 { table.count(&facet, "name \(number)") }
            #expect(table.events.count == Self.max, "round \(round)")
        }

        let counted = events(table, slot)
        #expect(counted.count == Self.max + 1)
        #expect(counted["(other)"] == 1_000)
        #expect((0..<Self.max).allSatisfy { counted["name \($0)"] == 2 })
        #expect(table.eventNames(slot) == Self.max)
        table.checkInvariants()
    }

    @Test func `a full profile counts the types by their names, first seen or not`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        var facet = table.addFacet(slot, testLeaf(1))
        for number in 0..<10 { table.count(&facet, "name \(number)", namesMax: 3) }

        for type in EventType.allCases where type != .track {
            for _ in 0..<2 { table.count(&facet, type.name, namesMax: 3) }
        }

        let counted = events(table, slot)
        #expect(counted["(other)"] == 7)
        for type in EventType.allCases where type != .track { #expect(counted[type.name] == 2) }
        #expect(counted.count == 3 + 1 + 5)
        table.checkInvariants()
    }

    /// The type of a track is not what it counts under; all others must be reserved.
    @Test func `the reserved names are those of the types and of what has no room`() {
        let types = EventType.allCases.filter { $0 != .track }.map(\.name)

        #expect(EventNames.reserved.map { "\($0)" }.sorted() == (types + ["(other)"]).sorted())
        #expect("\(EventNames.reserved[Int(EventNames.other)])" == "(other)")
    }

    @Test func `names of one profile take no room from those of another`() {
        var table = RecordTable(namesMax: 4)
        for number in 0..<40 {
            let slot = table.insert(testLeaf(UInt64(number)))
            var facet = table.addFacet(slot, testLeaf(UInt64(number)))
            for name in 0..<20 { table.count(&facet, "name \(number) \(name)", namesMax: 20) }
            for name in 0..<20 {
                let outcome = table.setTrait(
                    &facet, "trait \(number) \(name)", time: 1, messageID: "m", value: [1])
                #expect(outcome == .set)
            }
        }

        table.forEachSlot { slot in
            let profile = table.fold(slot, retentionMillis: 0)
            #expect(profile.events.count == 20)
            #expect(profile.traits.count == 20)
        }
        table.checkInvariants()
    }

    @Test func `a merge keeps what both had, and counts no further name`() throws {
        var table = RecordTable()
        let (a, b) = (table.insert(testLeaf(1, .account)), table.insert(testLeaf(2)))
        var first = table.addFacet(a, testLeaf(1, .account))
        var second = table.addFacet(b, testLeaf(2))
        for number in 0..<6 {
            table.count(&first, "a\(number)", namesMax: 4)
            table.count(&second, "b\(number)", namesMax: 4)
        }

        try table.importFacets(a, table.exported(b))
        table.remove(b)
        first = table.facet(a, testLeaf(1, .account))!
        for name in ["a0", "b0", "b5", "new"] { table.count(&first, name, namesMax: 4) }

        let counted = events(table, a)
        #expect(counted["a0"] == 2)
        #expect(counted["b0"] == 2)
        #expect(counted["(other)"] == 2 + 2 + 2)
        #expect(counted.count == 4 + 4 + 1)
        #expect(table.eventNames(a) == 8)
        table.checkInvariants()
    }

    @Test func `names that end with their profile are given back`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        var facet = table.addFacet(slot, testLeaf(1))
        for number in 0..<100 { table.count(&facet, "name \(number)") }

        table.removeAllFacets(slot)

        #expect(table.events.count == 0)
        #expect(table.eventNames(slot) == 0)
        #expect(table.profileBytes(slot) == 0)
        table.checkInvariants()
    }

    /// A facet that came from elsewhere may have more counters than any event gives it.
    @Test func `a facet with as many counters as it can have counts under (other)`() throws {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1, .account))
        let names = (0..<FacetLimits.countersMax).map { "n\($0)" }.sorted()
        let others = [("x", 1 as UInt64)]
        try table.importFacets(
            slot,
            PortableBytes.encoded([
                PortableBytes(leaf: testLeaf(1, .account), counters: names.map { ($0, 1) }),
                PortableBytes(leaf: testLeaf(2), counters: others),
            ]))
        var facet = table.facet(slot, testLeaf(1, .account))!

        for name in ["x", "n7", "page", "identify", "new"] { table.count(&facet, name) }

        #expect(table.shape(facet).counterCount == FacetLimits.countersMax + 3)
        let counted = events(table, slot)
        #expect(counted["x"] == 1)
        #expect(counted["n7"] == 2)
        #expect(counted["(other)"] == 2)
        table.checkInvariants()
        let bytes = table.exported(slot)
        var copy = RecordTable()
        let other = copy.insert(testLeaf(1, .account))
        try copy.importFacets(other, bytes)
        #expect(copy.exported(other) == bytes)
    }

    @Test func `a facet of more counters than that is refused`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        let names = (0...FacetLimits.countersMax).map { "n\($0)" }.sorted()

        #expect(throws: ByteError.tooLong(length: names.count, limit: FacetLimits.countersMax)) {
            try table.importFacets(
                slot,
                PortableBytes.encoded([
                    PortableBytes(leaf: testLeaf(1), counters: names.map { ($0, 1) })
                ]))
        }
    }
}

/// How large an answer gets: known at every moment, and bounded.
@Suite struct ProfileBytesTests {
    private func encoded(_ table: borrowing RecordTable, _ slot: SlotIndex) -> Int {
        var writer = ByteWriter()
        table.encodeProfile(slot, retentionMillis: 1, into: &writer)
        return writer.count
    }

    @Test func `an answer has at most the bytes that its record says, and few less`() {
        var random = SeededGenerator(seed: 3)
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        table.addFacet(slot, testLeaf(1), space: String(repeating: "s", count: 255))
        for number in 2..<9 as Range<UInt64> {
            table.addFacet(slot, testLeaf(number), value: testUUID(number))
        }

        for time in 0..<3_000 {
            var facet = table.facet(slot, testLeaf(UInt64(1 + random.below(8))))!
            table.count(&facet, "name \(random.below(300))")
            table.setTrait(
                &facet, "trait \(random.below(60))", time: Int64(random.below(time + 1)),
                messageID: "m", value: [0x18, UInt8(random.below(200))])
        }

        #expect(encoded(table, slot) <= table.profileBytes(slot))
        // A trait that several facets have counts for each of them.
        #expect(table.profileBytes(slot) < 2 * encoded(table, slot))
        table.checkInvariants()
    }

    @Test func `what would make an answer too long is not written`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1, .account))
        let value = [0x79, 0xea, 0x60] + [UInt8](repeating: 0x78, count: 60_000)
        for number in 0..<100 {
            var facet = table.addFacet(slot, testLeaf(UInt64(number), .account))
            table.setTrait(&facet, "t", time: 1, messageID: "m", value: value)
        }
        var facet = table.facet(slot, testLeaf(1, .account))!
        let before = table.profileBytes(slot)

        let refused = table.setTrait(&facet, "new", time: 2, messageID: "m", value: value)
        let shrunk = table.setTrait(&facet, "t", time: 2, messageID: "m", value: [0xf6])
        let grown = table.setTrait(&facet, "t", time: 3, messageID: "m", value: value)
        for number in 0..<5_000 {
            table.count(&facet, String(repeating: "n", count: 190) + "\(number)", namesMax: 9_999)
        }
        table.count(&facet, "page")

        #expect(before > FacetLimits.profileBytesMax - value.count)
        #expect(refused == .limit)
        #expect(shrunk == .set)
        #expect(grown == .set || grown == .limit)
        #expect(table.profileBytes(slot) <= FacetLimits.profileBytesMax)
        #expect(table.profileBytes(slot) > FacetLimits.profileBytesMax - value.count)
        let events = table.fold(slot, retentionMillis: 0).events
        #expect(events.contains { $0.name == "page" })
        #expect(events.first?.name == "(other)")
        #expect(encoded(table, slot) <= FacetLimits.profileBytesMax)
        table.checkInvariants()
    }
}
