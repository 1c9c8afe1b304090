public import KithBytes

/// One event loop of one node: the serial executor of every actor pinned to it.
///
/// In production a loop is one thread around `epoll`; in simulation it is one lane of a seeded
/// queue. An actor takes its loop from outside and returns it as `unownedExecutor`. Calls between
/// actors of one loop never leave its thread; a call to another loop costs a wake-up (about
/// 100 µs), so batches cross, never single events.
public protocol Loop: SerialExecutor {
    /// The same loop as a *task* executor: what `Task(executorPreference:)` needs. A second object,
    /// since one that plays both roles runs same-loop calls on the slow path.
    var tasks: any TaskExecutor { get }

    /// Runs `body` as a root task whose nonisolated parts run on this loop. The only place where
    /// Kith starts unstructured work; everything else is a child in a task group of such a task.
    func start(_ body: @escaping @Sendable () async -> Void)

    /// The executor of one more actor of this loop: in production the loop itself. A simulated loop
    /// may give each actor a queue of its own, so that more orders are tried than a thread has.
    /// Actors that reach into each other without `await` share one.
    func forActor() -> Self
}

extension Loop {
    public func forActor() -> Self { self }
}

/// Time, from outside. Every wait goes through it, so that simulated time can jump.
public protocol Clock: Sendable {
    /// The wall clock, in milliseconds since 1970. May jump either way.
    func wallTime() -> LogTime
    /// Nanoseconds of a clock that only goes forward; its zero means nothing.
    func monotonicNanoseconds() -> UInt64
    /// Nanoseconds of a clock that nobody can set and that goes on while the machine is suspended;
    /// its zero means nothing. What the wall clock is compared with.
    func bootNanoseconds() -> UInt64
    /// Returns after `nanoseconds` of monotonic time, on the loop given; throws `CancellationError`
    /// at once if the task is cancelled.
    func sleep(nanoseconds: UInt64, on loop: any Loop) async throws
}

/// Random numbers, from outside.
public protocol Randomness: Sendable {
    func nextUInt64() -> UInt64
}
