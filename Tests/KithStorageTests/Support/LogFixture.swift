// What the tests of the log share: entries whose content follows from their place, and opening.

import KithBytes
import KithPorts
import KithSimulation
import KithStorage

/// The entry at `index` of `group`; content and size follow from both.
func entry(_ group: UInt16, _ index: UInt64, size: Int? = nil, term: UInt64 = 1) -> LogEntry {
    var random = SplitMix(UInt64(group) << 32 | index)
    let count = size ?? Int(random.next() % 200)
    let place = littleEndian(random.next()).prefix(count)
    let payload = place + [UInt8](repeating: place.first ?? 0, count: count - place.count)
    return LogEntry(
        group: GroupID(group), term: Term(term), index: LogIndex(index),
        kind: LogEntryKind(UInt8(index % 200)), clock: UInt8(index % 256),
        time: LogTime(Int64(index % 1_000_000) * 1000),
        payload: Array(payload))
}

/// The id of every log in these tests is the bytes 0x61 to 0x68 and 0x71 to 0x78.
struct FixedRandomness: Randomness {
    private let words = Box<[UInt64]>([0x6867_6665_6463_6261, 0x7877_7675_7473_7271])
    func nextUInt64() -> UInt64 {
        words.update { $0.append($0.removeFirst()) }
        return words.get()[1]
    }
}

/// The id of those logs, as it lies in a header.
let fixedLogID: [UInt8] = Array(0x61...0x68) + Array(0x71...0x78)

func smallOptions(segmentBytes: Int = 4096) -> LogOptions {
    var options = LogOptions()
    options.segmentBytes = segmentBytes
    return options
}

/// Path of a segment, spelt out here so that the tests do not ask the code under test.
func path(_ segment: Int) -> String {
    let digits = String(segment)
    return "log/" + String(repeating: "0", count: 20 - digits.count) + digits + ".seg"
}

/// An open log with what recovery gave.
struct Opened: Sendable {
    let log: WriteAheadLog
    let report: RecoveryReport
    let entries: [LogEntry]
}

func open(
    _ disk: SimulatedDisk, _ loop: TestLoop, _ options: LogOptions = smallOptions(),
    onFailure: @escaping @Sendable (DiskError) -> Void = { _ in }
) async throws -> Opened {
    var entries: [LogEntry] = []
    let (log, report) = try await WriteAheadLog.open(
        disk: disk, loop: loop, randomness: FixedRandomness(), options: options,
        onFailure: onFailure
    ) { entries.append($0) }
    return Opened(log: log, report: report, entries: entries)
}

/// Opens on a loop of its own and returns what was recovered; the log is dropped without a close.
func recover(_ disk: SimulatedDisk, _ options: LogOptions = smallOptions()) throws -> Opened {
    let loop = TestLoop()
    return try loop.run { try await open(disk, loop, options) }
}

/// A disk with the entries appended one by one after each other, not closed.
func diskWith(
    _ entries: [LogEntry], options: LogOptions = smallOptions()
) throws -> SimulatedDisk {
    let disk = SimulatedDisk()
    let loop = TestLoop()
    try loop.run {
        let opened = try await open(disk, loop, options)
        for entry in entries { try await opened.log.append([entry]) }
    }
    return disk
}
