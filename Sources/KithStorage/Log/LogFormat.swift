// The bytes of a segment. docs/log.md is the specification, byte by byte; a golden test holds the
// two together. Integers are little-endian.
//
//   segment   header 64 │ frame │ frame │ … │ zeros to the end of the file
//   frame     header 36 │ entry │ entry │ … │ CRC-32C of the log's id and all before it in the frame
//   entry     header 32 │ payload
//
// Frames carry sequences without a gap, over all segments. Invariant, on which every verdict of
// recovery rests: a frame is written only after the one before it was synced.

internal import KithBytes

/// Sizes, magic numbers and limits of the log's format.
public enum LogFormat {
    /// Folder of the segments in the data folder.
    public static let folder = "log"
    static let version: UInt16 = 2
    /// "KSEG"
    static let segmentMagic: UInt32 = 0x4745_534B
    /// "KFRM"
    static let frameMagic: UInt32 = 0x4D52_464B

    /// Bytes of a segment's header.
    public static let segmentHeaderBytes = 64
    /// Bytes of a frame's header, its check included.
    static let frameHeaderBytes = 36
    /// Bytes of a frame's header before its check.
    static let frameFieldBytes = 28
    static let checksumBytes = 4
    /// Bytes of a frame beside its entries.
    public static let frameOverheadBytes = frameHeaderBytes + checksumBytes
    /// Bytes of an entry beside its payload.
    static let entryHeaderBytes = 32

    /// The largest payload of an entry.
    public static let payloadBytesMax = 8 << 20
    /// The largest frame: one entry of the largest size.
    static let frameBytesMax = frameOverheadBytes + entryHeaderBytes + payloadBytesMax
    /// The smallest and the largest segment.
    static let segmentBytesMin = 4 << 10
    static let segmentBytesMax = 256 << 20
    /// Entries of one frame.
    static let frameEntriesMax = Int(UInt16.max)

    /// The group number under which the log keeps entries of its own.
    static let nodeGroup = GroupID(UInt16.max)
    /// An entry of `nodeGroup`: its index is the oldest segment still needed.
    static let cutKind = LogEntryKind(1)

    static let segmentSuffix = ".seg"

    /// The path of a segment's file: 20 decimal digits, so that names sort as numbers.
    static func path(of segment: SegmentID) -> String {
        let digits = String(segment.rawValue)
        return folder + "/" + String(repeating: "0", count: 20 - digits.count) + digits
            + segmentSuffix
    }

    /// The segment that a file name stands for; `nil` for any other file.
    static func segment(named name: String) -> SegmentID? {
        guard name.hasSuffix(segmentSuffix) else { return nil }
        let digits = name.dropLast(segmentSuffix.count)
        guard digits.count == 20, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
            let value = UInt64(digits), value > 0
        else { return nil }
        return SegmentID(value)
    }
}

/// The first 64 bytes of a segment in use. A segment that is only prepared is all zeros. Magic
/// number, version and the checksum's place are the same in every version, so that another version
/// can be told from damage.
struct SegmentHeader: Equatable {
    let segment: SegmentID
    /// The sequence of the segment's first frame.
    let firstSequence: LogSequence
    /// The oldest segment that was still needed when this one was taken into use.
    let oldestSegment: SegmentID
    /// The size of the file; at most `LogFormat.segmentBytesMax`.
    let segmentBytes: UInt64
    /// Of the cluster's name, groups and hash key; the same in all segments.
    let clusterDigest: UInt64
    /// The same in all segments of a log.
    let logID: LogID

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: LogFormat.segmentHeaderBytes)
        writer.u32(LogFormat.segmentMagic)
        writer.u16(LogFormat.version)
        writer.u16(0)
        writer.u64(segment.rawValue)
        writer.u64(firstSequence.rawValue)
        writer.u64(oldestSegment.rawValue)
        writer.u32(UInt32(clamping: segmentBytes))
        writer.u64(clusterDigest)
        writer.raw(logID.key.bytes)
        writer.u32(CRC32C.checksum(writer.bytes))
        return writer.bytes
    }

    /// What the first bytes of a segment file are.
    enum Reading: Equatable {
        case header(SegmentHeader)
        case otherVersion(UInt16)
        case none
    }

    static func read(_ bytes: RawSpan) -> Reading {
        let size = LogFormat.segmentHeaderBytes
        guard bytes.byteCount >= size else { return .none }
        let covered = bytes.extracting(0..<(size - LogFormat.checksumBytes))
        var reader = ByteReader(bytes.extracting(0..<size))
        do throws(ByteError) {
            guard try reader.u32() == LogFormat.segmentMagic else { return .none }
            let version = try reader.u16()
            try reader.skip(2)
            let header = SegmentHeader(
                segment: SegmentID(try reader.u64()),
                firstSequence: LogSequence(try reader.u64()),
                oldestSegment: SegmentID(try reader.u64()),
                segmentBytes: UInt64(try reader.u32()), clusterDigest: try reader.u64(),
                logID: LogID(HashKey(k0: try reader.u64(), k1: try reader.u64())))
            guard try reader.u32() == CRC32C.checksum(covered) else { return .none }
            return version == LogFormat.version ? .header(header) : .otherVersion(version)
        } catch {
            return .none
        }
    }
}
