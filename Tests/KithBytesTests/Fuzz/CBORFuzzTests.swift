import KithBytes
import Testing

/// Whatever bytes a stranger sends as CBOR: an error or a value, never a trap, and never more
/// memory than the bytes were worth.
@Suite(.serialized) struct CBORFuzzTests {
    static let samples: [[UInt8]] =
        CBORTests.examples.map(\.bytes)
        + (0..<40).map { number in
            var fuzzer = ByteFuzzer(seed: 0, string: number)
            return tree(&fuzzer, depth: 6).encoded()
        }

    static func tree(_ fuzzer: inout ByteFuzzer, depth: Int) -> CBORValue {
        switch fuzzer.below(depth > 0 ? 11 : 8) {
        case 0: return .unsigned(fuzzer.next() >> UInt64(fuzzer.below(64)))
        case 1: return .negative(fuzzer.next() >> UInt64(fuzzer.below(64)))
        case 2: return .text(String(repeating: "é", count: fuzzer.below(30)))
        case 3: return .bytes(fuzzer.noise(below: 300))
        case 4: return .double(Double(bitPattern: fuzzer.next()))
        case 5: return .bool(true)
        case 6: return .null
        case 7: return .simple(255)
        case 8: return .tag(fuzzer.next(), tree(&fuzzer, depth: depth - 1))
        case 9: return .array((0..<fuzzer.below(6)).map { _ in tree(&fuzzer, depth: depth - 1) })
        default:
            return .map(
                (0..<fuzzer.below(6)).map { _ in
                    CBORMember(tree(&fuzzer, depth: 0), tree(&fuzzer, depth: depth - 1))
                })
        }
    }

    @Test(.enabled(if: FuzzSettings.wants("cbor"), FuzzSettings.note))
    func `whatever a string holds, cursor and tree agree on it`() {
        let samples = Self.samples
        var search = FuzzSearch("cbor", slice: 60_000)

        search.run { fuzzer, _ in
            let bytes = fuzzer.string(from: samples)
            var reader = CBORReader(bytes.span.bytes)
            var isItem = false
            do throws(ByteError) {
                try reader.skip()
                isItem = reader.isAtEnd
            } catch {
                isItem = false
            }
            let tree = try? CBORValue(decoding: bytes.span.bytes)  // The error is the outcome.
            guard isItem == (tree != nil) else {
                return .wrong("cursor \(isItem), tree \(tree != nil)")
            }
            guard let tree else { return .refused }
            let again = tree.encoded()
            guard again.count <= 2 * bytes.count + 16 else {
                return .wrong("\(bytes.count) bytes became \(again.count)")
            }
            let back = try? CBORValue(decoding: again.span.bytes)
            guard back?.encoded() == again else { return .wrong("does not come back") }
            return .taken
        }
    }

    @Test(.enabled(if: FuzzSettings.wants("cbor-calls"), FuzzSettings.note))
    func `whatever a cursor is asked for, in any order, it stays within its bytes`() {
        let samples = Self.samples
        var search = FuzzSearch("cbor-calls", slice: 8_000)

        search.run { fuzzer, _ in
            let bytes = fuzzer.string(from: samples)
            var reader = CBORReader(bytes.span.bytes)
            var count: CBORCount?
            var values = 0
            for _ in 0..<24 {
                let before = reader.offset
                do throws(ByteError) {
                    try Self.call(&reader, &count, &fuzzer)
                    values += 1
                } catch {
                    count = nil
                }
                guard reader.offset >= before, reader.offset <= bytes.count else {
                    return .wrong("from \(before) to \(reader.offset) of \(bytes.count)")
                }
            }
            return values > 0 ? .taken : .refused
        }
    }

    /// One call of the cursor, whether or not it fits what comes next.
    private static func call(
        _ reader: inout CBORReader, _ count: inout CBORCount?, _ fuzzer: inout ByteFuzzer
    ) throws(ByteError) {
        switch fuzzer.below(14) {
        case 0: try reader.skip(depth: fuzzer.below(140))
        case 1: _ = try reader.item().byteCount
        case 2: count = try reader.map()
        case 3: count = try reader.array()
        case 4, 5:
            guard var open = count else { return try reader.skip() }
            count = try reader.next(in: &open) ? open : nil
        case 6: _ = try reader.text().byteCount
        case 7: _ = try reader.byteString().byteCount
        case 8: _ = try reader.int64()
        case 9: _ = try reader.float()
        case 10: _ = try reader.bool()
        case 11: _ = try reader.simple()
        case 12: _ = try reader.tag()
        default: _ = try reader.head()
        }
    }
}
