internal import KithBytes
internal import KithConsensus
internal import KithCore
internal import KithStorage
internal import KithWire

// Forwards that a group has lost with its log: what others know of them, and how they come back.

extension Group {
    /// One step of another node's search; nil where the group stops, or its log takes nothing now.
    func answer(_ request: PeerForwards) async -> PeerForwardsReply? {
        switch request.step {
        case .begin:
            machine.beginWatch(request.search, of: request.lost.map(\.group))
            guard await hear(request.lost) else { return nil }
            return .found([], next: nil)
        case .scan:
            let (forwards, next) = lostForwards(
                of: request.lost.map(\.group), from: request.cursor)
            return .found(forwards, next: next)
        case .noted:
            let start = Int(clamping: request.cursor)
            guard
                let (forwards, isAll) = machine.noted(
                    for: request.search, from: start, limit: tuning.forwardsGoal)
            else {
                mark(.groupWatchGone)
                return .unknownSearch
            }
            return .found(forwards, next: isAll ? nil : UInt64(start + forwards.count))
        }
    }

    /// Logs the settled marks of groups that lost their log. An absorb of the lost log that is in
    /// line before them is noted; one that comes after them is stale. A group that does not run yet
    /// has nothing in line, and nobody's connection.
    private func hear(_ lost: [PeerForwards.LostGroup]) async -> Bool {
        guard isRunning else { return true }
        var marks = Array(repeating: OperationIndex.none, count: machine.table.groupCount)
        for entry in lost where Int(entry.group.rawValue) < marks.count && entry.group != id {
            marks[Int(entry.group.rawValue)] = entry.mark
        }
        // What is in line is stale then, or of a later seal.
        if zip(marks, machine.marks).allSatisfy({ $0 <= $1 }) { return true }
        var operations = OperationWriter()
        operations.marks(marks)
        return await logForAnswer(operations) == nil
    }

    /// For the others: what was sealed before the loss is settled once the search is over, since
    /// what is sealed still is sealed anew.
    var lostGroup: PeerForwards.LostGroup {
        PeerForwards.LostGroup(
            group: id, mark: OperationIndex(entry: machine.applied.next, ordinal: 0))
    }

    /// One step of a scan.
    func lostForwards(
        of lost: [GroupID], from cursor: UInt64
    ) -> (forwards: [LostForward], next: UInt64?) {
        machine.lostForwards(
            of: lost, from: cursor, slotsMax: tuning.scanStep, goal: tuning.forwardsGoal,
            on: shards)
    }

    /// Records that one step of a scan looks at.
    static let scanStep = 16_384

    /// Whether Forwards are to be restored: a loss was logged, and nothing since that says so.
    var lacksForwards: Bool { machine.lost != nil }

    /// Restores those that are this group's and lost; how many. Durable when it returns. After
    /// `open`, before `run`.
    func restore(_ forwards: [LostForward]) async throws(LogError) -> Int {
        var operations = OperationWriter()
        for forward in forwards where machine.isLost(forward, on: shards) {
            operations.restore(forward)
        }
        let count = operations.count
        if count > 0 { try await logBeforeRun(operations) }
        return count
    }

    /// All that could be found is restored.
    func endRestoring() async throws(LogError) {
        var operations = OperationWriter()
        operations.restored()
        try await logBeforeRun(operations)
        noteMemory()
    }

    private func logBeforeRun(_ operations: OperationWriter) async throws(LogError) {
        guard let log else { preconditionFailure("logged before open") }
        let place = consensus.propose()
        let entry = LogEntry(
            group: id, term: place.term, index: place.index, kind: .normal,
            clock: entryClock.rawValue, time: machine.now, payload: operations.bytes)
        try await log.append([entry])
        consensus.becameDurable(through: entry.index)
        var outcomes: [Outcome] = []
        let fault = machine.apply(
            index: entry.index, time: entry.time, clock: entryClock,
            operations: unsafe entry.payload.span.bytes, on: shards, outcomes: &outcomes)
        precondition(fault == nil, "an operation of this program's own")
    }
}
