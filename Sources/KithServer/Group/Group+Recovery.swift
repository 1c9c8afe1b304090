internal import KithBytes
internal import KithConsensus
internal import KithCore
internal import KithStorage

// A group before it serves: the entries that its log holds are applied again.

extension Group {
    /// Applies an entry found in the log at start. An error where it cannot follow what was applied
    /// or this program does not understand it: then the node must not start.
    func replay(_ entry: LogEntry) -> NodeError? {
        Rules.replay(entry, in: self)
    }

    func replayNow(_ entry: LogEntry) -> NodeError? {
        let misplaced = NodeError.logOrder(group: id.rawValue, index: entry.index.rawValue)
        func unknown(_ what: String) -> NodeError {
            mark(.groupEntryUnknown)
            return .entryNotUnderstood(of: id, entry.index, what)
        }
        switch entry.kind {
        case .rebase:
            guard entry.index > machine.applied else { return misplaced }
            noteLoss(upTo: entry.index)
            machine.skip(to: entry.index)
        case .normal, .opening:
            guard entry.index == machine.applied.next else { return misplaced }
            guard let clock = GroupMachine.EntryClock(rawValue: entry.clock) else {
                return unknown("its time is of clock \(entry.clock)")
            }
            var outcomes: [Outcome] = []
            let fault = machine.apply(
                index: entry.index, time: entry.time, clock: clock,
                operations: unsafe entry.payload.span.bytes, on: shards, outcomes: &outcomes)
            if let fault { return unknown(fault.description) }
        default: return unknown("it is of kind \(entry.kind.rawValue)")
        }
        consensus = ConsensusMachine(lastTerm: entry.term, lastIndex: entry.index)
        return nil
    }

    /// Where the group's log ends, as far as it is durable and applied.
    var appliedIndex: LogIndex { machine.applied }

    /// The group's log time; nil where nothing has set it.
    var logTime: LogTime? { machine.now == LogTime(0) ? nil : machine.now }

    /// Has the group's log go on above `floor`, where it ends below: everything up to there may be
    /// in use at other nodes, from a log that was lost. After `open`, before `run`.
    func rise(to floor: LogIndex) async throws(LogError) {
        guard let log, machine.applied < floor else { return }
        mark(.groupRisen)
        try await log.append([
            LogEntry(
                group: id, term: consensus.term, index: floor, kind: .rebase,
                clock: entryClock.rawValue, time: machine.now, payload: [])
        ])
        noteLoss(upTo: floor)
        machine.skip(to: floor)
        consensus.skip(to: floor)
    }

    private func noteLoss(upTo floor: LogIndex) {
        if lost.upTo == .zero { lost.after = machine.applied }
        lost.upTo = floor
    }

    /// Whether an entry that a session has seen is in what was applied. False for one of a log that
    /// was lost, and for all between two losses.
    func includes(_ seen: LogIndex) -> Bool {
        seen <= lost.after || seen > lost.upTo && seen <= machine.applied
    }

    /// Recovery is over: from here on entries go to `log`.
    func open(_ log: WriteAheadLog) {
        self.log = log
        Rules.endReplay(of: self)
        noteMemory()
    }
}
