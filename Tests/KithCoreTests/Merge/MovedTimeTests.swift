import KithBytes
import Testing

@testable import KithCore

/// A time that only the log can tell is later than arrival: by its own account the event has
/// arrived. Its sender is told as of one that the reader moves, and once.
@Suite struct MovedTimeTests {
    private static let hour: Int64 = 3_600_000

    private static func event(
        _ id: String, received: Int64?, time: Int64?
    ) -> CBORValue {
        var members = [
            CBORMember("type", "page"), CBORMember("userId", "u"),
            CBORMember("messageId", .text(id)),
        ]
        if let received { members.append(CBORMember("receivedAt", .integer(received))) }
        if let time { members.append(CBORMember("timestamp", .integer(time))) }
        return .map(members)
    }

    @Test(arguments: [false, true])
    func `an event whose own time is later than the log's is told of once`(isReadEarlier: Bool) {
        let world = ReviewWorld(groups: 2)
        let now = world.now
        let events = [
            Self.event("received", received: now + Self.hour, time: nil),
            Self.event("both", received: now + Self.hour, time: now + Self.hour - 1),
            Self.event("unstated", received: nil, time: nil),
            Self.event("old", received: now + Self.hour, time: now - 1),
        ]
        var machine = world.ingestMachine(events)
        // The clock of the node that read them is ahead of the log's: no fault of the sender.
        if isReadEarlier { world.now -= 10 }

        world.settle(&machine)

        #expect(machine.results == [.ok, .ok, .ok, .ok])
        #expect(
            machine.notes
                == [EventNote(position: 0, .timeMoved), EventNote(position: 1, .timeMoved)]
                + (isReadEarlier ? [EventNote(position: 3, .timeMoved)] : []))
        #expect(world.profile("user_id", "u")?.lastSeen == world.now)
        #expect(world.batch(events).notes.isEmpty, "the reader told too")
    }
}
