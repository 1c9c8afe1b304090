public import KithBytes

/// What the side that opened a connection is.
public enum PeerRole: UInt8, Hashable, Sendable, CaseIterable {
    case client = 0
    case node = 1
}

/// The clock that decides retention in a cluster.
public enum RetentionClock: UInt8, Hashable, Sendable, CaseIterable {
    /// The leaders' wall clocks.
    case wall = 0
    /// The stamps that events carry.
    case event = 1
}

/// The first frame of a connection, from the side that opened it.
public struct Hello: WireMessage, Hashable {
    public static let frameType = FrameType.hello

    /// The versions that this side speaks.
    public var versions: ClosedRange<UInt8>
    /// The cluster that this side means to reach; empty for any.
    public var clusterName: String
    /// What this side is.
    public var role: PeerRole
    /// The node that speaks; 0 for a client.
    public var nodeID: NodeID
    /// Name and version of the program, for log lines.
    public var software: String

    /// A greeting; texts above `WireLimits.nameBytesMax` bytes are cut when it is encoded.
    public init(
        versions: ClosedRange<UInt8> = ProtocolVersion.supported, clusterName: String,
        role: PeerRole, nodeID: NodeID = NodeID(0), software: String
    ) {
        self.versions = versions
        self.clusterName = clusterName
        self.role = role
        self.nodeID = nodeID
        self.software = software
    }

    /// The version that a node which speaks `supported` answers: the highest that both speak; `nil`
    /// where there is none.
    func chosenVersion(
        among supported: ClosedRange<UInt8> = ProtocolVersion.supported
    ) -> UInt8? {
        versions.overlaps(supported) ? min(versions.upperBound, supported.upperBound) : nil
    }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        let low = try reader.u8()
        let high = try reader.u8()
        guard low <= high else { throw .malformed(offset: 0) }
        versions = low...high
        clusterName = try reader.text16(limit: WireLimits.nameBytesMax)
        let offset = reader.offset
        let tag = try reader.u8()
        guard let role = PeerRole(rawValue: tag) else { throw .unknownTag(tag, offset: offset) }
        self.role = role
        nodeID = NodeID(try reader.u16())
        software = try reader.text16(limit: WireLimits.nameBytesMax)
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        writer.u8(versions.lowerBound)
        writer.u8(versions.upperBound)
        writer.text16(clusterName, cutTo: WireLimits.nameBytesMax)
        writer.u8(role.rawValue)
        writer.u16(nodeID.rawValue)
        writer.text16(software, cutTo: WireLimits.nameBytesMax)
    }
}

/// The answer to `Hello`: the connection is open.
public struct HelloReply: WireMessage, Hashable {
    public static let frameType = FrameType.helloReply

    /// The version that both sides use from now on: the highest that both speak.
    public var version: UInt8
    public var clusterName: String
    /// The node that answers.
    public var nodeID: NodeID
    /// What the node takes.
    public var limits: WireLimits
    /// Which clock decides; with `event`, batches need stamps.
    public var retentionClock: RetentionClock
    /// How many groups the cluster has.
    public var groups: UInt16

    /// An answer; a cluster name above `WireLimits.nameBytesMax` bytes is cut when it is encoded.
    public init(
        version: UInt8 = ProtocolVersion.current, clusterName: String, nodeID: NodeID,
        limits: WireLimits = WireLimits(), retentionClock: RetentionClock, groups: UInt16
    ) {
        self.version = version
        self.clusterName = clusterName
        self.nodeID = nodeID
        self.limits = limits
        self.retentionClock = retentionClock
        self.groups = groups
    }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        version = try reader.u8()
        clusterName = try reader.text16(limit: WireLimits.nameBytesMax)
        nodeID = NodeID(try reader.u16())
        limits = WireLimits(
            frameBytesMax: try reader.u32(), batchEventsMax: try reader.u32(),
            eventBytesMax: try reader.u32())
        let offset = reader.offset
        let tag = try reader.u8()
        guard let clock = RetentionClock(rawValue: tag) else {
            throw .unknownTag(tag, offset: offset)
        }
        retentionClock = clock
        groups = try reader.u16()
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        writer.u8(version)
        writer.text16(clusterName, cutTo: WireLimits.nameBytesMax)
        writer.u16(nodeID.rawValue)
        writer.u32(limits.frameBytesMax)
        writer.u32(limits.batchEventsMax)
        writer.u32(limits.eventBytesMax)
        writer.u8(retentionClock.rawValue)
        writer.u16(groups)
    }
}
