import KithBytes
import Testing

@testable import KithCore

/// Totals on their way between nodes.
@Suite struct StatisticsCodingTests {
    /// Counters that all differ, and lists of `names` names.
    private static func statistics(names: Int) -> Statistics {
        var statistics = Statistics()
        statistics.members = 1
        statistics.anonymous = -2
        statistics.accepted = 3
        statistics.duplicate = 4
        statistics.expiredOnArrival = 5
        statistics.forgotten = 6
        statistics.suppressed = 7
        statistics.quarantined = 8
        statistics.mergesCompleted = 9
        for (place, rule) in RefusalRule.allCases.enumerated() {
            for _ in 0...place { statistics.countRefusal(rule) }
        }
        statistics.expired = 13
        statistics.traitsRefused = .max
        for name in 0..<names {
            let name = Array("name \(name)".utf8)
            statistics.countIdentifier(name, by: 14)
            statistics.countRejected(name.span.bytes, by: -15)
            statistics.countIgnored(name.span.bytes, by: .max / 1024)
        }
        return statistics
    }

    private static func encoded(_ statistics: Statistics) -> [UInt8] {
        var writer = ByteWriter()
        statistics.encode(into: &writer)
        return writer.bytes
    }

    private static func decoded(_ bytes: [UInt8]) throws -> (Statistics, remaining: Int) {
        var reader = ByteReader(bytes.span.bytes)
        let statistics = try Statistics(decoding: &reader)
        return (statistics, reader.remaining)
    }

    @Test(arguments: [0, 1, 5, 255, 256, 257, 300])
    func `totals survive the round trip, whatever the number of names`(_ names: Int) throws {
        let sent = Self.statistics(names: names)
        let bytes = Self.encoded(sent)

        let (received, remaining) = try Self.decoded(bytes + [1, 2])

        #expect(received == sent)
        #expect(remaining == 2)
        #expect(Self.encoded(received) == bytes)
        #expect(received.identifiers.count == min(names, Statistics.namesMax + 1))
    }

    @Test func `every truncation throws`() {
        let bytes = Self.encoded(Self.statistics(names: 2))

        for count in 0..<bytes.count {
            #expect(throws: ByteError.self, "\(count) bytes") {
                try Self.decoded(Array(bytes[..<count]))
            }
        }
    }

    @Test func `another number of rules is refused`() {
        var bytes = Self.encoded(Statistics())
        bytes[72] += 1

        #expect(throws: ByteError.unknownTag(UInt8(RefusalRule.allCases.count + 1), offset: 72)) {
            try Self.decoded(bytes)
        }
    }

    @Test func `a list of too many names is refused before it is read`() {
        var bytes = Self.encoded(Statistics())
        bytes[bytes.count - 2] = 0x02
        bytes[bytes.count - 1] = 0x01

        #expect(throws: ByteError.tooLong(length: 258, limit: 257)) { try Self.decoded(bytes) }
    }

    @Test func `a name above the limit is refused before it is read`() {
        var statistics = Statistics()
        statistics.ignored = [
            .init(name: [UInt8](repeating: 0x61, count: NameTable.nameBytesMax + 1), count: 1)
        ]

        #expect(throws: ByteError.tooLong(length: 4097, limit: 4096)) {
            try Self.decoded(Self.encoded(statistics))
        }
    }
}
