import KithBytes
import Testing

@testable import KithCore

@Suite struct PortableFacetTests {
    private static let own = testLeaf(1, .account)

    /// A record that uses every part of the format.
    private static func fill(_ table: inout RecordTable, _ slot: SlotIndex) {
        var random = SeededGenerator(seed: 11)
        for (number, leaf) in [own, testLeaf(2), testLeaf(3), testLeaf(4, .contact)].enumerated() {
            var facet = table.addFacet(
                slot, leaf, life: random.next(), group: UInt16(number), seen: Int64(number) - 2,
                flags: FacetFlags(rawValue: UInt8(number)), forgetTime: number == 1 ? 77 : nil,
                namespace: number == 0 ? "user_id" : "anonymous_id",
                value: number == 2 ? testUUID(5) : "value \(number)")
            if number > 0 { table.setSealVersion(facet, OperationIndex(rawValue: UInt64(number))) }
            for group in 0..<number { table.addGroup(&facet, GroupID(UInt16(group + 5))) }
            for index in 0..<(number * 2) {
                table.count(&facet, "event \(index)")
                table.addToWindow(
                    &facet, messageHash: random.next(), at: LogTime(Int64(index) * 1_000))
                table.setTrait(
                    &facet, "trait \(index)", time: Int64(index / 2),
                    messageID: index % 3 == 0 ? "m\(index)" : testUUID(UInt64(index / 2)),
                    value: [UInt8](repeating: 0x41, count: index))
            }
            table.touch(facet, eventTime: 1_000 + Int64(number))
        }
        table.setLedger(slot, [1, 2, 3])
    }

    private static func encoded() -> [UInt8] {
        var table = RecordTable()
        let slot = table.insert(own)
        fill(&table, slot)
        table.checkInvariants()
        return table.exported(slot)
    }

    @Test func `what is exported and imported is exported the same`() throws {
        let bytes = Self.encoded()
        var copy = RecordTable()
        let slot = copy.insert(Self.own)

        try copy.importFacets(slot, bytes)

        copy.checkInvariants()
        #expect(copy.exported(slot) == bytes)
        #expect(copy.facetCount(slot) == 4)
        #expect(copy.lastSeen(slot) == 1_003)
    }

    @Test func `it means the same under another record and beside other facets`() throws {
        var table = RecordTable()
        let first = table.insert(Self.own)
        Self.fill(&table, first)
        let bytes = table.exported(first)
        let target = table.insert(testLeaf(50, .account))
        table.addFacet(target, testLeaf(50, .account), seen: 0, namespace: "user_id", value: "w")
        table.setLedger(target, [9, 9])

        try table.importFacets(target, bytes)

        table.checkInvariants()
        #expect(table.ledger(target) == [9, 9])
        #expect(table.facetCount(target) == 5)
        for (leaf, value) in [(Self.own, "value 0"), (testLeaf(3), testUUID(5))] {
            let facet = table.facet(target, leaf)!
            #expect(table.value(facet) == Array(value.utf8))
            #expect(table.leaf(facet) == leaf)
        }
        let moved = table.facet(target, testLeaf(3))!
        let original = table.facet(first, testLeaf(3))!
        #expect(table.life(moved) == table.life(original))
        #expect(table.groups(moved) == [2, 5, 6].map { GroupID($0) })
        #expect(table.sealVersion(moved).rawValue == 2)
        #expect(table.eventCount(moved) == 4)
        #expect(table.shape(moved).windowCount == 4)
    }

    @Test func `equal contents have equal bytes, whatever the order they came in`() throws {
        func build(reversed: Bool) -> [UInt8] {
            var table = RecordTable()
            let slot = table.insert(Self.own)
            let leaves = [Self.own, testLeaf(2), testLeaf(3)]
            for leaf in reversed ? leaves.reversed() : leaves {
                var facet = table.addFacet(slot, leaf)
                let names = ["x", "a", "m"]
                for name in reversed ? names.reversed() : names {
                    table.count(&facet, name)
                    table.setTrait(&facet, name, time: 1, messageID: "m", value: [1])
                }
            }
            return table.exported(slot)
        }

        #expect(build(reversed: false) == build(reversed: true))
    }

    @Test func `an import of what is there already throws and changes nothing`() {
        var table = RecordTable()
        let slot = table.insert(Self.own)
        Self.fill(&table, slot)
        let bytes = table.exported(slot)

        #expect(throws: ByteError.self) { try table.importFacets(slot, bytes) }

        #expect(table.exported(slot) == bytes)
        table.checkInvariants()
    }

    @Test func `every truncation throws and changes nothing`() {
        let bytes = Self.encoded()
        var table = RecordTable()
        let slot = table.insert(testLeaf(60))
        table.addFacet(slot, testLeaf(60))
        let before = table.exported(slot)

        for count in 0..<bytes.count {
            #expect(throws: ByteError.self) {
                try table.importFacets(slot, Array(bytes[..<count]))
            }
        }

        #expect(table.exported(slot) == before)
        #expect(table.names.count == 0)
        table.checkInvariants()
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `random changes of the bytes never trap, and throw without a trace`(seed: UInt64) {
        let bytes = Self.encoded()
        var random = SeededGenerator(seed: seed)
        var taken = 0
        for _ in 0..<1_500 {
            var changed = bytes
            for _ in 0...random.below(3) {
                let place = random.below(changed.count)
                switch random.below(4) {
                case 0: changed[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: changed[place] ^= 1 << UInt8(random.below(8))
                case 2: changed.remove(at: place)
                default: changed.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
                }
            }
            var table = RecordTable()
            let slot = table.insert(testLeaf(60))
            table.addFacet(slot, testLeaf(60))
            let before = table.exported(slot)
            do {
                try table.importFacets(slot, changed)
                taken += 1
                _ = table.fold(slot, retentionMillis: 1)
                _ = table.exported(slot)
                table.checkInvariants()
            } catch {
                #expect(table.exported(slot) == before, "seed \(seed)")
                #expect(table.names.count == 0, "seed \(seed)")
            }
        }
        #expect(taken > 0, "seed \(seed)")
    }

    @Test func `traits that find no room for their names spell them out`() throws {
        let bytes = Self.encoded()
        var table = RecordTable(namesMax: 3)
        let slot = table.insert(Self.own)

        try table.importFacets(slot, bytes)

        table.checkInvariants()
        let profile = table.fold(slot, retentionMillis: 0)
        #expect(profile.eventsTotal == 12)
        #expect(profile.traits.count == 6)
        var facet = table.facet(slot, testLeaf(4, .contact))!
        let outcome = table.setTrait(
            &facet, "trait 5", time: 99, messageID: testUUID(1), value: [0x05])
        #expect(outcome == .set)
        let changed = table.fold(slot, retentionMillis: 0).traits.first { $0.name == "trait 5" }
        #expect(changed?.value == [0x05])
        table.checkInvariants()
        table.remove(slot)
        table.checkInvariants()
    }

    @Test func `an empty record exports no facets and imports none`() throws {
        var table = RecordTable()
        let slot = table.insert(Self.own)
        let bytes = table.exported(slot)

        try table.importFacets(slot, bytes)

        #expect(bytes == [0, 0, 0, 0])
        #expect(table.payloadBytes(slot) == 0)
    }

    @Test func `the reader stands behind the facets afterwards`() throws {
        let bytes = Self.encoded() + [42]
        var table = RecordTable()
        let slot = table.insert(Self.own)
        var reader = unsafe ByteReader(bytes.span.bytes)

        try table.importFacets(slot, &reader)

        #expect(try reader.u8() == 42)
    }
}
