import KithBytes
import KithCore
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// What is kept of wall clocks, for checkers.
@Suite struct WallClockTests {
    private static let second: UInt64 = 1_000_000_000

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `what is kept is what the clock showed`(seed: UInt64) throws {
        let simulator = Simulator(seed: seed)
        let clock = SimulatedClock(simulator, node: "n1")
        var random = Xoshiro256(seed: seed, label: "test")
        var shown: [(at: UInt64, wall: Int64)] = []
        for _ in 0..<200 {
            switch random.below(6) {
            case 0: clock.advance(by: Int64(random.below(20_000)) - 10_000)
            case 1: clock.setDrift(partsPerMillion: Int64(random.below(1_000_000)) - 500_000)
            case 2: clock.setDrift(partsPerMillion: -1_000_000)
            default: try simulator.run(nanoseconds: random.below(Self.second) as UInt64)
            }
            shown.append((simulator.nanoseconds, clock.wallTime().rawValue))
        }
        var greatest = Int64.min
        for (place, moment) in shown.enumerated() {
            greatest = max(greatest, moment.wall)
            #expect(clock.wall.least(from: moment.at, to: moment.at) <= moment.wall)
            #expect(clock.wall.greatest(to: moment.at) >= greatest)
            let later = shown[place...].prefix(20)
            let least = clock.wall.least(from: moment.at, to: later[later.endIndex - 1].at)
            #expect(least <= later.map(\.wall).min()!, "seed \(seed), \(place)")
        }
        try simulator.shutdown()
    }

    @Test func `a jump and back is not forgotten, and no clock shows what it did not`() {
        var clock = WallClock(wall: 1_000, drift: -1_000_000)
        clock.set(wall: 9_000, drift: -1_000_000, at: 5 * Self.second)
        clock.set(wall: 2_000, drift: 0, at: 6 * Self.second)

        #expect(clock.greatest(to: 4 * Self.second) == 1_000)
        #expect(clock.greatest(to: 7 * Self.second) == 9_000)
        #expect(clock.least(from: 5 * Self.second + 1, to: 6 * Self.second) == 2_000)
        #expect(clock.least(from: 5 * Self.second + 1, to: 5 * Self.second + 2) == 9_000)
        #expect(clock.greatest(to: 20 * Self.second) == 16_000)
        let later = clock.counted(from: 6 * Self.second)
        #expect(later.least(from: 0, to: 0) == 2_000)
        #expect(later.least(from: 3 * Self.second, to: 4 * Self.second) == 5_000)
        #expect(later.greatest(to: 0) == 9_000)
    }

    @Test func `only the clocks of the nodes that are asked for count`() {
        let work = PlannedWork(steps: [])
        let clocks = WallClocks(
            work,
            known: [
                WallClock(wall: 5_000, drift: -1_000_000),
                WallClock(wall: 7_000, drift: -1_000_000),
                WallClock(wall: 3_000, drift: -1_000_000),
            ], start: 5_000, final: 5_000, ahead: 10, behind: 20)

        #expect(clocks.greatest(to: .max) == 7_010)
        #expect(clocks.greatest(to: .max, of: [1, 3]) == 5_010)
        #expect(clocks.least(from: 0, to: .max) == 2_980)
        #expect(clocks.least(from: 0, to: .max, of: [2]) == 6_980)
    }
}
