/// What opening a log found.
public struct RecoveryReport: Equatable, Sendable {
    /// Segments read.
    public internal(set) var segments = 0
    /// Valid frames, seals included.
    public internal(set) var frames = 0
    /// Entries handed to the caller.
    public internal(set) var entries = 0
    /// Payload bytes of those.
    public internal(set) var payloadBytes = 0
    /// Where each group's log ends.
    var tails = GroupTails()
    /// What was cut; `nil` after a clean end. A cut tail was never acknowledged, unless the disk
    /// damaged the very last frame (docs/log.md, "What a flip in the last frame can do").
    public internal(set) var tornTail: TornTail?
    /// Whether there was no log and one was made.
    public internal(set) var isNew = false
}

/// Bytes after the last good frame that were cut: zeroed, or removed with their segment.
public struct TornTail: Equatable, Sendable {
    public let segment: SegmentID
    /// Where the cut starts in the segment's file.
    public let offset: UInt64
    /// From the cut to the last byte that was not zero.
    public let byteCount: UInt64
}
