import KithBytes
import Testing

@testable import KithCore

/// Numbers at the ends of what the portable encoding can say. An import is applied from a log, so
/// what it lets through must not trap afterwards: the node would end at every start.
@Suite struct PortableLimitTests {
    private static let own = testLeaf(1, .account)

    private static func crowd(_ count: Int) -> [PortableBytes] {
        (0..<count).map { PortableBytes(leaf: testLeaf(UInt64(100 + $0))) }
    }

    @Test func `an import leaves room for the facet of the record itself`() throws {
        var table = RecordTable()
        let slot = table.insert(Self.own)
        let most = RecordSlab.facetCountMax

        #expect(throws: ByteError.tooLong(length: most, limit: most - 1)) {
            try table.importFacets(slot, PortableBytes.encoded(Self.crowd(most)))
        }
        #expect(table.facetCount(slot) == 0)
        try table.importFacets(slot, PortableBytes.encoded(Self.crowd(most - 1)))
        table.addFacet(slot, Self.own)

        #expect(table.facetCount(slot) == most)
    }

    @Test func `an import that brings the facet of the record itself may fill it`() throws {
        var table = RecordTable()
        let slot = table.insert(Self.own)
        let most = RecordSlab.facetCountMax

        try table.importFacets(
            slot,
            PortableBytes.encoded(Self.crowd(most - 1) + [PortableBytes(leaf: Self.own)]))

        #expect(table.facetCount(slot) == most)
        #expect(throws: ByteError.tooLong(length: 1, limit: 0)) {
            try table.importFacets(slot, PortableBytes.encoded([PortableBytes(leaf: testLeaf(2))]))
        }
    }

    @Test func `a facet lists 256 groups at most, and then has room for every group`() throws {
        var table = RecordTable()
        let slot = table.insert(Self.own)
        let all = (0..<UInt16(256)).map { $0 }

        try table.importFacets(
            slot, PortableBytes.encoded([PortableBytes(leaf: Self.own, groups: all)]))
        var facet = table.facet(slot, Self.own)!
        for group in all { table.addGroup(&facet, GroupID(group)) }

        #expect(table.groups(facet).count == 256)
        table.checkInvariants()
    }

    @Test(arguments: [0...256, 1...UInt16.max, 256...256, .max ... .max] as [ClosedRange<UInt16>])
    func `a group that cannot be is refused`(groups: ClosedRange<UInt16>) {
        var table = RecordTable()
        let slot = table.insert(Self.own)

        #expect(throws: ByteError.self) {
            try table.importFacets(
                slot,
                PortableBytes.encoded([
                    PortableBytes(
                        leaf: Self.own, lifeGroup: groups.lowerBound, groups: Array(groups))
                ]))
        }

        #expect(table.facetCount(slot) == 0)
    }

    @Test func `the greatest counts of many facets add up to the greatest count`() throws {
        var table = RecordTable()
        let slot = table.insert(Self.own)
        var facets = Self.crowd(3)
        for index in facets.indices {
            facets[index].counters = [("a", .max), ("b", .max - 1), ("c", UInt64(UInt32.max))]
        }
        try table.importFacets(slot, PortableBytes.encoded(facets))
        var facet = table.facet(slot, facets[0].leaf)!
        for name in ["a", "b", "b", "b", "c", "d"] { table.count(&facet, name) }

        let profile = table.fold(slot, retentionMillis: .max)

        #expect(profile.eventsTotal == .max)
        #expect(profile.events.map(\.count) == [.max, .max, 3 * UInt64(UInt32.max) + 1, 1])
        table.checkInvariants()
    }

    @Test func `a record of 16 MiB counts new event names as one`() throws {
        var table = RecordTable()
        let slot = table.insert(Self.own)
        let facets = [
            PortableBytes(leaf: Self.own, counters: [("a", 1)]),
            PortableBytes(
                leaf: testLeaf(2), traits: ["t"], traitBytes: FacetLimits.counterPayloadMax),
        ]
        try table.importFacets(slot, PortableBytes.encoded(facets))
        var facet = table.facet(slot, Self.own)!

        for name in ["a", "b", "c"] { table.count(&facet, name) }

        let events = table.fold(slot, retentionMillis: 0).events
        #expect(events.map(\.name) == ["(other)", "a"])
        #expect(events.map(\.count) == [2, 2])
        table.checkInvariants()
    }

    @Test func `as many traits as can be written take no further one`() throws {
        var table = RecordTable()
        let slot = table.insert(Self.own)
        let names = (0..<Int(UInt16.max)).map { "n\($0)" }.sorted()
        try table.importFacets(
            slot, PortableBytes.encoded([PortableBytes(leaf: Self.own, traits: names)]))
        var facet = table.facet(slot, Self.own)!

        let added = table.setTrait(&facet, "new", time: 9, messageID: "m", value: [1])
        let changed = table.setTrait(&facet, names[7], time: 9, messageID: "m", value: [1])

        #expect(added == .limit)
        #expect(changed == .set)
        #expect(table.shape(facet).traitCount == Int(UInt16.max))
    }

    @Test(arguments: [0, 1 << 47 - 2 - Int64(UInt32.max)])
    func `a window at the end of time takes one more message`(first: Int64) throws {
        var table = RecordTable()
        let slot = table.insert(Self.own)
        let messages = (0..<FacetLimits.windowMax).map {
            (hash: UInt64($0), after: $0 == 0 ? 0 : UInt32.max)
        }
        try table.importFacets(
            slot,
            PortableBytes.encoded([
                PortableBytes(leaf: Self.own, windowFirst: first, window: messages)
            ]))
        var facet = table.facet(slot, Self.own)!

        for time in [Int64.min, 0, .max] {
            table.addToWindow(&facet, messageHash: .max, at: LogTime(time))
        }

        #expect(table.remembered(facet, among: [.max]) == [.max])
        table.checkInvariants()
        let bytes = table.exported(slot)
        var copy = RecordTable()
        let other = copy.insert(Self.own)
        try copy.importFacets(other, bytes)
        #expect(copy.exported(other) == bytes)
    }
}

