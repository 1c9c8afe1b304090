// Reading a log back. First everything is read and judged, and nothing is written; only a log that
// is whole or has a torn tail is then repaired.
//
//   segments   f     f+1    …    a         a+1
//              full  full        the end   prepared: zeros, or torn while it was made
//
// The judgement rests on three facts about how the log is written:
//   1. frame n+1 is written only after frame n was synced,
//   2. a segment's header is written together with its first frame,
//   3. the file of segment n+1 is made only after the first frame of segment n was synced.
// So a bad place is a torn write only if nothing later was ever written; any later frame, header or
// file proves that what is bad was durable once, and the log is corrupt.
//
// And no frame may be missing up to where the log was last closed cleanly (`LogEnd`).
//
// The last frame may be in the page cache only, if the process died because a sync had failed. So
// it is written once more before anything is promised on top of it, and a prepared segment is made
// anew.

internal import KithBytes
internal import KithPorts

/// What is known of a segment in use.
struct SegmentSummary {
    let segment: SegmentID
    let byteCount: UInt64
    /// The greatest index of each group in it.
    var greatest: [GroupID: LogIndex] = [:]

    var path: String { LogFormat.path(of: segment) }

    mutating func include(_ other: [GroupID: LogIndex]) {
        greatest.merge(other) { max($0, $1) }
    }
}

/// The log as recovery leaves it to the actor.
struct RecoveredLog: Sendable {
    /// The segments in use, oldest first; empty for a new log.
    var segments: [SegmentSummary] = []
    /// The file of the last of them.
    var file: (any DiskFile)?
    /// Where the next frame goes in it.
    var offset = 0
    var nextSequence = LogSequence(1)
    var oldestSegment = SegmentID(1)
    /// Of the segments there are; drawn anew for a new log.
    var logID: LogID
    var report = RecoveryReport()
}

struct LogRecovery {
    let disk: any Disk
    let loop: any Loop
    let options: LogOptions

    /// Where the log was closed last.
    private var closed: LogEnd?
    private var log: RecoveredLog
    /// The segments' files, ascending and without a gap.
    private var files: [SegmentID] = []
    /// Valid frames of the segment read last.
    private var framesInSegment = 0
    /// Its last frame, with the header if that frame is the first: written again before use.
    private var suspect: (offset: Int, bytes: [UInt8]) = (0, [])
    /// Where its dirty bytes after the last frame end.
    private var tornEnd = 0
    /// The file after the last segment in use: prepared, or torn.
    private var spare: SegmentID?

    init(disk: any Disk, loop: any Loop, randomness: any Randomness, options: LogOptions) {
        log = RecoveredLog(logID: LogID(drawnFrom: randomness))
        self.disk = disk
        self.loop = loop
        self.options = options
    }

    /// Reads, judges, repairs. Entries go to `onEntry` in log order while reading, so a throw may
    /// come after some of them. Holds one segment in memory at a time.
    mutating func run(_ onEntry: (LogEntry) async -> Void) async throws(LogError) -> RecoveredLog {
        closed = try await LogEnd.load(disk, loop)
        try await findSegments()
        var place = 0
        while place < files.count, try await readSegment(at: place, onEntry) { place += 1 }
        try judgeOldest()
        try judgeEnd()
        try await repair()
        return log
    }

    // MARK: Reading

    private mutating func findSegments() async throws(LogError) {
        let disk = disk
        let names = try await orDisk { () async throws(DiskError) in
            try await disk.list(LogFormat.folder)
        }
        files = names.compactMap(LogFormat.segment(named:)).sorted()
        guard let first = files.first else {
            guard Rules.mayMakeLog(options, wasClosed: closed != nil) else {
                mark(.logMissing)
                throw .missing
            }
            mark(.logMade)
            log.report.isNew = true
            return
        }
        var expected = first
        for segment in files {
            guard segment == expected else {
                mark(.logSegmentMissing)
                throw .corrupt(segment: expected, offset: 0, reason: .missingSegment)
            }
            expected = expected.next
        }
    }

