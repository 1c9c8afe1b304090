// Segments: the next one is made ready while this one fills, and old ones go when snapshots cover
// them.
//
//   none ──── the first frame of a segment is durable ────▶ preparing ────▶ ready ────▶ in use
//
// Preparing means a file of written zeros, synced, with its name synced. A structured child task of
// the node, `keepSegmentReady`, does it on the other disk thread, so that an append waits for it
// only if a whole segment fills faster than zeros can be written, or if nobody runs the task.
//
// Preparing starts only after the first frame of the segment before is durable, so that a file's
// existence proves that frame (LogRecovery).

internal import KithBytes
internal import KithPorts

extension WriteAheadLog {
    /// Keeps the next segment ready until the log is closed or fails; run it as a child task beside
    /// whatever uses the log. Cancelling does nothing: `close` ends it. One at a time.
    public func keepSegmentReady() async {
        precondition(preparer == nil, "two tasks keep segments ready")
        while state == .open {
            await withCheckedContinuation { continuation in
                if state != .open || shouldPrepare {
                    continuation.resume()
                } else {
                    preparer = continuation
                }
            }
            guard state == .open, shouldPrepare else { continue }
            wantsSegment = false
            prepared = .preparing
            await prepareAhead()
        }
    }

    private var shouldPrepare: Bool {
        guard wantsSegment, offset > 0, case .none = prepared else { return false }
        return true
    }

    /// Why ingest is refused; nil where it is taken. As of the last look at the disk: one a
    /// segment, and each `refreshFreeBytes`.
    public var roomProblem: LogRoomProblem? {
        if let roomError { return .unknown(roomError) }
        if freeBytes < options.reserveBytes { return .nearlyFull }
        return segmentError.map { .noSegment($0) }
    }

    /// Whether ingest is refused: too little room is left on the disk, nobody can say how much, or
    /// no next segment could be made.
    var isNearlyFull: Bool { roomProblem != nil }

    /// Bytes that may still be written to the disk, as of the last look; nil where that could not
    /// be read.
    public var bytesFree: UInt64? { roomError == nil ? freeBytes : nil }

    /// Looks how much room the disk has, and has a segment that could not be made tried again. A
    /// disk that does not answer counts as full. Call it every second or so.
    public func refreshFreeBytes() async {
        await lookAtRoom()
        if segmentError != nil { wantNextSegment() }
    }

    func wantNextSegment() {
        wantsSegment = true
        wakePreparer()
    }

    /// Has `keepSegmentReady` look what there is to do.
    func wakePreparer() {
        guard let waiting = preparer else { return }
        preparer = nil
        waiting.resume()
    }

    private func prepareAhead() async {
        do throws(DiskError) {
            try await prepare()
            segmentError = nil
        } catch {
            mark(.logSegmentNotMade)
            // Not fatal yet: it is tried again when the segment is needed, and ingest stops now.
            segmentError = error
        }
        await lookAtRoom()
    }

    private func lookAtRoom() async {
        do throws(DiskError) {
            freeBytes = try await disk.freeBytes()
            roomError = nil
        } catch {
            mark(.logRoomUnknown)
            roomError = error
        }
    }

    /// Makes the segment after the last one in use. The caller has set `prepared` to `preparing`,
    /// in the step in which it saw `none`.
    private func prepare() async throws(DiskError) {
        defer {
            let waiting = preparedWaiters
            preparedWaiters.removeAll()
            for waiter in waiting { waiter.resume() }
        }
        let segment = segments.last?.segment.next ?? SegmentID(1)
        do throws(DiskError) {
            prepared = .ready(try await makeZeros(LogFormat.path(of: segment)))
        } catch {
            prepared = .none
            throw error
        }
    }

