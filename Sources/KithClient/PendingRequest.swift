import KithWire
import Synchronization

/// A request on its way: waiting to be sent, or sent and unanswered.
struct PendingRequest: Sendable {
    let id: UInt64
    /// For error texts.
    let what: String
    let type: FrameType
    let payload: [UInt8]
    /// In nanoseconds of the monotonic clock.
    let deadline: UInt64
    /// How often it may still be sent again after a connection broke.
    var retriesLeft: Int
    /// Whether a node may have seen it.
    var wasSent = false
    let reply: ReplySlot
}

/// Where the caller of a request waits for its result. The first result counts: the reply, an
/// error, the deadline or the caller's own cancellation, which comes from outside the client's
/// executor.
final class ReplySlot: Sendable {
    private enum State {
        case empty
        case waiting(CheckedContinuation<Result<Frame, ClientError>, Never>)
        case filled(Result<Frame, ClientError>)
        case taken
    }

    private let state = Mutex(State.empty)

    /// Whether there is a result, so that nobody needs to send the request any more.
    var isFilled: Bool {
        state.withLock { state in
            switch state {
            case .empty, .waiting: false
            case .filled, .taken: true
            }
        }
    }

    func fill(_ result: Result<Frame, ClientError>) {
        let waiter: CheckedContinuation<Result<Frame, ClientError>, Never>? = state.withLock {
            state in
            switch state {
            case .empty:
                state = .filled(result)
                return nil
            case .waiting(let continuation):
                state = .taken
                return continuation
            case .filled, .taken:
                return nil
            }
        }
        waiter?.resume(returning: result)
    }

    /// The result, as soon as there is one; at once when the caller is cancelled. To be called
    /// once.
    func result() async -> Result<Frame, ClientError> {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready: Result<Frame, ClientError>? = state.withLock { state in
                    if case .filled(let result) = state {
                        state = .taken
                        return result
                    }
                    state = .waiting(continuation)
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            fill(.failure(.cancelled))
        }
    }
}
