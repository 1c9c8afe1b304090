import KithBytes
import KithCore
import Testing

/// What is told of an event beside its result.
@Suite struct EventNoteTests {
    struct Told: Sendable, CustomTestStringConvertible {
        let event: CBORValue
        let notes: [EventNote.About]
        var testDescription: String { "\(notes): \(event)" }
    }

    @Test(arguments: [
        Told(event: [:], notes: [.fault(.init(.type, .absent))]),
        Told(event: ["type": nil], notes: [.fault(.init(.type, .isNull))]),
        Told(event: ["type": 5], notes: [.fault(.init(.type, .isNumber))]),
        Told(event: ["type": "buy"], notes: [.fault(.init(.type, .isOtherText))]),
        Told(event: ["type": "track"], notes: [.fault(.init(.event, .absent))]),
        Told(event: ["type": "track", "event": " "], notes: [.fault(.init(.event, .isEmpty))]),
        Told(event: ["type": "track", "event": [:]], notes: [.fault(.init(.event, .isObject))]),
        Told(
            event: ["type": "alias", "userId": "u"], notes: [.fault(.init(.previousID, .absent))]),
        Told(
            event: ["type": "alias", "userId": "u", "previousId": "nil"],
            notes: [
                .ignored(.blocked, namespace: 0, at: .previousID, count: 1),
                .fault(.init(.previousID, .isNoIdentifier)),
            ]),
        Told(event: ["type": "page"], notes: []),
        Told(
            event: ["type": "page", "userId": nil, "anonymousId": "null"],
            notes: [
                .ignored(.blocked, namespace: 3, at: .path(5), count: 1),
                .isNull(at: .path(0)),
            ]),
        Told(
            event: [
                "type": "page", "userId": "u", "traits": ["email": "x"], "messageId": "m",
                "context": [
                    "traits": ["email": "y", "phone": "1"],
                    "externalIds": [
                        ["id": "1", "type": "tw"], ["id": "2", "type": "fb"],
                        ["id": "null", "type": "user_id"], 5,
                    ],
                ],
            ],
            notes: [
                .ignored(.invalid, namespace: 1, at: .path(1), count: 1),
                .ignored(.invalid, namespace: 1, at: .path(2), count: 1),
                .ignored(.invalid, namespace: 2, at: .path(4), count: 1),
                .ignored(.unknownNamespace, namespace: nil, at: .externalIDs, count: 2),
                .ignored(.blocked, namespace: 0, at: .externalIDs, count: 1),
                .ignored(.invalid, namespace: nil, at: .externalIDs, count: 1),
            ]),
        Told(
            event: [
                "type": "page", "userId": "u", "messageId": "m", "timestamp": 2_000_000_000_001,
            ],
            notes: [.timeMoved]),
        Told(
            event: [
                "type": "identify", "userId": "u", "messageId": "m",
                "traits": #"{"email":"a@b.test"}"#, "context": "{}",
            ], notes: [.wrongKind(.context, .isOtherText), .wrongKind(.traits, .isOtherText)]),
        Told(
            event: [
                "type": "identify", "userId": "u", "messageId": "m",
                "traits": [["email": "a@b.test"]],
                "context": ["traits": 5, "device": "idfa-1"],
            ],
            notes: [
                .wrongKind(.contextTraits, .isNumber), .wrongKind(.traits, .isArray),
                .wrongKind(.beginning(of: 6, steps: 2), .isOtherText),
            ]),
        Told(
            event: ["type": "track", "event": "e", "traits": true],
            notes: [.wrongKind(.traits, .isBoolean)]),
        // What is empty holds nothing, and the traits of a group name nobody.
        Told(
            event: [
                "type": "identify", "userId": "u", "messageId": "m", "traits": [],
                "context": ["traits": "", "device": nil],
            ], notes: []),
        Told(
            event: ["type": "group", "userId": "u", "messageId": "m", "traits": "x"], notes: []),
        Told(event: ["type": "page", "userId": "u", "messageId": "m"], notes: []),
    ])
    func `what is wrong with an event is noted by field, namespace and reason`(told: Told) {
        let outcome = EventFixture.read(told.event)

        #expect(outcome.batch.notes.map(\.about) == told.notes)
        #expect(outcome.batch.notes.allSatisfy { $0.position == 7 })
    }
}