    private func open(_ segment: SegmentID) async throws(LogError) -> any DiskFile {
        try await orDisk { () async throws(DiskError) in
            try await disk.open(LogFormat.path(of: segment), create: false, lane: .log)
        }
    }

    private func readAll(_ file: any DiskFile, _ segment: SegmentID) async throws(LogError)
        -> [UInt8]
    {
        let size = try await orDisk { () async throws(DiskError) in try await file.size() }
        let limit = UInt64(LogFormat.segmentBytesMax)
        guard size <= limit else {
            throw .corrupt(
                segment: segment, offset: 0, reason: .size(found: size, expected: limit))
        }
        return try await orDisk { () async throws(DiskError) in
            try await file.read(at: 0, count: Int(size))
        }
    }

    /// Reads one segment; `false` if it is not in use, so that the log ends before it.
    private mutating func readSegment(
        at place: Int, _ onEntry: (LogEntry) async -> Void
    ) async throws(LogError) -> Bool {
        let segment = files[place]
        let file = try await open(segment)
        let bytes = try await readAll(file, segment)
        switch unsafe SegmentHeader.read(bytes.span.bytes) {
        case .otherVersion(let version):
            throw .unsupportedVersion(version, segment: segment)
        case .none:
            await file.close()
            try judgeSpare(bytes, at: place)
            return false
        case .header(let header):
            try judgeHeader(header, byteCount: bytes.count, at: place)
            if log.segments.isEmpty { log.logID = header.logID }
            await log.file?.close()
            log.file = file
            log.segments.append(
                SegmentSummary(segment: segment, byteCount: header.segmentBytes))
            log.oldestSegment = max(log.oldestSegment, header.oldestSegment)
            log.report.segments += 1
        }

        framesInSegment = 0
        log.offset = LogFormat.segmentHeaderBytes
        var last = 0..<LogFormat.segmentHeaderBytes
        while let (frame, entries) = try nextFrame(bytes, in: segment) {
            for entry in entries { try await take(entry, of: segment, onEntry) }
            last = (framesInSegment == 0 ? 0 : frame.offset)..<frame.end
            framesInSegment += 1
            log.offset = frame.end
            options.onProgress?((place * 1_000 + log.offset * 1_000 / bytes.count) / files.count)
            log.nextSequence = frame.sequence.next
            log.report.frames += 1
        }
        suspect = (last.lowerBound, Array(bytes[last]))
        try judgeTail(bytes, of: segment)
        return true
    }

    /// The frame at the present offset with its entries; `nil` where there is none.
    private func nextFrame(
        _ bytes: [UInt8], in segment: SegmentID
    ) throws(LogError) -> (LogFrame, [LogEntry])? {
        let span = unsafe bytes.span.bytes
        guard let frame = LogFrame.read(span, at: log.offset, of: log.logID) else { return nil }
        guard frame.segment == segment else {
            throw corrupt(segment, .wrongSegment(found: frame.segment))
        }
        guard frame.sequence == log.nextSequence else {
            throw corrupt(
                segment, .wrongSequence(found: frame.sequence, expected: log.nextSequence))
        }
        do throws(ByteError) {
            return (frame, try frame.entries(in: span))
        } catch {
            throw corrupt(segment, .content(error))
        }
    }

    private mutating func take(
        _ entry: LogEntry, of segment: SegmentID, _ onEntry: (LogEntry) async -> Void
    ) async throws(LogError) {
        guard !options.mustBeEmpty else {
            mark(.logUnowned)
            throw .notEmpty
        }
        guard entry.group != LogFormat.nodeGroup else {
            guard entry.kind == LogFormat.cutKind else {
                throw corrupt(segment, .content(.malformed(offset: log.offset)))
            }
            log.oldestSegment = max(log.oldestSegment, SegmentID(entry.index.rawValue))
            return
        }
        do throws(OrderFault) {
            try log.report.tails.take(entry)
        } catch {
            throw corrupt(segment, .order(error))
        }
        log.segments[log.segments.count - 1].include([entry.group: entry.index])
        log.report.entries += 1
        log.report.payloadBytes += entry.payload.count
        await onEntry(entry)
    }

