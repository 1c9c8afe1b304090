internal import KithBytes
internal import KithCore

extension Group {
    /// What a group says of itself, at one index and log time.
    struct Totals: Sendable {
        var statistics: Statistics
        var index: LogIndex
        var time: LogTime
        var records: Int
        var sealed: Int
        var memoryBytes: Int
        /// Bytes of operations that wait for the log.
        var pendingBytes: Int
        /// Who waits for a sealed record.
        var waits: Int
        /// Over the last seconds.
        var eventsPerSecond: Int
    }
}
