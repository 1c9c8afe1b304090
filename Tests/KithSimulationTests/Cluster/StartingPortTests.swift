import KithBytes
import KithPorts
import KithSimulation
import KithWire
import Testing

@testable import KithServer

/// What a node says while it replays its log, to whoever asks and however many say nothing.
@Suite struct StartingPortTests {
    private let simulator = Simulator(seed: 1)

    /// Has `body` ask a node that starts for ten seconds.
    private func asking<Value: Sendable>(
        _ body: @escaping @Sendable (SimulatedNetwork, Lane) async throws -> Value
    ) throws -> Value {
        let settings = NodeSettings(
            configuration: ClusterSettings(seed: 1).configuration(), nodeID: NodeID(1),
            software: "test")
        let start = StartID(number: 1, id: 1)
        let word = FolderWord(
            starts: StartList(number: 1, ids: [1]),
            news: NodeNews(words: [NodeWord(node: NodeID(1), start: start)]))
        let network = SimulatedNetwork(simulator)
        let lane = simulator.lane(node: "n1")
        let asker = simulator.lane(node: "mallory")
        let clock = SimulatedClock(simulator, node: "n1")
        lane.start { [simulator] in
            guard
                let listener = try? await network.host("n1").listen(
                    host: "127.0.0.1", port: 7101, loops: [lane])
            else { return }
            let port = StartingPort(
                settings: settings, listener: listener, clock: clock, word: word,
                progress: StartProgress())
            await port.answer { await simulator.wait(nanoseconds: 10_000_000_000, subject: 1) }
            await listener.close()
        }
        try simulator.run(nanoseconds: 1_000_000)
        return try simulator.run(on: asker) { try await body(network, asker) }
    }

    private func next(_ stream: any ByteStream) async throws -> Frame {
        var decoder = FrameDecoder()
        while true {
            if let frame = try decoder.next() { return frame }
            let bytes = try await stream.read(atMost: 4096)
            if bytes.isEmpty { throw NetworkError.closed }
            decoder.append(bytes)
        }
    }

    @Test func `who asks is answered, however many say nothing`() throws {
        let simulator = simulator
        let state = try asking { network, lane in
            var silent: [any ByteStream] = []
            for _ in 0..<(2 * StartingPort.connectionsMax) {
                silent.append(
                    try await RawClient.connect(simulator, network, lane).stream)
            }
            let client = try await RawClient.connect(simulator, network, lane)
            try await client.greet()
            try await client.stream.write(RawClient.frame(Status()))
            let frame = try await self.next(client.stream)
            for stream in silent { stream.close() }
            client.stream.close()
            return try Self.state(in: frame)
        }
        #expect(state == .text("starting"))
    }

    /// Apart from what waits: the optimiser of Swift 6.3.1 crashes on an asynchronous function that
    /// takes a frame apart.
    private static func state(in frame: Frame) throws -> CBORValue? {
        let status = try StatusReply(decoding: frame.payload)
        guard case .array(let rows)? = try CBORValue(decoding: status.map.span.bytes)["nodes"]
        else { return nil }
        return rows.first?["state"]
    }

    /// So that nodes which lost their folders together can come back together.
    @Test func `a node that asks is told what the folder remembers, others wait`() throws {
        let settings = NodeSettings(
            configuration: ClusterSettings(seed: 1).configuration(), nodeID: NodeID(2),
            software: "test")
        let (asked, greeted) = try asking { network, lane in
            func greet(_ word: FolderWord?) async throws -> Result<FolderWord, PeerFailure> {
                var handshake = PeerHandshake(
                    try await network.host("mallory").connect(
                        host: "127.0.0.1", port: 7101, loop: lane),
                    to: NodeID(1), PeerIntroduction(settings))
                #expect(try await handshake.hello() == nil)
                let answer = try await handshake.greet(word)
                handshake.stream.close()
                return answer
            }
            let word = try await greet(nil).get()
            return (word, "\(try await greet(word))")
        }
        #expect(asked.news.words.map(\.node) == [NodeID(1)])
        #expect(greeted.contains("starting"), "\(greeted)")
    }

    /// Before a greeting nobody has agreed on a version: what is said is of the first.
    @Test func `a refusal before the greeting is of the version that all read`() throws {
        let simulator = simulator
        for bytes in [[UInt8](repeating: 0xff, count: 64), RawClient.frame(Status())] {
            let version = try asking { network, lane in
                let client = try await RawClient.connect(simulator, network, lane)
                try await client.stream.write(bytes)
                var reply: [UInt8] = []
                while let more = try? await client.stream.read(atMost: 4096), !more.isEmpty {
                    reply += more
                }
                client.stream.close()
                return reply.count > 4 ? reply[4] : 0
            }
            #expect(version == ProtocolVersion.hello)
        }
    }
}
