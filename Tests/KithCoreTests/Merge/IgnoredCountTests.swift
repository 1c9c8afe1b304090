import KithBytes
import Testing

@testable import KithCore

/// What an event names that is no identifier counts where the event does: once, however often it
/// is sent, and whoever dies meanwhile.
@Suite struct IgnoredCountTests {
    private let world = ReviewWorld(groups: 2)

    private func event(_ id: String, user: String) -> CBORValue {
        [
            "type": "page", "messageId": .text(id), "userId": .text(user), "anonymousId": "null",
            "timestamp": .integer(world.now),
        ]
    }

    private var ignored: [String: Int64] {
        world.totals.ignored.reduce(into: [:]) {
            $0[String(decoding: $1.name, as: UTF8.self), default: 0] += $1.count
        }
    }

    @Test func `a second try counts nothing`() {
        #expect(world.ingest(event("1", user: "u")) == [.ok])
        #expect(world.ingest(event("1", user: "u")) == [.duplicate])

        #expect(ignored == ["blocked": 1])
        #expect(world.totals.accepted == 1)
    }

    @Test func `a try whose answer was lost is counted with the event, not beside it`() {
        var machine = world.ingestMachine([event("1", user: "u")])
        var round = world.answer(machine.nextRound())
        for part in round.parts.indices where !round.parts[part].isEmpty {
            round.parts[part].answer = .unknown
        }
        machine.take(round)
        #expect(machine.isDone && machine.results == [.unknown])

        #expect(world.ingest(event("1", user: "u")) == [.duplicate])
        #expect(ignored == ["blocked": 1])
    }

    @Test func `a group that stores nothing counts nothing`() {
        world.overloaded = [0, 1]
        #expect(world.ingest(event("1", user: "u")) == [.overloaded])
        #expect(ignored.isEmpty)
    }

    @Test func `what comes again when all else is in counts when its event does`() {
        let old: CBORValue = [
            "type": "page", "messageId": "1", "anonymousId": "a", "userId": "null",
            "timestamp": .integer(world.now - 100 * ReviewWorld.day),
        ]
        for (attempt, counted) in [
            (EventTry.provisional, 0), (.provisionalAgain, 0), (.last, 1),
        ] {
            var batch = world.batch([old])
            batch.setAttempt(attempt)
            var machine = world.ingestMachine(batch)
            world.settle(&machine)
            #expect(machine.results == [.expiredOnArrival])
            #expect(ignored["blocked", default: 0] == counted, "\(attempt)")
        }
    }

    @Test func `one over the limit counts with its refusal, once`() {
        let person: (Int) -> CBORValue = { [world] number in
            [
                "type": "identify", "messageId": .text("m\(number)"), "userId": "u",
                "traits": ["email": .text("mail\(number)@x.com")],
                "timestamp": .integer(world.now),
            ]
        }
        for number in 0..<6 { world.ingest(person(number)) }
        #expect(ignored == ["limit": 1])

        // The same again, in one batch too, and as a second try.
        world.ingest(person(5))
        world.ingest(person(5), person(5))
        #expect(ignored == ["limit": 1])
    }
}
