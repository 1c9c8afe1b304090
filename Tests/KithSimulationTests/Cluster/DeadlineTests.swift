import KithBytes
import KithPorts
import KithWire
import Testing

@testable import KithSimulation

/// Connections whose client stops half-way are closed, and no others.
@Suite struct DeadlineTests {
    /// Virtual seconds from the connection until `body` has returned.
    private func seconds(
        _ body: @escaping @Sendable (RawClient) async throws -> Void
    ) throws -> Double {
        let cluster = SimulatedCluster(ClusterSettings(seed: 41))
        try cluster.start()
        let lane = cluster.simulator.lane(node: "mallory")
        let (simulator, network) = (cluster.simulator, cluster.network)
        let started = simulator.nanoseconds
        try simulator.run(on: lane, maxSteps: 5_000_000) {
            let client = try await RawClient.connect(simulator, network, lane)
            try await body(client)
            client.stream.close()
        }
        let passed = simulator.nanoseconds - started
        try cluster.shutdown()
        return Double(passed) / 1e9
    }

    @Test(arguments: [0, 3, 20])
    func `a connection without a whole greeting is closed after five seconds`(
        byteCount: Int
    ) throws {
        let passed = try seconds { client in
            try await client.stream.write(Array(RawClient.hello.prefix(byteCount)))
            await client.readToEnd()
        }

        #expect(4.9...6.5 ~= passed, "closed after \(passed) s")
    }

    @Test func `a greeting that trickles in is not waited for`() throws {
        let passed = try seconds { client in
            _ = await client.trickle(RawClient.hello, pauseMilliseconds: 400)
        }

        #expect(4.9...7 ~= passed, "closed after \(passed) s")
    }

    @Test func `a frame that trickles in is not waited for`() throws {
        let passed = try seconds { client in
            try await client.greet()
            let bytes = RawClient.beginning(of: 5000) + [UInt8](repeating: 0, count: 1000)
            _ = await client.trickle(bytes, pauseMilliseconds: 500)
        }

        #expect(29.9...32 ~= passed, "closed after \(passed) s")
    }

    @Test func `a client that does not read its replies is closed`() throws {
        let passed = try seconds { client in
            try await client.greet()
            let ping = RawClient.frame(Ping())
            for _ in 0..<10 {
                try await client.stream.write((0..<1000).flatMap { _ in ping })
            }
            for _ in 0..<100 {
                await client.wait(milliseconds: 1000)
                do { try await client.stream.write(ping) } catch { return }
            }
        }

        #expect(29.9...34 ~= passed, "closed after \(passed) s")
    }

    @Test func `a client may be silent between two frames for as long as it likes`() throws {
        _ = try seconds { client in
            try await client.greet()
            for _ in 0..<3 {
                await client.wait(milliseconds: 300_000)
                try await client.stream.write(RawClient.frame(Ping()))
                #expect(try await client.stream.read(atMost: 4096).count > 0)
            }
        }
    }

    @Test func `each frame has its own time`() throws {
        let ping = RawClient.frame(Ping())
        _ = try seconds { client in
            try await client.greet()
            try await client.stream.write(Array(ping.prefix(7)))
            for _ in 0..<6 {
                await client.wait(milliseconds: 20_000)
                // The rest of one frame and the beginning of the next.
                try await client.stream.write(Array(ping.dropFirst(7)) + ping.prefix(7))
                #expect(try await client.stream.read(atMost: 4096).count > 0)
            }
        }
    }
}
