import KithBytes
import Testing

@testable import KithCore

@Suite struct CounterTests {
    /// A record whose own facet has these counters, made by way of the encoding.
    private func table(_ counters: [(String, UInt64)]) throws -> (bytes: [UInt8], LeafID) {
        var table = RecordTable()
        let leaf = testLeaf(1)
        let slot = table.insert(leaf)
        var facet = table.addFacet(slot, leaf, value: "v")
        for (name, _) in counters { table.count(&facet, name) }
        var bytes = table.exported(slot)
        // A count is the eight bytes behind its name.
        for (name, count) in counters {
            let pattern =
                [UInt8(name.utf8.count), 0] + Array(name.utf8) + [1, 0, 0, 0, 0, 0, 0, 0]
            let start = bytes.indices.first { bytes[$0...].starts(with: pattern) }!
            for index in 0..<8 {
                bytes[start + pattern.count - 8 + index] =
                    UInt8(truncatingIfNeeded: count >> UInt64(8 * index))
            }
        }
        return (bytes, leaf)
    }

    @Test func `a counter passes 32 bits and its neighbours keep their counts`() throws {
        let (bytes, leaf) = try table([("a", 7), ("b", UInt64(UInt32.max)), ("c", 9)])
        var copy = RecordTable()
        let slot = copy.insert(leaf)
        try copy.importFacets(slot, bytes)
        var facet = copy.facet(slot, leaf)!
        copy.setTrait(&facet, "trait", time: 1, messageID: "m", value: [1])

        copy.count(&facet, "b")
        copy.count(&facet, "b")
        copy.count(&facet, "c")
        copy.count(&facet, "d")

        let events = copy.fold(slot, retentionMillis: 0).events
        #expect(events.map(\.count) == [7, 1 << 32 + 1, 10, 1])
        #expect(copy.eventCount(facet) == 1 << 32 + 19)
        copy.checkInvariants()
    }

    @Test func `a counter stops at the greatest number`() throws {
        let (bytes, leaf) = try table([("a", UInt64.max), ("b", 2)])
        var copy = RecordTable()
        let slot = copy.insert(leaf)
        try copy.importFacets(slot, bytes)
        var facet = copy.facet(slot, leaf)!

        copy.count(&facet, "a")

        #expect(copy.eventCount(facet) == UInt64.max)
        #expect(copy.fold(slot, retentionMillis: 0).eventsTotal == UInt64.max)
    }

    @Test func `event names without room count under (other)`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        var facet = table.addFacet(slot, testLeaf(1))
        for name in ["a", "b", "c", "d", "a", "(other)", "c"] {
            table.count(&facet, name, namesMax: 2)
        }

        let events = table.fold(slot, retentionMillis: 0).events

        #expect(events.map(\.name) == ["(other)", "a", "b"])
        #expect(events.map(\.count) == [4, 2, 1])
        table.checkInvariants()
    }

    @Test func `spaces and namespaces without room are kept in the facet`() {
        var table = RecordTable(namesMax: 1)
        let slot = table.insert(testLeaf(1))
        table.addFacet(slot, testLeaf(1), space: "brand", namespace: "email", value: "x")
        let facet = table.addFacet(
            slot, testLeaf(2), space: "other", namespace: "phone", value: "y")
        table.setSealVersion(facet, OperationIndex(rawValue: 4))

        #expect(table.space(facet) == Array("other".utf8))
        #expect(table.namespace(facet) == Array("phone".utf8))
        #expect(table.value(facet) == Array("y".utf8))
        #expect(table.namespaceCount(slot, "phone") == 1)
        #expect(table.identifiers(slot).map(\.count) == [1, 1])
        table.checkInvariants()
        table.remove(slot)
        table.checkInvariants()
    }
}

@Suite struct FacetTimeTests {
    @Test(
        arguments: [
            0, -1, 1_700_000_000_000, -(1 << 47) + 1, 1 << 47 - 2, Int64.min, Int64.max,
        ] as [Int64])
    func `a time comes back as it was`(time: Int64) {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        let facet = table.addFacet(slot, testLeaf(1), seen: time)

        #expect(table.firstSeen(facet) == time)
        #expect(table.lastSeen(facet) == time)
        #expect(table.lastSeen(slot) == time)
    }

    @Test func `a time beyond 48 bits is the end of its side`() {
        #expect(StoredTime.rounded(1 << 50) == Int64.max)
        #expect(StoredTime.rounded(-(1 << 50)) == Int64.min)
        #expect(StoredTime.time(StoredTime.bits(1 << 50)) == Int64.max)
    }
}
