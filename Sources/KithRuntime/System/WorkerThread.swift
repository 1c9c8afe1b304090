// One thread for calls that block: the disk's two lanes, and name resolution. Work runs in the
// order in which it was submitted. The queue has no bound of its own: every caller awaits its
// item, so there are never more items than waiting callers.

internal import Synchronization

/// A thread that runs submitted closures one after the other.
final class WorkerThread: Sendable {
    private let queue: Queue
    private let thread: SystemThread

    private final class Queue: Sendable {
        struct State {
            var items: [@Sendable () -> Void] = []
            var isStopping = false
        }
        let state = Mutex(State())
        /// Counts wake-ups, not items: one for each time that `items` stopped being empty.
        let wakeUps = Semaphore()

        func run() {
            var batch: [@Sendable () -> Void] = []
            while true {
                let isStopping = state.withLock { state in
                    swap(&batch, &state.items)
                    return state.isStopping
                }
                if batch.isEmpty {
                    if isStopping { return }
                    wakeUps.wait()
                    continue
                }
                for item in batch { item() }
                batch.removeAll(keepingCapacity: true)
            }
        }
    }

    init(name: String) throws(SystemError) {
        let queue = Queue()
        self.queue = queue
        thread = try SystemThread(name: name) { queue.run() }
    }

    /// Runs `item` on the thread, after everything submitted before. False, and nothing done, once
    /// the thread is stopping.
    func submit(_ item: @escaping @Sendable () -> Void) -> Bool {
        let (isTaken, isFirst) = queue.state.withLock { state in
            if state.isStopping { return (false, false) }
            state.items.append(item)
            return (true, state.items.count == 1)
        }
        if isFirst { queue.wakeUps.signal() }
        return isTaken
    }

    /// Finishes what was submitted and ends the thread. Returns when it has ended, or at once with
    /// `waits` false.
    func stop(waits: Bool = true) {
        queue.state.withLock { $0.isStopping = true }
        queue.wakeUps.signal()
        if waits { thread.join() } else { thread.detach() }
    }
}
