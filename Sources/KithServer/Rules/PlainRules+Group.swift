internal import KithBytes
internal import KithConsensus
internal import KithCore
internal import KithPorts
internal import KithStorage

// What a group logs, applies and answers, in which order and at which time.

extension PlainRules {
    /// What a run with planted faults notes of a group. There is nothing to note otherwise.
    struct GroupNotes {}

    // MARK: Logging

    /// Who comes to a group that has stopped is told so, however late the group sees them.
    static func turnsAway(isStopped: Bool) -> Bool { isStopped }

    /// Entries get their places in the log; nothing of them takes effect yet.
    static func propose(
        _ batches: inout [Group.Pending], at now: LogTime, in group: isolated Group
    ) -> [LogEntry] {
        group.propose(batches, at: now)
    }

    /// What is durable takes effect: it is applied, and those who submitted it are told.
    static func commit(_ entry: LogEntry, _ batch: Group.Pending, in group: isolated Group) {
        group.consensus.becameDurable(through: entry.index)
        group.apply(entry, batch)
    }

    /// Places of entries that the log refused are given to those that come next.
    static func withdraw(_ consensus: inout ConsensusMachine, after index: LogIndex) {
        consensus.withdraw(after: index)
    }

    /// A submission gets the outcomes of its own operations, in order.
    static func outcomes(_ range: Range<Int>, of entry: [Outcome]) -> [Outcome] {
        range == entry.indices ? entry : Array(entry[range])
    }

    // MARK: Reading

    /// A time that decides a read is logged first, so that no later answer can be earlier.
    static func mustLogTime(until due: LogTime?, logTime: LogTime, now: LogTime) -> Bool {
        due.map { $0 > logTime && $0 <= now } ?? false
    }

    /// Reads are judged at log time: a replica's own clock expires nobody.
    static func readTime(by clock: any Clock) -> LogTime? { nil }

    /// Totals are those of now.
    static func totals(of group: isolated Group) -> Group.Totals { group.snapshot() }

    // MARK: Recovery

    /// Every entry of the log is applied once, in order.
    static func replay(_ entry: LogEntry, in group: isolated Group) -> NodeError? {
        group.replayNow(entry)
    }

    /// What was under way at the end of the log is found again.
    static func endReplay(of group: isolated Group) {
        group.machine.rebuildWork(on: group.shards)
    }
}
