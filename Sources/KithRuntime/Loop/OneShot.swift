internal import Synchronization

/// A value that comes once, from whoever is first, and one task that waits for it.
final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case empty
        case waiting(UnsafeContinuation<Value, Never>)
        case resolved(Value)
        case taken
    }
    private let state = Mutex(State.empty)

    /// Gives the value; nothing if there has been one.
    func resolve(_ value: Value) {
        let waiter: UnsafeContinuation<Value, Never>? = state.withLock { state in
            switch state {
            case .empty:
                state = .resolved(value)
                return nil
            case .waiting(let continuation):
                state = .taken
                return continuation
            case .resolved, .taken:
                return nil
            }
        }
        waiter?.resume(returning: value)
    }

    /// Waits for the value, without leaving the caller's executor. Called once. `onCancel` runs
    /// when the task is cancelled; to end the wait it must resolve.
    func value(onCancel: @Sendable () -> Void = {}) async -> Value {
        await suspend { continuation in
            let value: Value? = state.withLock { state in
                switch state {
                case .empty:
                    state = .waiting(continuation)
                    return nil
                case .resolved(let value):
                    state = .taken
                    return value
                case .waiting, .taken:
                    preconditionFailure("a one-shot value is awaited once")
                }
            }
            if let value { continuation.resume(returning: value) }
        } onCancel: {
            onCancel()
        }
    }
}
