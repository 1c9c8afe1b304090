// One thread around epoll, and the serial executor of every actor pinned to it.
//
//            ┌──────────────────────────── one turn ────────────────────────────┐
//   take inbound jobs ─▶ run at most `jobsPerTurnMax` ─▶ fire due timers ─▶ poll sockets
//            └───────────── sleeps in the poll only if nothing is ready ────────┘
//
// A loop has two facets that share one queue: the loop itself is the serial executor of its actors,
// and `tasks` is the task executor for the nonisolated parts of tasks rooted here. Whichever way a
// job came in, it runs as both (`isolatedTo:taskExecutor:`). The runtime switches executors only
// when the present pair differs from the wanted one, so for a task that was started on this loop
//
//   a call from actor to actor of the loop       is inline                       about 0.05–0.15 µs
//   waking up from a continuation                is one trip through the queue
//   a call to another loop and back              is two trips and two wake-ups
//
// A continuation never resumes straight on an actor: it goes to the task's preferred executor
// first. So a task belongs on the loop where its actors are. One without a preference wakes up on
// the global pool instead, and pays a trip through the queue for every call between actors.
// (Running serial jobs with `runSynchronously(on:)` reverses this: faster for tasks without a
// preference, four times slower for those that have one, which in Kith is all.)
//
// Fairness: sockets and timers get their say after a bounded number of jobs, and a stream that
// always has bytes ready gives way after a few operations in one turn (`nextTurn`).

public import KithPorts
internal import Synchronization

/// An event loop with a thread of its own. It must be stopped: until then its thread keeps it
/// alive. An actor that returns it as `unownedExecutor` must keep a reference to it.
public final class EventLoop: Loop, @unchecked Sendable {
    /// How many jobs run before timers and sockets are looked at again.
    static let jobsPerTurnMax = 256
    /// How many jobs are still run once the loop is stopping, before the rest is dropped.
    static let jobsAfterStopMax = 1_000_000
    /// The most bytes that one read from a socket returns.
    static let scratchBytes = 256 * 1024

    public let tasks: any TaskExecutor

