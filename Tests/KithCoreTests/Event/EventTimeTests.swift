import KithBytes
import KithCore
import Testing

/// When an event happened, by its clocks and that of the node.
@Suite struct EventTimeTests {
    static let arrival = EventFixture.arrival

    struct Clocks: Sendable, CustomTestStringConvertible {
        var times: CBORValue
        var arrival: Int64 = EventFixture.arrival
        /// nil: refused.
        var time: Int64?
        var isMoved = false
        var fault: EventFault?
        var testDescription: String { "\(String(describing: time)): \(times)" }
    }

    private static let day: Int64 = 1_700_000_000_000

    @Test(arguments: [
        Clocks(times: [:], time: arrival),
        Clocks(times: ["timestamp": .integer(day)], time: day),
        Clocks(times: ["timestamp": .double(Double(day) + 0.75)], time: day),
        Clocks(times: ["timestamp": .text("\(day)")], time: day),
        Clocks(times: ["timestamp": nil, "receivedAt": .integer(day)], time: day),
        Clocks(
            times: ["timestamp": "1970-01-01T00:00:05Z", "receivedAt": .integer(day)], time: 5000),
        // Never after arrival, which is receivedAt where given.
        Clocks(
            times: ["timestamp": .integer(day + 1), "receivedAt": .integer(day)], time: day,
            isMoved: true),
        Clocks(times: ["timestamp": .integer(arrival + 1)], time: arrival, isMoved: true),
        Clocks(times: ["timestamp": "2999-01-01"], time: arrival, isMoved: true),
        Clocks(times: ["receivedAt": .integer(arrival + 9)], time: arrival + 9),
        // The device's clock is an hour ahead; the event lay 2 s before the sending.
        Clocks(
            times: [
                "receivedAt": .integer(day), "sentAt": .integer(day + 3_600_000),
                "originalTimestamp": .integer(day + 3_598_000), "timestamp": "no matter",
            ], time: day - 2000),
        Clocks(
            times: [
                "receivedAt": .integer(day), "sentAt": .integer(day - 2),
                "originalTimestamp": .integer(day - 1),
            ], time: day, isMoved: true),
        // Without one of the three the rule is not used, and what is not used is not judged.
        Clocks(
            times: [
                "receivedAt": .integer(day), "sentAt": "x", "timestamp": .integer(day - 6),
            ], time: day - 6),
        Clocks(
            times: ["sentAt": 9, "originalTimestamp": -1, "timestamp": .integer(day)], time: day),
        Clocks(times: ["sentAt": "x", "originalTimestamp": .integer(day)], time: day),
        Clocks(times: ["receivedAt": .integer(day), "sentAt": true], time: day),
        // A corrected time that cannot be.
        Clocks(
            times: [
                "receivedAt": .integer(day), "sentAt": "9000-01-01",
                "originalTimestamp": "1970-01-01",
            ], time: day),
        Clocks(
            times: [
                "receivedAt": "9999-12-31", "sentAt": "1970-01-01",
                "originalTimestamp": "2000-01-01",
            ], time: 253_402_214_400_000),
        Clocks(times: ["timestamp": .integer(Timestamp.max)], time: arrival, isMoved: true),
        Clocks(times: ["timestamp": -1], fault: .init(.timestamp, .before1970)),
        Clocks(times: ["timestamp": -1.5], fault: .init(.timestamp, .before1970)),
        Clocks(times: ["timestamp": 0], fault: .init(.timestamp, .looksLikeSeconds)),
        Clocks(
            times: ["timestamp": 1_700_000_000], fault: .init(.timestamp, .looksLikeSeconds)),
        Clocks(
            times: ["timestamp": 1_700_000_000.25], fault: .init(.timestamp, .looksLikeSeconds)),
        Clocks(
            times: ["timestamp": "1700000000"], fault: .init(.timestamp, .looksLikeSeconds)),
        Clocks(
            times: ["timestamp": 100_000_000_000], fault: .init(.timestamp, .looksLikeSeconds)),
        Clocks(times: ["timestamp": 100_000_000_001], time: 100_000_000_001),
        Clocks(
            times: ["timestamp": "1969-12-31T23:59:59Z"], fault: .init(.timestamp, .before1970)),
        Clocks(
            times: ["timestamp": .integer(Timestamp.max + 1)], fault: .init(.timestamp, .after9999)),
        Clocks(times: ["timestamp": .unsigned(.max)], fault: .init(.timestamp, .after9999)),
        Clocks(times: ["timestamp": .double(.infinity)], fault: .init(.timestamp, .after9999)),
        Clocks(times: ["timestamp": .double(.nan)], fault: .init(.timestamp, .isNumber)),
        Clocks(times: ["timestamp": ""], fault: .init(.timestamp, .isEmpty)),
        Clocks(times: ["timestamp": true], fault: .init(.timestamp, .isBoolean)),
        Clocks(times: ["timestamp": []], fault: .init(.timestamp, .isArray)),
        Clocks(times: ["timestamp": [:]], fault: .init(.timestamp, .isObject)),
        Clocks(times: ["receivedAt": "x"], fault: .init(.receivedAt, .isNoTime, place: 1)),
        Clocks(times: ["originalTimestamp": -1], fault: .init(.originalTimestamp, .before1970)),
        Clocks(
            times: [
                "receivedAt": .integer(day), "sentAt": 5, "originalTimestamp": .integer(day),
            ], fault: .init(.sentAt, .looksLikeSeconds)),
        Clocks(
            times: [
                "receivedAt": "2026-10-16T16:00:28.078Z", "sentAt": "2026-10-16T16:00:27.957Z",
                "originalTimestamp": "2026-10-16T16:00:27.029:Z",
            ], fault: .init(.originalTimestamp, .isNoTime, place: 24)),
    ])
    func `event time follows the clocks and is never after arrival`(clocks: Clocks) {
        guard case .map(let members) = clocks.times else { return }

        let outcome = EventFixture.read(
            .map(
                members + [
                    CBORMember("type", "page"), CBORMember("userId", "u1"),
                    CBORMember("messageId", "m1"),
                ]),
            arrival: clocks.arrival)

        #expect(outcome.time == clocks.time)
        #expect(outcome.batch.heads.first?.time == clocks.time)
        #expect(outcome.rejection == (clocks.time == nil ? .invalidTimestamp : nil))
        let notes: [EventNote.About] =
            clocks.fault.map { [.fault($0)] } ?? (clocks.isMoved ? [.timeMoved] : [])
        #expect(outcome.batch.notes.map(\.about) == notes)
    }

