// One task for the deadlines of all requests. It sleeps until the earliest one that it knows; by
// then most of those requests are answered, so it wakes about once in a deadline's length, not once
// a request. A request with an earlier deadline wakes it.

import KithBytes
import KithPorts

extension Client {
    /// Makes sure that the deadline task looks at `deadline` or before.
    func expectDeadline(_ deadline: UInt64) {
        if let deadlineCheck, deadlineCheck <= deadline { return }
        deadlineCheck = deadline
        deadlines.raise()
    }

    func watchDeadlines() async {
        while !isStopping {
            guard let check = deadlineCheck else {
                await deadlines.wait()
                continue
            }
            let now = clock.monotonicNanoseconds()
            if check <= now {
                expire(at: now)
            } else {
                await pause(nanoseconds: check - now, orUntil: deadlines)
            }
        }
    }

    /// Fails what is over its deadline. Where the node was silent for too long as well, it hangs or
    /// the network does, and the connection is given up. O(waiting + in flight).
    private func expire(at now: UInt64) {
        let late = inFlight.values.filter { $0.deadline <= now }.sorted { $0.id < $1.id }
        for request in late {
            inFlight[request.id] = nil
            timeOut(request)
        }
        for request in waiting[waitingStart...] where request.deadline <= now { timeOut(request) }
        waiting.removeSubrange(..<waitingStart)
        waitingStart = 0
        waiting.removeAll { $0.deadline <= now }
        let earliestSent = inFlight.values.lazy.map(\.deadline).min()
        let earliestWaiting = waiting.lazy.map(\.deadline).min()
        deadlineCheck = [earliestSent, earliestWaiting].compactMap { $0 }.min()
        guard !late.isEmpty else { return }
        if let link, let since = link.silentSince,
            now - since >= UInt64(options.silenceMillisMax) * 1_000_000
        {
            mark(.clientSilentNode)
            link.stream.close()
        }
        work.raise()
    }

    private func timeOut(_ request: PendingRequest) {
        mark(request.wasSent ? .clientTimedOut : .clientTimedOutUnsent)
        request.reply.fill(
            .failure(
                .timedOut(what: request.what, address: addressText, wasSent: request.wasSent)))
    }

    /// Returns after `nanoseconds`, when `signal` is raised, or when the task is cancelled.
    func pause(nanoseconds: UInt64, orUntil signal: Signal) async {
        await withTaskGroup(of: Void.self) { [clock, loop] group in
            // A sleep that throws was cancelled: the pause is over either way.
            group.addTask { try? await clock.sleep(nanoseconds: nanoseconds, on: loop) }
            group.addTask { await signal.wait() }
            await group.next()
            group.cancelAll()
        }
    }
}
