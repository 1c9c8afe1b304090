import KithPorts

@testable import KithSimulation

/// What one run of the workload did.
struct WorkloadResult: Equatable, Sendable {
    var hash: UInt64
    var steps: Int
    var total: Int
    var echoed: Int
}

/// Ten actors on four lanes of two nodes: nested calls inside and across lanes, task groups,
/// `async let`, sleeps, and an echo over the network. What is computed depends on no schedule;
/// the trace does.
func runWorkload(
    seed: UInt64, rounds: Int = 8, settings: Simulator.Settings = Simulator.Settings(),
    onTrace: ((TraceRecord) -> Void)? = nil
) throws -> WorkloadResult {
    let simulator = Simulator(seed: seed, settings: settings)
    simulator.onTrace = onTrace
    let network = SimulatedNetwork(simulator)
    let lanes = [("a", 0), ("a", 1), ("b", 0), ("b", 1)].map {
        simulator.lane(node: $0.0, loop: $0.1)
    }
    let counters = (0..<10).map { Counter(on: lanes[$0 % 4].forActor()) }
    let echoed = Shared(0)
    let finished = Shared(0)

    let server = network.host("b")
    lanes[2].start {
        guard let listener = try? await server.listen(host: "b", port: 7000, loops: [lanes[3]])
        else { return }
        while let stream = try? await listener.accept() {
            while let bytes = try? await stream.read(atMost: 256), !bytes.isEmpty {
                await counters[1].add(0)
                try? await stream.write(bytes)
            }
            stream.close()
            await listener.close()
        }
        finished.value += 1
    }
    let client = network.host("a")
    let clientClock = SimulatedClock(simulator, node: "a")
    lanes[0].start {
        try? await clientClock.sleep(nanoseconds: 1_000_000, on: lanes[0])
        guard let stream = try? await client.connect(host: "b", port: 7000, loop: lanes[0])
        else { return }
        for round in 0..<rounds {
            let sent = [UInt8](repeating: UInt8(round & 255), count: 1000)
            async let writing: Void = stream.write(sent)
            let back = (try? await readAll(stream, count: sent.count)) ?? []
            try? await writing
            if back == sent { echoed.value += back.count }
        }
        stream.close()
        finished.value += 1
    }
    for (place, lane) in lanes.enumerated() {
        let clock = SimulatedClock(simulator, node: "\(place)")
        let random = SeededRandom(seed: seed).stream("sleeps of \(place)")
        lane.start {
            for round in 0..<rounds {
                await withTaskGroup(of: Void.self) { group in
                    for child in 0..<3 {
                        group.addTask {
                            let start = (place + child + round) % counters.count
                            await counters[start].add(1, through: counters[start...].prefix(4))
                        }
                    }
                }
                async let one = counters[place].add(1)
                async let other = counters[9 - place].add(1)
                _ = await (one, other)
                simulator.trace("round of \(place)", UInt64(round))
                try? await clock.sleep(nanoseconds: random.nextUInt64() % 1_000_000, on: lane)
            }
            finished.value += 1
        }
    }
    try simulator.run(until: { finished.value == 6 }, maxSteps: 100_000)
    let total = simulator.inspect { counters.reduce(0) { $0 + $1.assumeIsolated { $0.total } } }
    let result = WorkloadResult(
        hash: simulator.traceHash, steps: simulator.stepCount, total: total ?? -1,
        echoed: echoed.value)
    try simulator.shutdown()
    return result
}
