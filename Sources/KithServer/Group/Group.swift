internal import KithBytes
internal import KithConsensus
internal import KithCore
internal import KithPorts
internal import KithStorage

/// One group on one node: puts operations into the log, applies what is committed, answers finds
/// and reads from applied state.
///
///     submit ──▶ pending ──▶ entry ──▶ log (one append out, the next gathers) ──▶ apply ──▶ outcomes
///
/// State is touched only between two awaits. `run` is the one task that appends and applies, so
/// entries reach the log and the shards in the order of their indexes.
actor Group {
    nonisolated let id: GroupID
    nonisolated let loop: any Loop
    private nonisolated let table: GroupTable
    let clock: GuardedClock
    var log: WriteAheadLog?
    let entryClock: GroupMachine.EntryClock
    private let retentionMillis: Int64
    /// Told once what ended the group, unless the log itself failed and said so.
    private let onFailure: @Sendable (NodeError) -> Void
    let shards: ShardSet
    var machine: GroupMachine
    /// Drives the group's merges; what it asks for is sent by the `MergeCoordinator`.
    var driver: MergeDriver
    var consensus = ConsensusMachine(lastTerm: Term(0), lastIndex: .zero)
    /// Entries of a lost log: those behind the first that was kept, up to where the log went on.
    /// Of several losses, from the first to the last; zeros for none.
    var lost: (after: LogIndex, upTo: LogIndex) = (.zero, .zero)

    /// What merges and the node itself need logged, an element for each entry to be; then events.
    private var pending: [Pending] = []
    private var pendingIngest = Pending()
    private var pump = Doorbell()
    var mergeBell = Doorbell()
    /// The newest seal, and how many releases the driver left, when it made its last round.
    var seenSeal = OperationIndex.none
    var seenReleasing = 0
    var marksBell = Doorbell()
    /// What the log has been given and has not stored yet.
    private var appending: [Pending] = []
    var waits: [Wait] = []
    var waitsBell = Doorbell()
    /// Groups whose node does not answer the merge coordinator: a record that is sealed into one of
    /// them is not waited for.
    var silentGroups: Set<GroupID> = []
    private(set) var isStopped = false
    private(set) var isRunning = false
    var rate = RateMeter()
    private var isReclaiming = false
    private var reclaimedDay: Int64 = 0

    /// Of no use but to a build whose rules may be broken.
    var ruleNotes = Rules.GroupNotes()

    /// By default the constants below.
    let tuning: NodeTuning
    /// The node's, and this group's place in it.
    let memory: (gate: MemoryGate, place: Int)
    /// Bytes of events applied since the gate was told what the group holds.
    private var unnotedBytes = 0
    /// Why the log took no events when it last refused some.
    private var logShortage = Shortage.busy

    /// Bytes of operations that may wait for the log; above it `overloaded`.
    static let pendingBytesMax = 6 << 20
    /// The same for what merges and the node itself need, with events: only a peer that is none
    /// could come to it.
    static let pendingAllBytesMax = 64 << 20
    /// Bytes of operations that one entry gathers; a larger submission is an entry by itself.
    static let entryBytesGoal = 2 << 20
    /// Bytes of entries that one append takes beside events; what is more waits for the next.
    static let appendBytesGoal = 8 << 20
    /// Bytes of events that are applied at most before the gate is told what the group holds: to
    /// add it up takes as long as a few events.
    static let unnotedBytesMax = 256 << 10
    /// What a client is told to wait where the log refused.
    static let retryAfterMillis: UInt32 = 200
    /// The same where memory or disk must become free first.
    static let shortageMillis: UInt32 = 1_000
    /// Records that one reclaim operation handles at most.
    static let reclaimStep = 512
    /// Bytes of operations that one submission of a round has, or one operation.
    static let submissionBytesGoal = 4 << 20
    /// Merges of the group's records that are not at their end; beyond it events are `overloaded`,
    /// since each may begin another.
    static let sealedMax = 262_144
    /// Who may wait for sealed records at a time; one more is told at once that it is not free.
    static let waitsMax = 32_768
    /// Nanoseconds between two looks at the deadlines of waits.
    static let waitsNanoseconds: UInt64 = 50_000_000

    /// Somebody who waits for a sealed record.
    struct Wait {
        let leaf: LeafID
        /// In nanoseconds of the monotonic clock.
        let deadline: UInt64
        let continuation: CheckedContinuation<Bool, Never>
    }

    /// Submissions that go into the next entry together.
    struct Pending {
        var operations = OperationWriter()
        var submissions: [Submission] = []
        /// How many of the operations clients sent as events.
        var eventCount = 0
        var kind = LogEntryKind.normal

        var isEmpty: Bool { submissions.isEmpty }

        func hasRoom(for operations: OperationWriter, goal: Int) -> Bool {
            self.operations.byteCount + operations.byteCount <= goal
        }

        struct Submission {
            let count: Int
            let continuation: CheckedContinuation<SubmitAnswer, Never>?
        }
    }

    enum SubmitAnswer: Sendable {
        case applied([Outcome], LogIndex)
        case overloaded(retryAfterMillis: UInt32, shortage: Shortage = .busy)
        case unknown
    }

    init(
        id: GroupID, table: GroupTable, key: HashKey, loop: any Loop, clock: GuardedClock,
        entryClock: GroupMachine.EntryClock, retentionMillis: Int64, tuning: NodeTuning,
        memory: (gate: MemoryGate, place: Int),
        onFailure: @escaping @Sendable (NodeError) -> Void
    ) {
        self.id = id
        self.table = table
        let loop = loop.forActor()
        self.loop = loop
        self.clock = clock
        self.entryClock = entryClock
        self.retentionMillis = retentionMillis
        self.tuning = tuning
        self.memory = memory
        self.onFailure = onFailure
        shards = ShardSet(group: id, table: table, key: key, loop: loop)
        machine = GroupMachine(group: id, table: table)
        machine.setLimits(tuning)
        driver = MergeDriver(group: id, table: table)
        if let goal = tuning.mergeBytesGoal { driver.partBytesGoal = goal }
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    // MARK: Submitting

    /// Logs operations; answers with their outcomes once they are durable and applied.
    func submit(_ operations: OperationWriter, isIngest: Bool) async -> SubmitAnswer {
        if let fault = unsafe OperationFault(in: operations.bytes.span.bytes, of: id, table) {
            // In the log it would stop this node at every start.
            mark(fault.reason == .otherGroup ? .groupOtherGroup : .groupMalformed)
            return .applied(
                Array(repeating: .malformed, count: operations.count), machine.applied)
        }
        if isStopped {
            mark(.groupStopped)
            return .unknown
        }
        return await withCheckedContinuation { continuation in
            // Again: a task of another loop may be suspended on its way in here, and the group stop
            // meanwhile; then nobody answers.
            if Rules.turnsAway(isStopped: isStopped) {
                mark(.groupStopped)
                continuation.resume(returning: .unknown)
            } else if isIngest, memory.gate.isFull {
                mark(.groupMemoryFull)
                continuation.resume(
                    returning: .overloaded(
                        retryAfterMillis: Self.shortageMillis, shortage: .memory))
            } else if pendingBytes + operations.byteCount
                > (isIngest ? tuning.pendingBytesMax : tuning.pendingAllBytesMax)
            {
                mark(.groupOverloaded)
                continuation.resume(returning: .overloaded(retryAfterMillis: 50))
            } else if isIngest, machine.sealed.count >= tuning.sealedMax {
                mark(.groupMergesFull)
                continuation.resume(
                    returning: .overloaded(retryAfterMillis: Self.retryAfterMillis))
            } else {
                enqueue(operations, continuation, isIngest: isIngest)
            }
        }
    }

    var pendingBytes: Int {
        pending.reduce(pendingIngest.operations.byteCount) { $0 + $1.operations.byteCount }
    }

    /// Operations that are not durable, for who looks on.
    var unloggedOperations: [OperationWriter] {
        (appending + pending + [pendingIngest]).map(\.operations)
    }

    private func enqueue(
        _ operations: OperationWriter, _ continuation: CheckedContinuation<SubmitAnswer, Never>?,
        isIngest: Bool
    ) {
        let submission = Pending.Submission(
            count: operations.count, continuation: continuation)
        if isIngest {
            pendingIngest.operations.append(operations)
            pendingIngest.eventCount += operations.count
            pendingIngest.submissions.append(submission)
        } else {
            // An entry holds whole submissions and stays far below what the log takes.
            if pending.last.map({
                $0.kind != .normal || !$0.hasRoom(for: operations, goal: tuning.entryBytesGoal)
            }) ?? true {
                pending.append(Pending())
            }
            pending[pending.count - 1].operations.append(operations)
            pending[pending.count - 1].submissions.append(submission)
        }
        pump.ring()
    }

    /// Appends and applies until `stop`. The entry that opens the term comes first; with one voter
    /// it is what makes this node the leader.
    func run() async {
        isRunning = true
        var opening = OperationWriter()
        opening.settings(retentionMillis: retentionMillis)
        var first = Pending()
        first.kind = .opening
        first.operations = opening
        first.submissions = [Pending.Submission(count: opening.count, continuation: nil)]
        pending.insert(first, at: 0)
        while !isStopped {
            if pending.isEmpty && pendingIngest.isEmpty {
                await withCheckedContinuation { pump.wait($0) }
                continue
            }
            await step()
        }
        finishAll()
    }

    /// Takes what waits into one append: what merges need first, then events.
    private func step() async {
        var work: [Pending] = []
        var byteCount = 0
        for entry in pending {
            byteCount += entry.operations.byteCount
            if !work.isEmpty, byteCount > Self.appendBytesGoal { break }
            work.append(entry)
        }
        pending.removeFirst(work.count)
        let ingest = pendingIngest
        pendingIngest = Pending()
        let batches = work + [ingest].filter { !$0.isEmpty }
        guard await !append(batches, isIngest: !ingest.isEmpty) else { return }
        // Refused, and nothing stored: events wait outside, merges may use the reserve.
        answer(
            [ingest],
            .overloaded(
                retryAfterMillis: logShortage == .busy
                    ? Self.retryAfterMillis : Self.shortageMillis, shortage: logShortage))
        guard !work.isEmpty else { return }
        mark(.groupReserveUsed)
        if await !append(work, isIngest: false) {
            answer(work, .overloaded(retryAfterMillis: Self.retryAfterMillis))
        }
    }

    /// False where the log refused the entries before storing anything.
    private func append(_ batches: [Pending], isIngest: Bool) async -> Bool {
        guard let log else { preconditionFailure("run before open") }
        let (now, standing) = clock.timeAndStanding()
        // The clock is doubted since the events came: none of them is moved to another time, nor
        // judged by one that stamps cannot raise.
        if isIngest, standing != .sound {
            mark(.clockRefuses)
            logShortage = .busy
            return false
        }
        let before = consensus.last
        var batches = batches
        let entries = Rules.propose(&batches, at: now, in: self)
        if batches.count > 1 { mark(.groupEntriesTogether) }
        appending = batches
        defer { appending = [] }
        do throws(LogError) {
            try await log.append(entries, isIngest: isIngest)
        } catch {
            switch error {
            case .overloaded, .diskNearlyFull:
                mark(.groupLogRefused)
                if case .diskNearlyFull = error { logShortage = .disk } else { logShortage = .busy }
                Rules.withdraw(&consensus, after: before)
                return false
            default:
                mark(.groupLogFailed)
                // Stored or not is not known. The node stops, and says why.
                answer(batches, .unknown)
                if !isStopped { tell(error) }
                stop()
                return true
            }
        }
        for (entry, batch) in zip(entries, batches) { Rules.commit(entry, batch, in: self) }
        return true
    }

    /// Each batch as an entry, in its place.
    func propose(_ batches: [Pending], at now: LogTime) -> [LogEntry] {
        batches.map { batch in
            let place = consensus.propose()
            return LogEntry(
                group: id, term: place.term, index: place.index, kind: batch.kind,
                clock: entryClock.rawValue, time: now, payload: batch.operations.bytes)
        }
    }

    private func tell(_ error: LogError) {
        switch error {
        case .failed, .closed: break  // the log has told, or the node stops
        default: onFailure(.log(error))
        }
    }

    private func answer(_ batches: [Pending], _ answer: SubmitAnswer) {
        for batch in batches {
            for submission in batch.submissions {
                submission.continuation?.resume(returning: answer)
            }
        }
    }

    func apply(_ entry: LogEntry, _ batch: Pending) {
        var outcomes: [Outcome] = []
        outcomes.reserveCapacity(batch.operations.count)
        rate.count(batch.eventCount, at: clock.monotonicNanoseconds())
        let fault = machine.apply(
            index: entry.index, time: entry.time, clock: entryClock,
            operations: unsafe entry.payload.span.bytes, on: shards, outcomes: &outcomes)
        if let fault {
            answer([batch], .unknown)
            onFailure(.entryNotUnderstood(of: id, entry.index, fault.description))
            return stop()
        }
        var start = 0
        for submission in batch.submissions {
            let end = min(outcomes.count, start + submission.count)
            if let continuation = submission.continuation {
                let own = Rules.outcomes(start..<end, of: outcomes)
                continuation.resume(returning: .applied(own, entry.index))
            }
            start = end
        }
        afterApply(events: batch.eventCount == 0 ? nil : batch.operations.byteCount)
    }

    /// What applying may have set free or begun. `events` are the bytes of an entry of events,
    /// which set nothing free.
    private func afterApply(events: Int?) {
        unnotedBytes += events ?? Self.unnotedBytesMax
        if unnotedBytes >= Self.unnotedBytesMax {
            unnotedBytes = 0
            noteMemory()
        }
        if hasNewMergeWork { mergeBell.ring() }
        if machine.absorbsSinceMarks > 0 { marksBell.ring() }
        if !waits.isEmpty { answerWaits() }
        reclaim()
    }

    // MARK: Reclaiming

    /// Adds a step of reclaiming to the next entry while whole days have passed that it has not
    /// seen.
    private func reclaim() {
        let day = machine.now.rawValue / 86_400_000
        guard isReclaiming || day != reclaimedDay else { return }
        let context = machine.context()
        for shard in machine.table.shards(of: id)
        where shards.machine(shard).hasReclaimable(context) {
            var operations = OperationWriter()
            operations.reclaim(shard, limit: tuning.reclaimStep, exact: false)
            enqueue(operations, nil, isIngest: false)
            isReclaiming = true
            return
        }
        isReclaiming = false
        reclaimedDay = day
    }

    // MARK: Answering

    /// Carries out this group's part of a round. A sealed record is waited for until `deadline`
    /// (nanoseconds of the monotonic clock); without one it is reported as such at once.
    func perform(_ part: Round.Part, isIngest: Bool, deadline: UInt64?) async -> PartAnswer {
        var outcomes: [Outcome] = []
        var token = LogIndex.zero
        if !part.operations.isEmpty {
            for piece in part.operations.pieces(
                goal: tuning.submissionBytesGoal, runBytesMax: tuning.runBytesMax)
            {
                switch await submit(piece, isIngest: isIngest) {
                case .applied(let applied, let index):
                    if outcomes.isEmpty { outcomes = applied } else { outcomes += applied }
                    token = index
                case .overloaded(let retryAfter, let shortage):
                    if !outcomes.isEmpty { mark(.groupPieceFailed) }
                    // What an earlier piece has done is told; the rest is unknown to who asked.
                    if outcomes.isEmpty {
                        return .overloaded(retryAfterMillis: retryAfter, shortage: shortage)
                    }
                    return .answered(operations: outcomes, finds: [], waits: [], token: token)
                case .unknown:
                    if outcomes.isEmpty { return .unknown }
                    return .answered(operations: outcomes, finds: [], waits: [], token: token)
                }
            }
        }
        if let reason = await touch(part.finds) {
            guard outcomes.isEmpty, case .overloaded(let retryAfter) = reason else {
                return .unknown
            }
            return .overloaded(retryAfterMillis: retryAfter)
        }
        let context = machine.context()
        let finds = part.finds.map { request in
            shards.machine(request.record.shard).find(
                request.leaf, other: request.other, at: request.record, proof: request.proof,
                context)
        }
        var frees: [Bool] = []
        for leaf in part.waits {
            if let deadline {
                frees.append(await waitUntilFree(leaf, deadline))
            } else {
                frees.append(!isSealed(leaf))
            }
        }
        return .answered(operations: outcomes, finds: finds, waits: frees, token: token)
    }

    /// Logs what finds need logged before they are answered, all of it in one entry: that log time
    /// has reached their stamp, and that a profile past its retention is gone. Nil where that is
    /// done.
    private func touch(_ requests: [FindRequest]) async -> NotLogged? {
        var operations = OperationWriter()
        let context = machine.context()
        for request in requests {
            let isBehind = entryClock == .event && request.stamp > machine.now.rawValue
            if isBehind || shards.machine(request.record.shard).needsTouch(request.record, context)
            {
                operations.touch(request.record, stamp: request.stamp)
            }
        }
        if operations.isEmpty { return nil }
        mark(.groupTouched)
        return await logForAnswer(operations)
    }

    /// Reads one record, judged at the leader's time: where a profile expires between log time and
    /// now, that time is logged first, so that no later answer can be earlier. A sealed record is
    /// waited for until `deadline`. A profile of more than `bytesMax` bytes is not given, and its
    /// size told. Nil where the group stops.
    func read(
        _ leaf: LeafID, at record: LeafID, seen: LogIndex, atMost bytesMax: Int, deadline: UInt64
    ) async -> GroupRead? {
        guard includes(seen) else { return .unseen }
        if entryClock == .wall {
            let due = shards.machine(record.shard).expiresAt(record, machine.context())
            if Rules.mustLogTime(until: due, logTime: machine.now, now: clock.wallTime()) {
                mark(.groupTimeLogged)
                var operations = OperationWriter()
                operations.time()
                switch await logForAnswer(operations) {
                case nil: break
                case .overloaded(let retryAfter)?: return .busy(retryAfterMillis: retryAfter)
                case .stopping?: return nil
                }
            }
        }
        switch shards.machine(record.shard).read(
            leaf, at: record, byHint: false, machine.context(at: Rules.readTime(by: clock)))
        {
        case .profile(let profile):
            return profile.count <= bytesMax ? .profile(profile) : .tooLong(profile.count)
        case .none, .unknownFacet: return .absent
        case .moved(let parent): return Rules.answer(pointingTo: parent)
        case .sealed: break
        }
        guard await waitUntilFree(record, deadline) else {
            guard !isStopped, let winner = winner(of: record) else { return nil }
            mark(.groupReadWaits)
            return .waiting(for: winner)
        }
        return await read(
            leaf, at: record, seen: seen, atMost: bytesMax, deadline: deadline)
    }

    /// What one step of a read came to.
    enum GroupRead: Sendable {
        /// The encoding of the `Profile`.
        case profile([UInt8])
        /// There is one, of so many bytes.
        case tooLong(Int)
        case absent
        case moved(to: LeafID)
        /// Sealed, and its merge into that record has not come through by the deadline.
        case waiting(for: LeafID)
        /// Too much waits for the log, which has to know first what the time is.
        case busy(retryAfterMillis: UInt32)
        /// The entry that must be in the answer is none of the group's log.
        case unseen
    }

    /// Logs a stamp, so that the group is judged at that time from now on.
    func advance(to stamp: LogTime) async -> Bool {
        var operations = OperationWriter()
        operations.time(stamp: stamp.rawValue)
        if case .applied = await submit(operations, isIngest: false) { return true }
        return false
    }

    /// Whether the record is one of this group's.
    nonisolated func owns(_ leaf: LeafID) -> Bool { table.group(of: leaf) == id }

    // MARK: Stopping

    /// Ends `run`; what waits is answered `unknown`.
    func stop() {
        isStopped = true
        pump.ring()
        mergeBell.ring()
        marksBell.ring()
        waitsBell.ring()
    }

    private func finishAll() {
        answer(pending + [pendingIngest], .unknown)
        pending = []
        pendingIngest = Pending()
        for wait in waits { wait.continuation.resume(returning: false) }
        waits = []
    }
}
