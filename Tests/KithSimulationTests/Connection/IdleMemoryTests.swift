import KithBytes
import KithClient
import KithCore
import KithPorts
import KithStorage
import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation

/// A connection that is between two batches holds next to nothing.
@Suite struct IdleMemoryTests {
    private static let connections = 300
    /// What each of `idleMax` may hold, with its part of what the loops keep.
    private static let bytesMax = 16 << 10
    private static let idleMax = 10_000

    @Test func `connections that each sent a batch of a hundred and are idle hold 16 KiB each`()
        throws
    {
        var settings = ClusterSettings(seed: 91)
        // An entry holds what many connections sent.
        settings.log.segmentBytes = 8 << 20
        settings.strangersMax = Self.connections
        let cluster = SimulatedCluster(settings)
        try cluster.start()
        let acknowledged = Shared(0)
        let lane = cluster.simulator.lane(node: "crowd")
        let (simulator, network) = (cluster.simulator, cluster.network)
        let filler = CBORValue.text(String(repeating: "x", count: 150))
        for number in 0..<Self.connections {
            var batch = IngestBatchWriter(space: "default")
            for place in 0..<100 {
                batch.append(
                    bytes: MergingEvents.event(
                        "viewed \(place)",
                        [
                            "userId": .text("u\(number)-\(place)"),
                            "anonymousId": .text("a\(number)-\(place)"),
                            "properties": ["filler": filler],
                        ]
                    ).encoded())
            }
            let request = RawClient.frame(batch.payload)
            lane.start {
                // Stays open, and silent, as long as its task waits for more.
                guard let client = try? await RawClient.connect(simulator, network, lane),
                    (try? await client.greet()) != nil,
                    (try? await client.stream.write(request)) != nil
                else { return }
                var decoder = FrameDecoder(frameBytesMax: 1 << 20)
                while let bytes = try? await client.stream.read(atMost: 64 << 10), !bytes.isEmpty {
                    decoder.append(bytes)
                    if let frame = try? decoder.next(),
                        let reply = try? IngestReply(decoding: frame.payload),
                        reply.results.count == 100
                    {
                        acknowledged.value += 1
                    }
                }
            }
        }
        try simulator.run(
            until: { acknowledged.value == Self.connections }, maxSteps: 50_000_000)
        try simulator.run(nanoseconds: 1_000_000_000)

        let memory = cluster.connectionMemory()
        #expect(memory.connections == Self.connections)
        #expect(memory.greatest <= 1 << 10)
        let each = memory.byteCount / Self.connections + memory.poolBytes / Self.idleMax
        #expect(each <= Self.bytesMax, "\(memory)")
        #expect(memory.poolBytes > 0, "nothing is kept for the next")
        #expect(memory.poolBytes <= 2 * LoopPool.bytesMax)
        try cluster.shutdown()
    }
}
