import KithBytes
import Testing

@testable import KithCore

/// A driver that is answered by some groups only. All merges are of records of group 1; group 0
/// says nothing, group 2 answers at once.
@Suite struct MergeDriverTests {
    private let world = ReviewWorld(groups: 3)
    private static let silent = 0

    /// Seals `count` visitors of group 1 into one account of `group`.
    private func seal(_ count: Int, into group: Int, _ stem: String) -> [LeafID] {
        let user = world.value("user_id", "u-\(stem)") { world.group(of: $0) == group }
        world.ingest(world.event("page", id: "u", user: user))
        var leaves: [LeafID] = []
        for number in 0..<count {
            let visitor = world.value("anonymous_id", "\(stem)-\(number)-") {
                world.group(of: $0) == 1
            }
            world.ingest(world.event("page", id: "a", anonymous: visitor))
            world.join(visitor, into: user, of: "user_id")
            leaves.append(world.leaf("anonymous_id", visitor))
        }
        return leaves
    }

    /// Makes rounds, of which all groups answer but the silent one. Returns what that was asked.
    private func drive(_ driver: inout MergeDriver, rounds: Int) -> [Round.Part] {
        var unanswered: [Round.Part] = []
        for _ in 0..<rounds {
            let round = driver.nextRound(&world.groups[1], on: world)
            for asked in round.parts where !asked.isEmpty {
                let place = Int(asked.group.rawValue)
                if place == Self.silent {
                    unanswered.append(asked)
                    continue
                }
                _ = driver.take(answered(asked))
            }
        }
        return unanswered
    }

    private func answered(_ part: Round.Part) -> Round.Part {
        let place = Int(part.group.rawValue)
        var part = part
        part.answer = .answered(
            operations: part.operations.isEmpty ? [] : world.log(place, part.operations),
            finds: [], waits: part.waits.map { !world.isSealed($0) },
            token: world.groups[place].applied)
        return part
    }

    @Test func `merges into groups that answer go on while another owes its answer`() {
        var driver = MergeDriver(group: GroupID(1), table: world.table)
        let far = seal(3, into: Self.silent, "far")
        let owed = drive(&driver, rounds: 2)
        let near = seal(3, into: 2, "near")

        let more = drive(&driver, rounds: 3)

        #expect(owed.count == 1 && more.isEmpty, "a group is asked again before it has answered")
        #expect(near.allSatisfy { !world.isSealed($0) })
        #expect(far.allSatisfy(world.isSealed))
        for part in owed { _ = driver.take(answered(part)) }
        let rest = drive(&driver, rounds: 3)
        #expect(rest.isEmpty)
        #expect(far.allSatisfy { !world.isSealed($0) })
        #expect(!driver.isBusy && world.groups[1].sealed.isEmpty)
        world.checkInvariants()
    }

    /// More than may be under way, and more than one look at the list of sealed records takes.
    @Test(arguments: [MergeDriver.underWayMax + 90, MergeDriver.lookMax + 200])
    func `however many merges wait for one group, one into another is found`(count: Int) {
        var driver = MergeDriver(group: GroupID(1), table: world.table)
        let far = seal(count, into: Self.silent, "far")
        var owed = drive(&driver, rounds: 2)
        let near = seal(1, into: 2, "near")

        owed += drive(&driver, rounds: 5)

        #expect(!world.isSealed(near[0]))
        #expect(owed.count == 1)
        #expect(owed[0].operations.count <= MergeDriver.underWayMax)
        // The others come in their turn.
        for _ in 0..<(4 * count / MergeDriver.underWayMax + 4) {
            for part in owed { _ = driver.take(answered(part)) }
            owed = drive(&driver, rounds: 2)
        }
        #expect(far.allSatisfy { !world.isSealed($0) })
        world.checkInvariants()
    }

    @Test func `a group that did not answer is asked less and less often, and at last`() {
        var driver = MergeDriver(group: GroupID(1), table: world.table)
        let far = seal(1, into: Self.silent, "far")
        var asked = 0
        for _ in 0..<1_000 {
            for part in drive(&driver, rounds: 1) {
                asked += 1
                let mustPause = driver.take(part)
                #expect(mustPause)
            }
            #expect(driver.isBusy)
        }
        #expect((8...12).contains(asked), "\(asked)")

        for _ in 0..<300 where world.isSealed(far[0]) {
            for part in drive(&driver, rounds: 1) { _ = driver.take(answered(part)) }
        }
        #expect(!world.isSealed(far[0]))
    }
}
