import Testing

@testable import KithSimulation

@Suite struct DeterminismTests {
    @Test(arguments: [UInt64(1), 2, 3])
    func `the same seed gives the same trace`(seed: UInt64) throws {
        let first = try runWorkload(seed: seed)
        let second = try runWorkload(seed: seed)

        #expect(first == second, "seed \(seed)")
        #expect(first.steps > 500)
    }

    @Test func `different seeds give different traces and the same answer`() throws {
        let results = try (0..<50).map { try runWorkload(seed: $0) }

        #expect(Set(results.map(\.hash)).count == 50)
        #expect(Set(results.map(\.total)).count == 1)
        #expect(results.allSatisfy { $0.echoed == 8000 })
    }

    @Test func `the hash is a function of the trace`() throws {
        let first = Shared<[TraceRecord]>([])
        let second = Shared<[TraceRecord]>([])

        let a = try runWorkload(seed: 9) { first.value.append($0) }
        let b = try runWorkload(seed: 9) { second.value.append($0) }

        #expect(first.value == second.value)
        #expect(a.hash == b.hash)
        #expect(first.value.contains { $0.kind == .delivery })
        #expect(first.value.contains { $0.kind == .timer })
        #expect(first.value.contains { $0.text == "round of 3" })
    }

    @Test func `another process draws the same trace`() async throws {
        let mine = try runWorkload(seed: 77)

        await #expect(processExitsWith: .success) {
            [hash = mine.hash as UInt64, steps = mine.steps as Int] in
            let result = try runWorkload(seed: 77)
            #expect(result.hash == hash)
            #expect(result.steps == steps)
        }
    }

    @Test func `a note changes the hash by its text, its value and its time`() throws {
        let simulators = (0..<5).map { _ in Simulator(seed: 1) }

        simulators[1].trace("elected", 1)
        simulators[2].trace("elected", 2)
        simulators[3].trace("deposed", 1)
        try simulators[4].run(nanoseconds: 1)
        simulators[4].trace("elected", 1)

        #expect(Set(simulators.map(\.traceHash)).count == 5)
    }

    @Test func `a lane for each actor explores other schedules and computes the same`() throws {
        var settings = Simulator.Settings()
        settings.hasLanePerActor = true

        let shared = try runWorkload(seed: 5)
        let split = try runWorkload(seed: 5, settings: settings)
        let again = try runWorkload(seed: 5, settings: settings)

        #expect(split == again)
        #expect(split.hash != shared.hash)
        #expect(split.steps > shared.steps)
        #expect(split.total == shared.total)
    }
}
