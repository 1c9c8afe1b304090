import KithBytes
import Testing

@testable import KithCore

@Suite struct WindowTests {
    private static let hour: Int64 = 3_600_000

    private func filled(_ times: [Int64]) -> (remembered: [UInt64], count: Int) {
        var table = RecordTable()
        var facet = table.addFacet(table.insert(testLeaf(1)), testLeaf(1))
        for (number, time) in times.enumerated() {
            table.addToWindow(&facet, messageHash: UInt64(number), at: LogTime(time))
        }
        table.checkInvariants()
        let all = (0..<UInt64(times.count)).map { $0 }
        return (table.remembered(facet, among: all), table.shape(facet).windowCount)
    }

    @Test func `the last 64 messages stay, however old`() {
        let window = filled((0..<100).map { $0 * 48 * Self.hour })

        #expect(window.remembered == Array(36..<100))
        #expect(window.count == 64)
    }

    @Test func `all messages of the last 24 hours stay, also one exactly that old`() {
        let start = 10 * Self.hour
        let times = [start - 1, start] + (0..<200).map { _ in start + 24 * Self.hour }

        let window = filled(times)

        #expect(window.remembered == Array(1..<202))
    }

    @Test func `no more than 4,096 messages stay`() {
        let window = filled([Int64](repeating: 5, count: 4_200))

        #expect(window.remembered == Array(104..<4_200))
        #expect(window.count == 4_096)
    }

    /// The rule as it reads: what a window holds after `times`, oldest first, with its times.
    private static func rule(_ times: [Int64]) -> [(number: UInt64, time: Int64)] {
        var window: [(number: UInt64, time: Int64)] = []
        for (number, time) in times.enumerated() {
            let time = max(time, window.last?.time ?? 0)
            window.append((UInt64(number), time))
            var dropped = 0
            while window.count - dropped > 64,
                window.count - dropped > 4_096 || time - window[dropped].time > 24 * hour
            {
                dropped += 1
            }
            window.removeFirst(dropped)
        }
        return window
    }

    /// A full window takes each message in the place of the oldest; what happens to it then: it
    /// goes round, some grow old, all but 64 do, or its times outgrow 32 bits.
    @Test(
        arguments: [
            [0, 1, 2, 4_000], [5, 24 * hour + 1_000], [1, 24 * hour + 3_000, 24 * hour + 4_500],
            [4_095, 26 * hour, 26 * hour], [4_096], [9_000, 9_000 + 24 * hour],
            [77, 60 * 24 * hour, 60 * 24 * hour + 1], [3, 49 * 24 * hour, 50 * 24 * hour],
        ] as [[Int64]])
    func `a full window holds what the rule says, in order`(later: [Int64]) throws {
        for extra in [0, 1, 2, 700, 4_095, 4_096, 4_500] {
            var times = (0..<Int64(4_096 + extra)).map { $0 }
            for time in later { times += [Int64](repeating: times.last! + time, count: 3) }
            var table = RecordTable()
            let slot = table.insert(testLeaf(1))
            var facet = table.addFacet(slot, testLeaf(1))
            table.addFacet(slot, testLeaf(2))
            for (number, time) in times.enumerated() {
                table.addToWindow(&facet, messageHash: UInt64(number), at: LogTime(time))
            }
            let expected = Self.rule(times)

            let shape = table.shape(facet)
            let numbers = (0..<shape.windowCount).map {
                table.arena.region.u64(at: shape.message($0))
            }
            #expect(numbers == expected.map(\.number), "\(extra) more, then \(later)")
            table.checkInvariants()
            let bytes = table.exported(slot)
            var copy = RecordTable()
            let other = copy.insert(testLeaf(1))
            try copy.importFacets(other, bytes)
            #expect(copy.exported(other) == bytes)
            #expect(copy.payloadBytes(other) == table.payloadBytes(slot))
            var imported = copy.facet(other, testLeaf(1))!
            for facetTime in [times.last!, times.last! + 25 * Self.hour] {
                table.addToWindow(&facet, messageHash: .max, at: LogTime(facetTime))
                copy.addToWindow(&imported, messageHash: .max, at: LogTime(facetTime))
                #expect(copy.exported(other) == table.exported(slot))
            }
        }
    }

    @Test func `many messages that grow old together go at once`() {
        let times = [Int64](repeating: 0, count: 1_000) + [25 * Self.hour]

        #expect(filled(times).remembered == Array(937..<1_001))
    }

    @Test func `an earlier log time counts as the time of the message before it`() {
        let times =
            [50 * Self.hour] + [Int64](repeating: 0, count: 100)
            + [Int64](repeating: 74 * Self.hour, count: 3)

        // All of them count as of hour 50, which is 24 hours before 74.
        #expect(filled(times).remembered.count == 104)
        #expect(filled(times + [74 * Self.hour + 1]).remembered.count == 64)
    }

    @Test func `times years apart, negative or beyond any calendar do no harm`() {
        let year = 365 * 24 * Self.hour
        let times = [Int64.min, -1, 0, 3, year, 40 * year, 40 * year + 1, Int64.max, Int64.max]

        #expect(filled(times).remembered.count == 9)
        let many = (0..<70).map { $0 < 3 ? Int64($0) : 60 * year + Int64($0) }
        #expect(filled(many).remembered == Array(3..<70))
    }

    @Test func `a window that started long ago goes on pruning to the millisecond`() {
        let later = 55 * 24 * Self.hour
        let times =
            (0..<64).map { Int64($0) } + (0..<80).map { later + Int64($0) }
            + [later + 24 * Self.hour + 40]

        // 0..<40 of the second lot are too old, and 64 + 1 remain from the rest: 41 more.
        let window = filled(times)

        #expect(window.remembered.count == 64)
        let more = filled(times.dropLast() + [later + 24 * Self.hour])
        #expect(more.remembered.count == 81)
    }

    @Test func `a cleared window remembers nothing and starts anew`() {
        var table = RecordTable()
        var facet = table.addFacet(table.insert(testLeaf(1)), testLeaf(1))
        table.count(&facet, "page")
        table.addToWindow(&facet, messageHash: 1, at: LogTime(1))

        table.clearWindow(facet)

        #expect(table.remembered(facet, among: [1]).isEmpty)
        table.addToWindow(&facet, messageHash: 2, at: LogTime(0))
        #expect(table.remembered(facet, among: [1, 2]) == [2])
        #expect(table.eventCount(facet) == 1)
        table.checkInvariants()
    }
}