/// The same through a log.
@Suite struct AbsorbLimitTests {
    private static func absorb(_ world: ReviewWorld, _ facets: [PortableBytes]) -> [Outcome] {
        let target = world.leaf("user_id", "u")
        var ledger = Ledger()
        ledger.seal = KithCore.SealNote(
            into: target, eventTime: ReviewWorld.day, wasLive: true, winnerEnd: target,
            winnerEndIsListed: true,
            intoText: IdentifierText(
                flags: [], space: ReviewWorld.space, namespace: Array("user_id".utf8),
                value: Array("u".utf8)))
        var brought = ByteWriter()
        ledger.encode(into: &brought)
        var operations = OperationWriter()
        operations.absorb(
            AbsorbOrder(
                target: target, loser: world.leaf("anonymous_id", "a"), loserGroup: GroupID(9),
                version: OperationIndex(rawValue: 7), proof: .none, marks: [],
                ledger: brought.bytes, facets: PortableBytes.encoded(facets)))
        return world.log(0, operations)
    }

    @Test func `an absorb that leaves no room for the target's own facet is refused`() {
        let world = ReviewWorld(groups: 1)
        world.groups[0].identifiersMax = .max
        let facets = (0..<RecordSlab.facetCountMax).map {
            PortableBytes(leaf: testLeaf(UInt64($0)))
        }

        #expect(Self.absorb(world, facets) == [.malformed])
        world.checkInvariants()
    }

    @Test func `an absorb of a facet that lists more groups than there are is refused`() {
        let world = ReviewWorld(groups: 1)
        let facet = PortableBytes(
            leaf: testLeaf(5), lifeGroup: 1, groups: (1...UInt16.max).map { $0 })

        #expect(Self.absorb(world, [facet]) == [.malformed])
        world.checkInvariants()
    }
}
