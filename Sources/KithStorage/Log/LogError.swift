public import KithBytes
public import KithPorts

/// Why the log did not do what was asked.
public enum LogError: Error, Equatable, Sendable {
    /// A write or a sync failed. The log is dead: what was waiting may or may not be stored, and
    /// nothing is taken any more. The node must stop.
    case failed(DiskError)
    /// A read, a listing or a removal failed. The log itself is as it was.
    case disk(DiskError)
    /// Too many bytes wait for the disk. Nothing was stored.
    case overloaded(waitingBytes: Int, limit: Int)
    /// An ingest append was refused to keep the last room for the node's own work. Nothing was
    /// stored. `freeBytes` is 0 where it could not be read.
    case diskNearlyFull(freeBytes: UInt64, reserve: UInt64)
    /// The log is closed. Nothing was stored.
    case closed
    /// An entry, or all entries of one append, are larger than a frame or the waiting room can ever
    /// take. Nothing was stored.
    case tooLarge(byteCount: Int, limit: Int)
    /// The entry does not continue its group's log. Nothing was stored.
    case outOfOrder(OrderFault)
    /// Bytes that were once durable are damaged or gone. Nothing on the disk was changed.
    case corrupt(segment: SegmentID, offset: UInt64, reason: Corruption)
    /// The file that says where the log was closed cannot be read. Nothing was changed.
    case end(CellError)
    /// There is no log where one must be.
    case missing
    /// The log has entries, and must have none.
    case notEmpty
    /// The segment was written by another version of the format.
    case unsupportedVersion(UInt16, segment: SegmentID)
    /// The log is of a cluster with another name, number of groups or hash key. Nothing was
    /// changed.
    case otherCluster(segment: SegmentID)
}

/// Why a log takes no ingest.
public enum LogRoomProblem: Equatable, Sendable {
    /// Less is free on the disk than is kept for the node's own work.
    case nearlyFull
    /// How much is free could not be read. That may be the disk, or a folder that was moved.
    case unknown(DiskError)
    /// There is room, and the next segment could not be made.
    case noSegment(DiskError)
}

/// What is wrong in the middle of a log.
public enum Corruption: Error, Equatable, Sendable {
    /// The header cannot be read, yet frames or segments follow.
    case header
    /// No valid frame with sequence `expected` here, yet `later` was written, and each frame is
    /// synced before the next one is written.
    case frame(expected: LogSequence, later: LogSequence)
    /// No valid first frame here, yet `later` exists, and a segment is made only after the first
    /// frame of the one before it was synced.
    case frameBeforeSegment(expected: LogSequence, later: SegmentID)
    /// No valid frame with sequence `expected` here, yet the log was closed behind frame `closed`.
    case frameBeforeEnd(expected: LogSequence, closed: LogSequence)
    /// A valid frame or header that belongs to another segment: a misdirected write or a stale
    /// block.
    case wrongSegment(found: SegmentID)
    /// A valid frame or header out of sequence.
    case wrongSequence(found: LogSequence, expected: LogSequence)
    /// A whole header, of a log with another id: a segment that was copied here.
    case otherLog
    /// The file is shorter or longer than its header says.
    case size(found: UInt64, expected: UInt64)
    /// No file of a segment that must be there.
    case missingSegment
    /// The frame's checksum is right and its content makes no sense.
    case content(ByteError)
    /// The frame's checksum is right and an entry does not continue its group's log.
    case order(OrderFault)
}

/// An entry that does not continue its group's log.
public struct OrderFault: Error, Equatable, Sendable {
    public let group: GroupID
    public let term: Term
    public let index: LogIndex
    /// The last entry of the group before it; `nil` where the log has none.
    public let lastTerm: Term?
    public let lastIndex: LogIndex?

    public init(
        group: GroupID, term: Term, index: LogIndex, lastTerm: Term?, lastIndex: LogIndex?
    ) {
        self.group = group
        self.term = term
        self.index = index
        self.lastTerm = lastTerm
        self.lastIndex = lastIndex
    }
}