    let poller: Poller
    /// Counts turns. On the loop's thread only.
    private(set) var turn: UInt64 = 0
    /// Where sockets are read into, so that a short message costs a short array and not one of the
    /// greatest size. On the loop's thread only.
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: scratchBytes, alignment: 64)

    private let queue: JobQueue
    private let timers = Mutex(TimerHeap())
    private let isStopping = Atomic<Bool>(false)
    private let thread = Mutex<SystemThread?>(nil)
    /// Waiting for the next turn. On the loop's thread only.
    private var deferred: [UnsafeContinuation<Void, Never>] = []

    /// Starts the loop's thread.
    public init(name: String = "kith-loop") throws(SystemError) {
        let queue = try JobQueue()
        self.queue = queue
        poller = try Poller(wake: queue.wakeDescriptor)
        tasks = LoopTasks(queue: queue)
        let thread = try SystemThread(name: name) { self.run() }
        self.thread.withLock { $0 = thread }
    }

    deinit { scratch.deallocate() }

    // MARK: - Executor

    public func enqueue(_ job: consuming ExecutorJob) {
        queue.push(UnownedJob(job))
    }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    /// Whether the caller is on this loop's thread.
    var isCurrent: Bool { queue.isCurrent }

    public func isIsolatingCurrentContext() -> Bool? { isCurrent }

    public func checkIsolated() {
        precondition(isCurrent, "not on the thread of this event loop")
    }

    public func start(_ body: @escaping @Sendable () async -> Void) {
        Task(executorPreference: tasks) { await body() }
    }

    // MARK: - Timers

    /// Calls `action` on this loop at `deadline`, in nanoseconds of the monotonic clock. From any
    /// thread. On a loop that has stopped, `action(.stopped)` is called at once by the caller.
    func schedule(
        at deadline: UInt64, _ action: @escaping @Sendable (LoopTimer.Outcome) -> Void
    ) -> LoopTimer {
        let timer = LoopTimer(deadline: deadline, action: action)
        let (isTaken, isEarliest) = timers.withLock { timers in
            if timers.isStopped { return (false, false) }
            timers.insert(timer)
            return (true, timers.earliest == deadline)
        }
        if !isTaken { action(.stopped) }
        if isEarliest { queue.wake() }
        return timer
    }

    /// Forgets a timer; from any thread. False if its action has been or is being called.
    @discardableResult
    func cancel(_ timer: LoopTimer) -> Bool {
        timers.withLock { $0.remove(timer) }
    }

    /// How many timers are set.
    var timerCount: Int { timers.withLock { $0.count } }

    // MARK: - Turns

    /// Suspends until every socket has been polled once more. Elsewhere than on this loop, lets
    /// the other tasks of the caller's executor run.
    func nextTurn() async {
        guard isCurrent else { return await Task.yield() }
        await withUnsafeContinuation { continuation in
            deferred.append(continuation)
        }
    }

    private func run() {
        queue.adopt()
        let serial = asUnownedSerialExecutor()
        let task = tasks.asUnownedTaskExecutor()
        while !isStopping.load(ordering: .acquiring) {
            beginTurn()
            _ = runJobs(atMost: Self.jobsPerTurnMax, serial, task)
            fireTimers()
            poller.poll(timeout: pollTimeout())
        }
        finish(serial, task)
    }

    private func beginTurn() {
        turn &+= 1
        if !deferred.isEmpty {
            let waiting = deferred
            deferred.removeAll(keepingCapacity: true)
            for continuation in waiting { continuation.resume() }
        }
        queue.takeInbound()
    }

    private func runJobs(
        atMost limit: Int, _ serial: UnownedSerialExecutor, _ task: UnownedTaskExecutor
    ) -> Int {
        var count = 0
        while count < limit, let job = queue.pop() {
            job.runSynchronously(isolatedTo: serial, taskExecutor: task)
            count += 1
        }
        return count
    }

    private func fireTimers() {
        guard let earliest = timers.withLock({ $0.earliest }) else { return }
        let now = monotonicNanoseconds()
        if earliest > now { return }
        while let timer = timers.withLock({ $0.popDue(now) }) { timer.action(.fired) }
    }

    /// Milliseconds until the next timer, rounded up so that a timer is never early.
    private func pollTimeout() -> Int32 {
        guard deferred.isEmpty, queue.prepareToSleep() else { return 0 }
        guard let earliest = timers.withLock({ $0.earliest }) else { return -1 }
        let now = monotonicNanoseconds()
        if earliest <= now { return 0 }
        let milliseconds = (earliest - now - 1) / 1_000_000 + 1
        return Int32(clamping: milliseconds)
    }

    // MARK: - The end

    /// Asks the loop to end: sleepers and sockets are woken with errors, jobs that are ready are
    /// run, and later ones are dropped. From any thread; returns at once.
    public func stop() {
        isStopping.store(true, ordering: .releasing)
        queue.wake()
    }

    /// Returns when the loop's thread has ended. Not from the loop itself.
    public func join() {
        precondition(!isCurrent, "a loop cannot wait for its own end")
        thread.withLock { $0 }?.join()
    }

    private func finish(_ serial: UnownedSerialExecutor, _ task: UnownedTaskExecutor) {
        let pending = timers.withLock { timers in
            timers.isStopped = true
            return timers.removeAll()
        }
        for timer in pending { timer.action(.stopped) }
        poller.stop()
        var left = Self.jobsAfterStopMax
        while left > 0 {
            beginTurn()
            left -= runJobs(atMost: left, serial, task)
            if deferred.isEmpty, queue.retire() { return }
        }
        queue.abandon()
    }
}

/// A loop as a task executor.
final class LoopTasks: TaskExecutor {
    private let queue: JobQueue

    init(queue: JobQueue) { self.queue = queue }

    func enqueue(_ job: consuming ExecutorJob) {
        queue.push(UnownedJob(job))
    }
}
