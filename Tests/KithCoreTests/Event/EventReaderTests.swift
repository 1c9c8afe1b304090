import KithBytes
import KithCore
import Testing

/// What events are taken, and what of them is kept as it came.
@Suite struct EventReaderTests {
    // MARK: Types and refusals

    @Test(arguments: EventType.allCases)
    func `each type is taken and counted under its name, a track under its event's`(
        type: EventType
    ) {
        let outcome = EventFixture.read([
            "type": .text(type.name), "event": "Order Completed", "userId": "u1",
            "previousId": "u0",
        ])

        #expect(outcome.rejection == nil)
        #expect(outcome.type == type)
        #expect(outcome.counterName == (type == .track ? "Order Completed" : type.name))
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let event: CBORValue
        let reason: String
        var testDescription: String { "\(reason): \(event)" }
    }

    @Test(arguments: [
        Refusal(event: 17, reason: "invalid_json"),
        Refusal(event: nil, reason: "invalid_json"),
        Refusal(event: ["type"], reason: "invalid_json"),
        Refusal(event: [1: 2], reason: "invalid_json"),
        Refusal(event: [:], reason: "invalid_type"),
        Refusal(event: ["userId": "u1"], reason: "invalid_type"),
        Refusal(event: ["type": "Track", "userId": "u1"], reason: "invalid_type"),
        Refusal(event: ["type": "tracks", "userId": "u1"], reason: "invalid_type"),
        Refusal(event: ["type": "identify\0", "userId": "u1"], reason: "invalid_type"),
        Refusal(event: ["type": "track\0", "userId": "u1"], reason: "invalid_type"),
        Refusal(event: ["type": 1, "userId": "u1"], reason: "invalid_type"),
        Refusal(event: ["type": nil, "userId": "u1"], reason: "invalid_type"),
        Refusal(event: ["type": "track", "userId": "u1"], reason: "missing_event_name"),
        Refusal(
            event: ["type": "track", "event": "", "userId": "u1"], reason: "missing_event_name"),
        Refusal(
            event: ["type": "track", "event": " ", "userId": "u1"], reason: "missing_event_name"),
        Refusal(
            event: ["type": "track", "event": 5, "userId": "u1"], reason: "missing_event_name"),
        Refusal(
            event: ["type": "track", "event": nil, "userId": "u"], reason: "missing_event_name"),
        Refusal(event: ["type": "track", "event": ""], reason: "missing_event_name"),
        Refusal(event: ["type": "page"], reason: "no_identifier"),
        Refusal(event: ["type": "page", "userId": nil], reason: "no_identifier"),
        Refusal(event: ["type": "page", "userId": "null"], reason: "no_identifier"),
        Refusal(event: ["type": "page", "userId": 0], reason: "no_identifier"),
        Refusal(
            event: ["type": "page", "userId": "none", "timestamp": "x"], reason: "no_identifier"),
        Refusal(event: ["type": "alias", "previousId": "a1"], reason: "no_identifier"),
        Refusal(event: ["type": "alias"], reason: "no_identifier"),
        Refusal(
            event: ["type": "page", "userId": "u1", "timestamp": "x"], reason: "invalid_timestamp"),
        Refusal(
            event: ["type": "alias", "userId": "u1", "timestamp": "x"],
            reason: "invalid_timestamp"),
        Refusal(event: ["type": "alias", "userId": "u1"], reason: "missing_previous_id"),
        Refusal(
            event: ["type": "alias", "userId": "u1", "previousId": nil],
            reason: "missing_previous_id"),
        Refusal(
            event: ["type": "alias", "userId": "u1", "previousId": "null"],
            reason: "missing_previous_id"),
        Refusal(
            event: ["type": "alias", "userId": "u1", "previousId": 1.5],
            reason: "missing_previous_id"),
    ])
    func `a bad event is refused with its reason and leaves nothing behind`(refusal: Refusal) {
        let outcome = EventFixture.read(refusal.event)

        #expect(outcome.rejection?.rawValue == refusal.reason)
        #expect(outcome.batch.heads.isEmpty)
        #expect(outcome.batch.identifiers.isEmpty)
        #expect(outcome.batch.bytes.isEmpty)
    }

