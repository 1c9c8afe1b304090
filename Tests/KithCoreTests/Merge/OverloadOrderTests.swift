import KithBytes
import Testing

@testable import KithCore

/// What an overloaded group means for the events behind: the client sends an overloaded event again
/// later, so nothing that shares an identifier with it may be stored before.
@Suite struct OverloadOrderTests {
    private struct World {
        let world = ReviewWorld(groups: 2)
        let user: String
        let other: String
        let near: String
        let far: String

        init() {
            let world = world
            user = world.value("user_id", "u") { world.group(of: $0) == 0 }
            other = world.value("user_id", "v") { world.group(of: $0) == 1 }
            near = world.value("anonymous_id", "n") { world.group(of: $0) == 0 }
            far = world.value("anonymous_id", "f") { world.group(of: $0) == 1 }
        }

        /// Group 0 is overloaded while the events have their first round, then no more.
        func ingest(_ events: [CBORValue]) -> [EventResult] {
            var machine = world.ingestMachine(events)
            world.overloaded = [0]
            machine.take(world.answer(machine.nextRound()))
            world.overloaded = []
            world.settle(&machine)
            return machine.results
        }
    }

    @Test func `an event behind an overloaded one of the same identifier is overloaded too`() {
        let setup = World()
        let world = setup.world

        let results = setup.ingest([
            world.event("page", id: "1", user: setup.user),
            world.event("page", id: "2", user: setup.user, anonymous: setup.far),
            world.event("page", id: "3", user: setup.other),
        ])

        #expect(results == [.overloaded, .overloaded, .ok])
        #expect(world.profile("user_id", setup.user) == nil)
        #expect(world.profile("anonymous_id", setup.far) == nil)
    }

    @Test func `what waits for an event that waits for an overloaded one is overloaded`() {
        let setup = World()
        let world = setup.world

        let results = setup.ingest([
            world.event("page", id: "1", user: setup.user),
            world.event("page", id: "2", user: setup.user, anonymous: setup.far),
            // Shares nothing with the first, and goes to a group that has room.
            world.event("page", id: "3", anonymous: setup.far),
            // Of the same identifiers: travels with the one before.
            world.event("page", id: "4", anonymous: setup.far),
            world.event("page", id: "5", user: setup.other, anonymous: setup.far),
            world.event("page", id: "6", user: setup.other),
        ])

        #expect(results == Array(repeating: .overloaded, count: 6))
        #expect(world.totals.accepted == 0)
    }

    @Test func `an event that waits for two is overloaded though the other is stored`() {
        let setup = World()
        let world = setup.world

        let results = setup.ingest([
            world.event("page", id: "1", anonymous: setup.far),
            world.event("page", id: "2", anonymous: setup.near),
            world.event("page", id: "3", anonymous: setup.near, device: "d"),
            world.event("page", id: "4", user: setup.other, anonymous: setup.far, device: "d"),
        ])

        #expect(results == [.ok, .overloaded, .overloaded, .overloaded])
        #expect(world.totals.accepted == 1)
    }

    @Test func `sent again, all are stored in their order`() {
        let setup = World()
        let world = setup.world
        let events = [
            world.event("page", id: "1", user: setup.user, traits: [("plan", .text("old"))]),
            world.event(
                "page", id: "2", user: setup.user, anonymous: setup.far,
                traits: [("plan", .text("new"))]),
            world.event("page", id: "3", user: setup.other),
        ]
        _ = setup.ingest(events)

        let results = world.ingest(events)

        #expect(results == [.ok, .ok, .duplicate])
        #expect(world.profile("user_id", setup.user)?.eventsTotal == 2)
    }
}
