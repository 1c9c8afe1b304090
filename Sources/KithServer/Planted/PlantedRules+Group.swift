#if KITH_PLANTED
internal import KithBytes
internal import KithConsensus
internal import KithCore
internal import KithPorts
internal import KithStorage

// MARK: Logging

extension PlantedRules {
    /// What the faults of one group must remember.
    struct GroupNotes {
        /// The last entry of the log, until it is known to be the last.
        var late: LogEntry?
        /// The totals that are answered for ever.
        var totals: Group.Totals?
    }

    static func turnsAway(isStopped: Bool) -> Bool {
        !planted(.latecomersUnheard) && PlainRules.turnsAway(isStopped: isStopped)
    }

    static func propose(
        _ batches: inout [Group.Pending], at now: LogTime, in group: isolated Group
    ) -> [LogEntry] {
        let entries = PlainRules.propose(&batches, at: now, in: group)
        guard planted(.answeredBeforeSync) else { return entries }
        for place in batches.indices {
            group.apply(entries[place], batches[place])
            batches[place].submissions = []
        }
        return entries
    }

    static func commit(_ entry: LogEntry, _ batch: Group.Pending, in group: isolated Group) {
        if planted(.answeredBeforeSync) {
            group.consensus.becameDurable(through: entry.index)
        } else {
            PlainRules.commit(entry, batch, in: group)
        }
    }

    static func withdraw(_ consensus: inout ConsensusMachine, after index: LogIndex) {
        if planted(.indexNotWithdrawn) || planted(.answeredBeforeSync) { return }
        PlainRules.withdraw(&consensus, after: index)
    }

    static func outcomes(_ range: Range<Int>, of entry: [Outcome]) -> [Outcome] {
        PlainRules.outcomes(range, of: planted(.outcomesSwapped) ? entry.reversed() : entry)
    }
}

// MARK: Reading

extension PlantedRules {
    static func mustLogTime(until due: LogTime?, logTime: LogTime, now: LogTime) -> Bool {
        !planted(.expiryByOwnClock)
            && PlainRules.mustLogTime(until: due, logTime: logTime, now: now)
    }

    static func readTime(by clock: any Clock) -> LogTime? {
        planted(.expiryByOwnClock) ? clock.wallTime() : PlainRules.readTime(by: clock)
    }

    static func totals(of group: isolated Group) -> Group.Totals {
        let totals = PlainRules.totals(of: group)
        guard planted(.totalsKept) else { return totals }
        group.ruleNotes.totals = group.ruleNotes.totals ?? totals
        return group.ruleNotes.totals ?? totals
    }
}

// MARK: Recovery

extension PlantedRules {
    static func replay(_ entry: LogEntry, in group: isolated Group) -> NodeError? {
        guard planted(.lastEntrySkipped) || planted(.lastEntryTwice) else {
            return PlainRules.replay(entry, in: group)
        }
        // Each when the next one is there, so that the last one is known.
        if let late = group.ruleNotes.late, let error = PlainRules.replay(late, in: group) {
            return error
        }
        group.ruleNotes.late = entry
        return nil
    }

    static func endReplay(of group: isolated Group) {
        if let last = group.ruleNotes.late {
            group.ruleNotes.late = nil
            let payload = planted(.lastEntrySkipped) ? [] : last.payload + last.payload
            _ = PlainRules.replay(
                LogEntry(
                    group: last.group, term: last.term, index: last.index, kind: last.kind,
                    clock: last.clock, time: last.time, payload: payload), in: group)
        }
        if planted(.sealedForgotten) { group.machine.forgetSealed() }
        PlainRules.endReplay(of: group)
    }
}
#endif