    @Test func `a stamp is carried along, and none is told from every stamp`() {
        let event: CBORValue = ["type": "page", "userId": "u1"]

        #expect(EventFixture.read(event).stamp == nil)
        #expect(EventFixture.read(event).batch.heads[0].stamp == EventHead.noStamp)
        #expect(EventFixture.read(event, stamp: 0).stamp == 0)
        #expect(EventFixture.read(event, stamp: 0).batch.heads[0].stamp == 0)
    }

    @Test(
        arguments: [
            ([:], false), (["timestamp": 1_900_000_000_000], true),
            (["timestamp": 2_100_000_000_000], false),
            (["originalTimestamp": 1_900_000_000_000], true),
            (["receivedAt": 2_100_000_000_000], true),
            (["receivedAt": 2_100_000_000_000, "timestamp": 2_100_000_000_001], false),
            (["sentAt": 1_900_000_000_000], false),
            (
                [
                    "receivedAt": 2_100_000_000_000, "sentAt": 1_900_000_000_000,
                    "originalTimestamp": 1_899_999_999_999,
                ], true
            ),
        ] as [(CBORValue, Bool)])
    func `a body says whether its time is the event's own`(_ times: CBORValue, _ isStated: Bool) {
        guard case .map(let members) = times else { return }
        let outcome = EventFixture.read(
            .map(
                members + [
                    CBORMember("type", "page"), CBORMember("userId", "u1"),
                    CBORMember("messageId", "m1"),
                ]))

        #expect(outcome.isTimeStated == isStated)
    }
}
