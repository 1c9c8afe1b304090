internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithStorage

/// The wall time that the data folder saw last, noted at a start and every hour, by a clock that
/// nobody doubts once the others were asked: what the clock is compared with at the next start.
///
///     file `clock`, a durable cell: version u8 (1) · wall time i64, ms since 1970
///
/// Touched by its node only.
final class ClockNote: @unchecked Sendable {
    private let disk: any Disk
    private let loop: any Loop
    /// Of the boot clock, when the last note was made.
    private var notedAt: UInt64?

    static let file = FolderFile(path: "clock")
    private static let version: UInt8 = 1
    /// How far beyond the last entry or note a clock may be at a start, in milliseconds.
    static let startMillisMax: Int64 = 30 * 86_400_000
    /// From one note to the next, in nanoseconds of the boot clock.
    static let noteNanoseconds: UInt64 = 3_600_000_000_000

    init(disk: any Disk, loop: any Loop) {
        self.disk = disk
        self.loop = loop
    }

    /// Refuses a start whose clock is too far beyond the last note, and the last entry where its
    /// time is a wall time. A first start has nothing to compare with.
    func judgeStart(
        at wall: LogTime, lastEntry: LogTime?, isAccepted: Bool
    ) async throws(NodeError) {
        let noted = try await load()
        guard let last = [noted, lastEntry].compactMap({ $0 }).max(), !isAccepted else { return }
        let (bound, overflow) = last.rawValue.addingReportingOverflow(Self.startMillisMax)
        if !overflow, wall.rawValue > bound {
            mark(.clockTooFarAtStart)
            throw .clock(wall: wall.rawValue, last: last.rawValue)
        }
    }

    private func load() async throws(NodeError) -> LogTime? {
        try await Self.file.load(disk, loop) { bytes throws(ByteError) in
            var reader = unsafe ByteReader(bytes.span.bytes)
            let version = try reader.u8()
            guard version == Self.version else { throw .unknownTag(version, offset: 0) }
            let wall = LogTime(try reader.i64())
            guard reader.isAtEnd else { throw .malformed(offset: reader.offset) }
            return wall
        }
    }

    /// Notes the time; durable when it returns.
    private func store(_ wall: LogTime) async throws(NodeError) {
        var writer = ByteWriter()
        writer.u8(Self.version)
        writer.i64(wall.rawValue)
        try await Self.file.store(writer.bytes, disk, loop)
    }

    /// Notes the time where the last note of this life is an hour old, or there is none; durable
    /// when it returns.
    func storeIfDue(_ wall: LogTime, boot: UInt64) async throws(NodeError) {
        if let notedAt, boot &- notedAt < Self.noteNanoseconds { return }
        notedAt = boot
        try await store(wall)
    }
}
