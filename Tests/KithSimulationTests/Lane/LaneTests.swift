import Foundation
import Testing

@testable import KithSimulation

@Suite struct LaneTests {
    @Test(arguments: [UInt64(1), 2, 3])
    func `jobs of one lane run in the order in which they came`(seed: UInt64) throws {
        let simulator = Simulator(seed: seed)
        let lanes = (0..<3).map { simulator.lane(node: "n", loop: $0) }
        let order = Shared<[Int]>([])

        for number in 0..<300 {
            lanes[number % 3].start { order.value.append(number) }
        }
        try simulator.runUntilIdle()

        for lane in 0..<3 {
            let own = order.value.filter { $0 % 3 == lane }
            #expect(own == own.sorted())
        }
        #expect(order.value.count == 300)
        #expect(order.value != order.value.sorted(), "seed \(seed): the lanes never interleaved")
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func `every busy lane gets its share`(seed: UInt64) throws {
        let simulator = Simulator(seed: seed)
        let turns = Shared([0, 0, 0, 0])
        for place in 0..<4 {
            simulator.lane(node: "n", loop: place).start {
                while !Task.isCancelled {
                    turns.value[place] += 1
                    await Task.yield()
                }
            }
        }

        try simulator.run(until: { turns.value.reduce(0, +) == 4000 })

        #expect(
            turns.value.allSatisfy { (850...1150).contains($0) }, "seed \(seed): \(turns.value)")
        try simulator.shutdown()
    }

    @Test func `a call inside a lane runs inline, one between lanes takes steps`() throws {
        let simulator = Simulator(seed: 1)
        let a = Counter(on: simulator.lane(node: "n", loop: 0))
        let b = Counter(on: simulator.lane(node: "n", loop: 0))
        let far = Counter(on: simulator.lane(node: "n", loop: 1))

        let steps = try simulator.run(on: a.lane) {
            [await a.stepsOfCall(to: b), await a.stepsOfCall(to: far)]
        }

        #expect(steps[0] == 0)
        #expect(steps[1] >= 1)
    }

    @Test func `actors of one lane are isolated to each other, others are not`() throws {
        let simulator = Simulator(seed: 1)
        let a = Counter(on: simulator.lane(node: "n", loop: 0))
        let b = Counter(on: simulator.lane(node: "n", loop: 0))
        let far = simulator.lane(node: "n", loop: 1)

        let seen = try simulator.run(on: a.lane) {
            await b.add(41)
            return await a.peek(at: b)
        }
        let fromFar = try simulator.run(on: far) { a.lane.isIsolatingCurrentContext() }
        let fromTask = try simulator.run(on: a.lane) { a.lane.isIsolatingCurrentContext() }

        #expect(seen == 41)
        #expect(fromFar == false)
        #expect(fromTask == true)
        #expect(a.lane.isIsolatingCurrentContext() == false, "outside of the simulation")
    }

    @Test func `an actor with a lane of its own is isolated to its loop`() throws {
        var settings = Simulator.Settings()
        settings.hasLanePerActor = true
        let simulator = Simulator(seed: 1, settings: settings)
        let loop = simulator.lane(node: "n")
        let a = Counter(on: loop.forActor())
        let b = Counter(on: loop.forActor())

        let seen = try simulator.run(on: loop) { await a.peek(at: b) }

        #expect(a.lane !== b.lane)
        #expect(seen == 0)
    }

    @Test func `a checker reads every actor between two jobs`() throws {
        let simulator = Simulator(seed: 1)
        let a = Counter(on: simulator.lane(node: "n", loop: 0))
        let b = Counter(on: simulator.lane(node: "m", loop: 0))
        a.lane.start {
            for _ in 0..<5 { await a.add(1, through: [b]) }
        }

        try simulator.run(until: { b.assumeIsolated { $0.total } == 3 })

        #expect(simulator.inspect { a.assumeIsolated { $0.total } } == 3)
        try simulator.runUntilIdle()
        #expect(simulator.inspect { b.assumeIsolated { $0.total } } == 5)
    }

    @Test func `a paused lane runs nothing until it is resumed`() throws {
        let simulator = Simulator(seed: 1)
        let lane = simulator.lane(node: "n")
        let ran = Shared(false)
        lane.pause()
        lane.start { ran.value = true }

        try simulator.runUntilIdle()
        #expect(!ran.value)
        #expect(simulator.waiting.contains { $0.contains("paused") })

        lane.resume()
        try simulator.runUntilIdle()
        #expect(ran.value)
    }

    @Test func `child tasks stay on the lane of their root`() throws {
        let simulator = Simulator(seed: 1)
        let lane = simulator.lane(node: "n")
        _ = simulator.lane(node: "other")

        let isolated = try simulator.run(on: lane) {
            async let one = lane.isIsolatingCurrentContext()
            let others = await withTaskGroup(of: Bool?.self) { group in
                for _ in 0..<3 { group.addTask { lane.isIsolatingCurrentContext() } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            return [await one] + others
        }

        #expect(isolated == [true, true, true, true])
    }
}
