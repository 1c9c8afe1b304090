// A loop that runs on the thread of the test: jobs wait in a queue, and a seed, if there is one,
// picks which goes next. A test that waits for something that never comes fails instead of hanging.

import KithPorts
import Synchronization

final class TestLoop: Loop {
    private enum Work {
        case serial(UnownedJob)
        case task(UnownedJob)
        case closure(@Sendable () -> Void)
    }

    private struct Queue: Sendable {
        var work: [Work] = []
        var random: SplitMix?
    }

    private final class Tasks: TaskExecutor {
        let loop: TestLoop
        init(_ loop: TestLoop) { self.loop = loop }
        func enqueue(_ job: consuming ExecutorJob) { loop.add(.task(UnownedJob(job))) }
    }

    private let queue: Mutex<Queue>
    private let facet = Mutex<Tasks?>(nil)

    init(seed: UInt64? = nil) {
        queue = Mutex(Queue(random: seed.map(SplitMix.init)))
    }

    var tasks: any TaskExecutor {
        facet.withLock { facet in
            if let facet { return facet }
            let made = Tasks(self)
            facet = made
            return made
        }
    }

    func enqueue(_ job: consuming ExecutorJob) { add(.serial(UnownedJob(job))) }

    func start(_ body: @escaping @Sendable () async -> Void) {
        _ = Task(executorPreference: tasks) { await body() }
    }

    private func add(_ work: Work) { queue.withLock { $0.work.append(work) } }

    private func next() -> Work? {
        queue.withLock { queue in
            guard !queue.work.isEmpty else { return nil }
            let place = queue.random.map { _ in
                Int(queue.random!.next() % UInt64(queue.work.count))
            }
            return queue.work.remove(at: place ?? 0)
        }
    }

    /// Goes to the back of the queue.
    func pause() async {
        await withCheckedContinuation { continuation in
            add(.closure { continuation.resume() })
        }
    }

    /// Runs everything that is queued and what follows from it.
    private func drain() {
        let serial = asUnownedSerialExecutor()
        let task = (tasks as! Tasks).asUnownedTaskExecutor()
        while let work = next() {
            switch work {
            case .serial(let job): job.runSynchronously(on: serial)
            case .task(let job): job.runSynchronously(on: task)
            case .closure(let body): body()
            }
        }
    }

    /// Runs `body` to its end on this thread. Throws `Stuck` if everything waits.
    func run<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) throws -> T {
        let result = Box<Result<T, any Error>?>(nil)
        start {
            do {
                let value = try await body()
                result.set(.success(value))
            } catch {
                result.set(.failure(error))
            }
        }
        drain()
        facet.withLock { $0 = nil }
        guard let result = result.get() else { throw Stuck() }
        return try result.get()
    }
}

/// Nothing is left to run, and the test has not ended.
struct Stuck: Error {}

/// A value behind a lock, for what a test collects.
final class Box<T: Sendable>: Sendable {
    private let value: Mutex<T>
    init(_ value: T) { self.value = Mutex(value) }
    func get() -> T { value.withLock { $0 } }
    func set(_ new: T) { value.withLock { $0 = new } }
    func update(_ body: @Sendable (inout T) -> Void) { value.withLock { body(&$0) } }
}

/// A small seeded generator (SplitMix64).
struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
