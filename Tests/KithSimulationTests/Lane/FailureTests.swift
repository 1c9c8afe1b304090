import Foundation
import KithPorts
import Testing

@testable import KithSimulation

@Suite struct FailureTests {
    enum Moment: CaseIterable {
        case duringAJob
        case betweenRuns
    }

    @Test(arguments: Moment.allCases)
    func `a job from a foreign thread fails the run and every later one`(moment: Moment) throws {
        let simulator = Simulator(seed: 1)
        let lane = simulator.lane(node: "n")
        let waiting = Shared<UnsafeContinuation<Void, Never>?>(nil)
        lane.start {
            await withUnsafeContinuation { waiting.value = $0 }
        }
        try simulator.run(until: { waiting.value != nil })
        try simulator.runUntilIdle()
        let continuation = try #require(waiting.value)
        switch moment {
        case .duringAJob:
            simulator.lane(node: "other").start { onForeignThread { continuation.resume() } }
        case .betweenRuns:
            onForeignThread { continuation.resume() }
        }

        #expect(throws: SimulationError.foreignThread(operation: "enqueue on lane 0", count: 1)) {
            try simulator.runUntilIdle()
        }
        #expect(throws: SimulationError.foreignThread(operation: "enqueue on lane 0", count: 1)) {
            try simulator.run(until: { true })
        }
        #expect(!simulator.step())
    }

    @Test func `a task started by a foreign thread while a job runs fails the run`() throws {
        let simulator = Simulator(seed: 1)
        let lane = simulator.lane(node: "n")
        let ran = Shared(false)
        lane.start {
            onForeignThread { lane.start { ran.value = true } }
        }

        #expect(throws: SimulationError.foreignThread(operation: "start on lane n/0", count: 1)) {
            try simulator.runUntilIdle()
        }
        #expect(!ran.value)
    }

    @Test func `a job of one simulation that reaches into another fails the other`() throws {
        let one = Simulator(seed: 1)
        let other = Simulator(seed: 2)
        let counter = Counter(on: other.lane(node: "x"))
        one.lane(node: "n").start { await counter.add(1) }

        try one.runUntilIdle()

        #expect(one.failure == nil)
        #expect(other.failure != nil)
    }

    @Test func `a deadlock says what waits`() throws {
        let simulator = Simulator(seed: 1)
        let network = SimulatedNetwork(simulator)
        let lane = simulator.lane(node: "n")
        let host = network.host("n")
        lane.start {
            let listener = try? await host.listen(host: "n", port: 9, loops: [lane])
            _ = try? await listener?.accept()
        }

        let error = #expect(throws: SimulationError.self) {
            try simulator.run(until: { false })
        }

        guard case .deadlock(_, let waiting) = error else {
            Issue.record("not a deadlock: \(String(describing: error))")
            return
        }
        #expect(waiting == ["root task 1 on lane n/0", "accept on n:9"])
        try simulator.shutdown()
    }

    @Test func `a world with a periodic timer that waits for something else says for what`() throws
    {
        let simulator = Simulator(seed: 1)
        let clock = SimulatedClock(simulator, node: "n")
        let lane = simulator.lane(node: "n")
        lane.start {
            while (try? await clock.sleep(nanoseconds: 1_000_000_000, on: lane)) != nil {}
        }

        let error = #expect(throws: SimulationError.self) {
            try simulator.run(until: { false }, maxNanoseconds: 60_000_000_000)
        }

        guard case .timeLimit(60_000_000_000, let waiting)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(waiting.contains { $0.contains("n/0") }, "\(waiting)")
        try simulator.shutdown()
    }

    @Test func `too many steps are an error, not a hang`() throws {
        let simulator = Simulator(seed: 1)
        simulator.lane(node: "n").start {
            while !Task.isCancelled { await Task.yield() }
        }

        #expect(throws: SimulationError.stepLimit(steps: 100, nanoseconds: 100_000)) {
            try simulator.run(until: { false }, maxSteps: 100)
        }
        try simulator.shutdown()
    }

    @Test func `a run is over at once when its condition holds already`() throws {
        let simulator = Simulator(seed: 1)
        simulator.lane(node: "n").start {}

        try simulator.run(until: { true })

        #expect(simulator.stepCount == 0)
    }

    @Test func `shutdown ends all tasks and frees the world`() throws {
        weak var leftover: Simulator?
        let ended = Shared(0)
        do {
            let simulator = Simulator(seed: 1)
            leftover = simulator
            let network = SimulatedNetwork(simulator)
            let clock = SimulatedClock(simulator, node: "n")
            let lane = simulator.lane(node: "n")
            let host = network.host("n")
            lane.start {
                try? await clock.sleep(nanoseconds: .max, on: lane)
                ended.value += 1
            }
            lane.start {
                let listener = try? await host.listen(host: "n", port: 9, loops: [lane])
                let stream = try? await listener?.accept()
                _ = try? await stream?.read(atMost: 10)
                ended.value += 1
            }
            lane.start {
                let stream = try? await host.connect(host: "n", port: 9, loop: lane)
                _ = try? await stream?.read(atMost: 10)
                ended.value += 1
            }
            try simulator.run(nanoseconds: 1_000_000_000)
            #expect(ended.value == 0)

            try simulator.shutdown()
            #expect(ended.value == 3)
            #expect(throws: SimulationError.shutDown) { try simulator.runUntilIdle() }
        }
        #expect(leftover == nil)
    }
}
