import KithBytes
import Testing

@testable import KithCore

/// What the searches found, each once more by itself.
@Suite struct FoundTests {
    @Test(arguments: [ReviewWorld.day, .min])
    func `an absorb whose facets do not read leaves no record behind`(eventTime: Int64) {
        let world = ReviewWorld(groups: 1)
        let target = world.leaf("user_id", "u")
        let text = IdentifierText(
            flags: [], space: ReviewWorld.space, namespace: Array("user_id".utf8),
            value: Array("u".utf8))
        var ledger = Ledger()
        ledger.seal = KithCore.SealNote(
            into: target, eventTime: eventTime, wasLive: true, winnerEnd: target,
            winnerEndIsListed: true, intoText: text)
        var brought = ByteWriter()
        ledger.encode(into: &brought)
        var operations = OperationWriter()
        operations.absorb(
            AbsorbOrder(
                target: target, loser: world.leaf("anonymous_id", "a"), loserGroup: GroupID(9),
                version: OperationIndex(rawValue: 7), proof: .none, marks: [],
                ledger: brought.bytes,
                facets: [1, 0, 0, 0, 9]))

        let outcomes = world.log(0, operations)

        #expect(outcomes == [.malformed])
        #expect(world.machine(target.shard).table.find(target) == nil)
        world.checkInvariants()
    }

    /// A refusal's time is compared with log time: one of the least value would have ended the node
    /// at the leaf's next event.
    @Test func `a release brings no refusals and no seal, whatever its bytes say`() {
        let world = ReviewWorld(groups: 1)
        let browsers = ["b0", "b1"].sorted {
            world.leaf("anonymous_id", $0) < world.leaf("anonymous_id", $1)
        }
        let (low, high) = (browsers[0], browsers[1])
        world.ingest(world.event("page", id: "1", anonymous: low))
        world.ingest(world.event("page", id: "2", anonymous: high))
        world.join(high, into: low)
        let leaf = world.leaf("anonymous_id", high)
        let machine = world.machine(leaf.shard)
        let slot = machine.table.find(leaf)!
        #expect(machine.table.state(slot) == .forward)
        var ledger = Ledger()
        ledger.refusals = [
            Ledger.Refusal(
                first: leaf, other: world.leaf("device_id", "d"), rule: .limit, time: LogTime(.min))
        ]
        ledger.remembered = [Ledger.Remembered(leaf: leaf, forgetTime: 5, isContested: false)]
        ledger.seal = KithCore.SealNote(
            into: leaf, eventTime: 0, wasLive: true, winnerEnd: leaf, winnerEndIsListed: true,
            intoText: IdentifierText(flags: [], space: [], namespace: [], value: []))
        var bytes = ByteWriter()
        ledger.encode(into: &bytes)
        var release = OperationWriter()
        release.release(
            ReleaseOrder(
                leaf: leaf, version: machine.table.version(slot), ledger: bytes.bytes, marks: []))

        world.log(0, release)
        world.ingest(world.event("page", id: "3", anonymous: high, device: "d"))

        #expect(machine.ledger(machine.table.find(leaf)).seal == nil)
        #expect(world.profile("device_id", "d") != nil)
        #expect(world.profile("device_id", "d") == world.profile("anonymous_id", high))
        world.checkInvariants()
    }
}
