import KithBytes
import KithPorts
import Synchronization
import Testing

/// One thread's worth of world: a queue of jobs, a clock that jumps to the next timer when the
/// queue is empty. Runs a test's tasks on the caller's thread, in the same order every time.
final class TestWorld: Sendable {
    private enum Job: Sendable {
        case serial(UnownedJob)
        case task(UnownedJob)
    }

    private struct Timer {
        let time: UInt64
        let id: UInt64
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State: Sendable {
        var jobs: [Job] = []
        var timers: [Timer] = []
        var lastTimerID: UInt64 = 0
        var now: UInt64 = 1_000_000
    }

    private let state = Mutex(State())
    /// Jobs hold their executor unowned: one object each, as long as the world.
    private let executors = Mutex<(loop: TestLoop, tasks: TestTasks)?>(nil)

    init() {
        let tasks = TestTasks(world: self)
        executors.withLock { $0 = (TestLoop(world: self, tasks: tasks), tasks) }
    }

    var loop: TestLoop { executors.withLock { $0!.loop } }
    private var tasks: TestTasks { executors.withLock { $0!.tasks } }
    var clock: TestClock { TestClock(world: self) }

    /// Virtual milliseconds since the world began.
    var millis: UInt64 { state.withLock { ($0.now - 1_000_000) / 1_000_000 } }

    /// Runs `body` as a root task, and everything that it waits for, to its end. Fails the test
    /// when nothing is left that could ever happen.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) throws -> Value {
        let loop = self.loop
        let tasks = self.tasks
        let done = Outcome<Value>()
        loop.start {
            do {
                let value = try await body()
                done.result.withLock { $0 = .success(value) }
            } catch {
                done.result.withLock { $0 = .failure(error) }
            }
        }
        while true {
            while let job = state.withLock({ $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() }) {
                switch job {
                case .serial(let job): job.runSynchronously(on: loop.asUnownedSerialExecutor())
                case .task(let job): job.runSynchronously(on: tasks.asUnownedTaskExecutor())
                }
            }
            if let value = done.result.withLock({ $0 }) { return try value.get() }
            guard let timer = nextTimer() else { throw Stuck() }
            timer.continuation.resume()
        }
    }

    /// Every task waits for something that nobody will do.
    struct Stuck: Error {}

    private final class Outcome<Value: Sendable>: Sendable {
        let result = Mutex<Result<Value, any Error>?>(nil)
    }

    private func nextTimer() -> Timer? {
        state.withLock { state in
            let next = state.timers.indices.min {
                (state.timers[$0].time, state.timers[$0].id)
                    < (state.timers[$1].time, state.timers[$1].id)
            }
            guard let next else { return nil }
            let timer = state.timers.remove(at: next)
            state.now = max(state.now, timer.time)
            return timer
        }
    }

    fileprivate func enqueue(serial job: UnownedJob) {
        state.withLock { $0.jobs.append(.serial(job)) }
    }

    fileprivate func enqueue(task job: UnownedJob) {
        state.withLock { $0.jobs.append(.task(job)) }
    }

    fileprivate var now: UInt64 { state.withLock { $0.now } }

    fileprivate func sleep(nanoseconds: UInt64) async throws {
        let id = state.withLock { state in
            state.lastTimerID += 1
            return state.lastTimerID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                (continuation: CheckedContinuation<Void, any Error>) in
                let isCancelled = state.withLock { state in
                    if Task.isCancelled { return true }
                    state.timers.append(
                        Timer(
                            time: state.now + nanoseconds, id: id, continuation: continuation))
                    return false
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            let timer = state.withLock { state in
                state.timers.firstIndex { $0.id == id }.map { state.timers.remove(at: $0) }
            }
            timer?.continuation.resume(throwing: CancellationError())
        }
    }
}

final class TestLoop: Loop {
    private let world: TestWorld
    let tasks: any TaskExecutor

    init(world: TestWorld, tasks: TestTasks) {
        self.world = world
        self.tasks = tasks
    }

    func enqueue(_ job: consuming ExecutorJob) { world.enqueue(serial: UnownedJob(job)) }

    func start(_ body: @escaping @Sendable () async -> Void) {
        Task(executorPreference: tasks) { await body() }
    }
}

final class TestTasks: TaskExecutor {
    private let world: TestWorld
    init(world: TestWorld) { self.world = world }

    func enqueue(_ job: consuming ExecutorJob) { world.enqueue(task: UnownedJob(job)) }
}

struct TestClock: Clock {
    fileprivate let world: TestWorld

    func wallTime() -> LogTime { LogTime(Int64(world.millis)) }
    func monotonicNanoseconds() -> UInt64 { world.now }
    func bootNanoseconds() -> UInt64 { world.now }
    func sleep(nanoseconds: UInt64, on loop: any Loop) async throws {
        try await world.sleep(nanoseconds: nanoseconds)
    }
}
