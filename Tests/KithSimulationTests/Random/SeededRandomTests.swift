import KithSimulation
import Testing

@Suite struct SeededRandomTests {
    /// Computed apart, from the published definitions of SplitMix64 and xoshiro256**.
    @Test(arguments: [
        (
            UInt64(0),
            [
                11_091_344_671_253_066_420, 13_793_997_310_169_335_082, 1_900_383_378_846_508_768,
                7_684_712_102_626_143_532,
            ] as [UInt64]
        ),
        (
            UInt64(42),
            [
                1_546_998_764_402_558_742, 6_990_951_692_964_543_102, 12_544_586_762_248_559_009,
                17_057_574_109_182_124_193,
            ] as [UInt64]
        ),
    ])
    func `the numbers of a seed are the published ones`(seed: UInt64, expected: [UInt64]) {
        var generator = Xoshiro256(seed: seed)
        let random = SeededRandom(seed: seed)

        #expect(expected.map { _ in generator.next() } == expected)
        #expect(expected.map { _ in random.nextUInt64() } == expected)
    }

    @Test func `a stream depends on seed and label only`() {
        let fresh = SeededRandom(seed: 7)
        let used = SeededRandom(seed: 7)
        for _ in 0..<100 { _ = used.nextUInt64() }

        let a = fresh.stream("disk").nextUInt64()

        #expect(a == used.stream("disk").nextUInt64())
        #expect(a != fresh.stream("network").nextUInt64())
        #expect(a != SeededRandom(seed: 8).stream("disk").nextUInt64())
        #expect(a != fresh.stream("disk").stream("disk").nextUInt64())
    }

    @Test func `the generator of a stream yields the stream's own numbers`() {
        let random = SeededRandom(seed: 3)
        let twin = SeededRandom(seed: 3)
        var generator = random.generator

        let drawn = [generator.next(), random.nextUInt64(), generator.next()]

        #expect(drawn == (0..<3).map { _ in twin.nextUInt64() })
    }

    @Test func `a bounded number stays in bounds and reaches all of them`() {
        var random = Xoshiro256(seed: 1)
        var seen = [Int](repeating: 0, count: 10)

        for _ in 0..<10_000 { seen[random.below(10)] += 1 }

        #expect(seen.allSatisfy { (800...1200).contains($0) })
        #expect((0..<100).allSatisfy { _ in (5...7).contains(random.within(5...7)) })
        #expect(random.within(9...9) == 9)
    }
}
