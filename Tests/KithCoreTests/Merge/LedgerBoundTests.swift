import KithBytes
import Testing

@testable import KithCore

/// What a ledger remembers is bounded, and fits the messages that carry it.
@Suite struct LedgerBoundTests {
    /// Whether an account and a visitor are joined whose ledgers remember so many leaves each.
    static func links(_ world: ReviewWorld, remembering count: Int) -> Bool {
        let last = world.groups.count - 1
        let user = world.value("user_id", "u") { world.group(of: $0) == 0 }
        let visitor = world.value("anonymous_id", "a") { world.group(of: $0) == last }
        world.ingest(
            world.event("page", id: "1", user: user),
            world.event("page", id: "2", anonymous: visitor))
        for leaf in [world.leaf("user_id", user), world.leaf("anonymous_id", visitor)] {
            let machine = world.machine(leaf.shard)
            let slot = machine.table.find(leaf)!
            var ledger = machine.ledger(slot)
            for number in 0..<count {
                ledger.remembered.append(
                    Ledger.Remembered(
                        leaf: LeafID(high: leaf.low, low: UInt64(number)), forgetTime: 1,
                        isContested: true))
            }
            machine.setLedger(slot, ledger)
        }
        let results = world.ingest(world.event("page", id: "3", user: user, anonymous: visitor))
        #expect(results == [.ok])
        #expect(!world.isSealed(world.leaf("anonymous_id", visitor)))
        world.checkInvariants()
        return world.profile("anonymous_id", visitor)?.isMember == true
    }

    @Test(arguments: [1, 2])
    func `a link is refused whose ledgers remember too much together`(groups: Int) {
        let world = ReviewWorld(groups: groups)

        #expect(!Self.links(world, remembering: Ledger.entriesMax / 2))

        #expect(world.totals.refusals[Int(RefusalRule.limit.rawValue)] == 1)
    }

    @Test(arguments: [1, 2])
    func `a link is made whose ledgers remember as much as may be`(groups: Int) {
        let world = ReviewWorld(groups: groups)

        #expect(Self.links(world, remembering: Ledger.entriesMax / 2 - 1))
    }

    /// Between the finds and the absorb the winner has come to remember more.
    @Test func `an absorb is declined where its winner remembers too much by then`() {
        let world = ReviewWorld(groups: 2)
        let user = world.value("user_id", "u") { world.group(of: $0) == 0 }
        let visitor = world.value("anonymous_id", "a") { world.group(of: $0) == 1 }
        world.ingest(
            world.event("page", id: "1", user: user),
            world.event("page", id: "2", anonymous: visitor))
        world.join(visitor, into: user, of: "user_id")
        let home = world.leaf("user_id", user)
        let machine = world.machine(home.shard)
        var ledger = Ledger()
        for number in 0..<Ledger.entriesMax {
            ledger.remembered.append(
                Ledger.Remembered(
                    leaf: LeafID(high: 1, low: UInt64(number)), forgetTime: 1, isContested: true))
        }
        machine.setLedger(machine.table.find(home)!, ledger)

        #expect(world.drive())

        #expect(!world.isSealed(world.leaf("anonymous_id", visitor)))
        #expect(world.profile("anonymous_id", visitor)?.isMember == false)
        world.checkInvariants()
    }

    @Test func `the fullest ledger that a link leaves fits an absorb and a release`() {
        var ledger = Ledger()
        let leaves = ShardMachine.identifiersMax
        for number in 0..<Ledger.entriesMax + leaves {
            ledger.absorbed.append(
                Ledger.Absorbed(
                    leaf: LeafID(high: 1, low: UInt64(number)),
                    version: OperationIndex(rawValue: .max), group: GroupID(255), isDeclined: true))
        }
        for number in 0..<leaves {
            ledger.releases.append(
                Ledger.Release(
                    leaf: LeafID(high: 2, low: UInt64(number)),
                    version: OperationIndex(rawValue: .max)))
        }
        var writer = ByteWriter()
        ledger.encode(into: &writer)

        #expect(writer.count * 4 < ShardMachine.absorbBytesMax)
    }

    /// The profile of the most identifiers is forgotten, and each of them hears of it.
    @Test func `forgetting 256 identifiers releases every one`() {
        var rules = IdentityRules.standard
        for place in rules.namespaces.indices
        where rules.namespaces[place].identifierClass == .anonymous {
            rules.namespaces[place].limit = ShardMachine.identifiersMax
        }
        let world = ReviewWorld(groups: 3, rules: rules)
        let visitors = (1..<ShardMachine.identifiersMax).map { "a\($0)" }
        for (number, visitor) in visitors.enumerated() {
            world.ingest(world.event("page", id: "p\(number)", user: "u", anonymous: visitor))
        }
        let root = world.leaf("user_id", "u")
        #expect(world.profile("user_id", "u")?.identifiers.count == ShardMachine.identifiersMax)
        world.now += 1_000
        var erase = OperationWriter()
        erase.erase(root, at: root, proof: .none)

        #expect(world.log(world.group(of: root), erase) == [.done])
        #expect(world.drive())

        for visitor in visitors {
            let leaf = world.leaf("anonymous_id", visitor)
            let home = world.machine(leaf.shard)
            let slot = home.table.find(leaf)
            #expect(slot.map { home.table.state($0) } == .root, "\(visitor)")
            let known = home.known(leaf, at: leaf, slot)
            #expect(known.forgetTime == world.now, "\(visitor)")
        }
        #expect(world.machine(root.shard).pendingReleases(of: root).isEmpty)
        world.checkInvariants()
    }
}
