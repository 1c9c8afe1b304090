// Where a log can be damaged such that its node must notice. Reads docs/log.md's format by itself,
// so that what is damaged does not depend on the code that must find it.

internal import KithBytes
internal import KithStorage

/// Finds bytes of a log that were synced for certain.
enum LogDamage {
    private static let frameMagic: UInt32 = 0x4D52_464B

    /// The paths of the log's segments, ascending.
    static func segments(of disk: SimulatedDisk) -> [String] {
        disk.paths.filter { $0.hasPrefix(LogFormat.folder + "/") && $0.hasSuffix(".seg") }
    }

    /// A byte of a frame that is not the last whole one: a later frame vouches for it. Nil where
    /// there is none.
    static func place(
        in disk: SimulatedDisk, _ random: inout Xoshiro256
    ) -> (path: String, offset: Int)? {
        var frames: [(path: String, range: Range<Int>)] = []
        for path in segments(of: disk) {
            guard let bytes = disk.bytes(of: path) else { continue }
            let id = logID(bytes)
            var offset = LogFormat.segmentHeaderBytes
            while let length = frameLength(bytes, at: offset, of: id) {
                frames.append((path, offset..<(offset + length)))
                offset += length
            }
        }
        guard frames.count > 1 else { return nil }
        let frame = frames[random.below(frames.count - 1)]
        return (frame.path, frame.range.lowerBound + random.below(frame.range.count))
    }

    /// A byte of the head of a segment that holds a whole frame, so that it was in use; nil where
    /// there is none.
    static func header(
        in disk: SimulatedDisk, _ random: inout Xoshiro256
    ) -> (path: String, offset: Int)? {
        let used = segments(of: disk).filter { path in
            disk.bytes(of: path).flatMap {
                frameLength($0, at: LogFormat.segmentHeaderBytes, of: logID($0))
            } != nil
        }
        guard !used.isEmpty else { return nil }
        return (used[random.below(used.count)], random.below(LogFormat.segmentHeaderBytes))
    }

    /// The id of the log that a segment is of; empty where its file is too short for one.
    private static func logID(_ bytes: [UInt8]) -> [UInt8] {
        bytes.count < LogFormat.segmentHeaderBytes ? [] : Array(bytes[44..<60])
    }

    /// The length of the whole frame at `offset`; nil where none is.
    private static func frameLength(_ bytes: [UInt8], at offset: Int, of id: [UInt8]) -> Int? {
        guard offset + LogFormat.frameOverheadBytes <= bytes.count else { return nil }
        var reader = ByteReader(bytes.span.bytes.extracting(offset..<(offset + 8)))
        guard let magic = try? reader.u32(), magic == frameMagic,
            let length = try? reader.u32()  // eight bytes are there
        else { return nil }
        let end = offset + Int(length)
        guard Int(length) >= LogFormat.frameOverheadBytes, end <= bytes.count else { return nil }
        let checked = bytes[offset..<(end - 4)]
        var tail = ByteReader(bytes.span.bytes.extracting((end - 4)..<end))
        guard let sum = try? tail.u32(), sum == CRC32C.checksum(id + checked) else { return nil }
        return Int(length)
    }
}
