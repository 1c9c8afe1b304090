/// Sizes and limits of a log.
public struct LogOptions: Sendable {
    /// Size of a new segment's file. Segments made with another size stay as they are.
    public var segmentBytes = 64 << 20
    /// A frame that gathers entries is closed at this size; a larger entry is a frame by itself.
    public var batchBytesMax = 1 << 20
    /// Entry bytes that may wait for the disk; an append beyond it is `overloaded`.
    public var waitingBytesMax = 64 << 20
    /// Below so many free bytes ingest appends are refused; the rest is for the node's own entries.
    public var reserveBytes: UInt64 = 256 << 20
    /// Whether a log is made where there is none. A node that has written before passes `false`, so
    /// that a lost folder is not taken for a first start.
    public var mayCreate = true

    /// Whether a log with entries is refused: nothing says whose it is.
    public var mustBeEmpty = false
    /// Of the name, the number of groups and the hash key of the cluster that the log belongs to; a
    /// log of another digest is refused.
    public var clusterDigest: UInt64 = 0

    /// Told, while the log is recovered, how much of it is read, in thousandths.
    public var onProgress: (@Sendable (Int) -> Void)?

    public init() {}

    /// The largest frame that fits a new segment.
    var frameBytesMax: Int {
        min(LogFormat.frameBytesMax, segmentBytes - LogFormat.segmentHeaderBytes)
    }
    /// The largest payload that an entry may have with these segments.
    public var payloadBytesMax: Int {
        frameBytesMax - LogFormat.frameOverheadBytes - LogFormat.entryHeaderBytes
    }
    /// Where a gathering frame is closed.
    var batchBytes: Int { min(batchBytesMax, frameBytesMax) }

    func checkInvariants() {
        precondition(
            segmentBytes >= LogFormat.segmentBytesMin && segmentBytes <= LogFormat.segmentBytesMax,
            "segments of \(segmentBytes) bytes")
        precondition(batchBytesMax > 0, "batches of \(batchBytesMax) bytes")
        precondition(waitingBytesMax > 0, "\(waitingBytesMax) bytes may wait")
    }
}
