import KithBytes
import Testing

@testable import KithSimulation

private let day: UInt64 = 86_400_000_000_000

@Suite struct SimulatedClockTests {
    let simulator = Simulator(seed: 1)
    var lane: Lane { simulator.lane(node: "n") }

    @Test func `ninety-one days pass in two steps`() throws {
        let clock = SimulatedClock(simulator, node: "n")
        let lane = lane
        let before = clock.wallTime()

        let passed = try simulator.run(on: lane) {
            let start = clock.monotonicNanoseconds()
            try await clock.sleep(nanoseconds: 91 * day, on: lane)
            return clock.monotonicNanoseconds() - start
        }

        #expect((91 * day...91 * day + 10_000).contains(passed))
        #expect(clock.wallTime().rawValue - before.rawValue == 91 * 86_400_000)
        #expect(simulator.stepCount <= 4)
    }

    @Test func `sleepers wake in the order of their times`() throws {
        let clock = SimulatedClock(simulator, node: "n")
        let woken = Shared<[UInt64]>([])
        for time in [30, 10, 50, 20, 40] as [UInt64] {
            let lane = simulator.lane(node: "n", loop: Int(time))
            lane.start {
                try? await clock.sleep(nanoseconds: time * 1_000_000, on: lane)
                woken.value.append(time)
            }
        }

        try simulator.runUntilIdle()

        #expect(woken.value == [10, 20, 30, 40, 50])
    }

    @Test func `a cancelled sleep throws at the time of cancellation`() throws {
        let clock = SimulatedClock(simulator, node: "n")
        let lane = lane

        let (wasCancelled, passed) = try simulator.run(on: lane) {
            let start = clock.monotonicNanoseconds()
            let wasCancelled = await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do {
                        try await clock.sleep(nanoseconds: day, on: lane)
                        return false
                    } catch {
                        return error is CancellationError
                    }
                }
                try? await clock.sleep(nanoseconds: 1_000_000, on: lane)
                group.cancelAll()
                return await group.next() ?? false
            }
            return (wasCancelled, clock.monotonicNanoseconds() - start)
        }

        #expect(wasCancelled)
        #expect(passed < 2_000_000)
        try simulator.runUntilIdle()
        #expect(simulator.nanoseconds < day, "the cancelled timer is gone from the queue")
    }

    @Test func `a task that was cancelled before does not sleep`() throws {
        let clock = SimulatedClock(simulator, node: "n")
        let lane = lane
        let threw = Shared(false)
        lane.start {
            do {
                try await clock.sleep(nanoseconds: day, on: lane)
            } catch {
                threw.value = true
            }
        }
        lane.cancelRootTasks()

        try simulator.runUntilIdle()

        #expect(threw.value)
        #expect(simulator.nanoseconds < day)
    }

    @Test func `a sleep for ever is a deadlock, not the end of time`() throws {
        let clock = SimulatedClock(simulator, node: "n")
        let lane = lane
        lane.start { try? await clock.sleep(nanoseconds: .max, on: lane) }

        #expect(throws: SimulationError.self) { try simulator.run(until: { false }) }
        #expect(simulator.nanoseconds < day)
        try simulator.shutdown()
    }

    @Test func `a jump of the wall clock wakes nobody`() throws {
        let clock = SimulatedClock(simulator, node: "n")
        let lane = lane
        let isAwake = Shared(false)
        lane.start {
            try? await clock.sleep(nanoseconds: day, on: lane)
            isAwake.value = true
        }
        try simulator.run(nanoseconds: 1_000_000)
        let monotonic = clock.monotonicNanoseconds()

        clock.advance(by: 91 * 86_400_000)
        try simulator.run(nanoseconds: 1_000_000)

        #expect(!isAwake.value)
        #expect(
            clock.wallTime().rawValue - SimulatedClock.defaultStart.rawValue == 91 * 86_400_000 + 2)
        #expect(clock.monotonicNanoseconds() == monotonic + 1_000_000)

        try simulator.run(until: { isAwake.value })
    }

    @Test func `the wall clock is set, goes on, goes back, drifts and stands still`() throws {
        let clock = SimulatedClock(
            simulator, node: "n", start: LogTime(5_000), skewMilliseconds: -7)
        #expect(clock.wallTime() == LogTime(4_993))

        clock.setWallTime(LogTime(1_000_000))
        try simulator.run(nanoseconds: 2_000_000_000)
        #expect(clock.wallTime() == LogTime(1_002_000))

        clock.advance(by: -500_000)
        #expect(clock.wallTime() == LogTime(502_000))

        clock.setDrift(partsPerMillion: 100_000)
        try simulator.run(nanoseconds: 10_000_000_000)
        #expect(clock.wallTime() == LogTime(513_000))

        clock.setDrift(partsPerMillion: -1_000_000)
        try simulator.run(nanoseconds: 10_000_000_000)
        #expect(clock.wallTime() == LogTime(513_000))
    }

    @Test func `each node's monotonic clock has a zero of its own`() {
        let a = SimulatedClock(simulator, node: "a")
        let b = SimulatedClock(simulator, node: "b")

        #expect(a.monotonicNanoseconds() != b.monotonicNanoseconds())
        #expect(a.wallTime() == b.wallTime())
    }

    @Test func `of timers due together the seed says which is first`() throws {
        func order(seed: UInt64) throws -> [Int] {
            let simulator = Simulator(seed: seed)
            var order: [Int] = []
            for number in 0..<6 {
                simulator.schedule(after: 1_000, subject: 0) { order.append(number) }
            }
            try simulator.runUntilIdle()
            return order
        }

        let orders = try (0..<20).map { try order(seed: $0) }

        #expect(orders.allSatisfy { $0.sorted() == Array(0..<6) })
        #expect(Set(orders).count > 10)
        #expect(try order(seed: 3) == orders[3])
    }

    @Test func `events fire by time through any mix of scheduling and cancelling`() throws {
        var random = Xoshiro256(seed: 11)
        var fired: [UInt64] = []
        var expected: [UInt64] = []
        var live: [(id: EventID, due: UInt64)] = []
        for _ in 0..<2_000 {
            let due = random.below(UInt64(500))
            if let id = simulator.schedule(after: due, subject: 0, { fired.append(due) }) {
                live.append((id, due))
            }
            if random.oneIn(2) {
                let victim = live.remove(at: random.below(live.count))
                #expect(simulator.cancel(victim.id))
                #expect(!simulator.cancel(victim.id))
            }
        }
        expected = live.map(\.due).sorted()

        try simulator.runUntilIdle()

        #expect(fired == expected)
        #expect(live.allSatisfy { !simulator.cancel($0.id) })
    }
}
