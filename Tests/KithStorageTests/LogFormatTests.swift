import KithBytes
import KithPorts
import KithSimulation
import KithStorage
import Testing

/// docs/log.md in bytes. If this test has to change, the format's version has to.
@Suite struct LogFormatTests {
    @Test func `a new log with one entry has exactly the documented bytes`() throws {
        let entry = LogEntry(
            group: GroupID(0x0201), term: Term(0x1817_1615_1413_1211),
            index: LogIndex(0x2827_2625_2423_2221), kind: LogEntryKind(0x31), clock: 0x32,
            time: LogTime(0x4847_4645_4443_4241), payload: [0x61, 0x62, 0x63])
        var options = smallOptions()
        options.clusterDigest = 0x5857_5655_5453_5251
        let disk = try diskWith([entry], options: options)

        let header: [UInt8] = [
            0x4B, 0x53, 0x45, 0x47,  // "KSEG"
            0x02, 0x00, 0x00, 0x00,  // version, reserved
            0x01, 0, 0, 0, 0, 0, 0, 0,  // segment
            0x01, 0, 0, 0, 0, 0, 0, 0,  // first sequence
            0x01, 0, 0, 0, 0, 0, 0, 0,  // oldest segment needed
            0x00, 0x10, 0, 0,  // file size
            0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,  // digest
            0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,  // the log's id
            0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78,
        ]
        let seal: [UInt8] = [
            0x4B, 0x46, 0x52, 0x4D,  // "KFRM"
            0x28, 0, 0, 0,  // length
            0x01, 0, 0, 0, 0, 0, 0, 0,  // sequence
            0x01, 0, 0, 0, 0, 0, 0, 0,  // segment
            0x00, 0x00, 0x00, 0x00,  // count, flags
        ]
        let frame: [UInt8] = [
            0x4B, 0x46, 0x52, 0x4D,
            0x4B, 0, 0, 0,  // 36 + 32 + 3 + 4
            0x02, 0, 0, 0, 0, 0, 0, 0,
            0x01, 0, 0, 0, 0, 0, 0, 0,
            0x01, 0x00, 0x00, 0x00,
        ]
        let body: [UInt8] = [
            0x01, 0x02,  // group
            0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,  // term
            0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,  // index
            0x31,  // kind
            0x32,  // clock
            0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,  // time
            0x03, 0, 0, 0,  // payload length
            0x61, 0x62, 0x63,
        ]
        let used =
            withChecksum(header) + withFrameChecks(seal, []) + withFrameChecks(frame, body)
        let expected = used + [UInt8](repeating: 0, count: 4096 - used.count)
        #expect(disk.bytes(of: path(1)) == expected)
        let found = try #require(disk.bytes(of: path(1)))
        #expect(Array(found[132..<140]) == goldenHeaderCheck)
        #expect(Array(found[(used.count - 4)..<used.count]) == goldenFrameChecksum)
    }

    /// Written down, not computed, so that a wrong polynomial or a wrong hash is noticed too.
    private let goldenFrameChecksum: [UInt8] = [46, 100, 47, 190]
    private let goldenHeaderCheck: [UInt8] = [
        111, 57, 174, 233, 149, 10, 205, 143,
    ]

    @Test func `names sort as the segments do`() throws {
        let disk = try diskWith((1...200).map { entry(1, $0) })

        let paths = disk.paths

        #expect(paths.count > 5)
        #expect(paths == (1...paths.count).map(path))
    }
}

/// CRC-32C, bit by bit, as RFC 3720 writes it; not the code under test.
func slowChecksum(_ bytes: [UInt8]) -> UInt32 {
    var crc: UInt32 = ~0
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
    return ~crc
}

func withChecksum(_ bytes: [UInt8]) -> [UInt8] {
    let crc = slowChecksum(bytes)
    return bytes + (0..<4).map { UInt8(truncatingIfNeeded: crc >> (8 * UInt32($0))) }
}

/// A frame's header before its check, its entries, and both checks, under the id of these tests.
func withFrameChecks(_ fields: [UInt8], _ body: [UInt8]) -> [UInt8] {
    let key = HashKey(k0: 0x6867_6665_6463_6261, k1: 0x7877_7675_7473_7271)
    let frame = fields + littleEndian(SipHash64.hash(fields.span.bytes, key: key)) + body
    return frame + withChecksum(fixedLogID + frame).suffix(4)
}

func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<(T.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> T(8 * $0)) }
}

/// A frame made by hand, for logs that the log itself would never write.
func craftedFrame(
    sequence: UInt64, segment: UInt64 = 1, flags: UInt16 = 0, count: UInt16? = nil,
    _ entries: [LogEntry]
) -> [UInt8] {
    var body: [UInt8] = []
    for entry in entries {
        body += littleEndian(entry.group.rawValue) + littleEndian(entry.term.rawValue)
        body += littleEndian(entry.index.rawValue)
        body += [entry.kind.rawValue, entry.clock]
        body += littleEndian(entry.time.rawValue) + littleEndian(UInt32(entry.payload.count))
        body += entry.payload
    }
    let header =
        Array("KFRM".utf8) + littleEndian(UInt32(36 + body.count + 4)) + littleEndian(sequence)
        + littleEndian(segment) + littleEndian(count ?? UInt16(entries.count))
        + littleEndian(flags)
    return withFrameChecks(header, body)
}
