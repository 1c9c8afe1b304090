// What one `kith ingest` is asked to do, and how it ended.

import KithClient

extension IngestRun {
    /// What does not change during a run.
    struct Settings: Sendable {
        var names: [String]
        var space: String
        /// Batches on their way at once; the event clock and spreading allow one.
        var window: Int
        /// Refused lines that are shown one by one.
        var errorsShownMax: Int
        var isQuiet: Bool
        /// For how long all batches together are tried again, in seconds.
        var patience: Int
        var bytesTotal: UInt64?
        /// Bytes of lines that are kept to be sent again, and the folder of their file.
        var heldLinesBytesMax = HeldLines.bytesMax
        var heldFolder: String?
    }

    /// How a run ended.
    struct Outcome: Sendable {
        var tally: IngestTally
        var seconds: Double
        var errors: [String]
        /// Why it stopped before the end of the input.
        var stop: ClientError?
        /// Lines of which something is to be told, as many as are shown.
        var lines: [LineNote]
        /// Where a signal stopped it.
        var stoppedAt: String?
    }
}
