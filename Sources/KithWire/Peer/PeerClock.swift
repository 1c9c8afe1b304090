public import KithBytes

/// Tells another node what the own wall clock shows, believed or not. Once a second, and at a start
/// before anything is served. Answered by `PeerClockReply`.
public struct PeerClock: WireMessage, Hashable {
    public static let frameType = FrameType.peerClock

    /// The wall clock.
    public var wall: LogTime

    public init(wall: LogTime) { self.wall = wall }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        wall = LogTime(try reader.i64())
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) { writer.i64(wall.rawValue) }
}

/// What the wall clock of the node that was told shows.
public struct PeerClockReply: WireMessage, Hashable {
    public static let frameType = FrameType.peerClockReply

    /// The wall clock.
    public var wall: LogTime

    public init(wall: LogTime) { self.wall = wall }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        wall = LogTime(try reader.i64())
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) { writer.i64(wall.rawValue) }
}
