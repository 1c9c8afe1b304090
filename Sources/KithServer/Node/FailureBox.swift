internal import Synchronization

/// Where the log, or a group, leaves the error that ended it, and what wakes the node to stop for
/// it.
final class FailureBox: Sendable {
    private struct State {
        var error: NodeError?
        var isFinished = false
        var waiter: CheckedContinuation<Bool, Never>?
    }

    private let state = Mutex(State())

    var error: NodeError? { state.withLock { $0.error } }

    func fail(_ error: NodeError) {
        let waiter = state.withLock { state in
            state.error = state.error ?? error
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: true)
    }

    /// Lets `wait` return; nothing failed.
    func finish() {
        let waiter = state.withLock { state in
            state.isFinished = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: false)
    }

    /// True once the log has failed, false once the node is done. For one task.
    func wait() async -> Bool {
        await withCheckedContinuation { continuation in
            let answer = state.withLock { state -> Bool? in
                if state.error != nil { return true }
                if state.isFinished { return false }
                state.waiter = continuation
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }
}
