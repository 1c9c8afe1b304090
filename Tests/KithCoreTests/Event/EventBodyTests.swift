import KithBytes
@testable import KithCore
import Testing

@Suite struct EventBodyTests {
    static let body: [UInt8] =
        EventFixture.read(
            [
                "type": "alias", "messageId": "m1", "userId": "u2", "previousId": "u1",
                "timestamp": 1_700_000_001_234, "properties": ["x": [1, 2]],
                "context": ["traits": ["email": "a@x.com", "city": nil]],
            ], stamp: 99
        ).batch.bytes

    /// The format is on disk: this is it, byte for byte.
    @Test func `the body is laid out as documented`() {
        let leaf = { (namespace: String, value: String) -> [UInt8] in
            let hasher = LeafHasher(key: EventFixture.key)
            let parts = (Array("s".utf8), Array(namespace.utf8), Array(value.utf8))
            let leaf = hasher.leaf(
                class: namespace == "user_id" ? .account : .anonymous, space: parts.0.span.bytes,
                namespace: parts.1.span.bytes, value: parts.2.span.bytes)
            return bytes(leaf.high) + bytes(leaf.low)
        }
        func quarantine(_ value: String) -> [UInt8] {
            let hasher = LeafHasher(key: EventFixture.key)
            let parts = (Array("s".utf8), Array("anonymous_id".utf8), Array(value.utf8))
            let leaf = hasher.quarantineLeaf(
                space: parts.0.span.bytes, namespace: parts.1.span.bytes, value: parts.2.span.bytes)
            return bytes(leaf.high) + bytes(leaf.low)
        }
        func bytes(_ value: UInt64) -> [UInt8] {
            (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        let zeros = [UInt8](repeating: 0, count: 16)
        let hash = SipHash64.hash(Array("m1".utf8).span.bytes, key: EventFixture.key)

        var expected: [UInt8] = [5, 5]
        expected += bytes(hash) + bytes(1_700_000_001_234) + bytes(99)
        expected += [2] + Array("m1".utf8) + [5, 0] + Array("alias".utf8) + [1] + Array("s".utf8)
        expected += [3]
        expected += leaf("user_id", "u2") + [0, 1, 0, 7] + Array("user_id".utf8) + [2, 0]
        expected += Array("u2".utf8) + zeros
        expected += leaf("user_id", "u1") + [3, 1, 0, 7] + Array("user_id".utf8) + [2, 0]
        expected += Array("u1".utf8) + zeros
        expected += leaf("anonymous_id", "u1") + [1, 100, 0, 12] + Array("anonymous_id".utf8)
        expected += [2, 0] + Array("u1".utf8) + quarantine("u1")
        expected += [1, 0] + [4, 0] + Array("city".utf8) + [1, 0, 0, 0, 0xf6]
        let rest = (["context": ["traits": ["city": nil]]] as CBORValue).encoded()
        expected += [UInt8(rest.count), 0, 0, 0] + rest

        let outcome = EventFixture.read(
            [
                "type": "alias", "messageId": "m1", "userId": "u2", "previousId": "u1",
                "timestamp": 1_700_000_001_234, "context": ["traits": ["city": nil]],
            ], stamp: 99, space: "s")

        #expect(outcome.batch.bytes == expected)
    }

    @Test func `a body cut anywhere or with a byte behind is refused`() {
        for count in 0..<Self.body.count {
            let cut = Array(Self.body[..<count])
            #expect(throws: ByteError.self) { _ = try EventBody(cut.span.bytes).identifierCount }
        }
        #expect(throws: ByteError.malformed(offset: Self.body.count)) {
            let long = Self.body + [0]
            _ = try EventBody(long.span.bytes).identifierCount
        }
        #expect(
            throws: ByteError.tooLong(length: EventBody.bytesMax + 1, limit: EventBody.bytesMax)
        ) {
            let huge = [UInt8](repeating: 0, count: EventBody.bytesMax + 1)
            _ = try EventBody(huge.span.bytes).identifierCount
        }
    }

    @Test(arguments: [
        (0, 6, ByteError.unknownTag(6, offset: 0)), (1, 16, .unknownTag(16, offset: 1)),
        (44, 0, .malformed(offset: 44)), (44, 33, .tooLong(length: 33, limit: 32)),
        (61, 4, .unknownTag(4, offset: 61)),
    ])
    func `a tag, flag or count that is none is refused`(
        offset: Int, byte: UInt8, error: ByteError
    ) {
        var bytes = Self.body
        bytes[offset] = byte

        #expect(throws: error) { _ = try EventBody(bytes.span.bytes).identifierCount }
    }

    private static let ignoring = EventFixture.read([
        "type": "page", "messageId": "m1", "userId": "u1", "anonymousId": "null",
        "context": ["externalIds": [["id": "1", "type": "fax"], ["id": "2", "type": "fax"]]],
    ])

    @Test func `what is no identifier stands behind all else, reason by reason`() {
        let body = Self.ignoring.batch.bytes

        #expect(body[1] & EventBody.ignoredFlag != 0)
        #expect(body.suffix(11) == [2, 0, 1, 0, 0, 0, 5, 2, 0, 0, 0])
        #expect(Self.ignoring.ignored == ["blocked": 1, "unknown_namespace": 2])
        #expect(Self.ignoring.batch.ignoredOfRefused.isEmpty)
    }

    @Test(arguments: [
        // From the end: how many, a reason that there is not, out of order, none at all.
        (11, 1), (11, 3), (11, 0), (5, 7), (5, 0), (10, 5),
    ])
    func `reasons that are none, too many or out of order are refused`(fromEnd: Int, byte: UInt8) {
        var bytes = Self.ignoring.batch.bytes
        bytes[bytes.count - fromEnd] = byte

        #expect(throws: ByteError.self) { _ = try EventBody(bytes.span.bytes).identifierCount }
    }

    @Test func `the flag without reasons is refused`() {
        var bytes = Self.body
        bytes[1] |= EventBody.ignoredFlag

        #expect(throws: ByteError.self) { _ = try EventBody(bytes.span.bytes).identifierCount }
    }
}
