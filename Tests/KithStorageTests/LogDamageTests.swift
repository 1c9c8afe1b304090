// Damaged logs. Where frames lie is computed here from the documented format alone, and so is what
// recovery must say to damage at each byte.

import KithBytes
import KithPorts
import Testing

@testable import KithSimulation
@testable import KithStorage

/// Where a frame lies, and how many entries come before it.
struct FramePlace: Equatable {
    let segment: Int
    let range: Range<Int>
    let entriesBefore: Int
}

/// The documented layout of a log that was opened once and got each entry in an append of its own.
func layout(
    _ entries: [LogEntry], isClosed: Bool = false, segmentBytes: Int = 4096
) -> [FramePlace] {
    var sizes = [40] + entries.map { 40 + 32 + $0.payload.count }
    if isClosed { sizes.append(40) }
    var places: [FramePlace] = []
    var segment = 1
    var offset = 64
    for (frame, size) in sizes.enumerated() {
        if offset + size > segmentBytes {
            segment += 1
            offset = 64
        }
        places.append(
            FramePlace(
                segment: segment, range: offset..<(offset + size),
                entriesBefore: min(max(0, frame - 1), entries.count)))
        offset += size
    }
    return places
}

/// What recovery must make of one damaged byte.
enum Verdict: Equatable {
    /// An error, and the disk untouched.
    case corrupt
    /// Opens with so many entries; a tail was cut or not.
    case opens(entries: Int, isTorn: Bool)
}

/// The oracle: one byte at `offset` of `segment` was changed.
func verdict(
    _ places: [FramePlace], entries: Int, segment: Int, offset: Int, isClosed: Bool = false
) -> Verdict {
    guard let last = places.last else { return .corrupt }
    if let hit = places.first(where: { $0.segment == segment && $0.range.contains(offset) }) {
        // Only the very last frame can be a write that was never synced, and only after a crash.
        return hit == last && !isClosed
            ? .opens(entries: hit.entriesBefore, isTorn: true) : .corrupt
    }
    if offset < 64 { return .corrupt }  // a header with frames after it
    // Room after the last frame of a segment: it holds nothing. At the end of the log it is zeroed.
    return .opens(entries: entries, isTorn: segment == last.segment)
}

/// A base log and what is done to each of its bytes.
struct DamageCase: CustomTestStringConvertible, Sendable {
    let name: String
    let sizes: [Int]
    let isClosed: Bool
    let change: @Sendable (UInt8) -> UInt8
    var testDescription: String { name }
}

@Suite struct LogDamageTests {
    /// The last segment holds several frames, one frame, or only the seal of a close.
    static let cases: [DamageCase] = [
        DamageCase(
            name: "lowest bit, open", sizes: [700, 40, 900, 1500, 0, 600, 5, 300], isClosed: false,
            change: { $0 ^ 1 }),
        DamageCase(
            name: "highest bit, open, one frame in the last segment",
            sizes: [900, 900, 900, 900, 100], isClosed: false, change: { $0 ^ 0x80 }),
        DamageCase(
            name: "all bits, closed", sizes: [600, 900, 900, 900, 100, 7], isClosed: true,
            change: { ~$0 }),
        DamageCase(
            name: "zeroed, closed, last segment with a seal only", sizes: [900, 900, 900, 932],
            isClosed: true, change: { $0 == 0 ? 0x4B : 0 }),
        DamageCase(
            name: "one segment only", sizes: [20, 30], isClosed: false, change: { $0 &+ 0x10 }),
    ]

