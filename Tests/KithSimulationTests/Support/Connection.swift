import KithPorts

@testable import KithSimulation

/// Two nodes, `a` and `b`, with a lane each, and one connection from `a` to port 7000 of `b`.
final class Connected: Sendable {
    let simulator: Simulator
    let network: SimulatedNetwork
    let a: Lane
    let b: Lane
    /// The end at `a`.
    let client: any ByteStream
    /// The end at `b`.
    let server: any ByteStream
    let listener: any Listener

    init(
        seed: UInt64 = 1, settings: SimulatedNetwork.Settings = SimulatedNetwork.Settings()
    ) throws {
        let simulator = Simulator(seed: seed)
        let network = SimulatedNetwork(simulator, settings: settings)
        let (a, b) = (simulator.lane(node: "a"), simulator.lane(node: "b"))
        self.simulator = simulator
        self.network = network
        self.a = a
        self.b = b
        let listener = try simulator.run(on: b) {
            try await network.host("b").listen(host: "b", port: 7000, loops: [b])
        }
        self.listener = listener
        let ends = try simulator.run(on: a) {
            async let accepted = listener.accept()
            let near = try await network.host("a").connect(host: "b", port: 7000, loop: a)
            guard let far = try await accepted else { throw NetworkError.closed }
            return (near, far)
        }
        (client, server) = ends
    }

    /// Runs `body` on the lane of `b`, the world as far as it must.
    func atB<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) throws -> Value {
        try simulator.run(on: b, body)
    }

    /// Runs `body` on the lane of `a`, the world as far as it must.
    func atA<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) throws -> Value {
        try simulator.run(on: a, body)
    }

    /// Lets all that is on the way arrive.
    func settle() throws {
        try simulator.runUntilIdle()
    }
}
