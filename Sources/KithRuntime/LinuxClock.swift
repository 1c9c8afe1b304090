internal import CLinux
internal import Glibc
public import KithBytes
public import KithPorts

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

    public func bootNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

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
        let outcome = await awakening.value {
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
