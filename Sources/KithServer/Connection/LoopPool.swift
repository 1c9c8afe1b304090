internal import KithBytes
internal import KithCore
internal import Synchronization

/// What reading events takes, kept for the connections of one event loop: a connection that is
/// between two batches holds none of it.
///
/// The lock is never waited for: only connections of one loop come here, and none suspends inside.
final class LoopPool: Sendable {
    private struct State {
        var reader: EventReader
        var batches: [EventBatch] = []
        /// Memory of `batches`.
        var byteCount = 0
    }

    private let state: Mutex<State>

    /// Memory of batches kept for the next request; what is more goes back to the system.
    static let bytesMax = 4 << 20

    init(_ reader: EventReader) { state = Mutex(State(reader: reader)) }

    /// Memory of the batches that nobody uses.
    var byteCount: Int { state.withLock { $0.byteCount } }

    /// An empty batch, with memory if one is kept.
    func takeBatch() -> EventBatch {
        state.withLock { state in
            guard let batch = state.batches.popLast() else { return EventBatch() }
            state.byteCount -= batch.memoryBytes
            return batch
        }
    }

    /// Keeps the memory of a batch that is not used any more, where there is room for it; the batch
    /// is empty then.
    func give(_ batch: inout EventBatch) {
        batch.removeAll()
        let bytes = batch.memoryBytes
        state.withLock { state in
            guard state.byteCount + bytes <= Self.bytesMax else { return }
            state.byteCount += bytes
            state.batches.append(batch)
        }
        batch = EventBatch()
    }

    /// Runs `body` with the loop's reader.
    func withReader<Result, Failure: Error>(
        _ body: (inout EventReader) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try state.withLock { state throws(Failure) in try body(&state.reader) }
    }
}
