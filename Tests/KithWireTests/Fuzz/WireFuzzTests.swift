import KithBytes
import Testing

@testable import KithWire

/// Whatever bytes a stranger sends as frames and messages.
@Suite(.serialized) struct WireFuzzTests {
    static let samples = Sample.all + Sample.further
    /// One reader for each kind of message, by its first sample.
    static let readers: [Sample] = samples.enumerated().filter { place, sample in
        samples.firstIndex { $0.type == sample.type } == place
    }.map(\.element)

    /// Some frames in a row, with damage: to their bytes, or under a length and checksum that are
    /// right.
    static func stream(_ fuzzer: inout ByteFuzzer, _ frames: [[UInt8]], _ payloads: [[UInt8]])
        -> [UInt8]
    {
        var writer = ByteWriter()
        for _ in 0...fuzzer.below(4) {
            switch fuzzer.below(4) {
            case 0: writer.raw(fuzzer.pick(frames))
            case 1: writer.raw(fuzzer.string(from: frames, bytesMax: 8 << 10))
            default:
                let isKnown = !fuzzer.chance(oneIn: 4)
                let header = FrameHeader(
                    type: isKnown ? fuzzer.pick(readers).type : FrameType(rawValue: fuzzer.byte()),
                    requestID: fuzzer.next(), version: fuzzer.chance(oneIn: 16) ? fuzzer.byte() : 2,
                    flags: UInt16(truncatingIfNeeded: fuzzer.next()))
                FrameWriter.write(
                    header, payload: fuzzer.string(from: payloads, bytesMax: 8 << 10),
                    into: &writer)
            }
        }
        return writer.bytes
    }

    @Test(.enabled(if: FuzzSettings.wants("frames"), FuzzSettings.note))
    func `whatever a connection brings, in whatever pieces, is frames or an error`() {
        let frames = Self.samples.map(\.frame)
        let payloads = Self.samples.map(\.payload)
        let readers = Self.readers
        var search = FuzzSearch("frames", slice: 40_000)

        search.run { fuzzer, _ in
            let bytes = Self.stream(&fuzzer, frames, payloads)
            let limit = fuzzer.pick([WireLimits.helloFrameBytesMax, WireLimits().frameBytesMax])
            var decoder = FrameDecoder(frameBytesMax: limit)
            var fed = 0
            var taken = 0
            while fed < bytes.count {
                let size = min(fuzzer.pick([1, 3, 20, 100, 5000]), bytes.count - fed)
                decoder.append(Array(bytes[fed..<(fed + size)]))
                fed += size
                if fuzzer.chance(oneIn: 4) { continue }
                do throws(FrameError) {
                    while let frame = try decoder.next() {
                        taken += 1
                        let payload = frame.payload.copied()
                        for reader in readers where reader.type == frame.type {
                            if let what = Self.misread(payload, reader) { return .wrong(what) }
                        }
                    }
                } catch {
                    guard decoder.bufferedByteCount == 0 else {
                        return .wrong("\(decoder.bufferedByteCount) bytes kept after \(error)")
                    }
                    return taken > 0 ? .taken : .refused
                }
                guard decoder.bufferedByteCount <= fed, decoder.pendingCapacity <= 2 * fed + 128
                else {
                    return .wrong("\(decoder.pendingCapacity) bytes reserved for \(fed)")
                }
            }
            return taken > 0 ? .taken : .refused
        }
    }

    @Test(.enabled(if: FuzzSettings.wants("messages"), FuzzSettings.note))
    func `whatever a payload holds, a message that is read is written back the same`() {
        let payloads = Self.samples.map(\.payload)
        let readers = Self.readers
        var search = FuzzSearch("messages", slice: 8_000)

        search.run { fuzzer, _ in
            let bytes = fuzzer.string(from: payloads)
            var isTaken = false
            // Those that read anything as an opaque map prove nothing.
            for reader in readers where reader.type != .statsReply && reader.type != .statusReply {
                if let what = Self.misread(bytes, reader) { return .wrong(what) }
                if (try? reader.recode(bytes)) != nil { isTaken = true }
            }
            return isTaken ? .taken : .refused
        }
    }

    /// What is wrong with how `reader` reads the payload; nil where nothing is.
    private static func misread(_ payload: [UInt8], _ reader: Sample) -> String? {
        do throws(ByteError) {
            let again = try reader.recode(payload)
            return again == payload
                ? nil : "\(reader.name): \(payload.count) bytes became \(again.count)"
        } catch {
            return nil
        }
    }
}
