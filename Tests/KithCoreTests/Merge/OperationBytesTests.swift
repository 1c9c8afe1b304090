import KithBytes
import Testing

@testable import KithCore

/// Operations as bytes from another node, and in pieces.
@Suite struct OperationBytesTests {
    private static let leaf = LeafID(high: 0x0123_4567_89ab_cdef, low: 0x10)

    /// As many operations, told apart by their stamps, of the sizes that the generator gives.
    private static func operations(
        _ count: Int, _ random: inout ByteFuzzer
    ) -> OperationWriter {
        var writer = OperationWriter()
        for place in 0..<count {
            switch random.below(4) {
            case 0: writer.time(stamp: Int64(place))
            case 1: writer.touch(leaf, stamp: Int64(place))
            default:
                let body = random.noise(below: 1 + random.pick([1, 40, 300, 2000]))
                writer.event(
                    ShardMachine.EventTarget(record: leaf, ordinal: 0), body: body.span.bytes,
                    stamp: Int64(place))
            }
        }
        return writer
    }

    @Test(arguments: 0..<60)
    func `pieces are all operations in order, each within the goal or alone`(_ seed: Int) throws {
        var random = ByteFuzzer(seed: 7, string: seed)
        let whole = Self.operations(1 + random.below(80), &random)
        let goal = random.pick([0, 1, 13, 29, 100, 1000, 5000, whole.byteCount, .max])

        let pieces = whole.pieces(goal: goal)

        #expect(pieces.flatMap(\.bytes) == whole.bytes, "seed \(seed), goal \(goal)")
        #expect(pieces.reduce(0) { $0 + $1.count } == whole.count)
        for piece in pieces {
            #expect(piece.count == 1 || piece.count > 1 && piece.byteCount <= goal)
            let checked = try OperationWriter(checking: piece.bytes.span.bytes, count: piece.count)
            #expect(checked.bytes == piece.bytes)
        }
        // No two neighbours would have fitted into one.
        for (piece, next) in zip(pieces, pieces.dropFirst()) {
            let first = try Self.firstByteCount(next)
            #expect(piece.byteCount + first > goal, "seed \(seed), goal \(goal)")
        }
    }

    private static func firstByteCount(_ operations: OperationWriter) throws -> Int {
        var reader = ByteReader(operations.bytes.span.bytes)
        try reader.skip(1)
        return OperationWriter.headerBytes + Int(try reader.u32())
    }

    @Test func `what fits is one piece`() {
        var random = ByteFuzzer(seed: 8, string: 0)
        let whole = Self.operations(5, &random)

        #expect(whole.pieces(goal: whole.byteCount).map(\.bytes) == [whole.bytes])
        #expect(whole.pieces(goal: whole.byteCount - 1).count == 2)
        #expect(OperationWriter().pieces(goal: 10).map(\.count) == [0])
    }

    @Test func `an operation beyond the goal is a piece by itself`() {
        var writer = OperationWriter()
        writer.time()
        writer.event(
            ShardMachine.EventTarget(record: Self.leaf, ordinal: 0),
            body: [UInt8](repeating: 1, count: 500).span.bytes, stamp: 1)
        writer.time()

        #expect(writer.pieces(goal: 100).map(\.count) == [1, 1, 1])
        #expect(writer.pieces(goal: 552).map(\.count) == [2, 1])
    }

    @Test(arguments: OperationType.allCases)
    func `an operation is taken from another node if it may be asked for by one`(
        _ type: OperationType
    ) throws {
        let bytes = Self.operation(type.rawValue, payload: [1, 2, 3])

        let own: [OperationType] = [
            .forward, .reopen, .reclaim, .marks, .settings, .answered, .restore, .restored,
        ]
        if own.contains(type) {
            #expect(throws: ByteError.unknownTag(type.rawValue, offset: 0)) {
                _ = try OperationWriter(checking: bytes.span.bytes, count: 1)
            }
        } else {
            let taken = try OperationWriter(checking: bytes.span.bytes, count: 1)
            #expect(taken.bytes == bytes)
            #expect(taken.count == 1)
        }
    }

    @Test(arguments: [0, 19, 255] as [UInt8])
    func `an unknown type is refused at its place`(_ type: UInt8) {
        let bytes = Self.operation(14, payload: []) + Self.operation(type, payload: [9])

        #expect(throws: ByteError.unknownTag(type, offset: 13)) {
            _ = try OperationWriter(checking: bytes.span.bytes, count: 2)
        }
    }

    @Test(arguments: [0, 1, 3, .max])
    func `another number of operations than stated is refused`(_ count: Int) {
        let bytes = Self.operation(14, payload: []) + Self.operation(9, payload: [1])

        #expect(throws: ByteError.malformed(offset: bytes.count)) {
            _ = try OperationWriter(checking: bytes.span.bytes, count: count)
        }
    }

    @Test func `framing that is cut anywhere is refused`() {
        let first = Self.operation(14, payload: [])
        let bytes = first + Self.operation(9, payload: [1, 2, 3])

        for count in 1..<bytes.count where count != first.count {
            let cut = Array(bytes[..<count])
            for stated in [0, 1, 2] {
                #expect(throws: ByteError.self, "\(count) bytes, \(stated) stated") {
                    _ = try OperationWriter(checking: cut.span.bytes, count: stated)
                }
            }
        }
    }

    @Test func `a length beyond the bytes is refused`() {
        var bytes = Self.operation(14, payload: [])
        for place in 1...4 { bytes[place] = 0xff }

        #expect(throws: ByteError.truncated(needed: Int(UInt32.max), available: 0)) {
            _ = try OperationWriter(checking: bytes.span.bytes, count: 1)
        }
    }

    @Test func `whatever bytes are taken over, they come out the same, whole and in pieces`() throws
    {
        var taken = 0
        for string in 0..<4000 {
            var random = ByteFuzzer(seed: 9, string: string)
            let samples = [Self.operations(1 + random.below(6), &random).bytes]
            let bytes = random.string(from: samples, bytesMax: 8 << 10)
            let count = random.below(8)
            guard let whole = try? OperationWriter(checking: bytes.span.bytes, count: count) else {
                continue  // refused, as most are
            }
            taken += 1
            let pieces = whole.pieces(goal: random.below(400))
            #expect(whole.bytes == bytes, "seed 9, string \(string)")
            #expect(pieces.flatMap(\.bytes) == bytes, "seed 9, string \(string)")
            #expect(pieces.reduce(0) { $0 + $1.count } == count, "seed 9, string \(string)")
        }

        #expect(taken > 50 && taken < 4000, "\(taken) strings were taken")
    }

    @Test func `no operations are none`() throws {
        let bytes: [UInt8] = []

        let taken = try OperationWriter(checking: bytes.span.bytes, count: 0)

        #expect(taken.isEmpty)
        #expect(throws: ByteError.malformed(offset: 0)) {
            _ = try OperationWriter(checking: bytes.span.bytes, count: 1)
        }
    }

    private static func operation(_ type: UInt8, payload: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.u8(type)
        writer.u32(UInt32(payload.count))
        writer.i64(OperationWriter.noStamp)
        writer.raw(payload)
        return writer.bytes
    }
}