    private func makeZeros(_ path: String) async throws(DiskError) -> any DiskFile {
        let zeros = try await disk.open(path, create: true, lane: .other)
        if try await zeros.size() > 0 {
            mark(.logSegmentMadeAgain)
            try await zeros.truncate(to: 0)
        }
        var size = 0
        while size < options.segmentBytes {
            size = min(size + Self.zeroStepBytes, options.segmentBytes)
            try await zeros.extendWithZeros(to: UInt64(size))
        }
        await zeros.close()
        try await disk.syncDirectory(LogFormat.folder)
        return try await disk.open(path, create: false, lane: .log)
    }

    /// Zeros are written in steps, so that other work gets its turn on the disk thread.
    private static var zeroStepBytes: Int { 8 << 20 }

    /// The file that the next frame of `byteCount` bytes goes to, after a change of segments if the
    /// present one has no room. Called by the append that has the disk only.
    func fileWithRoom(
        for byteCount: Int
    ) async throws(DiskError) -> (any DiskFile, SegmentSummary) {
        if let file, let last = segments.last {
            let header = offset == 0 ? LogFormat.segmentHeaderBytes : 0
            if UInt64(offset + header + byteCount) <= last.byteCount { return (file, last) }
        }
        let next = try await takePrepared()
        if let file {
            mark(.logSegmentRolled)
            await file.close()
        }
        let summary = SegmentSummary(
            segment: segments.last?.segment.next ?? SegmentID(1),
            byteCount: UInt64(options.segmentBytes))
        segments.append(summary)
        file = next
        offset = 0
        return (next, summary)
    }

    private func takePrepared() async throws(DiskError) -> any DiskFile {
        while true {
            switch prepared {
            case .ready(let file):
                prepared = .none
                return file
            case .preparing:
                mark(.logSegmentAwaited)
                await waitForPrepared()
            case .none:
                wantsSegment = false
                prepared = .preparing
                try await prepare()
                segmentError = nil
            }
        }
    }

    private func waitForPrepared() async {
        await withCheckedContinuation { continuation in
            if case .preparing = prepared {
                preparedWaiters.append(continuation)
            } else {
                continuation.resume()
            }
        }
    }

    func closeFiles() async {
        wakePreparer()
        while case .preparing = prepared { await waitForPrepared() }
        if case .ready(let next) = prepared {
            prepared = .none
            await next.close()
        }
        if let open = file {
            file = nil
            await open.close()
        }
    }

    /// Removes the oldest segments whose entries all lie at or below `floors`, the index per group
    /// that a durable snapshot covers, and returns how many went. A group without a floor keeps its
    /// segments. The segment in use stays.
    ///
    /// The cut is logged before the first file goes, so that a file lost later is still missed.
    /// Throws `disk` if a file cannot be removed; the next call, or the next open, removes it.
    @discardableResult
    func removeSegments(coveredBy floors: [GroupID: LogIndex]) async throws(LogError)
        -> Int
    {
        switch state {
        case .open: break
        case .closed: throw .closed
        case .failed(let error): throw .failed(error)
        }
        guard !isRemoving else { return 0 }
        isRemoving = true
        defer { isRemoving = false }
        let covered = segments.dropLast().prefix { segment in
            segment.greatest.allSatisfy { group, index in index <= floors[group] ?? .zero }
        }
        guard let last = covered.last else { return 0 }

        if oldestSegment <= last.segment {
            mark(.logSegmentsRemoved)
            oldestSegment = last.segment.next
            gather(
                LogEntry(
                    group: LogFormat.nodeGroup, term: Term(0),
                    index: LogIndex(oldestSegment.rawValue), kind: LogFormat.cutKind,
                    clock: 0, time: LogTime(0), payload: []))
            try await settle(upTo: lastGathered)
        }
        for segment in covered {
            try await orDisk { () async throws(DiskError) in
                let path = LogFormat.path(of: segment.segment)
                if try await disk.exists(path) { try await disk.remove(path) }
                try await disk.syncDirectory(LogFormat.folder)
            }
            segments.removeFirst()
        }
        return covered.count
    }
}
