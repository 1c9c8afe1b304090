public import KithBytes

/// Writes frames into a `ByteWriter`, one after the other, so that many go out in one write.
///
/// The payload is written in place after its header; the length and the checksum, which are known
/// last, are patched in. No allocation beyond the writer's own growth.
public enum FrameWriter {
    /// A frame that was begun and not ended.
    public struct Mark: Sendable {
        let start: Int
    }

    /// Writes a header with room for the length and the checksum. The payload is to be appended,
    /// then `end` called.
    public static func begin(_ header: FrameHeader, into writer: inout ByteWriter) -> Mark {
        let mark = Mark(start: writer.count)
        writer.u32(0)
        writer.u8(header.version)
        writer.u8(header.type.rawValue)
        writer.u16(header.flags)
        writer.u64(header.requestID)
        writer.u32(0)
        return mark
    }

    /// Patches length and checksum of the frame that everything since `mark` belongs to.
    /// O(payload). A frame above 4 GiB is a programmer's error; what the other side takes is
    /// checked by who sends.
    public static func end(_ mark: Mark, into writer: inout ByteWriter) {
        let length = writer.count - mark.start - FrameHeader.lengthFieldByteCount
        precondition(length <= Int(UInt32.max), "\(length) bytes in one frame")
        writer.patchU32(UInt32(length), at: mark.start)
        let checksum = unsafe Frame.checksum(
            writer.bytes.span.bytes.extracting(mark.start..<writer.count))
        writer.patchU32(checksum, at: mark.start + FrameHeader.checksumOffset)
    }

    /// Writes one frame around a payload that is already encoded. Copies the payload once.
    public static func write(
        _ header: FrameHeader, payload: [UInt8], into writer: inout ByteWriter
    ) {
        let mark = begin(header, into: &writer)
        writer.raw(payload)
        end(mark, into: &writer)
    }

    /// Writes one frame with `message` in it.
    public static func write(
        _ message: some WireMessage, requestID: UInt64, version: UInt8? = nil,
        into writer: inout ByteWriter
    ) {
        let header = FrameHeader(
            type: type(of: message).frameType, requestID: requestID, version: version)
        let mark = begin(header, into: &writer)
        message.encode(into: &writer)
        end(mark, into: &writer)
    }
}
