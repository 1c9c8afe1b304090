public import KithBytes

/// What one entry of a group's log is, as an octet. The log itself knows only `rebase`; all other
/// values belong to the groups.
public struct LogEntryType: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt8) { self.rawValue = rawValue }

    /// The group's log ends at this entry's index and term from here on: what it held above is void
    /// (a follower drops a conflicting tail) and what is missing below is in a snapshot (one was
    /// installed). The next entry has the next index. No payload is needed.
    @inlinable public static var rebase: LogEntryType { LogEntryType(255) }
}

/// One entry of one group's log, as the node's log stores it.
public struct LogEntry: Equatable, Sendable {
    public let group: GroupID
    public let term: Term
    public let index: LogIndex
    public let type: LogEntryType
    /// The log time that the group's leader stamped.
    public let time: LogTime
    /// At most `LogFormat.payloadBytesMax`, and less where segments are small.
    public let payload: [UInt8]

    @inlinable
    public init(
        group: GroupID, term: Term, index: LogIndex, type: LogEntryType, time: LogTime,
        payload: [UInt8]
    ) {
        self.group = group
        self.term = term
        self.index = index
        self.type = type
        self.time = time
        self.payload = payload
    }

    /// Bytes that the entry takes in a frame.
    var encodedBytes: Int { LogFormat.entryHeaderBytes + payload.count }
}
