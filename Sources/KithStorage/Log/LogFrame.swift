// A frame: what one write and one sync of the log store together.
//
//    0  magic     u32   "KFRM"
//    4  length    u32   bytes of the whole frame, checksum included
//    8  sequence  u64   one more than the frame before
//   16  segment   u64   the segment it was written to
//   24  count     u16   entries; a frame of none is a seal
//   26  flags     u16   0
//   28  check     u64   SipHash-2-4 of bytes 0 to 27 under the log's id
//   36  entries
//       crc32c    u32   of the log's id and everything before it in the frame
//
// Segment and sequence are under both checks, so that a misdirected write or a block left over
// from another life of the file is not taken for a frame of this place. Both need the log's id, so
// that bytes which came from outside are not taken for a frame of this log. A seal is written when
// a log is opened and when it is closed: it proves that the frames before it were durable.

internal import KithBytes

/// A frame found in a segment's bytes, checksum verified.
struct LogFrame: Equatable {
    let offset: Int
    let byteCount: Int
    let sequence: LogSequence
    let segment: SegmentID
    let count: Int
    let flags: UInt16

    var end: Int { offset + byteCount }

    /// The frame that starts at `offset`; `nil` where there is none with right checks.
    static func read(_ bytes: RawSpan, at offset: Int, of log: LogID) -> LogFrame? {
        guard let frame = readHeader(bytes, at: offset, of: log), frame.isIntact(in: bytes, of: log)
        else { return nil }
        return frame
    }

    /// The frame whose header, with a right check, is at `offset`. The frame would fit there; its
    /// checksum is not looked at.
    static func readHeader(_ bytes: RawSpan, at offset: Int, of log: LogID) -> LogFrame? {
        guard offset >= 0, bytes.byteCount - offset >= LogFormat.frameOverheadBytes else {
            return nil
        }
        var reader = ByteReader(bytes)
        reader.offset = offset
        do throws(ByteError) {
            guard try reader.u32() == LogFormat.frameMagic else { return nil }
            let length = Int(try reader.u32())
            guard length >= LogFormat.frameOverheadBytes, length <= LogFormat.frameBytesMax,
                length <= bytes.byteCount - offset
            else { return nil }
            let frame = LogFrame(
                offset: offset, byteCount: length, sequence: LogSequence(try reader.u64()),
                segment: SegmentID(try reader.u64()), count: Int(try reader.u16()),
                flags: try reader.u16())
            let fields = bytes.extracting(offset..<(offset + LogFormat.frameFieldBytes))
            let check = try reader.u64()
            return Rules.isIntact(check, log.check(ofHeader: fields)) ? frame : nil
        } catch {
            return nil
        }
    }

    func isIntact(in bytes: RawSpan, of log: LogID) -> Bool {
        let covered = bytes.extracting(offset..<(end - LogFormat.checksumBytes))
        var reader = ByteReader(bytes)
        reader.offset = end - LogFormat.checksumBytes
        guard let stored = try? reader.u32() else { return false }  // inside `bytes`: cannot throw
        return Rules.isIntact(stored, CRC32C.checksum(covered, continuing: log.checksumSeed))
    }

    /// The entries of this frame. The checksum is right, so a throw means that whoever wrote the
    /// frame did not follow the format.
    func entries(in bytes: RawSpan) throws(ByteError) -> [LogEntry] {
        guard flags == 0 else { throw .malformed(offset: offset) }
        let body = (offset + LogFormat.frameHeaderBytes)..<(end - LogFormat.checksumBytes)
        var reader = ByteReader(bytes.extracting(body))
        guard count * LogFormat.entryHeaderBytes <= reader.remaining else {
            throw .truncated(
                needed: count * LogFormat.entryHeaderBytes, available: reader.remaining)
        }
        var entries: [LogEntry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            entries.append(
                LogEntry(
                    group: GroupID(try reader.u16()), term: Term(try reader.u64()),
                    index: LogIndex(try reader.u64()), kind: LogEntryKind(try reader.u8()),
                    clock: try reader.u8(), time: LogTime(try reader.i64()),
                    payload: try reader.bytes32(limit: LogFormat.payloadBytesMax).copied()))
        }
        guard reader.isAtEnd else { throw .malformed(offset: body.lowerBound + reader.offset) }
        return entries
    }
}

/// A frame in the making: entries gather in it while the disk is busy with the one before.
struct LogBatch {
    private var writer: ByteWriter
    private(set) var count = 0
    /// The greatest index of each group in it; decides later when its segment can be removed.
    private(set) var greatest: [GroupID: LogIndex] = [:]

    /// `capacity`: bytes of entries that it is known to get.
    init(capacity: Int = 0) {
        writer = ByteWriter(capacity: capacity + (4 << 10))
        writer.u32(LogFormat.frameMagic)
        writer.u32(0)
        writer.u64(0)
        writer.u64(0)
        writer.u16(0)
        writer.u16(0)
        writer.u64(0)
    }

    /// Bytes of the frame as it is now.
    var byteCount: Int { writer.count + LogFormat.checksumBytes }

    /// Whether the entry still fits a frame of `limit` bytes.
    func hasRoom(for entry: LogEntry, limit: Int) -> Bool {
        count < LogFormat.frameEntriesMax && byteCount + entry.encodedBytes <= limit
    }

    mutating func append(_ entry: LogEntry) {
        writer.u16(entry.group.rawValue)
        writer.u64(entry.term.rawValue)
        writer.u64(entry.index.rawValue)
        writer.u8(entry.kind.rawValue)
        writer.u8(entry.clock)
        writer.i64(entry.time.rawValue)
        writer.bytes32(entry.payload)
        count += 1
        if entry.group != LogFormat.nodeGroup {
            greatest[entry.group] = max(greatest[entry.group] ?? .zero, entry.index)
        }
    }

    /// The frame's bytes for its place in the log.
    consuming func finish(
        sequence: LogSequence, segment: SegmentID, of log: LogID
    ) -> [UInt8] {
        writer.patchU32(UInt32(byteCount), at: 4)
        writer.patchU64(sequence.rawValue, at: 8)
        writer.patchU64(segment.rawValue, at: 16)
        writer.patchU16(UInt16(count), at: 24)
        let check = unsafe log.check(
            ofHeader: writer.bytes.span.bytes.extracting(0..<LogFormat.frameFieldBytes))
        writer.patchU64(check, at: LogFormat.frameFieldBytes)
        writer.u32(CRC32C.checksum(writer.bytes, continuing: log.checksumSeed))
        return writer.bytes
    }
}
