public import KithBytes

/// Asks that every group log a stamp, with the event clock: the end of a replayed history. Answered
/// by `Done` once every group has.
public struct AdvanceTime: WireMessage, Hashable {
    public static let frameType = FrameType.advanceTime

    /// The time that every group is to have reached.
    public var stamp: LogTime

    /// A request to reach `stamp`.
    public init(stamp: LogTime) {
        self.stamp = stamp
    }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        stamp = LogTime(try reader.i64())
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        writer.i64(stamp.rawValue)
    }
}

/// The answer to a request that returns nothing: it has taken effect.
public struct Done: EmptyMessage, Hashable {
    public static let frameType = FrameType.done
    public init() {}
}

/// Asks for the cluster's totals.
public struct Stats: EmptyMessage, Hashable {
    public static let frameType = FrameType.stats
    public init() {}
}

/// Asks for nodes, groups, leaders, lag and sizes.
public struct Status: EmptyMessage, Hashable {
    public static let frameType = FrameType.status
    public init() {}
}

/// Asks whether the node answers at all.
public struct Ping: EmptyMessage, Hashable {
    public static let frameType = FrameType.ping
    public init() {}
}

/// The answer to `Ping`.
public struct Pong: EmptyMessage, Hashable {
    public static let frameType = FrameType.pong
    public init() {}
}

/// The answer to `Stats`: the payload is one CBOR map, opaque here.
public struct StatsReply: WireMessage, Hashable {
    public static let frameType = FrameType.statsReply
    /// The CBOR map; not empty.
    public var map: [UInt8]

    /// An answer around a map that is already encoded.
    public init(map: [UInt8]) {
        self.map = map
    }

    /// Copies the bytes, of which there are never more than the frame had.
    public init(decoding payload: RawSpan) throws(ByteError) {
        guard payload.byteCount > 0 else { throw .truncated(needed: 1, available: 0) }
        map = payload.copied()
    }

    public func encode(into writer: inout ByteWriter) {
        writer.raw(map)
    }
}

/// The answer to `Status`: the payload is one CBOR map, opaque here.
public struct StatusReply: WireMessage, Hashable {
    public static let frameType = FrameType.statusReply
    /// The CBOR map; not empty.
    public var map: [UInt8]

    /// An answer around a map that is already encoded.
    public init(map: [UInt8]) {
        self.map = map
    }

    /// Copies the bytes, of which there are never more than the frame had.
    public init(decoding payload: RawSpan) throws(ByteError) {
        guard payload.byteCount > 0 else { throw .truncated(needed: 1, available: 0) }
        map = payload.copied()
    }

    public func encode(into writer: inout ByteWriter) {
        writer.raw(map)
    }
}
