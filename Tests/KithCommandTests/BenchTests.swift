import Foundation
import KithBytes
import KithCore
import KithWire
import Testing
import kith

@Suite struct BenchTests {
    // MARK: Latencies

    @Test(
        arguments: [
            [1, 2, 3, 4, 5], (1...10_000).map { $0 * 137 }, (0..<4_000).map { 1 << ($0 % 36) },
            Array(repeating: 250_000, count: 1_000) + [90_000_000_000],
        ] as [[UInt64]])
    func `a percentile is within one percent of the value at its rank`(_ values: [UInt64]) {
        var histogram = LatencyHistogram()

        for value in values { histogram.record(value) }

        let sorted = values.sorted()
        for part in [0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1] {
            let rank = max(1, Int((part * Double(sorted.count)).rounded(.up)))
            let exact = Double(sorted[rank - 1])
            let found = Double(histogram.value(at: part))
            #expect(abs(found - exact) <= exact / 100, "\(part): \(found), exactly \(exact)")
        }
        #expect(histogram.greatest == sorted.last)
        #expect(histogram.count == UInt64(values.count))
    }

    @Test func `latencies beyond the last bucket count, and nothing is reported of nothing`() {
        var histogram = LatencyHistogram()
        #expect(histogram.value(at: 0.5) == 0 && histogram.mean == 0)

        histogram.record(.max)
        histogram.record(0)

        #expect(histogram.count == 2)
        #expect(histogram.greatest == .max)
        #expect(histogram.value(at: 0) == 0)
        #expect(histogram.value(at: 1) > 100_000_000_000)
    }

    // MARK: Who comes

    @Test(arguments: [0, 0.5, 0.99, 1, 1.000_000_001, 2.5], [1, 2, 40])
    func `visitors come as often as the Zipf distribution says`(_ skew: Double, _ count: Int) {
        let draws = 60_000
        var seen = [Int](repeating: 0, count: count)

        for number in ZipfSampler(count: count, skew: skew).draws(draws, seed: 7) {
            seen[number] += 1
        }

        let weights = (1...count).map { pow(Double($0), -skew) }
        let total = weights.reduce(0, +)
        // Chi-squared: its mean is count − 1, its variance twice that; eight deviations are chance
        // hardly ever.
        let difference = zip(seen, weights).reduce(0.0) { sum, pair in
            let expected = Double(draws) * pair.1 / total
            return sum + (Double(pair.0) - expected) * (Double(pair.0) - expected) / expected
        }
        let freedom = Double(count - 1)
        #expect(difference <= freedom + 8 * (2 * freedom).squareRoot() + 1e-9, "\(seen.prefix(8))")
    }

    // MARK: What they do

    static func batch(
        _ number: Int, seed: UInt64 = 1, runTag: UInt64 = 0xabcd, count: Int = 400,
        _ change: (inout Workload.Settings) -> Void = { _ in }
    ) -> [UInt8] {
        var settings = Workload.Settings()
        settings.seed = seed
        settings.visitors = 500
        settings.logins = 0.1
        change(&settings)
        var writer = ByteWriter()
        Workload(settings, runTag: runTag, now: 1_700_000_000_000)
            .append(batch: number, count: count, to: &writer)
        return writer.bytes
    }

    static func events(_ payload: [UInt8]) throws -> [CBORValue] {
        let view = try IngestView(decoding: payload.span.bytes)
        var items = view.items
        var events: [CBORValue] = []
        while let item = try items.next() { events.append(try CBORValue(decoding: item.bytes)) }
        return events
    }

    @Test func `the same seed, run and batch are the same bytes, and any other are not`() {
        let bytes = Self.batch(3)

        #expect(Self.batch(3) == bytes)
        #expect(Self.batch(4) != bytes)
        #expect(Self.batch(3, seed: 2) != bytes)
        #expect(Self.batch(3, runTag: 1) != bytes)
    }

    @Test func `two runs of a seed differ in nothing but message ids`() throws {
        func withoutID(_ event: CBORValue) -> CBORValue {
            guard case .map(let members) = event else { return event }
            return .map(members.filter { $0.key != "messageId" })
        }

        let first = try Self.events(Self.batch(0, runTag: 1))
        let second = try Self.events(Self.batch(0, runTag: 2))

        #expect(first.map(withoutID) == second.map(withoutID))
        let ids = Set((first + second).map { JSONText.make($0["messageId"] ?? .null) })
        #expect(ids.count == first.count + second.count)
    }

    @Test(arguments: [300, 600, 4_000])
    func `every event has the size that is stated`(_ byteCount: Int) throws {
        for event in try Self.events(Self.batch(0) { $0.eventBytes = byteCount }) {
            #expect(JSONText.make(event).utf8.count == byteCount)
        }
    }

    @Test func `whoever logs in has a visitor, a user id and an address that belong together`()
        throws
    {
        var visitors: Set<String> = []
        var devices: [String: Set<String>] = [:]
        var logins = 0

        for number in 0..<10 {
            for event in try Self.events(Self.batch(number)) {
                guard case .text(let visitor)? = event["anonymousId"] else {
                    Issue.record("no visitor in \(JSONText.make(event))")
                    continue
                }
                visitors.insert(visitor)
                guard event["type"] == "identify" else {
                    #expect(event["userId"] == nil)
                    continue
                }
                guard case .text(let user)? = event["userId"] else {
                    Issue.record("no user in \(JSONText.make(event))")
                    continue
                }
                #expect(event["traits"]?["email"] == .text(user + "@example.com"))
                devices[user, default: []].insert(visitor)
                logins += 1
            }
        }

        #expect((300...500).contains(logins), "a tenth of 4,000 are logins, not \(logins)")
        #expect(visitors.count > 200)
        #expect(devices.values.allSatisfy { 1...3 ~= $0.count })
        #expect(devices.values.contains { $0.count > 1 })
        #expect((0..<12).map(Workload.person) == [0, 1, 1, 2, 2, 2, 3, 4, 4, 5, 5, 5])
    }

    @Test func `the node's reader takes every event`() throws {
        let payload = Self.batch(0) { $0.logins = 0.5 }
        let view = try IngestView(decoding: payload.span.bytes)
        let key = HashKey(hex: "000102030405060708090a0b0c0d0e0f")
        var reader = EventReader(rules: IdentityRules(), key: try #require(key))
        var batch = EventBatch()
        var items = view.items
        var position: UInt32 = 0
        let space = Array("default".utf8)

        while let item = try items.next() {
            try reader.read(
                item.bytes, position: position, space: space.span.bytes,
                arrival: 1_700_000_000_000, stamp: nil, into: &batch,
                assignMessageID: { Array("none".utf8) })
            position += 1
        }

        #expect(batch.heads.count == 400)
        #expect(batch.ignoredOfRefused.isEmpty)
    }
}
