import KithBytes
import Testing

@testable import KithCore

/// What a read answers that came by a hint, not from the leaf's home: that a hint leads nowhere
/// proves nothing about the leaf.
@Suite struct ReadHintTests {
    private let machine = ShardMachine(id: ShardID(0), key: HashKey(k0: 1, k1: 2))
    private let context = GroupMachine(
        group: GroupID(0), table: GroupTable(groupCount: 1)
    ).context()
    private let leaf = testLeaf(1)
    private let root = testLeaf(2, .account)

    @Test func `a hint to a record that is gone is no answer`() {
        #expect(machine.read(leaf, at: root, byHint: true, context) == .unknownFacet)
    }

    @Test func `on the way from its home, a record that is gone is the end of it`() {
        #expect(machine.read(leaf, at: root, byHint: false, context) == .none)
    }

    @Test func `the leaf's own record is its home, by a hint too`() {
        #expect(machine.read(leaf, at: leaf, byHint: true, context) == .none)
        #expect(machine.read(leaf, at: leaf, byHint: false, context) == .none)
    }

    @Test func `a hint to a root without the leaf is no answer`() {
        let slot = machine.table.insert(root)
        _ = machine.table.addFacet(slot, root)

        #expect(machine.read(leaf, at: root, byHint: true, context) == .unknownFacet)
        #expect(machine.read(leaf, at: root, byHint: false, context) == .none)
    }
}
