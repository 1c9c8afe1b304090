import KithBytes
import KithCore
import Testing

/// Which traits an event sets, and what is left of its members.
@Suite struct EventTraitTests {
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
}
