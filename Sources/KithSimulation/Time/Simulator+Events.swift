// Waiting for virtual time, for whoever makes a port out of the simulator.

extension Simulator {
    /// Has `action` run after `delay` nanoseconds of virtual time, as a step of its own, on the
    /// simulation's thread and inside no lane. `subject` stands for the owner in the trace. Events
    /// of one nanosecond fire in an order that the seed decides. O(log n).
    @discardableResult
    public func schedule(
        after delay: UInt64, kind: TraceKind = .timer, subject: UInt64,
        _ action: @escaping () -> Void
    ) -> EventID? {
        enter("schedule") {
            let (sum, overflow) = nanoseconds.addingReportingOverflow(delay)
            let due = overflow ? Self.nanosecondsMax : min(sum, Self.nanosecondsMax)
            return events.insert(
                EventQueue.Event(due: due, kind: kind, subject: subject, action: action),
                tieBreak: UInt32(truncatingIfNeeded: random.next()))
        }
    }

    /// Takes back an event that has not fired; `false` when it has.
    @discardableResult
    public func cancel(_ event: EventID) -> Bool {
        enter("cancel") { events.cancel(event) } ?? false
    }

    /// Returns after `delay` nanoseconds of virtual time, on the caller's executor. Not
    /// cancellable: for work that goes on whoever waits for it, such as a disk's.
    public func wait(nanoseconds delay: UInt64, kind: TraceKind = .timer, subject: UInt64) async {
        guard admits("wait") else { return }
        await withUnsafeContinuation { continuation in
            schedule(after: delay, kind: kind, subject: subject) { continuation.resume() }
        }
    }
}
