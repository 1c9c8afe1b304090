public import KithBytes
public import KithCore

/// Asks the leader of a group for one step of a read: what a record knows of a leaf. Answered by
/// `PeerReadReply`.
public struct PeerRead: WireMessage, Hashable {
    public static let frameType = FrameType.peerRead

    /// The record's group, which the node that is asked leads.
    public var group: GroupID
    /// The leaf whose profile is wanted.
    public var leaf: LeafID
    /// The record that is asked, of that group.
    public var record: LeafID
    /// How long to wait for a merge under way, in milliseconds.
    public var deadlineMillis: UInt32
    /// The entry of the group's log that the answer must include, as a session has seen it; zero
    /// for none.
    public var seen: LogIndex

    /// A step of a read.
    public init(
        group: GroupID, leaf: LeafID, record: LeafID, deadlineMillis: UInt32, seen: LogIndex = .zero
    ) {
        self.group = group
        self.leaf = leaf
        self.record = record
        self.deadlineMillis = deadlineMillis
        self.seen = seen
    }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        group = GroupID(try reader.u16())
        leaf = try reader.leaf()
        record = try reader.leaf()
        deadlineMillis = try reader.u32()
        seen = LogIndex(try reader.u64())
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        writer.u16(group.rawValue)
        writer.leaf(leaf)
        writer.leaf(record)
        writer.u32(deadlineMillis)
        writer.u64(seen.rawValue)
    }
}

/// The answer to `PeerRead`.
public enum PeerReadReply: WireMessage, Equatable {
    public static let frameType = FrameType.peerReadReply

    /// The profile, as `Profile` encodes itself.
    case profile([UInt8])
    /// The leaf is absent.
    case absent
    /// Ask that record next.
    case moved(to: LeafID)
    /// The record is sealed and its merge has not come through within the deadline: it waits for
    /// the group of that leaf.
    case waiting(for: LeafID)
    /// The group cannot answer: its node stops.
    case stopping
    /// The entry that was seen is none of the group's log.
    case unseen

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        let tag = try reader.u8()
        switch tag {
        case 0:
            self = .profile(try reader.bytes32(limit: PeerLimits.profileBytesMax).copied())
        case 1: self = .absent
        case 2: self = .moved(to: try reader.leaf())
        case 3: self = .waiting(for: try reader.leaf())
        case 4: self = .stopping
        case 5: self = .unseen
        default: throw .unknownTag(tag, offset: 0)
        }
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .profile(let bytes):
            writer.u8(0)
            writer.bytes32(bytes)
        case .absent: writer.u8(1)
        case .moved(let parent):
            writer.u8(2)
            writer.leaf(parent)
        case .waiting(let leaf):
            writer.u8(3)
            writer.leaf(leaf)
        case .stopping: writer.u8(4)
        case .unseen: writer.u8(5)
        }
    }
}
