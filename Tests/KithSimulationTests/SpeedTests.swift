import Testing

@testable import KithSimulation

/// How fast the world turns. Reported, not asserted: machines differ, and benchmarks, not tests,
/// measure time.
@Suite struct SpeedTests {
    @Test func `steps a second`() throws {
        #if DEBUG
        let rounds = 2_000
        #else
        let rounds = 100_000
        #endif
        let simulator = Simulator(seed: 1)
        let counters = (0..<8).map { Counter(on: simulator.lane(node: "n", loop: $0 % 4)) }
        for place in 0..<8 {
            simulator.lane(node: "n", loop: place % 4).start {
                for round in 0..<rounds {
                    await counters[(place + round) % 8].add(1)
                }
            }
        }

        let time = try ContinuousClock().measure {
            try simulator.runUntilIdle(maxSteps: .max)
        }

        let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
        print(
            "\(simulator.stepCount) steps, \(Int(Double(simulator.stepCount) / seconds)) a second")
        let total = simulator.inspect { counters.reduce(0) { $0 + $1.assumeIsolated { $0.total } } }
        #expect(total == 8 * rounds)
    }
}
