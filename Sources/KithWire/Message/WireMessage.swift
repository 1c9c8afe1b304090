public import KithBytes

/// A message: what a frame's payload holds. One frame type, one message type.
public protocol WireMessage: Sendable {
    static var frameType: FrameType { get }

    /// Reads a whole payload. Throws on any bytes that are not exactly one message, bytes left over
    /// included; traps on none.
    init(decoding payload: RawSpan) throws(ByteError)

    /// Appends the payload.
    func encode(into writer: inout ByteWriter)
}

extension WireMessage {
    /// The payload alone.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }
}

/// A message without content: its payload is empty.
public protocol EmptyMessage: WireMessage {
    init()
}

extension EmptyMessage {
    public init(decoding payload: RawSpan) throws(ByteError) {
        guard payload.byteCount == 0 else { throw .malformed(offset: 0) }
        self.init()
    }

    public func encode(into writer: inout ByteWriter) {}
}

extension ByteReader {
    /// A 16-bit length and as many bytes of UTF-8, refused above `limit` bytes.
    mutating func text16(limit: Int) throws(ByteError) -> String {
        let start = offset
        guard let text = try bytes16(limit: limit).text() else {
            throw .malformed(offset: start)
        }
        return text
    }

    /// Throws where bytes are left over.
    func expectEnd() throws(ByteError) {
        guard isAtEnd else { throw .malformed(offset: offset) }
    }
}

extension ByteWriter {
    /// A 16-bit length and the text, cut at the last whole character within `limit` bytes.
    mutating func text16(_ text: String, cutTo limit: Int) {
        guard text.utf8.count > limit else { return text16(text) }
        var kept = 0
        let characters = text.prefix { character in
            kept += character.utf8.count
            return kept <= limit
        }
        text16(String(characters))
    }
}
