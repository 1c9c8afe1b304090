import KithBytes
import KithClient
import KithCore
import KithPorts
import KithSimulation
import KithWire
import Testing

@testable import KithServer

/// Merges that wait are bounded: whoever sends more links than that is told to come again, and all
/// of them are made in the end.
@Suite struct MergeBoundTests {
    private static let links = 60

    private func cluster(_ change: (inout NodeTuning) -> Void) throws -> SimulatedCluster {
        var settings = ClusterSettings(seed: 95)
        settings.nodeCount = 2
        settings.groups = 2
        change(&settings.tuning)
        let cluster = SimulatedCluster(settings)
        try cluster.startAll()
        return cluster
    }

    /// Visitors whose cookie node 2 keeps and whose account node 1: first each by itself, then all
    /// links from several connections at once, until all are settled. Returns what was answered to
    /// the links.
    private func link(_ cluster: SimulatedCluster) throws -> [IngestResult] {
        let settings = cluster.settings
        let cookies = values("anonymous_id", at: 2, settings)
        let users = values("user_id", at: 1, settings)
        var events: [CBORValue] = []
        for (cookie, user) in zip(cookies, users) {
            events.append(MergingEvents.event("c-\(cookie)", ["anonymousId": .text(cookie)]))
            events.append(MergingEvents.event("u-\(user)", ["userId": .text(user)]))
        }
        try send(events, cluster, until: { $0.allSatisfy { $0 == .ok || $0 == .duplicate } })
        let links = zip(cookies, users).map { cookie, user in
            MergingEvents.event(
                "l-\(user)", ["anonymousId": .text(cookie), "userId": .text(user)])
        }
        var answers: [IngestResult] = []
        try send(links, cluster) { results in
            answers += results
            return results.allSatisfy { !$0.wantsRetry }
        }
        return answers
    }

    private func send(
        _ events: [CBORValue], _ cluster: SimulatedCluster, until isDone: ([IngestResult]) -> Bool
    ) throws {
        var batch = IngestBatchWriter(space: "default")
        for event in events { batch.append(bytes: event.encoded()) }
        let payload = batch.payload
        for _ in 0..<200 {
            let reply = try cluster.run(at: 2) { try await $0.ingest(payload) }
            if isDone(reply.results) { return }
            try cluster.simulator.run(nanoseconds: 300_000_000, maxSteps: 5_000_000)
        }
        Issue.record("not settled after 200 tries")
    }

    private func values(
        _ namespace: String, at node: Int, _ settings: ClusterSettings
    ) -> [String] {
        Array(
            (0...).lazy.map { "v\($0)" }.filter { settings.home(of: namespace, $0) == node }
                .prefix(Self.links))
    }

    private func merges(_ cluster: SimulatedCluster) throws -> CBORValue? {
        let bytes = try cluster.run(at: 1) { try await $0.stats() }
        return try CBORValue(decoding: bytes.span.bytes)["merges"]?["completed"]
    }

    @Test func `where as many merges wait as may, events are told to come again`() throws {
        let cluster = try cluster { $0.sealedMax = 1 }
        let answers = try link(cluster)
        #expect(answers.contains(.overloaded))
        #expect(try merges(cluster) == .unsigned(UInt64(Self.links)))
        try cluster.checkInvariants()
        try cluster.shutdown()
    }

    @Test func `where as many wait for merges as may, the others ask again`() throws {
        let cluster = try cluster { $0.waitsMax = 1 }
        let answers = try link(cluster)
        #expect(answers.suffix(Self.links).allSatisfy { $0 == .ok || $0 == .duplicate })
        #expect(try merges(cluster) == .unsigned(UInt64(Self.links)))
        try cluster.checkInvariants()
        try cluster.shutdown()
    }

    @Test func `what a node sends to be logged is bounded, and it is told`() throws {
        let cluster = try cluster { $0.pendingAllBytesMax = 2_000 }
        let configuration = cluster.settings.configuration()
        let introduction = PeerIntroduction(
            NodeSettings(configuration: configuration, nodeID: NodeID(2), software: "crowd"))
        var operations = OperationWriter()
        for _ in 0..<20 { operations.time() }
        let request = RawClient.frame(
            PeerPerform(
                group: GroupID(0), isIngest: false, isWaiting: false, deadlineMillis: 1_000,
                operations: operations, finds: [], waits: []))
        let count = 40
        let lane = cluster.simulator.lane(node: "crowd")
        let (simulator, network) = (cluster.simulator, cluster.network)
        let frames = try simulator.run(on: lane) {
            let client = try await RawClient.connect(simulator, network, lane)
            var decoder = FrameDecoder(frameBytesMax: PeerLimits.frameBytesMax)
            var frames: [Frame] = []
            for (bytes, total) in [
                (RawClient.frame(introduction.hello), 1),
                (RawClient.frame(introduction.digests), 2),
                (Array(repeatElement(request, count: count).joined()), 2 + count),
            ] {
                try await client.stream.write(bytes)
                while frames.count < total {
                    let read = try await client.stream.read(atMost: 64 << 10)
                    if read.isEmpty { throw NetworkError.closed }
                    decoder.append(read)
                    while let frame = try decoder.next() { frames.append(frame) }
                }
            }
            client.stream.close()
            return frames
        }
        var overloaded = 0
        var answered = 0
        for frame in frames.dropFirst(2) {
            switch try PeerPerformReply(decoding: frame.payload).answer {
            case .overloaded: overloaded += 1
            case .answered(let outcomes, _, _, _):
                #expect(outcomes.count == 20)
                answered += 1
            default: Issue.record("\(frame.type)")
            }
        }
        #expect(answered > 0 && overloaded > 0 && answered + overloaded == count)
        #expect(try merges(cluster) == .unsigned(0))
        try cluster.shutdown()
    }
}
