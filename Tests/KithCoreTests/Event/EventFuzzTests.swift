import KithBytes
import Testing

@testable import KithCore

@Suite struct EventFuzzTests {
    static let events: [CBORValue] = [
        [
            "type": "identify", "messageId": "m", "userId": "u1", "anonymousId": "a1",
            "timestamp": "2024-02-29T12:34:56.789+05:30", "traits": ["email": "É@x.com", "n": nil],
            "context": [
                "traits": ["phone": "+39 333 1234567"], "device": ["id": 5],
                "externalIds": [["id": "c", "type": "email"], ["id": "d", "type": "device_id"]],
            ],
        ],
        [
            "type": "track", "event": "Order", "userId": 5, "receivedAt": 1_700_000_010_000,
            "sentAt": 1_700_000_009_000,
            "originalTimestamp": 1_700_000_008_000.5,
            "properties": ["list": [1, 2.5, true, nil, ["x": "y"]]],
        ],
        ["type": "alias", "userId": "u2", "previousId": "u1", "groupId": "g"],
    ]

    @Test(arguments: [11, 12, 13] as [UInt64])
    func `whatever an event holds, it is refused or its body reads`(seed: UInt64) throws {
        var generator = FuzzGenerator(state: seed)
        var reader = EventReader(rules: .standard, key: EventFixture.key)
        var batch = EventBatch()
        let space = Array("default".utf8)
        let templates = Self.events.map { $0.encoded() }
        var taken = 0
        for round in 0..<7000 {
            let bytes =
                round % 8 == 0
                ? generator.bytes(upTo: 60)
                : generator.mutate(templates.randomElement(using: &generator)!)
            batch.removeAll()

            do throws(EventRejection) {
                try reader.read(
                    bytes.span.bytes, position: 0, space: space.span.bytes,
                    arrival: EventFixture.arrival, stamp: nil, into: &batch,
                    assignMessageID: { [1] })
                taken += 1
            } catch {
                #expect(batch.bytes.isEmpty, "seed \(seed) round \(round)")
                continue
            }

            let body = batch.bytes
            #expect(Self.isReadable(body), "seed \(seed) round \(round) \(bytes)")
            let tree = try? CBORValue(decoding: bytes.span.bytes)  // nil is the failure looked for.
            #expect(tree != nil, "seed \(seed) round \(round) \(bytes)")
        }
        #expect(taken > 300, "seed \(seed): the mutations must leave some events good")
    }

    @Test(arguments: [21, 22] as [UInt64])
    func `whatever a body holds, it is refused or all of it reads`(seed: UInt64) {
        var generator = FuzzGenerator(state: seed)
        let templates = Self.events.map { EventFixture.read($0).batch.bytes }
        for round in 0..<10_000 {
            let bytes =
                round % 8 == 0
                ? generator.bytes(upTo: 120)
                : generator.mutate(templates.randomElement(using: &generator)!)

            _ = Self.isReadable(bytes)
        }
        for template in templates { #expect(Self.isReadable(template)) }
    }

    /// Reads every part; false where the view refuses the bytes or its parts do not add up.
    static func isReadable(_ bytes: [UInt8]) -> Bool {
        do throws(ByteError) {
            let body = try EventBody(bytes.span.bytes)
            var count = body.messageID.byteCount + body.counterName.byteCount + body.rest.byteCount
            if body.hasIgnored { count += 1 }
            body.forEachIgnored { _, _ in count += 5 }
            for index in 0..<body.identifierCount {
                let identifier = body.identifier(at: index)
                count += identifier.namespace.byteCount + identifier.value.byteCount + 38
            }
            body.forEachTrait { key, value in count += key.byteCount + value.byteCount + 6 }
            return count + body.space.byteCount + 37 == bytes.count
        } catch {
            return false
        }
    }
}

/// SplitMix64, and the damage done with it.
struct FuzzGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func bytes(upTo most: Int) -> [UInt8] {
        let count = Int(next() % UInt64(most + 1))
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }

    mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0...(next() % 3) where !bytes.isEmpty {
            let place = Int(next() % UInt64(bytes.count))
            switch next() % 4 {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: next())
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(UInt8(truncatingIfNeeded: next()), at: place)
            default: bytes[place] ^= 1 << UInt8(next() % 8)
            }
        }
        return bytes
    }
}
