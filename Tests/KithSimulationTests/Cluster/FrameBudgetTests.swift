import KithPorts
import Testing

@testable import KithServer
@testable import KithSimulation

/// The room for large frames: taken whole, in the order of asking, and all of it comes back.
@Suite struct FrameBudgetTests {
    private static let kilo = 1 << 10

    @Test func `small frames pass when nothing is left`() async {
        let budget = FrameBudget(bytesMax: 100 * Self.kilo)
        #expect(await budget.take(100 * Self.kilo) == 100 * Self.kilo)

        #expect(await budget.take(64 * Self.kilo) == 0)
        #expect(budget.takenBytes == 100 * Self.kilo)
    }

    @Test func `a frame larger than the budget is charged all of it`() async {
        let budget = FrameBudget(bytesMax: 100 * Self.kilo)

        let charge = await budget.take(Int.max)

        #expect(charge == 100 * Self.kilo)
        budget.give(charge ?? 0)
        #expect(budget.takenBytes == 0)
    }

    @Test func `who asks first is served first, though less would fit`() throws {
        let simulator = Simulator(seed: 1)
        let lane = simulator.lane(node: "n")
        let budget = FrameBudget(bytesMax: 200 * Self.kilo)
        let order = Shared<[String]>([])
        for (name, kilobytes) in [("a", 150), ("b", 180), ("c", 70), ("d", 90)] {
            lane.start {
                _ = await budget.take(kilobytes * Self.kilo)
                order.value.append(name)
            }
            try simulator.runUntilIdle()
        }
        #expect(order.value == ["a"])
        #expect(budget.waitingCount == 3)

        try simulator.run(on: lane) { budget.give(150 * Self.kilo) }
        try simulator.runUntilIdle()
        #expect(order.value == ["a", "b"])

        try simulator.run(on: lane) { budget.give(180 * Self.kilo) }
        try simulator.runUntilIdle()
        #expect(order.value == ["a", "b", "c", "d"])
        #expect(budget.takenBytes == 160 * Self.kilo)
        try simulator.shutdown()
    }

    @Test func `a wait ends when it is withdrawn or over its deadline, and those behind go on`()
        throws
    {
        let simulator = Simulator(seed: 2)
        let lane = simulator.lane(node: "n")
        let budget = FrameBudget(bytesMax: 200 * Self.kilo)
        let answers = Shared<[String]>([])
        let withdrawn = budget.nextTurn()
        for (name, kilobytes, turn, deadline) in [
            ("a", 110, nil, UInt64.max), ("b", 180, withdrawn, .max), ("c", 170, nil, 1_000),
            ("d", 80, nil, 2_000),
        ] {
            lane.start {
                let charge = await budget.take(kilobytes * Self.kilo, in: turn, until: deadline)
                answers.value.append("\(name) \(charge.map { $0 / Self.kilo } ?? 0)")
            }
            try simulator.runUntilIdle()
        }
        #expect(answers.value == ["a 110"])

        try simulator.run(on: lane) {
            budget.withdraw(withdrawn)
            budget.expire(at: 999)
        }
        try simulator.runUntilIdle()
        #expect(answers.value == ["a 110", "b 0"])
        try simulator.run(on: lane) { budget.expire(at: 1_000) }
        try simulator.runUntilIdle()
        #expect(answers.value == ["a 110", "b 0", "c 0", "d 80"])
        #expect(budget.takenBytes == 190 * Self.kilo)
        #expect(budget.waitingCount == 0)
        // What has ended is not ended again.
        try simulator.run(on: lane) { budget.withdraw(withdrawn) }
        #expect(budget.takenBytes == 190 * Self.kilo)
        try simulator.shutdown()
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `no wake-up is lost between loops, and never more is taken than there is`(
        seed: UInt64
    ) throws {
        let simulator = Simulator(seed: seed)
        let lanes = (0..<3).map { simulator.lane(node: "n", loop: $0) }
        let bytesMax = 300 * Self.kilo
        let budget = FrameBudget(bytesMax: bytesMax)
        let finished = Shared(0)
        let random = SeededRandom(seed: seed)
        for number in 0..<30 {
            lanes[number % 3].start {
                for _ in 0..<10 {
                    let size = 60 * Self.kilo + Int(random.nextUInt64() % UInt64(300 * Self.kilo))
                    let charge = await budget.take(size)
                    #expect(budget.takenBytes <= bytesMax, "seed \(seed)")
                    await simulator.wait(nanoseconds: random.nextUInt64() % 1000, subject: 0)
                    budget.give(charge ?? 0)
                }
                finished.value += 1
            }
        }

        try simulator.run(until: { finished.value == 30 })

        #expect(budget.takenBytes == 0, "seed \(seed)")
        #expect(budget.waitingCount == 0, "seed \(seed)")
        try simulator.shutdown()
    }
}
