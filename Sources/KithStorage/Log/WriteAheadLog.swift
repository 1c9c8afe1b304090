// The one log of a node, shared by its groups.
//
//   append ──▶ gathering frames ──▶ write + fdatasync ──▶ appends return
//              [ … ][ … ][ … ]      one at a time
//
// No task of its own writes the log: the append that finds the disk idle writes, at once, what has
// gathered. When its own entries are durable it hands the disk over to the oldest append that still
// waits, and returns. So nothing ever waits for a timer, a frame grows only while the disk is busy,
// and a burst cannot make one caller work for all others for ever.
//
// Order: entries join the gathering frame in the order of the calls, frames are written in order,
// one in flight. So no entry is durable before an earlier one, and an append that returns has
// everything before it durable too.
//
// A write or sync that fails ends the log: after a failed fsync the kernel may drop the pages and
// call them clean, so trying again would acknowledge what is not there.

internal import KithBytes
public import KithPorts

/// The one log of a node; the comment above says how it writes.
public actor WriteAheadLog {
    public nonisolated let loop: any Loop
    public nonisolated let options: LogOptions
    nonisolated let disk: any Disk
    private nonisolated let logID: LogID
    let onFailure: @Sendable (DiskError) -> Void

    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    enum State: Equatable {
        case open
        case closed
        case failed(DiskError)
    }
    var state = State.open

    // What gathers.
    var tails: GroupTails
    /// Frames not yet being written, oldest first; the last one gathers.
    var gathering: [LogBatch] = []
    /// The sequence of the first of them.
    var nextSequence: LogSequence
    /// The last durable frame.
    var durable: LogSequence
    /// Entry bytes accepted and not yet durable.
    var waitingBytes = 0
    /// Whether some append has the disk.
    var isWriting = false
    /// Appends that wait for a frame.
    var waiters: [Waiter] = []

    // Where frames go.
    var segments: [SegmentSummary]
    var file: (any DiskFile)?
    var offset: Int
    var oldestSegment: SegmentID

    // The segment after this one, and room on the disk.
    var prepared = PreparedSegment.none
    var preparedWaiters: [CheckedContinuation<Void, Never>] = []
    /// `keepSegmentReady` waits here for something to do.
    var preparer: CheckedContinuation<Void, Never>?
    var wantsSegment = true
    var freeBytes = UInt64.max
    /// Why the last look did not tell.
    var roomError: DiskError?
    /// Why the next segment could not be made, when that was last tried.
    var segmentError: DiskError?
    var isRemoving = false

    /// An append that waits for a frame.
    struct Waiter {
        /// The frame with its last entry.
        let sequence: LogSequence
        let continuation: CheckedContinuation<Wake, Never>
    }

    enum Wake {
        case durable
        case failed(DiskError)
        /// The disk is yours: write until your entries are durable.
        case write
    }

    enum PreparedSegment {
        case none
        case preparing
        case ready(any DiskFile)
    }

    /// Opens the log in `log/` of the data folder, makes it where there is none, and recovers it.
    ///
    /// `onEntry` gets every entry in log order, one segment in memory at a time; entries that a
    /// later `rebase` voids are among them. `randomness` draws the id of a new log.
    /// Throws `corrupt` and leaves the disk untouched where durable bytes are damaged; what
    /// `onEntry` got before must be dropped then. `onFailure` is called once, on the loop, if a
    /// write or a sync fails later: the node should say so and exit.
    public static func open(
        disk: any Disk, loop: any Loop, randomness: any Randomness,
        options: LogOptions = LogOptions(),
        onFailure: @escaping @Sendable (DiskError) -> Void = { _ in },
        onEntry: (LogEntry) async -> Void
    ) async throws(LogError) -> (log: WriteAheadLog, report: RecoveryReport) {
        options.checkInvariants()
        var recovery = LogRecovery(
            disk: disk, loop: loop, randomness: randomness, options: options)
        let recovered = try await recovery.run(onEntry)
        let log = WriteAheadLog(
            recovered, disk: disk, loop: loop, options: options, onFailure: onFailure)
        await log.refreshFreeBytes()
        try await log.seal()
        return (log, recovered.report)
    }

    init(
        _ recovered: RecoveredLog, disk: any Disk, loop: any Loop, options: LogOptions,
        onFailure: @escaping @Sendable (DiskError) -> Void
    ) {
        self.disk = disk
        self.loop = loop.forActor()
        self.options = options
        self.onFailure = onFailure
        logID = recovered.logID
        tails = recovered.report.tails
        nextSequence = recovered.nextSequence
        durable = LogSequence(recovered.nextSequence.rawValue &- 1)
        segments = recovered.segments
        file = recovered.file
        offset = recovered.offset
        oldestSegment = recovered.oldestSegment
    }

    /// Bytes of the files of all segments in use.
    public var bytesUsed: UInt64 { segments.reduce(0) { $0 + $1.byteCount } }

    /// Entry bytes accepted and not yet durable; at most `options.waitingBytesMax`.
    var bytesWaiting: Int { waitingBytes }

    /// Where each group's log ends, entries that still wait included.
    var groupTails: GroupTails { tails }

    /// Stores the entries, in the order of the calls, and returns when all of them are durable.
    ///
    /// `isIngest` marks what may be refused when the disk is nearly full. `overloaded`,
    /// `diskNearlyFull`, `tooLarge`, `outOfOrder` and `closed` mean that nothing was stored;
    /// `failed` that it is not known. Entries of one append may be split over frames: after a crash
    /// without an answer a prefix of them may be there. Cancelling the task changes nothing.
    public func append(
        _ entries: [LogEntry], isIngest: Bool = false
    ) async throws(LogError) {
        try admit(entries, isIngest: isIngest)
        guard !entries.isEmpty else { return }
        for entry in entries { gather(entry) }
        try await settle(upTo: lastGathered)
    }

    /// Waits until all appends so far are durable, writes a seal, notes where the log ends and
    /// closes the files. Later appends throw `closed`. Safe to call twice. What kept the end from
    /// being noted: the log is as well closed, but the next open cannot tell that its end is gone.
    @discardableResult
    public func close() async -> CellError? {
        guard state == .open else {
            await closeFiles()
            return nil
        }
        state = .closed
        // The entries that the seal would vouch for are durable, or the log failed and said so.
        try? await seal()
        let error = await noteEnd()
        await closeFiles()
        return error
    }

    private func noteEnd() async -> CellError? {
        guard state == .closed, let last = segments.last else { return nil }
        let end = LogEnd(segment: last.segment, offset: UInt64(offset), sequence: durable)
        do throws(CellError) {
            try await end.store(disk, loop)
            return nil
        } catch {
            mark(.logEndNotNoted)
            return error
        }
    }

    /// Looks whether the files of all segments are there and as long as they were made. Ends the
    /// log where one is not: what it held is lost to the next start. Of the segment in use each
    /// write looks by itself, but at the file that it has, not at the name. A disk that does not
    /// answer proves nothing.
    public func checkFiles() async {
        let looked = segments
        guard state == .open, let sizes = try? await disk.sizes(of: looked.map(\.path)) else {
            return
        }
        for (segment, size) in zip(looked, sizes) where size ?? 0 < segment.byteCount {
            // An old one may have been removed by now.
            guard segments.contains(where: { $0.segment == segment.segment }), !isRemoving else {
                continue
            }
            mark(.logTakenAway)
            return fail(.takenAway(segment.path))
        }
    }

    /// Ends the log for a reason that lies beside it: nothing is acknowledged from now on.
    public func end(by error: DiskError) { fail(error) }

    // MARK: Gathering

    private func admit(_ entries: [LogEntry], isIngest: Bool) throws(LogError) {
        switch state {
        case .open: break
        case .closed:
            mark(.logAppendAfterClose)
            throw .closed
        case .failed(let error):
            mark(.logAppendAfterFailure)
            throw .failed(error)
        }
        var byteCount = 0
        var after = tails
        for entry in entries {
            guard entry.payload.count <= options.payloadBytesMax else {
                mark(.logEntryTooLarge)
                throw .tooLarge(byteCount: entry.payload.count, limit: options.payloadBytesMax)
            }
            precondition(entry.group != LogFormat.nodeGroup, "the log's own group")
            do throws(OrderFault) { try after.take(entry) } catch { throw .outOfOrder(error) }
            byteCount += entry.encodedBytes
        }
        guard byteCount <= options.waitingBytesMax else {
            throw .tooLarge(byteCount: byteCount, limit: options.waitingBytesMax)
        }
        guard waitingBytes + byteCount <= options.waitingBytesMax else {
            mark(.logOverloaded)
            throw .overloaded(waitingBytes: waitingBytes, limit: options.waitingBytesMax)
        }
        if isIngest, isNearlyFull {
            mark(.logNearlyFull)
            throw .diskNearlyFull(freeBytes: bytesFree ?? 0, reserve: options.reserveBytes)
        }
        if isNearlyFull { mark(.logReserveUsed) }
        tails = after
    }

    func gather(_ entry: LogEntry) {
        if gathering.isEmpty
            || !gathering[gathering.count - 1].hasRoom(for: entry, limit: options.batchBytes)
        {
            if !gathering.isEmpty { mark(.logFrameFull) }
            gathering.append(LogBatch(capacity: entry.encodedBytes))
        }
        if gathering[gathering.count - 1].count > 0 { mark(.logFrameShared) }
        gathering[gathering.count - 1].append(entry)
        waitingBytes += entry.encodedBytes
    }

    /// Writes an empty frame and waits for it and all before it.
    func seal() async throws(LogError) {
        gathering.append(LogBatch())
        try await settle(upTo: lastGathered)
    }

    /// The sequence of the frame that gathers.
    var lastGathered: LogSequence {
        LogSequence(nextSequence.rawValue &+ UInt64(gathering.count) &- 1)
    }

    // MARK: Writing

    /// Waits until the frame `last` is durable; writes up to it if nobody else writes.
    ///
    /// Who gathered something always comes here next, though perhaps not at once: every `await` may
    /// let others run first, so the decision is taken in one step inside the continuation.
    func settle(upTo last: LogSequence) async throws(LogError) {
        let wake = await withCheckedContinuation { continuation in
            if let wake = turn(of: last) {
                continuation.resume(returning: wake)
            } else {
                waiters.append(Waiter(sequence: last, continuation: continuation))
            }
        }
        switch wake {
        case .durable: return
        case .failed(let error): throw .failed(error)
        case .write: break
        }
        while durable < last {
            do throws(DiskError) {
                // The log may be ended between two writes (`end`).
                if case .failed(let error) = state { throw error }
                try await writeFirst()
            } catch {
                fail(error)
                throw .failed(error)
            }
        }
        handOver()
    }

    /// What an append whose last frame is `last` has to do now; `nil` to wait.
    private func turn(of last: LogSequence) -> Wake? {
        if durable >= last { return .durable }
        if case .failed(let error) = state { return .failed(error) }
        if isWriting { return nil }
        isWriting = true
        return .write
    }

    /// Writes and syncs the oldest gathered frame.
    private func writeFirst() async throws(DiskError) {
        let batch = gathering.removeFirst()
        let sequence = nextSequence
        nextSequence = sequence.next
        let entryBytes = batch.byteCount - LogFormat.frameOverheadBytes
        let greatest = batch.greatest
        let (file, segment) = try await fileWithRoom(for: batch.byteCount)

        var bytes = batch.finish(sequence: sequence, segment: segment.segment, of: logID)
        let isFirst = offset == 0
        if isFirst {
            let header = SegmentHeader(
                segment: segment.segment, firstSequence: sequence, oldestSegment: oldestSegment,
                segmentBytes: segment.byteCount, clusterDigest: options.clusterDigest,
                logID: logID)
            bytes = header.encode() + bytes
        }
        do throws(DiskError) {
            try await file.overwrite(
                bytes, at: UInt64(offset), ofSize: segment.byteCount, sync: Rules.syncsFrames)
        } catch {
            mark(error.isTakenAway ? .logTakenAway : .logWriteFailed)
            try Rules.writeFailed(error)
        }
        // The log was ended meanwhile: nobody is told that anything is stored.
        if case .failed(let error) = state { throw error }

        offset += bytes.count
        segments[segments.count - 1].include(greatest)
        waitingBytes -= entryBytes
        if isFirst { wantNextSegment() }
        durable = sequence
        wakeDurable()
    }

    private func wakeDurable() {
        let woken = waiters.filter { $0.sequence <= durable }
        waiters.removeAll { $0.sequence <= durable }
        for waiter in woken { waiter.continuation.resume(returning: .durable) }
    }

    /// Gives the disk to the append that waits for the earliest frame. With nobody waiting the disk
    /// is free: whoever has gathered meanwhile is on its way to `settle`.
    private func handOver() {
        guard
            let earliest = waiters.indices.min(by: {
                waiters[$0].sequence < waiters[$1].sequence
            })
        else {
            isWriting = false
            return
        }
        mark(.logHandedOver)
        waiters.remove(at: earliest).continuation.resume(returning: .write)
    }

    private func fail(_ error: DiskError) {
        if case .failed = state { return }
        state = .failed(error)
        gathering.removeAll()
        waitingBytes = 0
        let failed = waiters
        if !failed.isEmpty { mark(.logFailedOthers) }
        waiters.removeAll()
        for waiter in failed { waiter.continuation.resume(returning: .failed(error)) }
        wakePreparer()
        onFailure(error)
    }
}
