import KithBytes
import Testing

@testable import KithCore

/// When the memory of payloads grows: a table that has many free blocks of other sizes puts what it
/// has together first.
@Suite struct ArenaGrowthTests {
    @Test func `a table whose free blocks are many does not grow, but is rewritten`() {
        var table = RecordTable()
        var facets: [FacetRef] = []
        for number in 0..<4_000 {
            let leaf = testLeaf(UInt64(number))
            facets.append(table.addFacet(table.insert(leaf), leaf))
        }
        // Each moves into larger blocks again and again, and leaves smaller ones behind.
        var grown = 0
        for round in 0..<24 {
            for place in facets.indices {
                let before = table.arena.region.byteCount
                table.count(&facets[place], "name \(round)")
                guard table.arena.region.byteCount > before else { continue }
                grown += 1
                let isFragmented = table.arena.isFragmented
                #expect(!isFragmented, "grown in round \(round) at \(place)")
            }
        }

        #expect(grown > 10)
        table.checkInvariants()
    }
}
