import KithBytes
import KithCore
import KithPorts
import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation

/// A node whose clock goes astray while an import is on its way, at any moment of it.
@Suite struct ImportAstrayTests {
    private static let hour: Int64 = 3_600_000
    private static let stepNanoseconds: UInt64 = 25_000

    /// What came of an event whose node went astray `nanoseconds` after it was sent, and whether
    /// log time has come to its stamp.
    private func importMeeting(
        astrayAfter nanoseconds: UInt64
    ) throws -> (result: IngestResult?, hasRisen: Bool) {
        var settings = ClusterSettings(seed: 21)
        settings.isEventClock = true
        let cluster = SimulatedCluster(settings)
        let life = cluster.begin(1)
        try cluster.simulator.run(until: { life.node != nil })
        let node = try #require(life.node)
        let stamp = LogTime(settings.start.rawValue - Self.hour)
        let event = MergingEvents.event("one", ["userId": "u"])
        var batch = IngestBatchWriter(space: "default", hasStamps: true)
        batch.append(stamp: stamp, bytes: event.encoded())
        let payload = batch.payload
        let lane = cluster.simulator.lane(node: "importer")
        let (simulator, network) = (cluster.simulator, cluster.network)
        let results = Shared<[IngestResult]>([])
        let isDone = Shared(false)
        let isSent = Shared(false)
        lane.start {
            defer { isDone.value = true }
            do {
                let client = try await RawClient.connect(simulator, network, lane)
                try await client.greet()
                isSent.value = true
                try await client.stream.write(RawClient.frame(payload))
                var decoder = FrameDecoder(frameBytesMax: 1 << 20)
                var answer: Frame?
                while answer == nil {
                    decoder.append(try await client.stream.read(atMost: 4096))
                    answer = try decoder.next()
                }
                if let answer, answer.type == .ingestReply {
                    results.value = try IngestReply(decoding: answer.payload).results
                }
                client.stream.close()
            } catch {
                return  // the test sees that there is no result
            }
        }
        try simulator.run(until: { isSent.value })
        try simulator.run(nanoseconds: nanoseconds, maxSteps: 1_000_000)
        let clock = try simulator.run(on: lane) { await node.clock }
        let past = LogTime(settings.start.rawValue - 3 * Self.hour)
        for other in [2, 3] { clock.hear(past, of: NodeID(UInt16(other))) }
        #expect(clock.now == .astray)
        try simulator.run(until: { isDone.value })
        let risen = try simulator.run(on: lane) {
            for group in node.groups where await group.machine.now >= stamp { return true }
            return false
        }
        try cluster.shutdown()
        return (results.value.first, risen)
    }

    @Test func `an event that is taken has raised log time to its stamp`() throws {
        var taken = 0
        var refused = 0
        for step in 0..<200 as Range<UInt64> {
            let (result, hasRisen) = try importMeeting(astrayAfter: step * Self.stepNanoseconds)
            if result == .ok { taken += 1 } else { refused += 1 }
            #expect(result != .ok || hasRisen, "astray after \(step) steps")
        }
        #expect(taken > 0 && refused > 0, "\(taken) taken, \(refused) refused")
    }
}
