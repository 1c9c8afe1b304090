#if KITH_PLANTED
internal import KithBytes
internal import KithStorage

// Restarts of a group with a planted fault.

extension Group {
    /// Applies each entry when the next one is there, so that the last one is known.
    func replayLate(_ entry: LogEntry) -> NodeError? {
        if let late, let error = replayNow(late) { return error }
        late = entry
        return nil
    }

    func replayLast() {
        guard let last = late else { return }
        late = nil
        _ = replayNow(
            LogEntry(
                group: last.group, term: last.term, index: last.index, kind: last.kind,
                clock: last.clock, time: last.time,
                payload: planted(.lastEntrySkipped) ? [] : last.payload + last.payload))
    }
}
#endif
