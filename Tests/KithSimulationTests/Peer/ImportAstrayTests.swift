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

    /// Two events of one person, sent at once by two importers: the second waits while the log
    /// takes the first.
    private final class Import: @unchecked Sendable {
        var sent = 0
        var ended = 0
        /// The stamps of those that were taken.
        var taken: [LogTime] = []
    }

    private func send(
        _ name: String, stamp: LogTime, _ cluster: SimulatedCluster, _ lane: Lane, _ work: Import
    ) {
        let (simulator, network) = (cluster.simulator, cluster.network)
        var batch = IngestBatchWriter(space: "default", hasStamps: true)
        batch.append(
            stamp: stamp, bytes: MergingEvents.event(name, ["userId": "u"]).encoded())
        let payload = batch.payload
        lane.start {
            defer { work.ended += 1 }
            do {
                let client = try await RawClient.connect(simulator, network, lane)
                try await client.greet()
                work.sent += 1
                try await client.stream.write(RawClient.frame(payload))
                var decoder = FrameDecoder(frameBytesMax: 1 << 20)
                var answer: Frame?
                while answer == nil {
                    decoder.append(try await client.stream.read(atMost: 4096))
                    answer = try decoder.next()
                }
                if let answer, answer.type == .ingestReply,
                    try IngestReply(decoding: answer.payload).results == [.ok]
                {
                    work.taken.append(stamp)
                }
                client.stream.close()
            } catch {
                return  // the test sees that it was not taken
            }
        }
    }

    /// How many events were taken whose node went astray `nanoseconds` after they were sent, and
    /// whether log time has come to the stamp of each.
    private func importMeeting(
        astrayAfter nanoseconds: UInt64
    ) throws -> (taken: Int, hasRisen: Bool) {
        var settings = ClusterSettings(seed: 21)
        settings.isEventClock = true
        let cluster = SimulatedCluster(settings)
        let life = cluster.begin(1)
        let simulator = cluster.simulator
        try simulator.run(until: { life.node != nil })
        let node = try #require(life.node)
        let stamp = settings.start.rawValue - Self.hour
        let work = Import()
        let lane = simulator.lane(node: "importer")
        send("one", stamp: LogTime(stamp), cluster, lane, work)
        send("two", stamp: LogTime(stamp + 60_000), cluster, lane, work)
        try simulator.run(until: { work.sent == 2 })
        try simulator.run(nanoseconds: nanoseconds, maxSteps: 1_000_000)
        let clock = try simulator.run(on: lane) { await node.clock }
        let past = LogTime(settings.start.rawValue - 3 * Self.hour)
        for other in [2, 3] { clock.hear(past, of: NodeID(UInt16(other))) }
        #expect(clock.now == .astray)
        try simulator.run(until: { work.ended == 2 })
        let time = try simulator.run(on: lane) {
            var last = LogTime(0)
            for group in node.groups { last = max(last, await group.machine.now) }
            return last
        }
        try cluster.shutdown()
        return (work.taken.count, work.taken.allSatisfy { $0 <= time })
    }

    @Test func `an event that is taken has raised log time to its stamp`() throws {
        var counts: Set<Int> = []
        for step in 0..<200 as Range<UInt64> {
            let (taken, hasRisen) = try importMeeting(astrayAfter: step * Self.stepNanoseconds)
            counts.insert(taken)
            #expect(hasRisen, "astray after \(step) steps")
        }
        #expect(counts.contains(2) && counts.contains { $0 < 2 }, "\(counts)")
    }
}
