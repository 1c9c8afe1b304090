internal import CLinux
internal import Glibc
public import KithBytes
public import KithPorts
internal import Synchronization

/// Nanoseconds of CLOCK_MONOTONIC.
func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// The kernel's clocks, and sleeps on the timers of an event loop.
public struct LinuxClock: Clock {
    public init() {}

    public func wallTime() -> LogTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return LogTime(Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    public func monotonicNanoseconds() -> UInt64 { KithRuntime.monotonicNanoseconds() }

    /// Never early, and at most about a millisecond late on an idle loop. Throws
    /// `CancellationError` at once when the task is cancelled, and also when the loop stops. `loop`
    /// must be an `EventLoop`.
    public func sleep(nanoseconds: UInt64, on loop: any Loop) async throws {
        try Task.checkCancellation()
        let loop = eventLoop(loop)
        let (sum, isOver) = monotonicNanoseconds().addingReportingOverflow(nanoseconds)
        let awakening = OneShot<LoopTimer.Outcome>()
        let timer = loop.schedule(at: isOver ? .max : sum) { outcome in
            awakening.resolve(outcome)
        }
        let outcome = await withTaskCancellationHandler {
            await awakening.value()
        } onCancel: {
            loop.cancel(timer)
            awakening.resolve(.stopped)
        }
        if outcome == .stopped { throw CancellationError() }
    }
}

/// The loop of this module behind the port; loops of other kinds cannot be mixed with it.
func eventLoop(_ loop: any Loop) -> EventLoop {
    guard let loop = loop as? EventLoop else {
        preconditionFailure("KithRuntime runs on EventLoop, not on \(type(of: loop))")
    }
    return loop
}

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

    /// Waits for the value. Called once.
    func value() async -> Value {
        await withUnsafeContinuation { continuation in
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
        }
    }
}
