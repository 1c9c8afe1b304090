import KithBytes
import Testing

@testable import KithCore

@Suite struct ExpiryBucketTests {
    private func filed(_ table: inout RecordTable, _ day: Int32) -> [LeafID] {
        var leaves: [LeafID] = []
        var next = table.firstFiled(day: day)
        while let slot = next {
            leaves.append(table.id(slot))
            next = table.nextFiled(slot)
        }
        return leaves
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a bucket is read in the order of leaves, whatever the order of filing`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = RecordTable()
        var leaves = (0..<50).map { testLeaf($0) }
        while let leaf = leaves.isEmpty ? nil : leaves.remove(at: random.below(leaves.count)) {
            table.file(table.insert(leaf), day: 7)
        }

        #expect(filed(&table, 7) == (0..<50).map { testLeaf($0) }.sorted(), "seed \(seed)")
        table.checkInvariants()
    }

    @Test func `days come in order and empty ones are gone`() {
        var table = RecordTable()
        let slots = (0..<4).map { table.insert(testLeaf($0)) }
        for (slot, day) in zip(slots, [30, -2, 11, 11] as [Int32]) { table.file(slot, day: day) }

        #expect(table.earliestFiledDay() == -2)
        #expect(table.earliestFiledDay(after: -2) == 11)
        table.unfile(slots[1])
        #expect(table.earliestFiledDay() == 11)
        #expect(table.firstFiled(day: -2) == nil)
        table.file(slots[2], day: 40)
        #expect(filed(&table, 11) == [testLeaf(3)])
        #expect(table.filedDay(slots[2]) == 40)
        #expect(table.earliestFiledDay(after: 40) == nil)
        table.checkInvariants()
    }

    @Test func `a record that goes, is sealed or gets a parent leaves its bucket`() {
        var table = RecordTable()
        let slots = (0..<4).map { table.insert(testLeaf($0)) }
        for slot in slots { table.file(slot, day: 5) }

        table.remove(slots[0])
        table.setState(slots[1], .sealed)
        table.setParent(slots[2], testLeaf(77))

        #expect(filed(&table, 5) == [testLeaf(3)])
        #expect(table.filedDay(slots[1]) == nil)
        #expect(table.parent(slots[2]) == testLeaf(77))
        table.checkInvariants()
    }

    @Test func `reading a bucket goes on while its records are refiled to later days`() {
        var table = RecordTable()
        for number in 0..<20 as Range<UInt64> { table.file(table.insert(testLeaf(number)), day: 3) }
        var seen = 0

        var next = table.firstFiled(day: 3)
        while let slot = next {
            next = table.nextFiled(slot)
            if seen % 2 == 0 { table.file(slot, day: 9) } else { table.remove(slot) }
            seen += 1
        }

        #expect(seen == 20)
        #expect(table.earliestFiledDay() == 9)
        #expect(filed(&table, 9).count == 10)
        table.checkInvariants()
    }
}
