import KithBytes
import Testing

@testable import KithCore

/// Groups that lose their log while others merge, and what led from it to them.
@Suite struct LostForwardTests {
    private static let group = 0

    /// What a search does, and what it leaves out.
    private enum Search: CaseIterable {
        case whole
        case none
        /// Nothing is noted of what absorbs bring.
        case withoutWatch
    }

    /// A person of an account, a device and four visitors, who come together in any order.
    private struct Person {
        let number: Int

        func identifiers(_ random: inout ModelRandom) -> (user: String?, device: String?, String?) {
            let visitor = "visitor-\(number)-\(random.below(4))"
            return switch random.below(5) {
            case 0: ("user-\(number)", nil, visitor)
            case 1: (nil, "device-\(number)", visitor)
            case 2: ("user-\(number)", "device-\(number)", nil)
            case 3: ("user-\(number)", nil, nil)
            default: (nil, nil, visitor)
            }
        }
    }

    private struct Sent {
        let event: CBORValue
        let number: Int
        let identifiers: [(namespace: String, value: String)]
    }

    /// One history from a seed; what is wrong at its end.
    private static func violations(seed: UInt64, _ search: Search) -> [String] {
        let world = ReviewWorld(groups: 3)
        var random = ModelRandom(seed: seed)
        var sent: [Sent] = []
        func send() {
            let person = Person(number: random.below(5))
            let (user, device, visitor) = person.identifiers(&random)
            let number = sent.count
            let event = world.event(
                "track", id: "m\(number)", user: user, anonymous: visitor, device: device)
            let named = [
                user.map { ("user_id", $0) }, device.map { ("device_id", $0) },
                visitor.map { ("anonymous_id", $0) },
            ]
            sent.append(
                Sent(
                    event: event, number: number,
                    identifiers: named.compactMap { $0.map { (namespace: $0.0, value: $0.1) } }))
            world.ingest(event)
        }
        world.drivesWaits = random.below(3) == 0
        for _ in 0..<(4 + random.below(40)) {
            send()
            if random.below(3) == 0 { world.drive(rounds: 1) }
        }

        // All of it, or what came after a copy.
        let count = world.history[Self.group].count
        world.lose(Self.group, keeping: search == .whole ? random.below(count + 1) : 0)
        world.overloaded = [Self.group]
        let lost = [GroupID(UInt16(Self.group))]
        var found: [LostForward] = []
        for other in [1, 2] { world.groups[other].beginWatch(7, of: lost) }
        var cursors: [Int: UInt64] = search == .none ? [:] : [1: 0, 2: 0]
        while !cursors.isEmpty {
            let others = cursors.keys.sorted()
            let other = others[random.below(others.count)]
            let page = world.groups[other].lostForwards(
                of: lost, from: cursors[other] ?? 0, slotsMax: 2, goal: 1,
                on: world)
            found += page.forwards
            cursors[other] = page.next
            if random.below(3) == 0 { send() }
            if random.below(3) == 0 { world.drive(rounds: 1) }
        }
        if search == .whole {
            for other in [1, 2] {
                var isAll = false
                var start = 0
                while !isAll, let page = world.groups[other].noted(for: 7, from: start, limit: 2) {
                    found += page.forwards
                    start += page.forwards.count
                    isAll = page.isAll
                }
            }
        }
        var operations = OperationWriter()
        for forward in found where world.groups[Self.group].isLost(forward, on: world) {
            operations.restore(forward)
        }
        operations.restored()
        world.log(Self.group, operations)
        world.overloaded = []
        world.drivesWaits = true

        for _ in 0..<2 {
            for event in sent { world.ingest(event.event) }
            world.drive(rounds: 10)
        }
        world.checkInvariants()
        return violations(world, sent)
    }

    /// All was sent again: who is linked is one profile, with each event once.
    private static func violations(_ world: ReviewWorld, _ sent: [Sent]) -> [String] {
        var component: [String: Int] = [:]
        var next = 0
        for event in sent {
            let names = event.identifiers.map { "\($0.namespace):\($0.value)" }
            let known = Set(names.compactMap { component[$0] })
            next += 1
            let number = known.min() ?? next
            for (name, other) in component where known.contains(other) {
                component[name] = number
            }
            for name in names { component[name] = number }
        }
        var violations: [String] = []
        for event in sent {
            for (namespace, value) in event.identifiers {
                let name = "\(namespace):\(value)"
                let own = sent.filter { other in
                    let first = other.identifiers[0]
                    return component["\(first.namespace):\(first.value)"] == component[name]
                }
                let counted = world.profile(namespace, value)?.events.first {
                    $0.name == "thing"
                }?.count
                if counted != UInt64(own.count) {
                    violations.append("\(name): \(String(describing: counted)) of \(own.count)")
                }
            }
        }
        return violations
    }

    @Test func `what led from a lost log to others is found again, whatever they do meanwhile`() {
        for seed in 1...800 as ClosedRange<UInt64> {
            let violations = Self.violations(seed: seed, .whole)
            #expect(violations.isEmpty, "seed \(seed): \(violations)")
            if !violations.isEmpty { return }
        }
    }

    /// Nor may many searches, or one that nobody ends, take more than their room.
    @Test func `a watch that is not there, or had too much to note, is told as unknown`() {
        let world = ReviewWorld(groups: 2)
        func noted(_ search: UInt64) -> Bool {
            world.groups[1].noted(for: search, from: 0, limit: 10) != nil
        }
        #expect(!noted(1))
        for search in 1...(GroupMachine.watchesMax + 1) as ClosedRange<Int> {
            world.groups[1].beginWatch(UInt64(search), of: [GroupID(0)])
        }
        #expect(world.groups[1].watches.count == GroupMachine.watchesMax)
        #expect(!noted(1) && noted(2))
        #expect(!noted(2), "the watch goes on after its end")

        let leaf = world.leaf("user_id", "1")
        let many = (0..<ForwardWatch.notedMax).map {
            LostForward(leaf: leaf, version: OperationIndex(rawValue: UInt64($0)), holder: leaf)
        }
        world.groups[1].watches[0].note(many)
        world.groups[1].watches[0].note(many)
        #expect(!world.groups[1].watches[0].isFull)
        let other = LeafID(high: 0, low: 1)
        world.groups[1].watches[0].note([
            LostForward(leaf: leaf, version: .none, holder: other)
        ])
        #expect(world.groups[1].watches[0].isFull && world.groups[1].watches[0].noted.isEmpty)
        #expect(!noted(3) && noted(4))
    }

    @Test(arguments: [false, true])
    func `a search that leaves something out is noticed`(isWatched: Bool) {
        let search = isWatched ? Search.none : .withoutWatch
        let seed = (1...1_500 as ClosedRange<UInt64>).first {
            !Self.violations(seed: $0, search).isEmpty
        }
        #expect(seed != nil)
    }
}
