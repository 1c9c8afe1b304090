internal import KithBytes
internal import KithConsensus
internal import KithCore
internal import KithStorage

// A group before it serves: the entries that its log holds are applied again.

extension Group {
    /// Applies an entry found in the log at start. False where it cannot follow what was applied.
    func replay(_ entry: LogEntry) -> Bool {
        #if KITH_PLANTED
        if planted(.lastEntrySkipped) || planted(.lastEntryTwice) { return replayLate(entry) }
        #endif
        return replayNow(entry)
    }

    func replayNow(_ entry: LogEntry) -> Bool {
        if entry.kind == .rebase {
            guard entry.index > machine.applied else { return false }
            machine.skip(to: entry.index)
            consensus = ConsensusMachine(lastTerm: entry.term, lastIndex: entry.index)
            return true
        }
        guard entry.index == machine.applied.next,
            let clock = GroupMachine.EntryClock(rawValue: entry.clock)
        else { return false }
        var outcomes: [Outcome] = []
        machine.apply(
            index: entry.index, time: entry.time, clock: clock,
            operations: unsafe entry.payload.span.bytes, on: shards, outcomes: &outcomes)
        consensus = ConsensusMachine(lastTerm: entry.term, lastIndex: entry.index)
        return true
    }

    /// Where the group's log ends, as far as it is durable and applied.
    var appliedIndex: LogIndex { machine.applied }

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
        machine.skip(to: floor)
        consensus.skip(to: floor)
    }

    /// Recovery is over: from here on entries go to `log`.
    func open(_ log: WriteAheadLog) {
        self.log = log
        #if KITH_PLANTED
        replayLast()
        if planted(.sealedForgotten) { machine.forgetSealed() }
        #endif
        machine.rebuildWork(on: shards)
    }
}
