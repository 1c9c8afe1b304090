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
