import KithBytes
import KithCore
import Testing

@Suite struct EventReaderTests {
    static let arrival = EventFixture.arrival

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

    // MARK: Identifiers

    struct Naming: Sendable, CustomTestStringConvertible {
        let event: CBORValue
        let identifiers: [String]
        var ignored: [String: Int] = [:]
        var testDescription: String { "\(identifiers) \(ignored): \(event)" }

        /// The event with a type, and an identifier that is always good.
        var whole: CBORValue {
            guard case .map(let members) = event else { return event }
            return .map(
                members + [CBORMember("type", "identify"), CBORMember("anonymousId", "base")])
        }
    }

    @Test(arguments: [
        Naming(event: ["userId": "u1"], identifiers: ["user_id:u1"]),
        Naming(event: ["userId": " U1 "], identifiers: ["user_id:U1"]),
        Naming(event: ["userId": 17], identifiers: ["user_id:17"]),
        Naming(event: ["userId": -17], identifiers: ["user_id:-17"]),
        Naming(
            event: ["userId": .unsigned(.max)], identifiers: ["user_id:18446744073709551615"]),
        Naming(
            event: ["userId": .negative(.max)], identifiers: ["user_id:-18446744073709551616"]),
        Naming(event: ["userId": nil], identifiers: []),
        Naming(event: ["userId": .simple(23)], identifiers: []),
        Naming(event: ["userId": 17.0], identifiers: ["user_id:17"]),
        Naming(event: ["userId": -17.0], identifiers: ["user_id:-17"]),
        Naming(event: ["userId": 1e3], identifiers: ["user_id:1000"]),
        Naming(event: ["userId": 0x1p53], identifiers: ["user_id:9007199254740992"]),
        Naming(event: ["userId": -0x1p53], identifiers: ["user_id:-9007199254740992"]),
        Naming(
            event: ["userId": .double(0x1p53 + 2)], identifiers: [], ignored: ["invalid": 1]),
        Naming(event: ["userId": .double(.nan)], identifiers: [], ignored: ["invalid": 1]),
        Naming(event: ["userId": .double(.infinity)], identifiers: [], ignored: ["invalid": 1]),
        Naming(event: ["userId": 0.0], identifiers: [], ignored: ["zeros": 1]),
        Naming(event: ["userId": -0.0], identifiers: [], ignored: ["zeros": 1]),
        Naming(event: ["userId": -1.0], identifiers: [], ignored: ["blocked": 1]),
        Naming(
            event: ["userId": .tag(2, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0]))],
            identifiers: ["user_id:18446744073709551616"]),
        Naming(
            event: ["userId": .tag(3, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0]))],
            identifiers: ["user_id:-18446744073709551617"]),
        Naming(
            event: ["userId": .tag(2, .bytes([UInt8](repeating: 0xff, count: 430)))],
            identifiers: [], ignored: ["too_long": 1]),
        Naming(
            event: ["userId": .tag(4, .array([1, 2]))], identifiers: [], ignored: ["invalid": 1]),
        Naming(event: ["userId": .tag(2, "1")], identifiers: [], ignored: ["invalid": 1]),
        Naming(event: ["userId": 17.5], identifiers: [], ignored: ["invalid": 1]),
        Naming(event: ["userId": true], identifiers: [], ignored: ["invalid": 1]),
        Naming(event: ["userId": ["u1"]], identifiers: [], ignored: ["invalid": 1]),
        Naming(event: ["userId": ["id": "u1"]], identifiers: [], ignored: ["invalid": 1]),
        Naming(event: ["userId": .bytes([0x31])], identifiers: [], ignored: ["invalid": 1]),
        Naming(event: ["userId": .tag(2, .bytes([5]))], identifiers: ["user_id:5"]),
        Naming(event: ["userId": ""], identifiers: [], ignored: ["empty": 1]),
        Naming(event: ["userId": "Guest"], identifiers: [], ignored: ["blocked": 1]),
        Naming(event: ["userId": 0], identifiers: [], ignored: ["zeros": 1]),
        Naming(event: ["userId": -1], identifiers: [], ignored: ["blocked": 1]),
        Naming(
            event: ["userId": .text(String(repeating: "x", count: 1025))], identifiers: [],
            ignored: ["too_long": 1]),
        Naming(
            event: ["userId": "u1", "traits": ["email": "A@X.com", "phone": "+39 333 1234567"]],
            identifiers: ["user_id:u1", "email:a@x.com", "phone:+393331234567"]),
        Naming(
            event: ["context": ["traits": ["email": "a@x.com", "phone": "+393331234567"]]],
            identifiers: ["email:a@x.com", "phone:+393331234567"]),
        Naming(
            event: ["traits": ["email": "a@x.com"], "context": ["traits": ["email": "b@x.com"]]],
            identifiers: ["email:a@x.com"]),
        Naming(
            event: ["traits": ["email": "?"], "context": ["traits": ["email": "b@x.com"]]],
            identifiers: ["email:b@x.com"], ignored: ["invalid": 1]),
        Naming(
            event: ["traits": ["email": nil], "context": ["traits": ["email": "b@x.com"]]],
            identifiers: ["email:b@x.com"]),
        Naming(
            event: ["traits": ["email": "x", "phone": "333"]], identifiers: [],
            ignored: ["invalid": 2]),
        Naming(
            event: ["traits": ["phone": 393_331_234_567]], identifiers: [], ignored: ["invalid": 1]),
        Naming(event: ["context": ["device": ["id": "d1"]]], identifiers: ["device_id:d1"]),
        Naming(event: ["context": ["device": "d1"]], identifiers: []),
        Naming(event: ["context": "d1"], identifiers: []),
        Naming(event: ["traits": "a@x.com"], identifiers: []),
        Naming(
            event: [
                "context": [
                    "externalIds": [
                        ["id": "A@x.com", "type": "email"], ["type": "user_id", "id": 5],
                    ]
                ]
            ],
            identifiers: ["user_id:5", "email:a@x.com"]),
        Naming(
            event: [
                "context": [
                    "externalIds": [
                        ["id": "x", "type": "ga_client"], ["id": "x"], ["id": "x", "type": 1], "x",
                        5,
                    ]
                ]
            ],
            identifiers: [], ignored: ["unknown_namespace": 3, "invalid": 2]),
        Naming(
            event: [
                "context": [
                    "externalIds": [
                        ["type": "user_id"], ["type": "user_id", "id": nil],
                        ["type": "user_id", "id": "nil"],
                    ]
                ]
            ],
            identifiers: [], ignored: ["invalid": 2, "blocked": 1]),
        Naming(
            event: ["context": ["externalIds": ["id": "x"]]], identifiers: [],
            ignored: ["invalid": 1]),
        Naming(event: ["context": ["externalIds": nil]], identifiers: []),
        Naming(
            event: [
                "userId": "u1", "context": ["externalIds": [["id": " u1", "type": "user_id"]]],
            ],
            identifiers: ["user_id:u1"]),
        Naming(
            event: [
                "userId": "u5",
                "context": [
                    "externalIds": [
                        ["id": "u4", "type": "user_id"], ["id": "u50", "type": "user_id"],
                    ]
                ],
            ],
            identifiers: ["user_id:u4", "user_id:u5", "user_id:u50"]),
        // A name twice: the later member counts, whole.
        Naming(event: ["userId": "u1", "userId": "u2"], identifiers: ["user_id:u2"]),
        Naming(event: ["userId": "u1", "userId": nil], identifiers: []),
        Naming(
            event: ["traits": ["email": "a@x.com"], "traits": ["phone": "+393331234567"]],
            identifiers: ["phone:+393331234567"]),
        Naming(event: ["context": ["device": ["id": "d1"]], "context": 5], identifiers: []),
        Naming(event: ["previousId": "p"], identifiers: []),
    ])
    func `identifiers are found, normalised and put in order`(naming: Naming) {
        let outcome = EventFixture.read(naming.whole)

        // Classes 0 and 1 sort before the base, device ids behind it.
        var expected = naming.identifiers.filter { !$0.hasPrefix("device_id") }
        expected.append("anonymous_id:base")
        expected += naming.identifiers.filter { $0.hasPrefix("device_id") }
        #expect(outcome.rejection == nil)
        #expect(outcome.identifiers == expected)
        #expect(outcome.ignored == naming.ignored)
    }

    @Test func `what is ignored counts also where the event is refused`() {
        let outcome = EventFixture.read(["type": "page", "userId": "null", "anonymousId": ""])

        #expect(outcome.rejection == .noIdentifier)
        #expect(outcome.ignored == ["blocked": 1, "empty": 1])
    }

    @Test func `the first 32 identifiers are kept and the others counted`() {
        let entries: [CBORValue] = (0..<40).reversed().map {
            ["id": .text("d\($0 / 10)\($0 % 10)"), "type": "device_id"]
        }
        let outcome = EventFixture.read([
            "type": "page", "userId": "u1", "anonymousId": "a1",
            "context": ["externalIds": .array(entries)],
        ])

        #expect(outcome.identifiers.count == 32)
        #expect(outcome.identifiers[..<3] == ["user_id:u1", "anonymous_id:a1", "device_id:d00"])
        #expect(outcome.identifiers.last == "device_id:d29")
        #expect(outcome.ignored == ["limit": 10])
    }

    @Test func `a group's own traits name nobody, its context's do`() {
        let outcome = EventFixture.read([
            "type": "group", "groupId": "g1", "userId": "u1",
            "traits": ["email": "office@x.com", "plan": "pro"],
            "context": ["traits": ["email": "a@x.com"]],
        ])

        #expect(outcome.identifiers == ["user_id:u1", "email:a@x.com"])
        #expect(outcome.traits == ["email": "a@x.com"])
        #expect(outcome.rest["traits"] == ["email": "office@x.com", "plan": "pro"])
    }

    @Test func `namespaces come from the configuration`() {
        let rules = IdentityRules(namespaces: [
            .init(name: "cookie", class: .anonymous, limit: 3, from: ["properties.cookie"]),
            .init(
                name: "card", class: .known, limit: 9,
                from: ["context.a_rather_long_name.card", "context.a_rather_long_nam2.card"]),
            .init(name: "user_id", class: .account, limit: 1, from: ["context.user"]),
        ])

        let outcome = EventFixture.read(
            [
                "type": "page", "userId": "u1", "properties": ["cookie": 5],
                "context": [
                    "user": "u2", "a_rather_long_nam2": ["card": "c2"],
                    "a_rather_long_name": ["card": "c1"],
                ],
            ], rules: rules)

        #expect(outcome.identifiers == ["user_id:u2", "card:c1", "cookie:5"])
        #expect(outcome.limits == [1, 9, 3])
        #expect(outcome.leaves.map(\.identifierClass) == [.account, .known, .anonymous])
        #expect(outcome.rest["userId"] == "u1")
    }

    @Test func `only anonymous identifiers have a quarantine leaf, and the space is in every leaf`()
    {
        let event: CBORValue = ["type": "page", "userId": "u1", "anonymousId": "a1"]

        let here = EventFixture.read(event)
        let there = EventFixture.read(event, space: "other")

        #expect(here.quarantineLeaves[0] == nil)
        #expect(here.quarantineLeaves[1]?.identifierClass == .anonymous)
        #expect(here.quarantineLeaves[1] != here.leaves[1])
        #expect(here.space == "default" && there.space == "other")
        #expect(here.leaves[0] != there.leaves[0] && here.leaves[1] != there.leaves[1])
        #expect(here.quarantineLeaves[1] != there.quarantineLeaves[1])
    }

    // MARK: Alias

    struct Alias: Sendable, CustomTestStringConvertible {
        let event: CBORValue
        let identifiers: [String]
        var hasAlias = true
        var ignored: [String: Int] = [:]
        var testDescription: String { "\(identifiers): \(event)" }
    }

    @Test(arguments: [
        Alias(
            event: ["userId": "u2", "previousId": "u1"],
            identifiers: ["user_id:u2", "user_id:u1?=", "anonymous_id:u1?"]),
        // The user id first, though it sorts behind.
        Alias(
            event: ["userId": "z", "previousId": 5],
            identifiers: ["user_id:z", "user_id:5?=", "anonymous_id:5?"]),
        // Carried as its own as well: listed.
        Alias(
            event: ["userId": "u2", "anonymousId": "a1", "previousId": "a1"],
            identifiers: ["user_id:u2", "user_id:a1?=", "anonymous_id:a1"]),
        Alias(
            event: [
                "userId": "u2", "previousId": "u1",
                "context": ["externalIds": [["id": "u1", "type": "user_id"]]],
            ],
            identifiers: ["user_id:u2", "user_id:u1=", "anonymous_id:u1?"]),
        // To itself: no end that could join anything.
        Alias(
            event: ["userId": "u1", "previousId": "u1"],
            identifiers: ["user_id:u1", "anonymous_id:u1?"]),
        // Without a user id of its own no two accounts are named.
        Alias(
            event: ["anonymousId": "a2", "previousId": "u1"],
            identifiers: ["user_id:u1?", "anonymous_id:a2", "anonymous_id:u1?"]),
    ])
    func `an alias names both ends of its previous id`(alias: Alias) {
        guard case .map(let members) = alias.event else { return }

        let outcome = EventFixture.read(.map(members + [CBORMember("type", "alias")]))

        #expect(outcome.rejection == nil)
        #expect(outcome.identifiers == alias.identifiers)
        #expect(outcome.hasAlias == alias.hasAlias)
        #expect(outcome.ignored == alias.ignored)
    }

    @Test func `an alias in which only an anonymous id is its own keeps it`() {
        let outcome = EventFixture.read([
            "type": "alias", "userId": "undefined", "anonymousId": "a2", "previousId": "p",
        ])

        #expect(outcome.identifiers == ["user_id:p?", "anonymous_id:a2", "anonymous_id:p?"])
        #expect(outcome.ignored == ["blocked": 1])
    }

    // MARK: Traits and the rest

    @Test func `traits of an identify win over those of the context, null and all`() {
        let outcome = EventFixture.read([
            "type": "identify", "userId": "u1",
            "traits": ["plan": "pro", "gone": nil, "blank": "", "email": "bad", "list": [1, 2]],
            "context": ["traits": ["plan": "free", "city": "Rome", "gone": "x", "deep": ["a": 1]]],
        ])

        #expect(
            outcome.traits == [
                "plan": "pro", "gone": nil, "blank": "", "email": "bad", "list": [1, 2],
                "city": "Rome", "deep": ["a": 1],
            ])
        #expect(outcome.rest["traits"] == nil)
        #expect(outcome.rest["context"]?["traits"]?["city"] == "Rome")
    }

    @Test func `top-level traits of other types are no traits and stay in the rest`() {
        let outcome = EventFixture.read([
            "type": "track", "event": "E", "userId": "u1", "traits": ["plan": "pro"],
            "context": ["traits": ["city": "Rome"]],
        ])

        #expect(outcome.traits == ["city": "Rome"])
        #expect(outcome.rest["traits"] == ["plan": "pro"])
    }

    @Test(arguments: [3, 16, 17, 200])
    func `of a trait named twice the later counts`(count: Int) {
        var members: [CBORMember] = []
        for round in 0..<3 {
            for index in 0..<count {
                members.append(
                    CBORMember(.text("k\(index)"), .integer(Int64(round * 1000 + index))))
            }
        }

        let outcome = EventFixture.read([
            "type": "identify", "userId": "u1", "traits": .map(members),
            "context": ["traits": ["k0": "context", "other": 1]],
        ])

        #expect(outcome.traits.count == count + 1)
        for index in 0..<count {
            #expect(outcome.traits["k\(index)"] == .integer(Int64(2000 + index)))
        }
    }

    @Test func `members without a field of their own are kept as they came`() {
        let outcome = EventFixture.read([
            "type": "track", "event": "E", "messageId": "m1", "userId": "u1", "anonymousId": "null",
            "timestamp": "2024-01-01", "properties": ["revenue": 72.89], "groupId": "g",
            "context": ["ip": "1.2.3.4"], "name": "x", "name": "y", "previousId": "p",
        ])

        #expect(
            outcome.rest == [
                "anonymousId": "null", "context": ["ip": "1.2.3.4"], "groupId": "g", "name": "y",
                "previousId": "p", "properties": ["revenue": 72.89],
            ])
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

    // MARK: Notes

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

    // MARK: Time

    struct Clocks: Sendable, CustomTestStringConvertible {
        var times: CBORValue
        var arrival: Int64 = EventReaderTests.arrival
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
}
