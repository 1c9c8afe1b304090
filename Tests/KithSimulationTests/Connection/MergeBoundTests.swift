import KithBytes
import KithClient
import KithCore
import KithPorts
import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation

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
        // Each in a batch of its own, at once: one is sealed while others come.
        var answers: [IngestResult] = []
        var left = links
        for _ in 0..<200 where !left.isEmpty {
            let batch = left
            let results = try cluster.run(at: 2) { client in
                try await withThrowingTaskGroup(of: (Int, [IngestResult]).self) { group in
                    for (place, event) in batch.enumerated() {
                        group.addTask {
                            let payload = MergingEvents.payload(event)
                            return (place, try await client.ingest(payload, retries: 0).results)
                        }
                    }
                    var results: [Int: IngestResult] = [:]
                    for try await (place, result) in group { results[place] = result.first }
                    return results
                }
            }
            answers += results.values
            left = batch.indices.filter { results[$0]?.wantsRetry ?? true }.map { batch[$0] }
        }
        #expect(left.isEmpty)
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
        let board = MarkBoard()
        try board.record {
            let cluster = try cluster { $0.sealedMax = 1 }
            let answers = try link(cluster)
            // Those that are stored and whose link is not made yet are `unknown`.
            #expect(answers.contains { $0.wantsRetry })
            #expect(try merges(cluster) == .unsigned(UInt64(Self.links)))
            try cluster.checkInvariants()
            try cluster.shutdown()
        }
        #expect(board.count(of: .groupMergesFull) > 0)
    }

    @Test func `where as many wait for merges as may, the others ask again`() throws {
        let board = MarkBoard()
        try board.record {
            let cluster = try cluster { $0.waitsMax = 1 }
            let answers = try link(cluster)
            #expect(answers.filter { $0 == .ok || $0 == .duplicate }.count == Self.links)
            #expect(try merges(cluster) == .unsigned(UInt64(Self.links)))
            try cluster.checkInvariants()
            try cluster.shutdown()
        }
        #expect(board.count(of: .groupWaitsFull) > 0)
    }

    @Test func `what a node sends to be logged is bounded, and it is told`() throws {
        let cluster = try cluster { $0.pendingAllBytesMax = 2_000 }
        var operations = OperationWriter()
        for _ in 0..<20 { operations.time() }
        let request = RawClient.frame(
            PeerPerform(
                group: GroupID(0), isIngest: false, isWaiting: false, deadlineMillis: 1_000,
                operations: operations, finds: [], waits: []))
        let count = 40
        let frames = try RawNode.ask(Array(repeating: request, count: count), cluster)
        var overloaded = 0
        var answered = 0
        for frame in frames {
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

    @Test func `a node whose requests wait is not read beyond their bound`() throws {
        let bytesMax = 100_000
        let cluster = try cluster { $0.answeringBytesMax = bytesMax }
        var operations = OperationWriter()
        while operations.byteCount < 30_000 { operations.time() }
        let request = RawClient.frame(
            PeerPerform(
                group: GroupID(0), isIngest: false, isWaiting: false, deadlineMillis: 1_000,
                operations: operations, finds: [], waits: []))
        let count = 60
        var greatest = 0
        let frames = try RawNode.ask(Array(repeating: request, count: count), cluster) {
            greatest = max(greatest, cluster.connectionMemory().greatest)
        }
        #expect(frames.count == count)
        #expect(frames.allSatisfy { $0.type == .peerPerformReply })
        // With one frame that waits, and what was read with it.
        #expect(greatest > bytesMax - request.count, "\(greatest): nothing waited")
        #expect(greatest < bytesMax + 2 * request.count + (64 << 10), "\(greatest)")
        try cluster.checkInvariants()
        try cluster.shutdown()
    }

    @Test func `one request longer than that bound is answered by itself`() throws {
        let cluster = try cluster { $0.answeringBytesMax = 1_000 }
        var operations = OperationWriter()
        while operations.byteCount < 30_000 { operations.time() }
        let request = RawClient.frame(
            PeerPerform(
                group: GroupID(0), isIngest: false, isWaiting: false, deadlineMillis: 1_000,
                operations: operations, finds: [], waits: []))
        let frames = try RawNode.ask([request, request, request], cluster)
        #expect(frames.map(\.type) == [.peerPerformReply, .peerPerformReply, .peerPerformReply])
        try cluster.shutdown()
    }
}
