import KithBytes
import Testing

@testable import KithWire

@Suite struct FrameDecoderTests {
    /// All samples in one stream.
    static let stream = Sample.all.flatMap(\.frame)

    /// The headers and payloads that come out of a stream cut into chunks of `size`.
    static func decode(_ stream: [UInt8], chunk size: Int) throws -> [(FrameHeader, [UInt8])] {
        var decoder = FrameDecoder()
        var frames: [(FrameHeader, [UInt8])] = []
        for start in stride(from: 0, to: stream.count, by: size) {
            decoder.append(Array(stream[start..<min(start + size, stream.count)]))
            while let frame = try decoder.next() {
                frames.append((frame.header, frame.payload.copied()))
            }
        }
        #expect(decoder.bufferedByteCount == 0)
        return frames
    }

    @Test(arguments: [1, 2, 3, 7, 19, 20, 21, 64, 100, 255, 1 << 20])
    func `a stream cut anywhere gives the same frames`(_ size: Int) throws {
        let frames = try Self.decode(Self.stream, chunk: size)

        #expect(frames.map(\.0.type) == Sample.all.map(\.type))
        #expect(frames.map(\.0.requestID) == Sample.all.map(\.requestID))
        #expect(frames.map(\.1) == Sample.all.map(\.payload))
    }

    @Test func `the size of a frame in parts is known from its fifth byte on`() throws {
        for frame in Sample.all.map(\.frame) {
            var decoder = FrameDecoder()
            #expect(decoder.frameByteCount == nil)
            for (place, byte) in frame.enumerated() {
                decoder.append([byte])
                let isWhole = try decoder.next() != nil

                #expect(isWhole == (place == frame.count - 1))
                #expect(decoder.frameByteCount == (place < 4 || isWhole ? nil : frame.count))
            }
        }
    }

    @Test func `chunks that were not drained are kept`() throws {
        var decoder = FrameDecoder()
        for byte in Self.stream { decoder.append([byte]) }

        var count = 0
        while try decoder.next() != nil { count += 1 }

        #expect(count == Sample.all.count)
    }

    @Test func `a frame within a chunk shares its storage`() throws {
        let chunk = Self.stream
        var decoder = FrameDecoder()
        decoder.append(chunk)

        let frame = try #require(try decoder.next())

        let shared = frame.bytes.withUnsafeBufferPointer { mine in
            chunk.withUnsafeBufferPointer { mine.baseAddress == $0.baseAddress }
        }
        #expect(shared)
    }

    @Test func `a length above the limit is refused at its fourth byte and nothing is kept`() throws
    {
        var decoder = FrameDecoder(frameBytesMax: 100)
        for byte: UInt8 in [101, 0, 0] { decoder.append([byte]) }
        #expect(try decoder.next() == nil)

        decoder.append([0])

        #expect(throws: FrameError.tooLong(length: 101, limit: 100)) { try decoder.next() }
        #expect(decoder.bufferedByteCount == 0)
    }

    @Test func `a stranger's frame is bounded by the limit of the hello`() {
        var decoder = FrameDecoder()

        decoder.append([0xff, 0xff, 0xff, 0xff])

        #expect(throws: FrameError.tooLong(length: .max, limit: 4096)) { try decoder.next() }
    }

    @Test func `a claimed length allocates nothing before its bytes arrive`() throws {
        var decoder = FrameDecoder(frameBytesMax: 8 << 20)

        decoder.append([0, 0, 0x80, 0, 1])

        #expect(try decoder.next() == nil)
        #expect(decoder.bufferedByteCount == 5)
        #expect(decoder.pendingCapacity < 4096)
    }

    @Test func `the limit is raised between two frames of one chunk`() throws {
        var writer = ByteWriter()
        let big = [UInt8](repeating: 7, count: 10_000)
        FrameWriter.write(Ping(), requestID: 1, into: &writer)
        FrameWriter.write(
            FrameHeader(type: .ingest, requestID: 2), payload: big, into: &writer)
        var decoder = FrameDecoder()
        decoder.append(writer.bytes)
        #expect(try decoder.next()?.type == .ping)

        decoder.frameBytesMax = 1 << 20

        let frame = try #require(try decoder.next())
        #expect(frame.payload.copied() == big)
    }

    @Test func `a length below the header's is refused`() {
        var decoder = FrameDecoder()
        decoder.append([15, 0, 0, 0])

        #expect(throws: FrameError.tooShort(length: 15)) { try decoder.next() }
    }

    @Test(arguments: [0, 3, 255] as [UInt8])
    func `a version that is not spoken is refused at its byte`(_ version: UInt8) {
        var decoder = FrameDecoder()
        decoder.append([16, 0, 0, 0, version])

        #expect(throws: FrameError.unsupportedVersion(version)) { try decoder.next() }
    }

    @Test func `an error is final`() {
        var decoder = FrameDecoder()
        decoder.append([15, 0, 0, 0])
        #expect(throws: FrameError.tooShort(length: 15)) { try decoder.next() }

        decoder.append(Self.stream)

        #expect(throws: FrameError.tooShort(length: 15)) { try decoder.next() }
    }

    @Test func `every single bit that is changed is noticed`() {
        let frame = Sample.all[0].frame
        for bit in 0..<(frame.count * 8) {
            var changed = frame
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            var decoder = FrameDecoder()
            decoder.append(changed)
            // A changed length may also ask for more bytes than there are.
            #expect((try? decoder.next()) == nil, "bit \(bit)")
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `mutated streams end in an error or in silence, never in a trap`(_ seed: UInt64) {
        var random = SeededGenerator(state: seed)
        var errors = 0
        for _ in 0..<17_000 {
            let sample = Sample.all[Int(random.next() % UInt64(Sample.all.count))]
            let bytes = random.mutated(sample.frame)
            var decoder = FrameDecoder(frameBytesMax: 1 << 20)
            let cut = bytes.isEmpty ? 0 : Int(random.next() % UInt64(bytes.count))
            decoder.append(Array(bytes[..<cut]))
            do {
                while try decoder.next() != nil {}
                decoder.append(Array(bytes[cut...]))
                while try decoder.next() != nil {}
                if decoder.pendingCapacity > 2 * bytes.count + 128 {
                    Issue.record("seed \(seed): \(decoder.pendingCapacity) bytes reserved")
                }
            } catch {
                errors += 1
            }
        }
        #expect(errors > 1000, "seed \(seed)")
    }

    @Test func `a frame fed byte by byte is copied a bounded number of times`() throws {
        // The buffer grows geometrically: a growth for every byte would be quadratic copying.
        var writer = ByteWriter()
        FrameWriter.write(
            FrameHeader(type: .ingest, requestID: 1),
            payload: [UInt8](repeating: 1, count: 200_000), into: &writer)
        var decoder = FrameDecoder(frameBytesMax: 8 << 20)
        var growths = 0
        var capacity = 0
        var frames = 0

        for byte in writer.bytes {
            decoder.append([byte])
            if try decoder.next() != nil { frames += 1 }
            if decoder.pendingCapacity > capacity {
                capacity = decoder.pendingCapacity
                growths += 1
            }
        }

        #expect(frames == 1)
        #expect(growths < 40)
    }
}