    @Test(arguments: cases)
    func `a change of any byte gets the right verdict`(damage: DamageCase) throws {
        let entries = damage.sizes.enumerated().map {
            entry(UInt16($0.offset % 3), UInt64($0.offset / 3 + 1), size: $0.element)
        }
        let base = SimulatedDisk()
        let loop = TestLoop()
        try loop.run {
            let log = try await open(base, loop).log
            for entry in entries { try await log.append([entry]) }
            if damage.isClosed { await log.close() }
        }
        let places = layout(entries, isClosed: damage.isClosed)
        let end = damage.isClosed ? ["log/end"] : []
        #expect(base.paths == (1...places.last!.segment).map(path) + end)

        for segment in 1...places.last!.segment {
            let used = places.last { $0.segment == segment }!.range.upperBound
            // Every byte that means something, and a fifth of the zeros.
            for offset in 0..<4096 where offset < used + 40 || offset % 5 == 0 {
                let disk = base.copy()
                disk.decay(path(segment)) { $0[offset] = damage.change($0[offset]) }
                let before = disk.bytes(of: path(segment))
                let expected = verdict(
                    places, entries: entries.count, segment: segment, offset: offset,
                    isClosed: damage.isClosed)
                let found: Verdict
                do {
                    let opened = try recover(disk)
                    found = .opens(
                        entries: opened.entries.count, isTorn: opened.report.tornTail != nil)
                    if opened.entries != Array(entries.prefix(opened.entries.count)) {
                        Issue.record("wrong entries after damage at \(segment):\(offset)")
                    }
                } catch let error as LogError {
                    guard case .corrupt = error else { throw error }
                    found = .corrupt
                    if disk.bytes(of: path(segment)) != before {
                        Issue.record("the disk was changed after damage at \(segment):\(offset)")
                    }
                }
                if found != expected {
                    Issue.record("\(segment):\(offset) is \(found), must be \(expected)")
                }
            }
        }
    }

    @Test(arguments: [0, 5, 300, 1200])
    func `a last frame torn at any length is cut and the log goes on`(size: Int) throws {
        let entries = [entry(1, 1), entry(2, 1), entry(1, 2, size: size)]
        let base = try diskWith(entries)
        let last = layout(entries).last!

        for kept in 0..<last.range.count {
            let disk = base.copy()
            disk.decay(path(1)) { bytes in
                for offset in (last.range.lowerBound + kept)..<last.range.upperBound {
                    bytes[offset] = 0
                }
            }
            let loop = TestLoop()
            let opened = try loop.run {
                let opened = try await open(disk, loop)
                try await opened.log.append([entry(1, 2, size: 17)])
                return opened
            }
            let wasTorn = disk.bytes(of: path(1)) != nil && kept > 0
            #expect(opened.entries == Array(entries.dropLast()), "kept \(kept)")
            #expect((opened.report.tornTail != nil) == wasTorn, "kept \(kept)")
            if let torn = opened.report.tornTail {
                #expect(torn.segment == SegmentID(1))
                #expect(torn.offset == UInt64(last.range.lowerBound))
                #expect(torn.byteCount <= UInt64(kept))
            }
            let again = try recover(disk)
            #expect(again.entries == entries.dropLast() + [entry(1, 2, size: 17)])
            #expect(again.report.tornTail == nil)
        }
    }

    /// What the log itself would never write, each in place of the third frame.
    static let forged: [(String, [UInt8], Corruption)] = [
        (
            "another segment's frame", craftedFrame(sequence: 3, segment: 7, [entry(1, 2)]),
            .wrongSegment(found: SegmentID(7))
        ),
        (
            "an old frame", craftedFrame(sequence: 2, [entry(1, 2)]),
            .wrongSequence(found: LogSequence(2), expected: LogSequence(3))
        ),
        (
            "a later frame", craftedFrame(sequence: 4, [entry(1, 2)]),
            .wrongSequence(found: LogSequence(4), expected: LogSequence(3))
        ),
        (
            "an index twice", craftedFrame(sequence: 3, [entry(1, 1)]),
            .order(fault(1, term: 1, index: 1, last: (1, 1)))
        ),
        (
            "an index left out", craftedFrame(sequence: 3, [entry(1, 3)]),
            .order(fault(1, term: 1, index: 3, last: (1, 1)))
        ),
        (
            "a term that falls", craftedFrame(sequence: 3, [entry(1, 2, term: 0)]),
            .order(fault(1, term: 0, index: 2, last: (1, 1)))
        ),
        (
            "more entries than bytes", craftedFrame(sequence: 3, count: 9, [entry(1, 2, size: 0)]),
            .content(.truncated(needed: 9 * 32, available: 32))
        ),
        (
            "bytes after the entries", craftedFrame(sequence: 3, count: 0, [entry(1, 2, size: 0)]),
            .content(.malformed(offset: 0))
        ),
        (
            "an unknown flag", craftedFrame(sequence: 3, flags: 1, [entry(1, 2)]),
            .content(.malformed(offset: 0))
        ),
    ]

    static func fault(
        _ group: UInt16, term: UInt64, index: UInt64, last: (UInt64, UInt64)
    ) -> OrderFault {
        OrderFault(
            group: GroupID(group), term: Term(term), index: LogIndex(index),
            lastTerm: Term(last.0), lastIndex: LogIndex(last.1))
    }

