import KithBytes

@testable import KithCore

/// What became of one event, in forms that read well in a test.
struct ReadOutcome {
    var rejection: EventRejection?
    /// `namespace:value`, with `?` behind an unlisted one and `=` behind an alias's user id end.
    var identifiers: [String] = []
    var leaves: [LeafID] = []
    var quarantineLeaves: [LeafID?] = []
    var limits: [Int] = []
    var traits: [String: CBORValue] = [:]
    var rest: CBORValue = .null
    var type: EventType?
    var time: Int64?
    var stamp: Int64?
    var messageID = ""
    var messageHash: UInt64?
    var isMessageIDAssigned = false
    var isTimeStated: Bool?
    var hasAlias = false
    var counterName = ""
    var space = ""
    var ignored: [String: Int] = [:]
    var batch = EventBatch()
}

enum EventFixture {
    static let key = HashKey(hex: "000102030405060708090a0b0c0d0e0f")!
    /// 2033-05-18T03:33:20Z.
    static let arrival: Int64 = 2_000_000_000_000

    /// Reads one event given as a literal, and its body back.
    static func read(
        _ event: CBORValue, rules: IdentityRules = .standard, arrival: Int64 = arrival,
        stamp: Int64? = nil, space: String = "default"
    ) -> ReadOutcome {
        read(bytes: event.encoded(), rules: rules, arrival: arrival, stamp: stamp, space: space)
    }

    static func read(
        bytes: [UInt8], rules: IdentityRules = .standard, arrival: Int64 = arrival,
        stamp: Int64? = nil, space: String = "default"
    ) -> ReadOutcome {
        var reader = EventReader(rules: rules, key: key)
        var outcome = ReadOutcome()
        let name = Array(space.utf8)
        do throws(EventRejection) {
            try reader.read(
                bytes.span.bytes, position: 7, space: name.span.bytes, arrival: arrival,
                stamp: stamp, into: &outcome.batch, assignMessageID: { Array("assigned".utf8) })
            describe(&outcome, rules)
        } catch {
            outcome.rejection = error
        }
        for (reason, count) in outcome.batch.ignoredOfRefused.present {
            outcome.ignored[reason.name] = Int(count)
        }
        return outcome
    }

    private static func describe(_ outcome: inout ReadOutcome, _ rules: IdentityRules) {
        let batch = outcome.batch
        let head = batch.heads[0]
        outcome.hasAlias = head.hasAlias
        do throws(ByteError) {
            let bytes = Array(batch.bytes[head.bodyRange])
            let body = try EventBody(bytes.span.bytes)
            outcome.type = body.type
            outcome.time = body.time
            outcome.stamp = body.stamp
            outcome.messageID = body.messageID.text()!
            outcome.messageHash = body.messageHash
            outcome.isMessageIDAssigned = body.isMessageIDAssigned
            outcome.isTimeStated = body.isTimeStated
            outcome.counterName = body.counterName.text()!
            outcome.space = body.space.text()!
            for index in 0..<body.identifierCount {
                let identifier = body.identifier(at: index)
                outcome.identifiers.append(
                    identifier.namespace.text()! + ":" + identifier.value.text()!
                        + (identifier.isUnlisted ? "?" : "") + (identifier.isAliasEnd ? "=" : ""))
                outcome.leaves.append(identifier.leaf)
                outcome.quarantineLeaves.append(identifier.quarantineLeaf)
                outcome.limits.append(Int(identifier.limit))
            }
            var traits: [String: CBORValue] = [:]
            try body.forEachTrait { key, value throws(ByteError) in
                traits[key.text()!] = try CBORValue(decoding: value)
            }
            outcome.traits = traits
            outcome.rest = try CBORValue(decoding: body.rest)
            body.forEachIgnored { outcome.ignored[$0.name] = Int($1) }
        } catch {
            preconditionFailure("a body that its own view refuses: \(error)")
        }
    }
}
