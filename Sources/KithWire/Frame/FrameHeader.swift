// A frame is what one message looks like on a TCP connection. Little-endian:
//
//   offset  size  field
//        0     4  length      bytes after this field: 16 + the payload's
//        4     1  version     of the protocol
//        5     1  type        of the message in the payload
//        6     2  flags       none in this version: sent as 0, ignored when received
//        8     8  requestID   chosen by who asks, repeated by who answers
//       16     4  checksum    CRC-32C of bytes 4..<16 and 20..<end
//       20     n  payload
//
// docs/wire.md is normative.

/// What kind of message a frame carries. A struct, not an enum: a type that this version does not
/// know is answered with an `Error`, it does not end the connection.
public struct FrameType: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let hello = FrameType(rawValue: 0x01)
    public static let ingest = FrameType(rawValue: 0x02)
    public static let advanceTime = FrameType(rawValue: 0x03)
    public static let get = FrameType(rawValue: 0x04)
    public static let stats = FrameType(rawValue: 0x05)
    public static let status = FrameType(rawValue: 0x06)
    public static let ping = FrameType(rawValue: 0x07)

    public static let helloReply = FrameType(rawValue: 0x81)
    public static let ingestReply = FrameType(rawValue: 0x82)
    public static let done = FrameType(rawValue: 0x83)
    public static let profile = FrameType(rawValue: 0x84)
    public static let statsReply = FrameType(rawValue: 0x85)
    public static let statusReply = FrameType(rawValue: 0x86)
    public static let pong = FrameType(rawValue: 0x87)
    public static let error = FrameType(rawValue: 0xff)

    public static let peerGreeting = FrameType(rawValue: 0x40)
    public static let peerPerform = FrameType(rawValue: 0x41)
    public static let peerRead = FrameType(rawValue: 0x42)
    public static let peerTotals = FrameType(rawValue: 0x43)
    public static let peerMark = FrameType(rawValue: 0x44)
    public static let peerStatus = FrameType(rawValue: 0x45)
    public static let peerHeartbeat = FrameType(rawValue: 0x46)
    public static let peerForwards = FrameType(rawValue: 0x47)
    public static let peerGreetingReply = FrameType(rawValue: 0x60)
    public static let peerPerformReply = FrameType(rawValue: 0x61)
    public static let peerReadReply = FrameType(rawValue: 0x62)
    public static let peerTotalsReply = FrameType(rawValue: 0x63)
    public static let peerMarkReply = FrameType(rawValue: 0x64)
    public static let peerHeartbeatReply = FrameType(rawValue: 0x66)
    public static let peerForwardsReply = FrameType(rawValue: 0x67)

    /// The types that are reserved for messages between nodes, requests and replies.
    public static let peerTypes: ClosedRange<UInt8> = 0x40...0x7f
    /// Whether only nodes may send this type.
    @inlinable public var isPeer: Bool { Self.peerTypes.contains(rawValue) }
}

/// The fields of a frame but its length and checksum.
public struct FrameHeader: Hashable, Sendable {
    /// Bytes before the payload: the length field and 16 more.
    public static let byteCount = 20
    /// Bytes of the length field itself, which it does not count.
    public static let lengthFieldByteCount = 4
    /// The lowest legal value of the length field: a frame without payload.
    public static let lengthMin: UInt32 = 16
    /// Where the checksum stands.
    static let checksumOffset = 16

    /// Of the protocol.
    public var version: UInt8
    /// What the payload is.
    public var type: FrameType
    /// None in this version: sent as 0, ignored when received.
    public var flags: UInt16
    /// Chosen by the side that asks; 0 only in an `Error` about the connection itself.
    public var requestID: UInt64

    /// A header; without a version, of the one that frames of that type have, an `Error` the one of
    /// a connection whose greeting is done.
    @inlinable
    public init(
        type: FrameType, requestID: UInt64, version: UInt8? = nil, flags: UInt16 = 0
    ) {
        self.version =
            version
            ?? (type == .hello || type == .helloReply
                ? ProtocolVersion.hello : ProtocolVersion.current)
        self.type = type
        self.flags = flags
        self.requestID = requestID
    }
}
