import KithPorts
import Testing

@testable import KithSimulation

@Suite struct HostTests {
    let simulator = Simulator(seed: 1)

    @Test func `nobody listens, so the connect is refused after a while`() throws {
        let network = SimulatedNetwork(simulator)
        let lane = simulator.lane(node: "a")

        let error = try simulator.run(on: lane) {
            await networkError {
                _ = try await network.host("a").connect(host: "b", port: 1, loop: lane)
            }
        }

        #expect(error == .unreachable(address: "b:1", message: "connection refused"))
        #expect(simulator.nanoseconds >= 40_000)
    }

    @Test func `an address is listened on once, and again after close`() throws {
        let network = SimulatedNetwork(simulator)
        let lane = simulator.lane(node: "a")

        let (error, port) = try simulator.run(on: lane) {
            let host = network.host("a")
            let first = try await host.listen(host: "0.0.0.0", port: 80, loops: [lane])
            let error = await networkError {
                _ = try await host.listen(host: "a", port: 80, loops: [lane])
            }
            await first.close()
            await first.close()
            let second = try await host.listen(host: "a", port: 80, loops: [lane])
            return (error, second.port)
        }

        #expect(error == .cannotListen(address: "a:80", message: "address in use"))
        #expect(port == 80)
    }

    @Test func `port 0 picks ports that are free`() throws {
        let network = SimulatedNetwork(simulator)
        let lane = simulator.lane(node: "a")

        let ports = try simulator.run(on: lane) {
            var ports: [UInt16] = []
            for _ in 0..<10 {
                let host = network.host("a")
                ports.append(try await host.listen(host: "a", port: 0, loops: [lane]).port)
            }
            return ports
        }

        #expect(Set(ports).count == 10)
        #expect(!ports.contains(0))
    }

    @Test func `accepted streams go round the loops, and each end knows its loop`() throws {
        let network = SimulatedNetwork(simulator)
        let client = simulator.lane(node: "a")
        let loops = (0..<3).map { simulator.lane(node: "b", loop: $0) }

        let names = try simulator.run(on: client) {
            let listener = try await network.host("b").listen(host: "b", port: 1, loops: loops)
            var names: [String] = []
            for _ in 0..<4 {
                let near = try await network.host("a").connect(host: "b", port: 1, loop: client)
                let far = try await listener.accept()
                names.append((far?.loop as? Lane)?.name ?? "none")
                #expect((near.loop as? Lane)?.name == "a/0")
                #expect(near.peer == "b:1")
            }
            return names
        }

        #expect(names == ["b/0", "b/1", "b/2", "b/0"])
    }

    @Test func `a full backlog refuses, and close breaks what was not accepted`() throws {
        var settings = SimulatedNetwork.Settings()
        settings.backlogMax = 2
        let network = SimulatedNetwork(simulator, settings: settings)
        let lane = simulator.lane(node: "a")

        let (third, waiting, accepted) = try simulator.run(on: lane) {
            let host = network.host("a")
            let listener = try await host.listen(host: "a", port: 1, loops: [lane])
            let one = try await host.connect(host: "a", port: 1, loop: lane)
            _ = try await host.connect(host: "a", port: 1, loop: lane)
            let third = await networkError {
                _ = try await host.connect(host: "a", port: 1, loop: lane)
            }
            await listener.close()
            let waiting = await networkError { _ = try await one.read(atMost: 1) }
            return (third, waiting, try await listener.accept() == nil)
        }

        #expect(third == .unreachable(address: "a:1", message: "connection refused"))
        #expect(waiting == .reset(message: "never accepted"))
        #expect(accepted)
    }

    @Test func `a waiting accept returns nil when its listener closes`() throws {
        let network = SimulatedNetwork(simulator)
        let lane = simulator.lane(node: "a")
        let ended = Shared(false)
        let listener = try simulator.run(on: lane) {
            try await network.host("a").listen(host: "a", port: 1, loops: [lane])
        }
        lane.start { ended.value = (try? await listener.accept()) == nil }
        try simulator.runUntilIdle()
        #expect(!ended.value)

        try simulator.run(on: lane) { await listener.close() }
        try simulator.run(until: { ended.value })
    }

    @Test func `after a crash the old host is cut off and a new one starts anew`() throws {
        let network = SimulatedNetwork(simulator)
        let lane = simulator.lane(node: "b")
        let old = network.host("b")
        let other = network.host("a")
        let listener = try simulator.run(on: lane) {
            try await old.listen(host: "b", port: 7, loops: [lane])
        }
        network.crash("b")

        try simulator.run(on: lane) {
            #expect(try await listener.accept() == nil)
            let listen = await networkError {
                _ = try await old.listen(host: "b", port: 8, loops: [lane])
            }
            #expect(listen == .cannotListen(address: "b:8", message: "b has crashed"))
            let connect = await networkError {
                _ = try await old.connect(host: "b", port: 7, loop: lane)
            }
            #expect(connect == .unreachable(address: "b:7", message: "b has crashed"))
            let refused = await networkError {
                _ = try await other.connect(host: "b", port: 7, loop: lane)
            }
            #expect(refused == .unreachable(address: "b:7", message: "connection refused"))

            let fresh = try await network.host("b").listen(host: "b", port: 7, loops: [lane])
            _ = try await other.connect(host: "b", port: 7, loop: lane)
            #expect(try await fresh.accept() != nil)
        }
    }

    @Test func `a crash during connect is an error of the connect`() throws {
        let network = SimulatedNetwork(simulator)
        let lane = simulator.lane(node: "a")
        let error = Shared<NetworkError?>(nil)
        _ = try simulator.run(on: lane) {
            try await network.host("b").listen(host: "b", port: 7, loops: [lane])
        }
        let host = network.host("a")
        lane.start {
            error.value = await networkError {
                _ = try await host.connect(host: "b", port: 7, loop: lane)
            }
        }
        simulator.step()
        network.crash("a")

        try simulator.run(until: { error.value != nil })

        #expect(error.value == .unreachable(address: "b:7", message: "a has crashed"))
    }
}
