import KithBytes
import KithPorts
import KithSimulation
import Testing

@testable import KithStorage

/// The log's id stays in its segments: no other module can name it, and it does not print itself.
@Suite struct LogSecretTests {
    @Test func `however a log's id is printed, nothing of it is shown`() throws {
        let id = LogID(HashKey(k0: 0x0123_4567_89ab_cdef, k1: 0xfedc_ba98_7654_3210))
        var header = SegmentHeader(
            segment: SegmentID(1), firstSequence: LogSequence(1), oldestSegment: SegmentID(1),
            segmentBytes: 4096, clusterDigest: 5, logID: id)
        var dumped = ""
        dump(id, to: &dumped)
        dump(header, to: &dumped)
        let printed = dumped + "\(id) \(header) \(String(reflecting: id))"
        for trace in [
            "0123456789abcdef", "fedcba9876543210", "\(0x0123_4567_89ab_cdef as UInt64)",
            "\(0xfedc_ba98_7654_3210 as UInt64)",
        ] {
            #expect(!printed.lowercased().contains(trace))
        }
        header = try #require(Self.read(header.encode()))
        #expect(header.logID == id)
    }

    private static func read(_ bytes: [UInt8]) -> SegmentHeader? {
        if case .header(let header) = SegmentHeader.read(bytes.span.bytes) { return header }
        return nil
    }
}
