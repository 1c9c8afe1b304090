import KithBytes
import Testing

@testable import KithCore

/// Many merges into one root at once: each link's finds saw room, all together have none. What does
/// not fit must be refused as a limit, and nothing may stay sealed.
@Suite struct FullProfileTests {
    /// More than the 8,191 facets that one record can hold at all.
    static var crowd: Int {
        #if DEBUG
        400
        #else
        9_000
        #endif
    }

    /// Events of one batch, well above the limit of 100.
    static let batch = 400

    /// Takes events of as many connections through their rounds side by side: each round of all of
    /// them is answered before the next of any.
    private static func settleTogether(_ world: ReviewWorld, _ events: [CBORValue])
        -> [EventResult]
    {
        var machines = events.map { world.ingestMachine([$0]) }
        for _ in 0..<100 where machines.contains(where: { !$0.isDone }) {
            let rounds = machines.indices.map { machines[$0].nextRound() }
            for place in machines.indices where !rounds[place].isEmpty {
                machines[place].take(world.answer(rounds[place]))
            }
        }
        return machines.map { $0.results[0] }
    }

    private static func sealedCount(_ world: ReviewWorld) -> Int {
        world.groups.reduce(0) { $0 + $1.sealed.count }
    }

    @Test(arguments: [1, 2, 3])
    func `a batch that links one account to a crowd stops at the limit`(groups: Int) {
        let world = ReviewWorld(groups: groups)
        let events = (0..<Self.batch).map {
            world.event("identify", id: "i\($0)", user: "u", anonymous: "a\($0)")
        }

        var machine = world.ingestMachine(events)
        while !machine.isDone { machine.take(world.answer(machine.nextRound())) }
        let results = machine.results

        #expect(results.allSatisfy { $0 == .ok })
        #expect(Self.sealedCount(world) == 0)
        #expect(world.profile("user_id", "u")?.identifiers.count == 101)
        #expect(world.profile("user_id", "u")?.eventsTotal == UInt64(Self.batch))
    }

    @Test func `links of many connections into one root stop at the limit together`() {
        let world = ReviewWorld(groups: 2)
        // In another group than the winner, or they would be merged one after another.
        let visitors = (0..<Self.crowd).map { number in
            world.value("anonymous_id", "a\(number)-") { world.group(of: $0) == 1 }
        }
        let user = world.value("user_id", "u") { world.group(of: $0) == 0 }
        world.ingest(
            visitors.enumerated().map { world.event("page", id: "p\($0)", anonymous: $1) })

        let results = Self.settleTogether(
            world,
            visitors.enumerated().map {
                world.event("identify", id: "i\($0)", user: user, anonymous: $1)
            })

        #expect(results.allSatisfy { $0 == .ok })
        #expect(Self.sealedCount(world) == 0)
        let profile = world.profile("user_id", user)
        #expect(profile?.identifiers.count == ShardMachine.identifiersMax)
        let merged = ShardMachine.identifiersMax - 1
        #expect(profile?.eventsTotal == UInt64(Self.crowd + merged))
        let left = visitors.filter { world.profile("anonymous_id", $0)?.isMember == false }
        #expect(left.count == Self.crowd - merged)
        #expect(left.allSatisfy { world.profile("anonymous_id", $0)?.eventsTotal == 1 })
        #expect(world.totals.anonymous == Int64(left.count))
        #expect(world.totals.members == 1)
        #expect(
            world.totals.refusals[Int(RefusalRule.limit.rawValue)] == UInt64(left.count))
        world.checkInvariants()
    }

    /// A root of 50 devices, each linked by a connection of its own to a profile of 50: 2,550
    /// identifiers, and each link is within all limits.
    @Test func `links at different identifiers of one root stop at the limit together`() {
        let world = ReviewWorld(groups: 2)
        let user = world.value("user_id", "u") { world.group(of: $0) == 0 }
        for number in 0..<50 {
            world.ingest(world.event("page", id: "d\(number)", user: user, device: "d\(number)"))
        }
        let contacts = (0..<50).map { "c\($0)@example.com" }
        for (number, contact) in contacts.enumerated() {
            for device in 0..<49 {
                world.ingest(
                    world.event(
                        "page", id: "c\(number)-\(device)", anonymous: "a\(number)-\(device)",
                        traits: [("email", .text(contact))]))
            }
        }

        let results = Self.settleTogether(
            world,
            contacts.enumerated().map {
                world.event(
                    "page", id: "l\($0)", device: "d\($0)", traits: [("email", .text($1))])
            })

        #expect(results.allSatisfy { $0 == .ok })
        #expect(Self.sealedCount(world) == 0)
        let count = world.profile("user_id", user)?.identifiers.count ?? 0
        #expect(count > 51 && count <= ShardMachine.identifiersMax)
        #expect(world.totals.accepted == UInt64(50 + 50 * 49 + 50))
        let total = contacts.reduce(UInt64(0)) {
            let profile = world.profile("email", $1)
            return $0 + (profile?.id == world.leaf("user_id", user) ? 0 : profile?.eventsTotal ?? 0)
        }
        #expect(total + (world.profile("user_id", user)?.eventsTotal ?? 0) == 50 + 50 * 49 + 50)
        world.checkInvariants()
    }

    @Test func `large profiles that fit one by one are declined when they do not fit together`() {
        let world = ReviewWorld(groups: 2)
        let user = world.value("user_id", "u") { world.group(of: $0) == 0 }
        let large = CBORValue.text(String(repeating: "x", count: 30_000))
        let visitors = (0..<30).map { number in
            world.value("anonymous_id", "a\(number)-") { world.group(of: $0) == 1 }
        }
        for (number, visitor) in visitors.enumerated() {
            for trait in 0..<16 {
                world.ingest(
                    world.event(
                        "track", id: "t\(number)-\(trait)", anonymous: visitor,
                        traits: [("t\(trait)", large)]))
            }
        }

        let results = Self.settleTogether(
            world,
            visitors.enumerated().map {
                world.event("identify", id: "i\($0)", user: user, anonymous: $1)
            })

        #expect(results.allSatisfy { $0 == .ok })
        #expect(Self.sealedCount(world) == 0)
        let root = world.leaf("user_id", user)
        let table = world.machine(root.shard)
        #expect(table.table.payloadBytes(table.table.find(root)!) <= ShardMachine.recordBytesMax)
        let apart = visitors.filter { world.profile("anonymous_id", $0)?.id != root }
        #expect(!apart.isEmpty && apart.count < visitors.count)
        #expect(apart.allSatisfy { world.profile("anonymous_id", $0)?.eventsTotal == 16 })
        world.checkInvariants()
    }
}
