// What a client sends lies in the log as it was sent. Here it looks like a frame of this very place
// and lies before, in and behind a torn tail.

import KithBytes
import KithPorts
import Testing

@testable import KithSimulation
@testable import KithStorage

@Suite struct LogForgeryTests {
    /// A frame as format version 1 wrote it: right for anybody who knows the format.
    private static func frameOfVersionOne(sequence: UInt64) -> [UInt8] {
        let entry =
            littleEndian(UInt16(1)) + littleEndian(UInt64(1)) + littleEndian(UInt64(2)) + [1]
            + littleEndian(UInt64(0)) + littleEndian(UInt32(0))
        return withChecksum(
            Array("KFRM".utf8) + littleEndian(UInt32(32 + entry.count)) + littleEndian(sequence)
                + littleEndian(UInt64(1)) + littleEndian(UInt16(1)) + littleEndian(UInt16(0))
                + entry)
    }

    /// The best that can be made without the log's id: both checks right under another one.
    private static func frameOfAnotherLog(sequence: UInt64, key: HashKey) -> [UInt8] {
        let fields =
            Array("KFRM".utf8) + littleEndian(UInt32(40)) + littleEndian(sequence)
            + littleEndian(UInt64(1)) + littleEndian(UInt16(0)) + littleEndian(UInt16(0))
        let frame = fields + littleEndian(SipHash64.hash(fields.span.bytes, key: key))
        return frame + withChecksum(key.bytes + frame).suffix(4)
    }

    static let forgeries: [(String, @Sendable (UInt64) -> [UInt8])] = [
        ("of the old format", { frameOfVersionOne(sequence: $0) }),
        (
            "under no id",
            { frameOfAnotherLog(sequence: $0, key: HashKey(k0: 0, k1: 0)) }
        ),
        (
            "under another log's id",
            { frameOfAnotherLog(sequence: $0, key: HashKey(k0: 0x1234, k1: 0x5678)) }
        ),
        (
            "under the id with a bit turned",
            {
                frameOfAnotherLog(
                    sequence: $0,
                    key: HashKey(k0: 0x6867_6665_6463_6260, k1: 0x7877_7675_7473_7271))
            }
        ),
    ]

    /// An event's entry is torn at every length, its text full of frames that would come next.
    @Test(arguments: forgeries)
    func `a forged frame in a torn tail does not make it damage`(
        name: String, forge: @Sendable (UInt64) -> [UInt8]
    ) throws {
        let text = (3...9 as ClosedRange<UInt64>).flatMap { forge($0) }
        let event = LogEntry(
            group: GroupID(1), term: Term(1), index: LogIndex(2), kind: .normal, clock: 1,
            time: LogTime(0), payload: text)
        let entries = [entry(1, 1), event]
        let base = try diskWith(entries)
        let last = layout(entries).last!.range

        for kept in 1..<last.count {
            let disk = base.copy()
            disk.decay(path(1)) { bytes in
                for offset in (last.lowerBound + kept)..<last.upperBound { bytes[offset] = 0 }
            }
            let opened = try recover(disk)
            #expect(opened.entries == [entry(1, 1)], "\(name), kept \(kept)")
            #expect(opened.report.tornTail != nil, "\(name), kept \(kept)")
        }
    }

    /// The forgery is whole and the frame around it is the one that is damaged.
    @Test(arguments: forgeries)
    func `a forged frame behind a damaged last header proves nothing`(
        name: String, forge: @Sendable (UInt64) -> [UInt8]
    ) throws {
        let event = LogEntry(
            group: GroupID(1), term: Term(1), index: LogIndex(2), kind: .normal, clock: 1,
            time: LogTime(0), payload: forge(3) + forge(4))
        let entries = [entry(1, 1), event]
        let disk = try diskWith(entries)
        disk.decay(path(1)) { $0[layout(entries).last!.range.lowerBound + 5] ^= 1 }

        #expect(try recover(disk).entries == [entry(1, 1)], "\(name)")
    }

    /// Turned round: a true header behind a bad place proves damage though its frame is torn.
    @Test func `a later header is enough to know damage`() throws {
        let entries = [entry(1, 1, size: 90), entry(1, 2, size: 90)]
        let disk = try diskWith(entries)
        let places = layout(entries)
        disk.decay(path(1)) { bytes in
            bytes[places[1].range.lowerBound + 50] ^= 1
            for offset in (places[2].range.lowerBound + 40)..<places[2].range.upperBound {
                bytes[offset] = 0
            }
        }
        #expect(
            throws: LogError.corrupt(
                segment: SegmentID(1), offset: UInt64(places[1].range.lowerBound),
                reason: .frame(expected: LogSequence(2), later: LogSequence(3)))
        ) { try recover(disk) }
    }

    @Test func `a log of another cluster is refused and left alone`() throws {
        var options = smallOptions()
        options.clusterDigest = 7
        let disk = try diskWith([entry(1, 1)], options: options)
        let before = disk.bytes(of: path(1))

        #expect(throws: LogError.otherCluster(segment: SegmentID(1))) { try recover(disk) }
        #expect(disk.bytes(of: path(1)) == before)
        #expect(try recover(disk, options).entries == [entry(1, 1)])
    }

    @Test func `a segment of another log is corruption`() throws {
        let entries = (1...30).map { entry(1, UInt64($0), size: 300) }
        let disk = try diskWith(entries)
        disk.decay(path(2)) { bytes in
            var header = Array(bytes[0..<60])
            header[50] ^= 1
            bytes.replaceSubrange(0..<64, with: withChecksum(header))
        }
        #expect(
            throws: LogError.corrupt(segment: SegmentID(2), offset: 0, reason: .otherLog)
        ) { try recover(disk) }
    }

    /// The one case in which frames cannot be told: the only header is gone.
    @Test func `without its only header a log that held something is damaged, not new`() throws {
        let base = try diskWith([entry(1, 1, size: 0)])
        for offset in 0..<64 {
            let disk = base.copy()
            disk.decay(path(1)) { $0[offset] ^= 0x10 }
            #expect(throws: LogError.self) { try recover(disk) }
        }
    }

    @Test func `two new logs have two ids`() throws {
        func id(_ seed: UInt64) throws -> [UInt8] {
            let disk = SimulatedDisk()
            let loop = TestLoop()
            try loop.run {
                _ = try await WriteAheadLog.open(
                    disk: disk, loop: loop, randomness: SeededRandom(seed: seed),
                    options: smallOptions(), onEntry: { _ in })
            }
            return Array(disk.bytes(of: path(1))![44..<60])
        }
        #expect(try id(1) != id(2))
    }
}
