import KithBytes
import Testing

@testable import KithCore

@Suite struct TraitNamesTests {
    /// What the limit says, written as the definition reads.
    private struct Model {
        var names: [LeafID: Set<String>] = [:]

        mutating func takes(_ name: String, at leaf: LeafID) -> Bool {
            let all = names.values.reduce(into: Set<String>()) { $0.formUnion($1) }
            guard all.contains(name) || all.count < FacetLimits.traitKeysMax else { return false }
            names[leaf, default: []].insert(name)
            return true
        }
    }

    /// Events of many traits at records just below, at and above the limit; with a small name table
    /// some names are numbered, some spelt out, and the same one both.
    @Test(arguments: [1, 2, 3, 4] as [UInt64], [200, 65_534])
    func `every trait of an event is taken or refused as it would be alone`(
        seed: UInt64, namesMax: Int
    ) throws {
        var random = SeededGenerator(seed: seed)
        let leaves = (1..<7).map { testLeaf($0) }
        var table = RecordTable(namesMax: namesMax)
        let slot = table.insert(leaves[0])
        var model = Model()
        // What arrived spelt out, from another node, does not depend on room for names.
        let imported = leaves.dropFirst(3).enumerated().map { place, leaf in
            PortableBytes(leaf: leaf, traits: (0..<100).map { "t\($0 + 75 * place)" }.sorted())
        }
        try table.importFacets(slot, PortableBytes.encoded(imported))
        for facet in imported { model.names[facet.leaf] = Set(facet.traits) }
        for leaf in leaves.prefix(3) { table.addFacet(slot, leaf) }
        var gathered = 0
        for time in 0..<30 {
            let leaf = leaves[random.below(leaves.count)]
            var facet = table.facet(slot, leaf)!
            var known = TraitNames()
            for name in Set((0..<20).map { _ in "t\(random.below(400))" }).sorted() {
                let outcome = table.setTrait(
                    &facet, name, time: Int64(time + 2), messageID: "m", value: [1],
                    known: &known)

                let expected = model.takes(name, at: leaf)
                #expect((outcome == .set) == expected, "seed \(seed): \(name) at \(time)")
            }
            #expect(known.gathers <= 1)
            gathered += known.gathers
        }
        #expect(gathered > 0, "seed \(seed)")
        table.checkInvariants()
    }

    @Test func `a full record refuses thousands of new names after one look at its cells`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(0))
        let leaves = (0..<40).map { testLeaf(UInt64($0)) }
        for leaf in leaves {
            var facet = table.addFacet(slot, leaf)
            var known = TraitNames()
            for name in 0..<FacetLimits.traitKeysMax {
                _ = table.setTrait(
                    &facet, "t\(name)", time: 1, messageID: "m", value: [1], known: &known)
            }
        }
        var facet = table.facet(slot, leaves[7])!
        var known = TraitNames()

        let outcomes = (0..<2_900).map {
            table.setTrait(
                &facet, "new \($0)", time: 2, messageID: "m", value: [1], known: &known)
        }

        #expect(outcomes.allSatisfy { $0 == .limit })
        #expect(known.gathers == 1)
        #expect(
            table.setTrait(&facet, "t3", time: 2, messageID: "m", value: [2], known: &known) == .set
        )
        #expect(known.gathers == 1)
    }

    @Test func `a record with room is not looked through`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        var facet = table.addFacet(slot, testLeaf(1))
        var known = TraitNames()

        for name in 0..<FacetLimits.traitKeysMax {
            let outcome = table.setTrait(
                &facet, "t\(name)", time: 1, messageID: "m", value: [1], known: &known)
            #expect(outcome == .set)
        }

        #expect(known.gathers == 0)
        let more = table.setTrait(
            &facet, "more", time: 1, messageID: "m", value: [1], known: &known)
        #expect(more == .limit)
        #expect(known.gathers == 1)
    }
}