    @Test func `the reasons are those of the contract`() {
        #expect(
            EventRejection.allCases.map(\.rawValue) == [
                "invalid_json", "invalid_type", "missing_event_name", "no_identifier",
                "event_too_large", "invalid_timestamp", "missing_previous_id",
            ])
    }

    @Test(arguments: [
        "", "a1", "a161", "a2646e616d6501", "a16474797065", "bf", "a06474797065", "a0a0",
    ])
    func `broken CBOR is invalid`(hex: String) {
        let digits = Array(hex)
        let bytes = stride(from: 0, to: digits.count, by: 2).map {
            UInt8(String(digits[$0...($0 + 1)]), radix: 16)!
        }

        #expect(EventFixture.read(bytes: bytes).rejection == .invalidJSON)
    }

    @Test func `32 KiB are taken and one byte more is too large`() {
        func event(padding: Int) -> [UInt8] {
            let event: CBORValue = [
                "type": "page", "userId": "u1",
                "pad": .text(String(repeating: "x", count: padding)),
            ]
            return event.encoded()
        }
        let padding = 32 * 1024 - event(padding: 1000).count + 1000
        #expect(event(padding: padding).count == 32 * 1024)

        #expect(EventFixture.read(bytes: event(padding: padding)).rejection == nil)
        #expect(EventFixture.read(bytes: event(padding: padding + 1)).rejection == .eventTooLarge)
        #expect(
            EventFixture.read(bytes: [UInt8](repeating: 0xff, count: 40_000)).rejection
                == .eventTooLarge)
    }

    @Test(arguments: ["properties", "traits", "context"])
    func `an event nests to 128, its own map counted`(name: String) {
        func event(_ depth: Int) -> CBORValue {
            var inner: CBORValue = 1
            for _ in 0..<(depth - 1) { inner = ["x": inner] }
            return ["type": "identify", "userId": "u1", .text(name): inner]
        }

        #expect(EventFixture.read(event(128)).rejection == nil)
        #expect(EventFixture.read(event(129)).rejection == .invalidJSON)
    }

    // MARK: Message ids and names

    @Test func `a message id is kept and hashed, and one is assigned where there is none`() {
        let own = EventFixture.read(["type": "page", "userId": "u1", "messageId": "m1"])
        let hash = SipHash64.hash(Array("m1".utf8).span.bytes, key: EventFixture.key)

        #expect(own.messageID == "m1" && !own.isMessageIDAssigned)
        #expect(own.messageHash == hash && own.batch.heads[0].messageHash == hash)
        for id in [
            nil, "", " ", ["m"], true, 1.5, "undefined", "NULL", "{{id}}", 0, -1, "0-0",
            "m\u{fffd}",
        ] as [CBORValue] {
            let outcome = EventFixture.read(["type": "page", "userId": "u1", "messageId": id])
            #expect(outcome.messageID == "assigned" && outcome.isMessageIDAssigned, "\(id)")
            #expect(outcome.batch.notes == [EventNote(position: 7, .noMessageID)], "\(id)")
        }
    }

    @Test(
        arguments: [
            (5, "5"), (-7, "-7"),
            (.tag(2, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0])), "18446744073709551616"),
            (5.0, "5"),
        ] as [(CBORValue, String)])
    func `an integer is a message id by its digits`(id: CBORValue, text: String) {
        let outcome = EventFixture.read(["type": "page", "userId": "u1", "messageId": id])

        #expect(outcome.messageID == text && !outcome.isMessageIDAssigned)
        #expect(outcome.batch.notes.isEmpty)
    }

    @Test func `a message id above 255 bytes is replaced by its hash`() {
        let long = String(repeating: "m", count: 255)
        func read(_ id: String) -> ReadOutcome {
            EventFixture.read(["type": "page", "userId": "u1", "messageId": .text(id)])
        }

        #expect(read(long).messageID == long)
        #expect(read(long + "x").messageID.utf8.count == 32)
        #expect(read(long + "x").messageID == read(long + "x").messageID)
        #expect(read(long + "x").messageID != read(long + "y").messageID)
        #expect(read(long + "x").rest["messageId"] == .text(long + "x"))
        #expect(!read(long + "x").isMessageIDAssigned)
    }

    @Test(arguments: [
        (String(repeating: "n", count: 200), 200), (String(repeating: "n", count: 201), 200),
        (String(repeating: "é", count: 101), 200), ("x" + String(repeating: "é", count: 100), 199),
        (String(repeating: "n", count: 197) + "\u{1f600}", 197),
    ])
    func `a long event name counts under its first 200 bytes of whole characters`(
        name: String, count: Int
    ) {
        let outcome = EventFixture.read(["type": "track", "event": .text(name), "userId": "u1"])

        #expect(outcome.counterName.utf8.count == count)
        #expect(name.utf8.starts(with: outcome.counterName.utf8))
        #expect(outcome.rest["event"] == (name.utf8.count > 200 ? .text(name) : nil))
    }
}
