public import KithBytes

/// What one entry of a group's log is for, as an octet. The log itself knows only `rebase`; all
/// other values belong to the groups, and so does judging them.
public struct LogEntryKind: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt8) { self.rawValue = rawValue }

    /// Operations.
    @inlinable public static var normal: LogEntryKind { LogEntryKind(1) }
    /// The first entry of a leader's term, with what it sets for its group.
    @inlinable public static var opening: LogEntryKind { LogEntryKind(2) }
    /// Who votes in the group. Nobody writes one yet.
    @inlinable public static var configuration: LogEntryKind { LogEntryKind(3) }
    /// The group's log ends at this entry's index and term from here on: what it held above is void
    /// (a follower drops a conflicting tail) and what is missing below is in a snapshot (one was
    /// installed). The next entry has the next index. No payload is needed.
    @inlinable public static var rebase: LogEntryKind { LogEntryKind(255) }
}

/// One entry of one group's log, as the node's log stores it.
public struct LogEntry: Equatable, Sendable {
    public let group: GroupID
    public let term: Term
    public let index: LogIndex
    public let kind: LogEntryKind
    /// How the group means `time`, as an octet of its own.
    public let clock: UInt8
    /// The log time that the group's leader stamped.
    public let time: LogTime
    /// At most `LogFormat.payloadBytesMax`, and less where segments are small.
    public let payload: [UInt8]

    @inlinable
    public init(
        group: GroupID, term: Term, index: LogIndex, kind: LogEntryKind, clock: UInt8,
        time: LogTime, payload: [UInt8]
    ) {
        self.group = group
        self.term = term
        self.index = index
        self.kind = kind
        self.clock = clock
        self.time = time
        self.payload = payload
    }

    /// Bytes that the entry takes in a frame.
    var encodedBytes: Int { LogFormat.entryHeaderBytes + payload.count }
}