    @Test(arguments: forged)
    func `a frame with a right checksum in a wrong place is corruption`(
        name: String, frame: [UInt8], reason: Corruption
    ) throws {
        let disk = try diskWith([entry(1, 1)])
        let end = layout([entry(1, 1)]).last!.range.upperBound
        disk.decay(path(1)) { $0.replaceSubrange(end..<(end + frame.count), with: frame) }

        let error = #expect(throws: LogError.self) { try recover(disk) }

        guard case .corrupt(SegmentID(1), UInt64(end), let found) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        switch (found, reason) {
        case (.content(.malformed), .content(.malformed)): break
        default: #expect(found == reason)
        }
    }

    @Test func `a prepared segment proves the first frame of the one before it`() throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        try loop.run {
            let log = try await open(disk, loop).log
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await log.keepSegmentReady() }
                while !disk.paths.contains(path(2)) { await loop.pause() }
                await log.close()
                try await tasks.waitForAll()
            }
        }
        disk.decay(path(1)) { bytes in for offset in 64..<200 { bytes[offset] = 0 } }
        #expect(
            throws: LogError.corrupt(
                segment: SegmentID(1), offset: 64,
                reason: .frameBeforeSegment(expected: LogSequence(1), later: SegmentID(2)))
        ) { try recover(disk) }
    }

    @Test func `what looks like another segment's frame in a torn payload proves nothing`() throws {
        let inner = craftedFrame(sequence: 4, segment: 7, [entry(2, 1)])
        let outer = LogEntry(
            group: GroupID(1), term: Term(1), index: LogIndex(2), kind: .normal,
            clock: 1, time: LogTime(0), payload: inner + [1, 2, 3])
        let disk = try diskWith([entry(1, 1), outer])
        disk.decay(path(1)) { $0[layout([entry(1, 1), outer]).last!.range.upperBound - 1] ^= 1 }

        let opened = try recover(disk)

        #expect(opened.entries == [entry(1, 1)])
        #expect(opened.report.tornTail != nil)
    }

    @Test func `a missing segment, first or in the middle, is corruption`() throws {
        let entries = (1...60).map { entry(1, $0, size: 300) }
        let base = try diskWith(entries)
        let count = base.paths.count
        #expect(count > 4)

        for missing in 1..<count {
            let disk = base.copy()
            disk.lose(path(missing))
            let expected = LogError.corrupt(
                segment: SegmentID(UInt64(missing)), offset: 0, reason: .missingSegment)
            #expect(throws: expected) { try recover(disk) }
        }
    }

    @Test func `a segment that is shorter than it was is corruption`() throws {
        let base = try diskWith([entry(1, 1)])
        for size in [64, 100, 4095] {
            let disk = base.copy()
            disk.decay(path(1)) { $0.removeSubrange(size...) }
            #expect(
                throws: LogError.corrupt(
                    segment: SegmentID(1), offset: 0,
                    reason: .size(found: UInt64(size), expected: 4096))
            ) { try recover(disk) }
        }
    }

    @Test func `another version is refused by name`() throws {
        let disk = try diskWith([entry(1, 1)])
        disk.decay(path(1)) { bytes in
            var header = Array(bytes[0..<60])
            header[4] = 3
            bytes.replaceSubrange(0..<64, with: withChecksum(header))
        }
        #expect(throws: LogError.unsupportedVersion(3, segment: SegmentID(1))) {
            try recover(disk)
        }
    }

    /// Random bytes in place of any stretch: recovery may say anything, but must not trap or hang.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func `no bytes make recovery trap`(seed: UInt64) throws {
        let entries = (1...20).map { entry(1, $0) }
        let disk = try diskWith(entries)
        disk.decay(path(1)) { bytes in
            var random = SplitMix(seed)
            let start = Int(random.next() % 4000)
            let count = Int(random.next() % UInt64(bytes.count - start))
            for offset in start..<(start + count) {
                bytes[offset] = UInt8(truncatingIfNeeded: random.next())
            }
        }
        do {
            let found = try recover(disk).entries
            #expect(found == Array(entries.prefix(found.count)), "seed \(seed)")
        } catch let error as LogError {
            guard case .corrupt = error else { throw error }
        }
    }
}