    private func corrupt(_ segment: SegmentID, _ reason: Corruption) -> LogError {
        mark(.logCorrupt)
        return .corrupt(segment: segment, offset: UInt64(log.offset), reason: reason)
    }

    // MARK: Judging

    private mutating func judgeHeader(
        _ header: SegmentHeader, byteCount: Int, at place: Int
    ) throws(LogError) {
        let segment = files[place]
        func damaged(_ reason: Corruption) -> LogError {
            mark(.logHeaderCorrupt)
            return .corrupt(segment: segment, offset: 0, reason: reason)
        }
        guard header.segment == segment else {
            throw damaged(.wrongSegment(found: header.segment))
        }
        guard header.clusterDigest == options.clusterDigest else {
            mark(.logOfAnotherCluster)
            throw .otherCluster(segment: segment)
        }
        guard log.segments.isEmpty || header.logID == log.logID else { throw damaged(.otherLog) }
        guard UInt64(byteCount) == header.segmentBytes else {
            throw damaged(.size(found: UInt64(byteCount), expected: header.segmentBytes))
        }
        if place == 0 {
            if segment == SegmentID(1), header.firstSequence != log.nextSequence {
                throw damaged(
                    .wrongSequence(found: header.firstSequence, expected: log.nextSequence))
            }
            log.nextSequence = header.firstSequence
            return
        }
        if header.firstSequence > log.nextSequence {
            throw corrupt(
                files[place - 1],
                .frame(expected: log.nextSequence, later: header.firstSequence))
        }
        guard header.firstSequence == log.nextSequence else {
            throw damaged(.wrongSequence(found: header.firstSequence, expected: log.nextSequence))
        }
        try judgeFirstFrame(before: place)
    }

    /// The file at `place` exists, so the segment before it must hold a frame.
    private func judgeFirstFrame(before place: Int) throws(LogError) {
        guard place == 0 || framesInSegment > 0 else {
            throw corrupt(
                files[place - 1],
                .frameBeforeSegment(expected: log.nextSequence, later: files[place]))
        }
    }

    /// Looks beyond the last frame of a segment for one that was written later.
    private mutating func judgeTail(_ bytes: [UInt8], of segment: SegmentID) throws(LogError) {
        let span = unsafe bytes.span.bytes
        let later = SegmentScan.laterFrame(
            in: span, from: log.offset, inFlight: log.offset, segment: segment,
            expected: log.nextSequence, of: log.logID)
        if let later = Rules.proofOfDamage(later) {
            mark(.logMiddleCorrupt)
            throw corrupt(segment, .frame(expected: log.nextSequence, later: later.sequence))
        }
        tornEnd = SegmentScan.dirtyEnd(in: span, from: log.offset)
    }

    /// The file at `place` has no valid header: prepared, torn while it was made, or damaged.
    private mutating func judgeSpare(_ bytes: [UInt8], at place: Int) throws(LogError) {
        let segment = files[place]
        let damaged = LogError.corrupt(segment: segment, offset: 0, reason: .header)
        guard place == files.count - 1 else {
            mark(.logHeaderCorrupt)
            throw damaged
        }
        try judgeFirstFrame(before: place)
        let span = unsafe bytes.span.bytes
        let dirtyEnd = SegmentScan.dirtyEnd(in: span, from: 0)
        if place == 0 {
            guard segment == SegmentID(1) else {
                mark(.logSegmentMissing)
                throw .corrupt(segment: SegmentID(1), offset: 0, reason: .missingSegment)
            }
            // Without the header the log's id is lost, and its frames cannot be told. But the first
            // write of a log is a header and a seal: whatever has more was in use.
            guard dirtyEnd <= LogFormat.segmentHeaderBytes + LogFormat.frameOverheadBytes else {
                mark(.logHeaderCorrupt)
                throw damaged
            }
            guard options.mayCreate else { throw .missing }
            log.report.isNew = true
        } else {
            let framesBefore =
                log.segments[place - 1].byteCount / UInt64(LogFormat.frameOverheadBytes)
            let later = SegmentScan.laterFrame(
                in: span, from: 0, inFlight: LogFormat.segmentHeaderBytes, segment: segment,
                expected: log.nextSequence, of: log.logID, sequencesBefore: framesBefore)
            guard later == nil else {
                mark(.logHeaderCorrupt)
                throw damaged
            }
        }
        mark(dirtyEnd > 0 ? .logSpareTorn : .logSpareUnused)
        if dirtyEnd > 0 {
            log.report.tornTail = TornTail(
                segment: segment, offset: 0, byteCount: UInt64(dirtyEnd))
        }
        spare = segment
    }

