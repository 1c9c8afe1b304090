import KithBytes
import Testing

@testable import KithCore

@Suite struct EventBatchTests {
    static func append(
        _ event: CBORValue, at position: UInt32, with reader: inout EventReader,
        space: String = "default", to batch: inout EventBatch
    ) -> EventRejection? {
        let bytes = event.encoded()
        let name = Array(space.utf8)
        do throws(EventRejection) {
            try reader.read(
                bytes.span.bytes, position: position, space: name.span.bytes,
                arrival: EventFixture.arrival, stamp: nil, into: &batch,
                assignMessageID: { Array("assigned".utf8) })
            return nil
        } catch {
            return error
        }
    }

    @Test func `events lie one after another and a refused one leaves no gap`() throws {
        var reader = EventReader(rules: .standard, key: EventFixture.key)
        var batch = EventBatch()

        let reasons = [
            Self.append(
                ["type": "page", "userId": "u1", "anonymousId": "a1"], at: 0, with: &reader,
                to: &batch),
            Self.append(["type": "page", "userId": "none"], at: 1, with: &reader, to: &batch),
            Self.append(["type": "pages", "userId": "u1"], at: 2, with: &reader, to: &batch),
            Self.append(
                ["type": "identify", "userId": "u2", "traits": ["a": 1]], at: 3, with: &reader,
                to: &batch),
        ]

        #expect(reasons == [nil, .noIdentifier, .invalidType, nil])
        #expect(batch.heads.map(\.position) == [0, 3])
        #expect(batch.heads.map(\.type) == [.page, .identify])
        #expect(batch.heads[0].identifierRange == 0..<2 && batch.heads[1].identifierRange == 2..<3)
        #expect(batch.heads[0].bodyRange.lowerBound == 0)
        #expect(batch.heads[0].bodyRange.upperBound == batch.heads[1].bodyRange.lowerBound)
        #expect(batch.heads[1].bodyRange.upperBound == batch.bytes.count)
        #expect(
            batch.identifiers.map { String(decoding: batch.bytes[$0.valueRange], as: UTF8.self) }
                == ["u1", "a1", "u2"])
        #expect(batch.identifiers.map(\.namespaceIndex) == [0, 3, 0])
        #expect(batch.identifiers.map(\.limit) == [1, 100, 1])
        #expect(batch.ignoredOfRefused.present.map(\.reason) == [.blocked])
    }

    @Test func `beyond the most notes it is only counted how many there were`() {
        var reader = EventReader(rules: .standard, key: EventFixture.key)
        var batch = EventBatch()
        let event: CBORValue = ["type": "page", "userId": "", "anonymousId": "", "timestamp": 0]
        _ = Self.append(event, at: 0, with: &reader, to: &batch)
        let each = batch.notes.count
        #expect(each >= 2 && batch.notesLeftOut == 0)

        let count = EventBatch.notesMax / each + 10
        for position in 1..<count {
            _ = Self.append(event, at: UInt32(position), with: &reader, to: &batch)
        }

        #expect(batch.notes.count == EventBatch.notesMax)
        #expect(Int(batch.notesLeftOut) == count * each - EventBatch.notesMax)
        #expect(batch.ignoredOfRefused.present.map { Int($0.count) } == [2 * count])
        #expect(batch.memoryBytes >= EventBatch.notesMax * MemoryLayout<EventNote>.stride)
        batch.removeAll()
        #expect(batch.notes.isEmpty && batch.notesLeftOut == 0)
    }

    @Test func `a batch used again holds nothing of before`() {
        var reader = EventReader(rules: .standard, key: EventFixture.key)
        var batch = EventBatch()
        _ = Self.append(
            ["type": "identify", "userId": "u1", "traits": ["email": "x", "b": 2]], at: 0,
            with: &reader, to: &batch)
        batch.removeAll()
        #expect(batch.heads.isEmpty && batch.identifiers.isEmpty && batch.bytes.isEmpty)
        #expect(batch.ignoredOfRefused.isEmpty)

        _ = Self.append(["type": "page", "anonymousId": "a1"], at: 0, with: &reader, to: &batch)

        var fresh = EventBatch()
        var other = EventReader(rules: .standard, key: EventFixture.key)
        _ = Self.append(["type": "page", "anonymousId": "a1"], at: 0, with: &other, to: &fresh)
        #expect(batch.heads == fresh.heads)
        #expect(batch.identifiers == fresh.identifiers)
        #expect(batch.bytes == fresh.bytes)
    }

    @Test func `a reader that changes spaces hashes in each`() {
        var reader = EventReader(rules: .standard, key: EventFixture.key)
        var batch = EventBatch()
        for (place, space) in ["one", "two", "one"].enumerated() {
            _ = Self.append(
                ["type": "page", "anonymousId": "a1"], at: UInt32(place), with: &reader,
                space: space, to: &batch)
        }

        let leaves = batch.identifiers.map(\.leaf)
        #expect(leaves[0] == leaves[2] && leaves[0] != leaves[1])
    }

    @Test func `the event that grows most still gives a body that reads`() throws {
        // Two-byte keys cost 4 bytes each in the event, 9 in the traits and 4 more in the rest.
        let keys = (0..<15_000).map {
            "\(UnicodeScalar(UInt8($0 / 127)))\(UnicodeScalar(UInt8($0 % 127)))"
        }
        let event: CBORValue = [
            "type": "page",
            "userId": .text(String(repeating: "u", count: 1024)),
            "context": ["traits": .map(keys.map { CBORMember(.text($0), 1) })],
        ]
        var reader = EventReader(
            rules: .standard, key: EventFixture.key, eventBytesMax: EventReader.eventBytesLimit)
        var batch = EventBatch()

        let rejection = Self.append(event, at: 0, with: &reader, to: &batch)
        let body = batch.bytes
        let traitCount = try EventBody(body.span.bytes).traitCount

        #expect(rejection == nil)
        #expect(traitCount == 15_000)
    }

    @Test func `indefinite lengths give the same body as definite ones`() {
        let plain: CBORValue = [
            "type": "track", "event": "Order Completed", "messageId": "m1", "userId": "u1",
            "traits": ["a": "b"], "context": ["traits": ["email": "a@x.com"], "list": [1, "two"]],
        ]
        var containers = ByteWriter()
        var strings = ByteWriter()
        Self.encodeIndefinite(plain, chunked: false, into: &containers)
        Self.encodeIndefinite(plain, chunked: true, into: &strings)

        let expected = EventFixture.read(plain)
        let open = EventFixture.read(bytes: containers.bytes)
        let chunked = EventFixture.read(bytes: strings.bytes)

        #expect(expected.rejection == nil)
        #expect(open.identifiers == expected.identifiers && open.traits == expected.traits)
        #expect(open.rest == expected.rest && open.counterName == "Order Completed")
        #expect(chunked.batch.bytes == expected.batch.bytes)
    }

    static func encodeIndefinite(
        _ value: CBORValue, chunked: Bool, into writer: inout ByteWriter
    ) {
        switch value {
        case .text(let text) where chunked:
            writer.u8(0x7f)
            for character in text { writer.cborText(String(character)) }
            writer.u8(0xff)
        case .array(let items):
            writer.u8(0x9f)
            for item in items { encodeIndefinite(item, chunked: chunked, into: &writer) }
            writer.u8(0xff)
        case .map(let members):
            writer.u8(0xbf)
            for member in members {
                encodeIndefinite(member.key, chunked: chunked, into: &writer)
                encodeIndefinite(member.value, chunked: chunked, into: &writer)
            }
            writer.u8(0xff)
        default: value.encode(into: &writer)
        }
    }
}
