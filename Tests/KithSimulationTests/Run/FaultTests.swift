import KithBytes
import KithPorts
import KithServer
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
        #expect((1...400).contains { schedule($0).faults.isEmpty })
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

    @Test func `what cannot act is not drawn`() {
        var choice = FaultSchedule.Choice()
        choice.hasRunningClocks = false
        choice.leaders = 1
        let kinds = Set((1...400).flatMap { schedule($0, choice).faults.map(\.kind) })

        #expect(!kinds.contains(.freeze) && !kinds.contains(.cutInMerge))
        #expect(kinds.contains(.swing) && kinds.contains(.crashInMerge))
    }

    @Test func `beyond the budget every run has a damage, whatever else is drawn`() {
        var choice = FaultSchedule.Choice()
        choice.isBeyond = true
        for seed in 1...100 as ClosedRange<UInt64> {
            choice.isMerging = seed % 2 == 0
            let faults = schedule(seed, choice).faults
            #expect(faults.contains { $0.kind.group == .beyond }, "seed \(seed)")
            #expect(Set(faults.map(\.number)).count == faults.count, "seed \(seed)")
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

    @Test func `a short slowness leaves a long one as it is`() {
        var weather = NetworkWeather()
        var random = Xoshiro256(seed: 1)
        weather.slow(from: "a", to: "b", by: 700...700, until: 1_000)
        weather.slow(from: "a", to: "b", by: 30...30, until: 100)
        weather.narrow(from: "b", to: "a", bytesPerSecond: 1_000_000, until: 1_000)
        weather.narrow(from: "b", to: "a", bytesPerSecond: 500_000_000, until: 100)
        func delay(_ from: String, _ to: String, _ now: UInt64) -> UInt64 {
            weather.delay(5, from: from, to: to, byteCount: 1, now: now, &random)
        }

        #expect([50, 500, 2_000].map { delay("a", "b", $0) } == [705, 705, 5])
        #expect(delay("b", "a", 50) == 1_005)
        #expect(delay("b", "a", 999) == 5 + 51 + 1_000)
        #expect(delay("b", "a", 9_000) == 5)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>, [FaultKind.connectRefused, .lostAccept])
    func `what is about new connections breaks the present ones`(
        seed: UInt64, kind: FaultKind
    ) throws {
        let simulator = Simulator(seed: seed)
        let network = SimulatedNetwork(simulator)
        let (near, far) = (simulator.lane(node: "n1"), simulator.lane(node: "n2"))
        let host = network.host("n2")
        far.start {
            guard
                let listener = try? await host.listen(host: "b", port: 1, loops: [far])
            else { return }
            while let stream = try? await listener.accept() { withExtendedLifetime(stream) {} }
        }
        try simulator.run(nanoseconds: 1_000_000)
        try simulator.run(on: near) {
            let stream = try await network.host("n1").connect(host: "b", port: 1, loop: near)
            var chance = Xoshiro256(seed: seed)
            let fault = Fault(
                number: 1, kind: kind, at: 0, node: 2, other: 1, nanoseconds: 1_000_000_000,
                chance: seed)
            #expect(network.isConnected(from: "n1", to: "n2"))
            network.inject(fault, &chance, now: simulator.nanoseconds, nodeCount: 2)
            await #expect(throws: NetworkError.self) {
                while try await !stream.read(atMost: 1).isEmpty {}
            }
            #expect(!network.isConnected(from: "n1", to: "n2"))
        }
        try simulator.shutdown()
    }

    // MARK: Disk

    @Test func `failures of several faults happen each, and one is taken back alone`()
        async throws
    {
        let disk = SimulatedDisk()
        let file = try await disk.open("f", create: true, lane: .log)
        disk.failAt(.sync, count: 2, fault: 7)
        disk.failAt(.look, count: 1, isPersistent: true, fault: 8)
        disk.failAt(.write, count: 1, fault: 9)

        await #expect(throws: DiskError.self) { try await disk.list("") }
        await #expect(throws: DiskError.self) { try await file.write([1], at: 0, sync: false) }
        #expect(disk.takeFired() == [8, 9])
        disk.stopFailing(fault: 8)
        _ = try await disk.list("")
        try await file.sync()
        #expect(!disk.hasFailed(.sync))
        await #expect(throws: DiskError.self) { try await file.sync() }
        #expect(disk.takeFired() == [7])
        #expect(disk.hasFailed && disk.hasFailed(.look) && !disk.hasFailed(.read))
        #expect(!disk.crash { _ in .everything }.hasFailed)
    }

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

    // MARK: Nodes

    /// A run of one node that serves, and nothing else in it.
    private func serving(
        seed: UInt64 = 3, _ body: (ClusterRun) throws -> Void
    ) throws {
        var options = RunOptions(seed: seed)
        options.nodes = 1
        options.faults.only = []
        let run = ClusterRun(options)
        try run.startAll()
        try body(run)
        run.isOver = true
        run.cluster.node(1).life?.onEnd = nil
        run.cluster.node(1).life?.onServing = nil
        try run.cluster.shutdown()
    }

    private func fault(_ number: Int, _ kind: FaultKind, seconds: UInt64) -> Fault {
        Fault(
            number: number, kind: kind, at: 0, node: 1, other: 0,
            nanoseconds: seconds * 1_000_000_000, chance: UInt64(number))
    }

    private func pass(_ run: ClusterRun, seconds: UInt64) throws {
        try run.simulator.run(nanoseconds: seconds * 1_000_000_000)
    }

    @Test func `a disk fault excuses the lives that meet it and no other`() throws {
        try serving { run in
            run.inject(fault(1, .fullDisk, seconds: 4))
            #expect(run.keeper(1).isExcused)
            try pass(run, seconds: 1)
            run.crash(1, down: 0, isSilent: false)
            try pass(run, seconds: 1)
            #expect(run.keeper(1).isExcused, "the disk is full still")
            try pass(run, seconds: 3)
            run.crash(1, down: 0, isSilent: false)
            try pass(run, seconds: 1)
            #expect(run.keeper(1).isServing && !run.keeper(1).isExcused)
        }
    }

    @Test func `a fault ends its own effect only`() throws {
        try serving { run in
            let (place, keeper) = (run.cluster.node(1), run.keeper(1))
            run.inject(fault(1, .pause, seconds: 1))
            run.inject(fault(2, .pause, seconds: 6))
            run.inject(fault(3, .slowDisk, seconds: 2))
            run.inject(fault(4, .slowDisk, seconds: 5))
            run.inject(fault(5, .drift, seconds: 2))
            run.inject(fault(6, .unknownRoom, seconds: 2))
            run.inject(fault(7, .unknownRoom, seconds: 5))
            try pass(run, seconds: 3)
            #expect(place.lanes[0].isPaused)
            #expect(place.trouble.extraNanoseconds > 0)
            #expect(keeper.drifts.isEmpty && keeper.unknownRooms == [7])
            try pass(run, seconds: 4)
            #expect(!place.lanes[0].isPaused)
            #expect(place.trouble.extraNanoseconds == 0)
            #expect(run.injected[.pause] == 2 && run.injected[.slowDisk] == 2)
        }
    }

    @Test func `a node that is down cannot die, and its first pause does not reach its next life`()
        throws
    {
        try serving { run in
            run.inject(fault(1, .pause, seconds: 3))
            run.inject(fault(2, .crash, seconds: 1))
            run.inject(fault(3, .crash, seconds: 1))
            run.inject(fault(4, .stop, seconds: 1))
            #expect(run.injected[.crash] == 1 && run.injected[.stop] == nil)
            try pass(run, seconds: 2)
            run.inject(fault(5, .pause, seconds: 4))
            try pass(run, seconds: 2)
            #expect(run.cluster.node(1).lanes[0].isPaused)
        }
    }

    /// Found by `kith simulate --seed 83728559487738`: a node alone, whose clock was put right as
    /// it started, refused events for ever after.
    @Test func `a node that is starting when all is healed follows its clock in the end`() throws {
        var guarded = 0
        for seed in 1...8 as ClosedRange<UInt64> {
            try serving(seed: seed) { run in
                let place = run.cluster.node(1)
                guard place.clock.isGuarded else { return }
                guarded += 1
                place.clock.advance(by: -86_400_000)
                run.crash(1, down: 0, isSilent: false)
                try run.simulator.run(nanoseconds: 3_000_000)
                #expect(place.life != nil && place.life?.node == nil)
                run.heal()
                try pass(run, seconds: 5)
                #expect(run.keeper(1).isServing, "seed \(seed)")
                #expect(place.life?.node?.doubtsClock == false, "seed \(seed)")
            }
        }
        #expect(guarded > 0)
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