    /// The oldest segment still needed must be there.
    private func judgeOldest() throws(LogError) {
        guard let first = log.segments.first, let last = log.segments.last else { return }
        guard first.segment <= log.oldestSegment, log.oldestSegment <= last.segment else {
            mark(.logSegmentMissing)
            throw .corrupt(segment: log.oldestSegment, offset: 0, reason: .missingSegment)
        }
    }

    /// All that there was at the last clean close must be there: behind it nothing was being
    /// written, so whatever looks like a torn write before it is none.
    private func judgeEnd() throws(LogError) {
        guard let closed, log.nextSequence <= closed.sequence else { return }
        mark(.logEndCorrupt)
        throw .corrupt(
            segment: log.segments.last?.segment ?? SegmentID(1), offset: UInt64(log.offset),
            reason: .frameBeforeEnd(expected: log.nextSequence, closed: closed.sequence))
    }

    // MARK: Repairing

    /// Everything here can be done again after a crash in the middle of it.
    private mutating func repair() async throws(LogError) {
        let disk = disk
        if files.isEmpty {
            try await orFailed { () async throws(DiskError) in
                if try await !disk.exists(LogFormat.folder) {
                    try await disk.makeDirectory(LogFormat.folder)
                }
                try await disk.syncDirectory(".")
            }
        }
        if let file = log.file, let last = log.segments.last {
            if tornEnd > log.offset {
                mark(framesInSegment == 0 ? .logFirstFrameTorn : .logTailTorn)
                log.report.tornTail = TornTail(
                    segment: last.segment, offset: UInt64(log.offset),
                    byteCount: UInt64(tornEnd - log.offset))
                log.offset = Rules.end(ofTornTail: log.offset..<tornEnd)
                try await zero(file, log.offset..<tornEnd)
            }
            let (offset, bytes) = suspect
            try await orFailed { () async throws(DiskError) in
                try await file.write(bytes, at: UInt64(offset), sync: true)
            }
        }
        // Even a spare that looks right may have its zeros in the page cache only.
        if let spare { try await remove(spare) }
        while let first = log.segments.first, first.segment < log.oldestSegment {
            mark(.logOldSegmentCut)
            try await remove(first.segment)
            log.segments.removeFirst()
        }
        try await orFailed { () async throws(DiskError) in
            try await disk.syncDirectory(LogFormat.folder)
        }
    }

    private func zero(_ file: any DiskFile, _ range: Range<Int>) async throws(LogError) {
        let step = 1 << 20
        try await orFailed { () async throws(DiskError) in
            for start in stride(from: range.lowerBound, to: range.upperBound, by: step) {
                let count = min(step, range.upperBound - start)
                try await file.write(
                    [UInt8](repeating: 0, count: count), at: UInt64(start), sync: false)
            }
            try await file.sync()
        }
    }

    /// One name at a time, so that the names on the disk never have a gap.
    private func remove(_ segment: SegmentID) async throws(LogError) {
        let disk = disk
        try await orFailed { () async throws(DiskError) in
            try await disk.remove(LogFormat.path(of: segment))
            try await disk.syncDirectory(LogFormat.folder)
        }
    }
}

/// Runs disk work whose failure leaves the log as it is.
func orDisk<T>(
    _ body: () async throws(DiskError) -> T
) async throws(LogError) -> T {
    do throws(DiskError) { return try await body() } catch { throw .disk(error) }
}

/// Runs disk work whose failure ends the log.
func orFailed<T>(
    _ body: () async throws(DiskError) -> T
) async throws(LogError) -> T {
    do throws(DiskError) { return try await body() } catch { throw .failed(error) }
}
