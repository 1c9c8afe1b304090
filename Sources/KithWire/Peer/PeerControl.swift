public import KithBytes
public import KithCore

/// The first request of a connection between nodes: what both sides' cluster files must say alike,
/// as digests, and what the node says of its folder. Answered by `PeerGreetingReply`, or by `Error`
/// `wrongCluster` which names the first key that differs, or `wrongFolder`.
public struct PeerGreeting: WireMessage, Hashable {
    public static let frameType = FrameType.peerGreeting

    /// The keys, in the order of their digests.
    public static let keys = [
        "hashKey", "groups", "nodes", "retention", "identity",
    ]
    /// One a key.
    public var digests: [UInt64]
    /// Nil from a node that has no folder yet, or is to take one up again: it only asks what the
    /// other has heard of it, and may send nothing else on this connection.
    public var folder: FolderWord?

    /// A greeting; `digests` as many as `keys`.
    public init(digests: [UInt64], folder: FolderWord?) {
        precondition(digests.count == Self.keys.count)
        self.digests = digests
        self.folder = folder
    }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        digests = []
        for _ in Self.keys { digests.append(try reader.u64()) }
        let offset = reader.offset
        switch try reader.u8() {
        case 0: break
        case 1: folder = try FolderWord(decoding: &reader)
        case let tag: throw .unknownTag(tag, offset: offset)
        }
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        for digest in digests { writer.u64(digest) }
        writer.u8(folder == nil ? 0 : 1)
        folder?.encode(into: &writer)
    }
}

/// Asks the leader of a group for its totals. Answered by `PeerTotalsReply`.
public struct PeerTotals: WireMessage, Hashable {
    public static let frameType = FrameType.peerTotals

    /// The group, which the node that is asked leads.
    public var group: GroupID

    /// A request about `group`.
    public init(group: GroupID) { self.group = group }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        group = GroupID(try reader.u16())
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) { writer.u16(group.rawValue) }
}

/// A group's totals at one index and log time.
public struct PeerTotalsReply: WireMessage, Equatable {
    public static let frameType = FrameType.peerTotalsReply

    /// The sum over the group's shards.
    public var statistics: Statistics

    /// An answer; no counter beyond `PeerLimits.countMax`.
    public init(statistics: Statistics) { self.statistics = statistics }

    /// Refuses counters that could not be added up, and lists whose names do not ascend.
    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        statistics = try Statistics(decoding: &reader)
        try reader.expectEnd()
        guard Self.canBeAdded(statistics) else { throw .malformed(offset: 0) }
    }

    private static func canBeAdded(_ statistics: Statistics) -> Bool {
        let unsigned = [
            statistics.accepted, statistics.duplicate, statistics.expiredOnArrival,
            statistics.forgotten, statistics.suppressed, statistics.quarantined,
            statistics.mergesCompleted, statistics.expired, statistics.traitsRefused,
        ]
        let lists = [statistics.identifiers, statistics.rejected, statistics.ignored]
        let signed = [statistics.members, statistics.anonymous] + lists.joined().map(\.count)
        return (unsigned + statistics.refusals).allSatisfy { $0 <= UInt64(PeerLimits.countMax) }
            && signed.allSatisfy { $0.magnitude <= UInt64(PeerLimits.countMax) }
            && lists.allSatisfy { list in
                zip(list, list.dropFirst()).allSatisfy {
                    $0.name.lexicographicallyPrecedes($1.name)
                }
            }
    }

    public func encode(into writer: inout ByteWriter) { statistics.encode(into: &writer) }
}

/// Asks the leader of a group for the group's settled mark. Answered by `PeerMarkReply`.
public struct PeerMark: WireMessage, Hashable {
    public static let frameType = FrameType.peerMark

    /// The group, which the node that is asked leads.
    public var group: GroupID

    /// A request about `group`.
    public init(group: GroupID) { self.group = group }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        group = GroupID(try reader.u16())
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) { writer.u16(group.rawValue) }
}

/// A settled mark: everything of that group below it is settled.
public struct PeerMarkReply: WireMessage, Hashable {
    public static let frameType = FrameType.peerMarkReply

    /// Above all that the group has settled; below whatever it has yet to settle.
    public var mark: OperationIndex

    /// An answer.
    public init(mark: OperationIndex) { self.mark = mark }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        mark = OperationIndex(rawValue: try reader.u64())
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) { writer.u64(mark.rawValue) }
}

/// Asks a node for its own rows of `status`. Answered by `StatusReply`.
public struct PeerStatus: EmptyMessage, Hashable {
    public static let frameType = FrameType.peerStatus
    public init() {}
}
