import KithBytes
import Testing

@testable import KithCore

/// A record without facets whose ledger has still to be kept.
@Suite struct LedgerFilingTests {
    @Test func `a record that only waits is looked at again on the next day`() {
        let machine = ShardMachine(id: ShardID(0), key: HashKey(k0: 1, k1: 2))
        let group = GroupMachine(group: GroupID(0), table: GroupTable(groupCount: 1))
        let day: Int32 = 100
        let now = LogTime(Int64(day) * ShardMachine.dayMillis + 5)
        let slot = machine.table.insert(testLeaf(1))
        var ledger = Ledger()
        ledger.releases = [Ledger.Release(leaf: testLeaf(2), version: OperationIndex.none)]

        machine.settle(slot, ledger, group.context(at: now))

        #expect(machine.table.filedDay(slot) == day + 1)
    }
}
