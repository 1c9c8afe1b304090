// The queue that feeds one event loop. Two ways in:
//
//   from the loop's own thread ──▶ `local`     no lock, no wake-up
//   from any other thread      ──▶ `inbound`   a lock, and an eventfd write if the loop sleeps
//
// Once a turn the loop moves the whole of `inbound` behind `local`. Jobs of one sender keep their
// order. Invariant: `local` and `head` are touched by the loop's thread only; `thread` is that
// thread's id while it runs and 0 before and after, and no thread has id 0.
//
// The loop promises to poll again before it sleeps by setting `isSleeping` under the lock, and only
// when `inbound` is empty. Whoever adds something clears the flag and writes the eventfd; so a busy
// loop costs its senders no system call, and a sleeping one costs them exactly one.

internal import CLinux
internal import Glibc
internal import Synchronization

final class JobQueue: @unchecked Sendable {
    private struct Inbound {
        var jobs: [UnownedJob] = []
        var isSleeping = false
        var isWakeRequested = false
        var isRetired = false
    }

    /// The eventfd, edge-triggered in the loop's epoll: every write is an edge, nobody reads it.
    let wakeDescriptor: Descriptor

    private let inbound = Mutex(Inbound())
    private let thread = Atomic<Int64>(0)

    private var local: [UnownedJob] = []
    private var head = 0
    private var spare: [UnownedJob] = []

    init() throws(SystemError) {
        let raw = try systemCall("eventfd") { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) }
        wakeDescriptor = Descriptor(owning: raw)
    }

    /// Whether the caller is on the loop's thread. The id comes from an opaque C function: see
    /// `kith_thread_id`.
    var isCurrent: Bool { thread.load(ordering: .relaxed) == kith_thread_id() }

    /// Adds a job at the back. After the loop has ended it is dropped.
    func push(_ job: UnownedJob) {
        if isCurrent {
            local.append(job)
            return
        }
        let mustWake = inbound.withLock { inbound in
            if inbound.isRetired { return false }
            inbound.jobs.append(job)
            let wasSleeping = inbound.isSleeping
            inbound.isSleeping = false
            return wasSleeping
        }
        if mustWake { signal() }
    }

    /// Makes the loop take another turn soon. For what is not a job: timers, `stop`.
    func wake() {
        if isCurrent { return }
        let mustWake = inbound.withLock { inbound in
            inbound.isWakeRequested = true
            let wasSleeping = inbound.isSleeping
            inbound.isSleeping = false
            return wasSleeping
        }
        if mustWake { signal() }
    }

    private func signal() {
        var one: UInt64 = 1
        _ = systemCall { write(wakeDescriptor.raw, &one, 8) }
    }

    // MARK: - The loop's side, on its thread only

    /// Makes the calling thread the loop's.
    func adopt() { thread.store(kith_thread_id(), ordering: .relaxed) }

    /// Ends the queue for good; false, and nothing done, while jobs are left.
    func retire() -> Bool {
        let isDone = inbound.withLock { inbound in
            guard inbound.jobs.isEmpty, !hasLocal else { return false }
            inbound.isRetired = true
            return true
        }
        if isDone { thread.store(0, ordering: .relaxed) }
        return isDone
    }

    /// Ends the queue for good, and drops the jobs that are left.
    func abandon() {
        inbound.withLock { inbound in
            inbound.isRetired = true
            inbound.jobs = []
        }
        thread.store(0, ordering: .relaxed)
    }

    /// Whether a job is ready to run without asking the other threads.
    var hasLocal: Bool { head < local.count }

    /// The next job, in order.
    func pop() -> UnownedJob? {
        guard head < local.count else { return nil }
        let job = local[head]
        head += 1
        if head == local.count {
            local.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 4096, head * 2 >= local.count {
            local.removeFirst(head)
            head = 0
        }
        return job
    }

    /// Moves what other threads have sent behind the local jobs. O(jobs moved).
    func takeInbound() {
        inbound.withLock { inbound in
            inbound.isSleeping = false
            inbound.isWakeRequested = false
            swap(&inbound.jobs, &spare)
        }
        if spare.isEmpty { return }
        if hasLocal {
            local.append(contentsOf: spare)
            spare.removeAll(keepingCapacity: true)
        } else {
            swap(&local, &spare)
            head = 0
        }
    }

    /// Declares that the loop is about to sleep; false when there is something to do first.
    func prepareToSleep() -> Bool {
        if hasLocal { return false }
        return inbound.withLock { inbound in
            guard inbound.jobs.isEmpty, !inbound.isWakeRequested else { return false }
            inbound.isSleeping = true
            return true
        }
    }
}
