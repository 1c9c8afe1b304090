import KithBytes

/// One whole frame with a checksum that was right.
///
/// It shares the chunk of bytes that it arrived in: making one copies nothing, and holding one
/// keeps that chunk alive.
public struct Frame: Sendable {
    /// Everything of the header but length and checksum.
    public let header: FrameHeader
    @usableFromInline let bytes: [UInt8]
    @usableFromInline let payloadRange: Range<Int>

    /// What the payload is.
    @inlinable public var type: FrameType { header.type }
    /// The request that this is, or answers.
    @inlinable public var requestID: UInt64 { header.requestID }

    /// The message's bytes, borrowed from the frame.
    @inlinable
    public var payload: RawSpan {
        @_lifetime(borrow self)
        get { unsafe bytes.span.bytes.extracting(payloadRange) }
    }

    /// Reads the frame of `size` bytes that starts at `start`. The caller has checked its length
    /// field and its version; this checks the checksum. O(size), no copy.
    init(reading bytes: [UInt8], at start: Int, size: Int) throws(FrameError) {
        let span = unsafe bytes.span.bytes.extracting(start..<(start + size))
        let stated: UInt32
        do throws(ByteError) {
            var reader = ByteReader(span)
            try reader.skip(FrameHeader.lengthFieldByteCount)
            let version = try reader.u8()
            let type = FrameType(rawValue: try reader.u8())
            let flags = try reader.u16()
            let requestID = try reader.u64()
            stated = try reader.u32()
            header = FrameHeader(
                type: type, requestID: requestID, version: version, flags: flags)
        } catch {
            throw .tooShort(length: UInt32(size))
        }
        let found = Self.checksum(span)
        guard stated == found else { throw .badChecksum(stated: stated, found: found) }
        self.bytes = bytes
        payloadRange = (start + FrameHeader.byteCount)..<(start + size)
    }

    /// The checksum of a whole frame: everything but the length field and the checksum itself.
    static func checksum(_ frame: RawSpan) -> UInt32 {
        let head = frame.extracting(
            FrameHeader.lengthFieldByteCount..<FrameHeader.checksumOffset)
        let payload = frame.extracting(FrameHeader.byteCount..<frame.byteCount)
        return CRC32C.checksum(payload, continuing: CRC32C.checksum(head))
    }
}
