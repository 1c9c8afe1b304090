import KithBytes
import KithClient
import KithCore
import KithPorts
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// What clients make a node hold is bounded over all of them, and nobody is kept out by it.
@Suite struct IngestMemoryTests {
    static let frameBytes = 8 << 20
    static let budgetBytes = 16 << 20

    /// One real node with a small budget for large frames.
    private final class World: @unchecked Sendable {
        let simulator: Simulator
        let network: SimulatedNetwork
        let node: Node
        let lanes: [Lane]
        let hasEnded = Shared(false)

        init(seed: UInt64) throws {
            let simulator = Simulator(seed: seed)
            let network = SimulatedNetwork(simulator)
            let lanes = (0..<2).map { simulator.lane(node: "n1", loop: $0) }
            var settings = NodeSettings(
                configuration: ClusterSettings(seed: seed).configuration(), nodeID: NodeID(1),
                software: "test")
            settings.ingestBytesMax = IngestMemoryTests.budgetBytes
            let ports = NodePorts(
                disk: SimulatedDisk(), network: network.host("n1"),
                clock: SimulatedClock(simulator, node: "n1"), randomness: SeededRandom(seed: seed),
                loops: lanes)
            let node = try simulator.run(on: lanes[0]) { [settings] in
                try await Node.open(settings, ports) { _ in }
            }
            let ended = hasEnded
            lanes[0].start {
                try? await node.run()  // nothing in these tests makes it fail
                ended.value = true
            }
            self.simulator = simulator
            self.network = network
            self.node = node
            self.lanes = lanes
        }

        /// Stops the node, which must end by itself whatever its clients hold.
        func end() throws {
            let node = node
            lanes[0].start { await node.stop() }
            try simulator.run(until: { hasEnded.value })
            try simulator.shutdown()
        }
    }

    /// What a crowd of clients got rid of. Touched on the simulation's thread only.
    private final class Crowd: @unchecked Sendable {
        var writtenBytes = 0
        var waiting = 0
        var closed = 0
        var replies = 0
    }

    /// Half a frame of the largest size from each of `count` clients.
    private func sendHalves(_ world: World, _ count: Int) -> Crowd {
        let crowd = Crowd()
        let lane = world.simulator.lane(node: "crowd")
        let (simulator, network) = (world.simulator, world.network)
        let piece = [UInt8](repeating: 0, count: 32 << 10)
        for _ in 0..<count {
            lane.start {
                guard
                    let client = try? await RawClient.connect(simulator, network, lane),
                    (try? await client.greet()) != nil
                else { return }
                crowd.waiting += 1
                // A client that is closed while it sends is counted like any other.
                try? await client.stream.write(RawClient.beginning(of: Self.frameBytes))
                for _ in 0..<(Self.frameBytes / 2 / piece.count) {
                    guard (try? await client.stream.write(piece)) != nil else { break }
                    crowd.writtenBytes += piece.count
                }
                await client.readToEnd()
                crowd.closed += 1
            }
        }
        return crowd
    }

    private func ingest(_ world: World, _ events: Int, fillerBytes: Int) throws -> [IngestResult] {
        var batch = IngestBatchWriter(space: "default")
        let filler = CBORValue.text(String(repeating: "x", count: fillerBytes))
        for number in 0..<events {
            batch.append(
                bytes: MergingEvents.event(
                    "\(number)", ["userId": .text("u\(number)"), "properties": ["filler": filler]]
                ).encoded())
        }
        let request = RawClient.frame(batch.payload)
        let lane = world.simulator.lane(node: "honest")
        let (simulator, network) = (world.simulator, world.network)
        return try simulator.run(on: lane, maxSteps: 2_000_000) {
            let client = try await RawClient.connect(simulator, network, lane)
            try await client.greet()
            try await client.stream.write(request)
            return try await client.ingestResults()
        }
    }

    @Test func `two hundred halves of large frames are not held, and others are served`() throws {
        let world = try World(seed: 51)
        let crowd = sendHalves(world, 200)
        try world.simulator.run(nanoseconds: 3_000_000_000, maxSteps: 2_000_000)

        #expect(crowd.waiting == 200)
        #expect(crowd.closed == 0)
        // Those with room for a whole frame sent half of it; of each other one there is one read,
        // and what lies on the cable.
        let bound = Self.budgetBytes / 2 + 200 * ((64 << 10) + (64 << 10) + (32 << 10))
        #expect(crowd.writtenBytes <= bound)
        #expect(crowd.writtenBytes > Self.budgetBytes / 4)
        let small = try ingest(world, 3, fillerBytes: 1000)
        #expect(small == [.ok, .ok, .ok])
        try world.end()
    }

    @Test func `room that half frames hold comes back when their time is over`() throws {
        let world = try World(seed: 52)
        let crowd = sendHalves(world, 5)
        try world.simulator.run(nanoseconds: 3_000_000_000, maxSteps: 2_000_000)

        let large = try ingest(world, 10, fillerBytes: 20_000)

        #expect(large == Array(repeating: .ok, count: 10))
        #expect(crowd.closed >= 4)
        try world.end()
    }

    @Test func `frames beyond the budget are taken one after another`() throws {
        let world = try World(seed: 53)
        let crowd = Crowd()
        var batch = IngestBatchWriter(space: "default")
        for number in 0..<40 {
            let filler = CBORValue.text(String(repeating: "x", count: 30_000))
            batch.append(
                bytes: MergingEvents.event(
                    "\(number)", ["userId": "u", "properties": ["filler": filler]]
                ).encoded())
        }
        let request = RawClient.frame(batch.payload)
        let lane = world.simulator.lane(node: "crowd")
        let (simulator, network) = (world.simulator, world.network)
        // Ten clients with three frames of 1.2 MB each, more than twice of what there is room for.
        for _ in 0..<10 {
            lane.start {
                guard
                    let client = try? await RawClient.connect(simulator, network, lane),
                    (try? await client.greet()) != nil
                else { return }
                for _ in 0..<3 { try? await client.stream.write(request) }
                var decoder = FrameDecoder(frameBytesMax: 1 << 20)
                var count = 0
                while count < 3, let bytes = try? await client.stream.read(atMost: 64 << 10),
                    !bytes.isEmpty
                {
                    decoder.append(bytes)
                    while let frame = try? decoder.next() {
                        count += 1
                        if frame.type == .ingestReply { crowd.replies += 1 }
                    }
                }
                client.stream.close()
                crowd.closed += 1
            }
        }

        try world.simulator.run(until: { crowd.closed == 10 }, maxSteps: 1_000_000)

        #expect(crowd.replies == 30)
        try world.end()
    }
}
