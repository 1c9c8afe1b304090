import KithBytes
import KithCore
import Testing

@Suite struct IdentityRulesTests {
    @Test func `the standard rules are those of the design`() {
        let rules = IdentityRules.standard

        #expect(rules.problems().isEmpty)
        #expect(rules.sharedDevice == .quarantine)
        #expect(rules.alias == .merge)
        #expect(
            rules.namespaces.map(\.name) == [
                "user_id", "email", "phone", "anonymous_id", "device_id",
            ])
        #expect(rules.namespaces.map(\.limit) == [1, 5, 5, 100, 100])
        #expect(
            rules.namespaces.map(\.identifierClass) == [
                .account, .contact, .contact, .anonymous, .anonymous,
            ])
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let problem: String
        let change: @Sendable (inout IdentityRules) -> Void
        var testDescription: String { problem }
    }

    @Test(arguments: [
        Case(problem: "identity.namespaces: 0 namespaces, not 1 to 64") { $0.namespaces = [] },
        Case(problem: "identity.namespaces: 65 namespaces, not 1 to 64") { rules in
            rules.namespaces = (0..<65).map {
                .init(name: "n\($0)", class: .known, limit: 1, from: [])
            }
        },
        Case(problem: "identity.namespaces.Card: a name is 1 to 64 of a-z 0-9 _ -") {
            $0.namespaces[0].name = "Card"
        },
        Case(problem: "identity.namespaces.: a name is 1 to 64 of a-z 0-9 _ -") {
            $0.namespaces[0].name = ""
        },
        Case(problem: "identity.namespaces.phone: given twice") { $0.namespaces[1].name = "phone" },
        Case(problem: "identity.namespaces.email.limit: 0 is not 1 to 256") {
            $0.namespaces[1].limit = 0
        },
        Case(problem: "identity.namespaces.email.limit: 257 is not 1 to 256") {
            $0.namespaces[1].limit = 257
        },
        Case(problem: "identity.namespaces.email.from: \"a..b\" has an empty step") {
            $0.namespaces[1].from = ["a..b"]
        },
        Case(problem: "identity.namespaces.email.from: \"\" has an empty step") {
            $0.namespaces[1].from = [""]
        },
        Case(
            problem: "identity.namespaces.email.from: \"a.a.a.a.a.a.a.a.a\" has 9 steps, at most 8"
        ) { $0.namespaces[1].from = ["a.a.a.a.a.a.a.a.a"] },
        Case(problem: "identity.namespaces.email.from: \"userId\" is a path of user_id already") {
            $0.namespaces[1].from = ["userId"]
        },
        Case(problem: "identity.namespaces.email.from: 17 paths, at most 16") {
            $0.namespaces[1].from = (0..<17).map { "p\($0)" }
        },
        Case(problem: "identity.blockedValues: 1025 values, at most 1024") {
            $0.blockedValues = (0..<1025).map { "b\($0)" }
        },
        Case(problem: "identity.blockedValues[1]: 1025 bytes, at most 1024") {
            $0.blockedValues = ["x", String(repeating: "y", count: 1025)]
        },
    ])
    func `what breaks a bound is said with its key`(example: Case) {
        var rules = IdentityRules.standard
        example.change(&rules)

        #expect(rules.problems() == [example.problem])
    }
}

@Suite struct LeafHasherTests {
    let hasher = LeafHasher(key: EventFixture.key)

    func leaf(_ space: String, _ namespace: String, _ value: String) -> LeafID {
        let parts = (Array(space.utf8), Array(namespace.utf8), Array(value.utf8))
        return hasher.leaf(
            class: .anonymous, space: parts.0.span.bytes, namespace: parts.1.span.bytes,
            value: parts.2.span.bytes)
    }

    func quarantine(_ space: String, _ namespace: String, _ value: String) -> LeafID {
        let parts = (Array(space.utf8), Array(namespace.utf8), Array(value.utf8))
        return hasher.quarantineLeaf(
            space: parts.0.span.bytes, namespace: parts.1.span.bytes, value: parts.2.span.bytes)
    }

    @Test func `where one part ends and the next begins matters`() {
        let leaves = [
            leaf("ab", "c", "d"), leaf("a", "bc", "d"), leaf("ab", "cd", ""), leaf("a", "b", "cd"),
            leaf("abc", "", "d"), quarantine("ab", "c", "d"), quarantine("a", "bc", "d"),
        ]

        #expect(Set(leaves).count == leaves.count)
    }

    @Test func `the leaf is the hash of the framed parts under the class bits`() {
        let framed: [UInt8] =
            [7] + Array("default".utf8) + [7] + Array("user_id".utf8) + [4, 0]
            + Array("u-17".utf8)
        let hash = SipHash128.hash(framed.span.bytes, key: EventFixture.key)
        let leaf = EventFixture.read(["type": "page", "userId": "u-17"]).leaves[0]

        #expect(leaf == LeafID(class: .account, hash: hash))
        #expect(leaf.identifierClass == .account)
    }

    @Test func `a quarantine leaf frames the reserved name before the namespace`() {
        let framed: [UInt8] =
            [1] + Array("s".utf8) + [11] + Array("~quarantine".utf8) + [9]
            + Array("device_id".utf8) + [2, 0] + Array("d1".utf8)
        let hash = SipHash128.hash(framed.span.bytes, key: EventFixture.key)

        #expect(quarantine("s", "device_id", "d1") == LeafID(class: .anonymous, hash: hash))
    }
}
