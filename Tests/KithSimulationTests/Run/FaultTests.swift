import KithBytes
import KithPorts
import KithSimulation
import Testing

@testable import KithSimulation

/// What faults are drawn, and what each does to network, disk and scheduler, without a node.
@Suite struct FaultTests {
    // MARK: Schedules

    private func schedule(
        _ seed: UInt64, _ choice: FaultSchedule.Choice = .init()
    ) -> FaultSchedule {
        FaultSchedule.drawn(
            seed: seed, nodeCount: 3, stepTimes: (0..<50).map { $0 * 1_000_000 }, choice: choice)
    }

    @Test func `every kind is drawn, and each run has some of them only`() {
        var choice = FaultSchedule.Choice()
        choice.isBeyond = true
        let schedules = (1...400).map { schedule($0, choice) }
        let drawn = schedules.map { Set($0.faults.map(\.kind)) }

        #expect(drawn.reduce(Set()) { $0.union($1) }.count == FaultKind.allCases.count)
        #expect(FaultKind.allCases.count >= 30)
        #expect(drawn.allSatisfy { $0.count < FaultKind.allCases.count })
        #expect(drawn.contains { $0.isEmpty })
    }

    @Test func `faults are in order, between hosts that are there, and not beyond the budget`() {
        for seed in 1...200 as ClosedRange<UInt64> {
            let faults = schedule(seed).faults
            #expect(zip(faults, faults.dropFirst()).allSatisfy { $0.at <= $1.at })
            for fault in faults {
                #expect(1...3 ~= fault.node && 0...3 ~= fault.other, "seed \(seed): \(fault)")
                #expect(fault.node != fault.other, "seed \(seed): \(fault)")
                #expect(fault.kind.group != .beyond, "seed \(seed): \(fault)")
                if fault.kind.needsTwoNodes { #expect(fault.other > 0, "seed \(seed): \(fault)") }
            }
        }
    }

    @Test func `kinds that are switched off are not drawn`() {
        var choice = FaultSchedule.Choice()
        choice.without = Set(FaultKind.allCases.filter { $0.group == .disk })
        let kinds = (1...100).flatMap { schedule($0, choice).faults.map(\.kind) }

        #expect(!kinds.isEmpty)
        #expect(kinds.allSatisfy { $0.group != .disk })
    }

    @Test func `logarithmic draws stay in their range and reach its orders of magnitude`() {
        var random = Xoshiro256(seed: 1)
        let draws = (0..<2_000).map { _ in random.logarithmic(1_000...1_000_000) }

        #expect(draws.allSatisfy { 1_000...1_000_000 ~= $0 })
        #expect(draws.contains { $0 < 2_000 } && draws.contains { $0 > 500_000 })
    }

    // MARK: Network

    /// A server that sends back what it gets, and a client with a connection to it.
    private func world(
        _ seed: UInt64,
        _ body:
            @escaping @Sendable (any ByteStream, SimulatedNetwork) async throws
            -> Void
    ) throws {
        let simulator = Simulator(seed: seed)
        let network = SimulatedNetwork(simulator)
        let (near, far) = (simulator.lane(node: "a"), simulator.lane(node: "b"))
        let host = network.host("b")
        far.start {
            guard
                let listener = try? await host.listen(host: "b", port: 1, loops: [far])
            else { return }
            while let stream = try? await listener.accept() {
                while let bytes = try? await stream.read(atMost: 4_096), !bytes.isEmpty {
                    try? await stream.write(bytes)
                }
                stream.close()
            }
        }
        try simulator.run(nanoseconds: 1_000_000)
        try simulator.run(on: near) {
            let stream = try await network.host("a").connect(host: "b", port: 1, loop: near)
            try await body(stream, network)
            stream.close()
        }
        try simulator.shutdown()
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `what is blocked is held and arrives afterwards`(seed: UInt64) throws {
        try world(seed) { stream, network in
            let until = network.simulator.nanoseconds + 3_000_000_000
            network.weather.block(from: "a", to: "b", until: until)
            try await stream.write([1, 2, 3])
            var back: [UInt8] = []
            while back.count < 3 { back += try await stream.read(atMost: 10) }

            #expect(back == [1, 2, 3])
            #expect(network.simulator.nanoseconds >= until)
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `one bit of the next bytes changes`(seed: UInt64) throws {
        try world(seed) { stream, network in
            network.weather.damage(from: "a", to: "b", .flip)
            let sent = [UInt8](repeating: 0, count: 100)
            try await stream.write(sent)
            var back: [UInt8] = []
            while back.count < 100 { back += try await stream.read(atMost: 100) }

            #expect(back.reduce(0) { $0 + $1.nonzeroBitCount } == 1)
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `a connection breaks in the middle of what it carries`(seed: UInt64) throws {
        try world(seed) { stream, network in
            network.weather.damage(from: "a", to: "b", .cut)
            try await stream.write([UInt8](repeating: 7, count: 100))
            var back = 0
            await #expect(throws: NetworkError.self) {
                while true { back += try await stream.read(atMost: 100).count }
            }

            #expect(back < 100)
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `an end that is gone without a word shows itself to who writes`(seed: UInt64) throws {
        try world(seed) { stream, network in
            network.breakStreams(from: "b", to: "a", isSilent: true)
            await network.simulator.wait(nanoseconds: 60_000_000_000, subject: 0)
            try await stream.write([1])
            await #expect(throws: NetworkError.self) { try await stream.read(atMost: 1) }
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `a host without power answers nobody until it is back`(seed: UInt64) throws {
        try world(seed) { stream, network in
            network.crash("b", isSilent: true)
            try await stream.write([1])
            let lane = network.simulator.lane(node: "a")
            let back = network.simulator.nanoseconds + 2_000_000_000
            network.simulator.schedule(after: 2_000_000_000, subject: 0) { _ = network.host("b") }
            await #expect(throws: NetworkError.self) {
                try await network.host("a").connect(host: "b", port: 1, loop: lane)
            }
            #expect(network.simulator.nanoseconds >= back)
            await #expect(throws: NetworkError.self) { try await stream.read(atMost: 1) }
        }
    }

    // MARK: Disk

    @Test func `the n-th operation of a kind fails, others do not`() async throws {
        let disk = SimulatedDisk()
        let file = try await disk.open("f", create: true, lane: .log)
        disk.failAt(.sync, count: 2)
        try await file.write([1], at: 0, sync: true)
        try await file.write([2], at: 1, sync: false)

        await #expect(throws: DiskError.self) { try await file.sync() }
        #expect(disk.hasFailed)
        try await file.sync()
    }

    @Test func `reads that fail go on to fail where that is asked for`() async throws {
        let disk = SimulatedDisk()
        let file = try await disk.open("f", create: true, lane: .log)
        try await file.write([1, 2], at: 0, sync: true)
        disk.failAt(.read, count: 1, isPersistent: true)

        await #expect(throws: DiskError.self) { try await file.read(at: 0, count: 1) }
        await #expect(throws: DiskError.self) { try await file.read(at: 1, count: 1) }
    }

    // MARK: Scheduler

    @Test func `a lane that loses the processor loses no job`() throws {
        var settings = Simulator.Settings()
        settings.holdOneIn = 2
        let simulator = Simulator(seed: 3, settings: settings)
        let lanes = (0..<3).map { simulator.lane(node: "n", loop: $0) }
        let count = RunningCount()
        for lane in lanes {
            lane.start {
                for _ in 0..<50 {
                    await simulator.wait(nanoseconds: 10, subject: 0)
                    count.value += 1
                }
            }
        }
        try simulator.runUntilIdle()

        #expect(count.value == 150)
        #expect(simulator.nanoseconds > 1_000_000)
        try simulator.shutdown()
    }
}

/// Touched on the simulation's thread only.
private final class RunningCount: @unchecked Sendable {
    var value = 0
}
