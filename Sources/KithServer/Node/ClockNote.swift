internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithStorage

// What the data folder remembers of time: what the clock is compared with at the next start.
//
//     file `clock`, a durable cell: version u8 (2) · wall time i64 · accepted log time i64
//                                   both in ms since 1970, 0 where there is none
//
// The wall time is noted at a start and every hour, by a clock that nobody doubts once the others
// were asked. The log time is noted where somebody started the node with a clock behind it and said
// that the clock is right: log time never goes back, so it stays ahead until the clock has come so
// far, and later starts need not be told again. Any other log time ahead of the clock is news.

/// The folder's note of time, and the judge of a clock at a start. Touched by its node only.
final class ClockNote: @unchecked Sendable {
    private let disk: any Disk
    private let loop: any Loop
    private var noted = Noted()
    /// Of the boot clock, when the last note was made.
    private var notedAt: UInt64?
    /// What is to be noted of this start; nil where that is nothing.
    private var accepted: Noted?

    static let file = FolderFile(path: "clock")
    private static let version: UInt8 = 2
    /// How far beyond the last entry or note a clock may be at a start, in milliseconds.
    static let startMillisMax: Int64 = 30 * 86_400_000
    /// From one note to the next, in nanoseconds of the boot clock.
    static let noteNanoseconds: UInt64 = 3_600_000_000_000

    private struct Noted {
        var wall: LogTime?
        var acceptedLogTime: LogTime?
    }

    /// What the node's clock is to be compared with while it runs.
    struct Seen: Equatable {
        /// The last time that the folder has seen; nil at a first start.
        var time: LogTime?
        /// The clock is too far behind that, and is right all the same.
        var isBehindAccepted = false
    }

    init(disk: any Disk, loop: any Loop) {
        self.disk = disk
        self.loop = loop
    }

    // MARK: At a start

    /// Refuses a start whose clock is too far beyond the last note, and the last entry where its
    /// time is a wall time. A first start has nothing to compare with. One whose clock is behind
    /// the note or the log time of a group may serve: what to compare it with is returned.
    /// `stepMillisMax`: how far behind needs no accepting. Changes nothing on the disk.
    func judgeStart(
        at wall: LogTime, lastEntry: LogTime?, logTime: LogTime?, stepMillisMax: Int64,
        isAccepted: Bool
    ) async throws(NodeError) -> Seen {
        noted = try await load()
        // The entries that open groups before the others' clocks are heard are of time 0, and tell
        // none: they may be all there is where a first start was killed at once.
        if let last = [noted.wall, lastEntry].compactMap({ $0 }).max(), last > LogTime(0),
            !isAccepted, Self.isBeyond(wall, last, byMoreThan: Self.startMillisMax)
        {
            mark(.clockTooFarAtStart)
            throw .clock(wall: wall.rawValue, last: last.rawValue)
        }
        var seen = Seen(time: [noted.wall, logTime].compactMap { $0 }.max())
        guard let time = seen.time, Self.isBeyond(time, wall, byMoreThan: stepMillisMax) else {
            return seen
        }
        if isAccepted {
            accepted = Noted(wall: wall, acceptedLogTime: logTime)
            seen.isBehindAccepted = true
        } else {
            let isNoteBehind =
                noted.wall.map { Self.isBeyond($0, wall, byMoreThan: stepMillisMax) } ?? false
            let isKnown = logTime ?? LogTime(0) <= noted.acceptedLogTime ?? LogTime(0)
            seen.isBehindAccepted = isKnown && !isNoteBehind
        }
        mark(seen.isBehindAccepted ? .clockBehindAccepted : .clockBehindAtStart)
        return seen
    }

    /// Has the folder remember what was accepted at this start; durable when it returns.
    func storeAccepted() async throws(NodeError) {
        if let accepted { try await store(accepted) }
    }

    private static func isBeyond(
        _ time: LogTime, _ other: LogTime, byMoreThan millis: Int64
    ) -> Bool {
        let (bound, overflow) = other.rawValue.addingReportingOverflow(millis)
        return !overflow && time.rawValue > bound
    }

    // MARK: On the disk

    private func load() async throws(NodeError) -> Noted {
        try await Self.file.load(disk, loop) { bytes throws(ByteError) in
            var reader = unsafe ByteReader(bytes.span.bytes)
            let version = try reader.u8()
            guard version == Self.version else { throw .unknownTag(version, offset: 0) }
            let wall = try reader.i64()
            let acceptedLogTime = try reader.i64()
            guard reader.isAtEnd else { throw .malformed(offset: reader.offset) }
            return Noted(
                wall: wall == 0 ? nil : LogTime(wall),
                acceptedLogTime: acceptedLogTime == 0 ? nil : LogTime(acceptedLogTime))
        } ?? Noted()
    }

    private func store(_ next: Noted) async throws(NodeError) {
        var writer = ByteWriter()
        writer.u8(Self.version)
        writer.i64(next.wall?.rawValue ?? 0)
        writer.i64(next.acceptedLogTime?.rawValue ?? 0)
        try await Self.file.store(writer.bytes, disk, loop)
        noted = next
    }

    /// Notes the time where the last note of this life is an hour old, or there is none; durable
    /// when it returns.
    func storeIfDue(_ wall: LogTime, boot: UInt64) async throws(NodeError) {
        if let notedAt, boot &- notedAt < Self.noteNanoseconds { return }
        notedAt = boot
        try await store(Noted(wall: wall, acceptedLogTime: noted.acceptedLogTime))
    }
}
