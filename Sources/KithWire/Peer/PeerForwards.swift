public import KithBytes
public import KithCore

/// Asks the leader of a group for Forwards that other groups have lost with their log, one step of
/// a search at a time (`LostForward`). Also from a node that starts, after a greeting that only
/// asks. Answered by `PeerForwardsReply`.
public struct PeerForwards: WireMessage, Hashable {
    public static let frameType = FrameType.peerForwards

    /// The steps of a search, in their order.
    public enum Step: UInt8, Sendable, CaseIterable {
        /// Notes from now on what comes to the group's roots, and logs the settled marks.
        case begin = 0
        /// What its records tell of, from `cursor` on.
        case scan = 1
        /// What was noted, from `cursor` on.
        case noted = 2
    }

    /// The group that is asked, which the node leads.
    public var group: GroupID
    /// Chosen by who searches: names the watch.
    public var search: UInt64
    public var step: Step
    /// Zero, or what the last answer to this step said.
    public var cursor: UInt64
    /// The groups whose log was lost, each with its settled mark: what they sealed below it and is
    /// still on its way is of the lost log. At most `PeerLimits.endsMax`.
    public var lost: [LostGroup]

    /// A group that lost its log.
    public struct LostGroup: Hashable, Sendable {
        public var group: GroupID
        public var mark: OperationIndex

        public init(group: GroupID, mark: OperationIndex) {
            self.group = group
            self.mark = mark
        }
    }

    /// A step.
    public init(
        group: GroupID, search: UInt64, step: Step, cursor: UInt64 = 0, lost: [LostGroup]
    ) {
        self.group = group
        self.search = search
        self.step = step
        self.cursor = cursor
        self.lost = lost
    }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        group = GroupID(try reader.u16())
        search = try reader.u64()
        let offset = reader.offset
        let tag = try reader.u8()
        guard let step = Step(rawValue: tag) else { throw .unknownTag(tag, offset: offset) }
        self.step = step
        cursor = try reader.u64()
        let count = try reader.count16(of: 10, limit: PeerLimits.endsMax)
        lost = []
        for _ in 0..<count {
            lost.append(
                LostGroup(
                    group: GroupID(try reader.u16()),
                    mark: OperationIndex(rawValue: try reader.u64())))
        }
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        precondition(lost.count <= PeerLimits.endsMax)
        writer.u16(group.rawValue)
        writer.u64(search)
        writer.u8(step.rawValue)
        writer.u64(cursor)
        writer.u16(UInt16(lost.count))
        for entry in lost {
            writer.u16(entry.group.rawValue)
            writer.u64(entry.mark.rawValue)
        }
    }
}

/// The answer to `PeerForwards`.
public enum PeerForwardsReply: WireMessage, Equatable {
    public static let frameType = FrameType.peerForwardsReply

    /// Some of them, and the cursor to go on with; nil where the step is done.
    case found([LostForward], next: UInt64?)
    /// The group does not know of the search (any more): it has to begin again, everywhere.
    case unknownSearch

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        let tag = try reader.u8()
        switch tag {
        case 0:
            let next: UInt64? = try reader.flag() ? try reader.u64() : nil
            let count = try reader.count32(
                of: LostForward.byteCount, limit: PeerLimits.forwardsMax)
            var forwards: [LostForward] = []
            forwards.reserveCapacity(count)
            for _ in 0..<count { forwards.append(try LostForward(decoding: &reader)) }
            self = .found(forwards, next: next)
        case 1: self = .unknownSearch
        default: throw .unknownTag(tag, offset: 0)
        }
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .found(let forwards, let next):
            writer.u8(0)
            writer.u8(next == nil ? 0 : 1)
            if let next { writer.u64(next) }
            writer.u32(UInt32(forwards.count))
            for forward in forwards { forward.encode(into: &writer) }
        case .unknownSearch: writer.u8(1)
        }
    }
}
