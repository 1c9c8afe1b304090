import KithBytes
import KithCore
import Testing

/// Which identifiers an event names, and in which order.
@Suite struct EventIdentifierTests {
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
}
