import KithBytes
import KithClient
import KithCore
import KithPorts
import KithStorage
import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation

/// A client that asks and never reads costs at most its outbox, whatever it asks, and is closed
/// after a while; others are served meanwhile.
@Suite struct DeafClientTests {
    /// What a deaf client asks.
    enum Kind: String, CaseIterable, Sendable {
        case hello, ingest, ingestTold, refusedItems, advanceTime, get, getLong, getFar
        case stats, status, ping
        case unknown, malformed
        case peerGreeting, peerPerform, peerFind, peerRead, peerReadLong, peerTotals, peerMark
        case peerStatus, peerHeartbeat, peerForwards

        var isOfNode: Bool { rawValue.hasPrefix("peer") }
        /// What one answer may have beyond what is promised to it.
        var slackBytes: Int {
            switch self {
            case .peerFind, .peerPerform: 2 << 20
            default: 64 << 10
            }
        }
    }

    /// A deaf client, as far as it got. Touched on the simulation's thread only.
    private final class Deaf: @unchecked Sendable {
        var requests = 0
        var isGreeted = false
        var isClosed = false
    }

    private static let requestsMax = 400_000

    @Test(arguments: Kind.allCases)
    func `a client that never reads costs its outbox, whatever it asks`(kind: Kind) throws {
        var settings = ClusterSettings(seed: 71)
        settings.nodeCount = 2
        settings.groups = 2
        settings.log.segmentBytes = 8 << 20
        let cluster = SimulatedCluster(settings)
        try cluster.startAll()
        try writeLongProfiles(cluster, settings)
        let deaf = Deaf()
        let folder = try RawNode.folder(of: cluster)
        let request = try request(kind, settings, folder)
        let greeting =
            kind.isOfNode ? RawNode.greeting(settings, folder) : [RawClient.hello]
        let lane = cluster.simulator.lane(node: "deaf")
        let (simulator, network) = (cluster.simulator, cluster.network)
        lane.start {
            guard let client = try? await RawClient.connect(simulator, network, lane) else {
                return
            }
            // Closed by the node in the end, which is what it waits for.
            do {
                for bytes in greeting {
                    try await client.stream.write(bytes)
                    _ = try await client.stream.read(atMost: 64 << 10)
                }
                deaf.isGreeted = true
                while deaf.requests < Self.requestsMax {
                    try await client.stream.write(request)
                    deaf.requests += 1
                }
            } catch { deaf.isClosed = true }
        }
        var greatest = 0
        var long = 0
        var last = -1
        // Until it gets nothing more rid of.
        for _ in 0..<200 where last != deaf.requests {
            last = deaf.requests
            try simulator.run(nanoseconds: 100_000_000, maxSteps: 20_000_000)
            let memory = cluster.connectionMemory()
            greatest = max(greatest, memory.greatest)
            long = max(long, memory.longReplies)
            if simulator.nanoseconds > 25_000_000_000 { break }
        }

        let room = kind.isOfNode ? Outbox.toNodeBytesMax : Outbox.bytesMax
        #expect(deaf.isGreeted && !deaf.isClosed && deaf.requests > 10, "\(kind)")
        #expect(deaf.requests < Self.requestsMax, "\(kind): nothing stops it")
        // An array that grows has up to twice the room of its bytes, and one read lies beside it.
        #expect(greatest <= 2 * room + (128 << 10) + kind.slackBytes, "\(kind): \(greatest) bytes")
        #expect(greatest > 32 << 10, "\(kind): it was not deaf for long enough")
        // Long answers of clients share one room, which those to nodes take nothing of.
        let isLong = [.getLong, .getFar].contains(kind)
        #expect((long > 0) == isLong, "\(kind): \(long) bytes of long answers")
        // Nobody else is held up.
        let event = MergingEvents.event("meanwhile", ["userId": "other"])
        let reply = try cluster.run(at: 1) { try await $0.ingest(MergingEvents.payload(event)) }
        #expect(reply.results == [.ok], "\(kind)")

        try simulator.run(nanoseconds: 33_000_000_000, maxSteps: 20_000_000)
        let after = cluster.connectionMemory()
        #expect(after.greatest < 64 << 10, "\(kind): \(after)")
        #expect(after.longReplies == 0, "\(kind): \(after)")
        try cluster.checkInvariants()
        try cluster.shutdown()
    }

    /// A profile of some hundred KiB at each node.
    private func writeLongProfiles(_ cluster: SimulatedCluster, _ settings: ClusterSettings) throws
    {
        for node in 1...2 {
            let user = Self.user(settings, at: node)
            for part in 0..<20 {
                let traits = (0..<5).map {
                    CBORMember(
                        .text("t\(part)-\($0)"), .text(String(repeating: "x", count: 4_000)))
                }
                let event: CBORValue = [
                    "type": "identify", "userId": .text(user), "traits": .map(traits),
                ]
                let reply = try cluster.run(at: 1) {
                    try await $0.ingest(MergingEvents.payload(event))
                }
                #expect(reply.results == [.ok])
            }
        }
    }

    private static func user(_ settings: ClusterSettings, at node: Int) -> String {
        (0...).lazy.map { "long-\($0)" }.first { settings.home(of: "user_id", $0) == node } ?? ""
    }

    private func request(
        _ kind: Kind, _ settings: ClusterSettings, _ folder: FolderWord
    ) throws -> [UInt8] {
        let long = LeafHasher(key: settings.configuration().hashKey)
        let user = Self.user(settings, at: 1)
        let leaf = long.leaf(
            class: .account, space: Array("default".utf8).span.bytes,
            namespace: Array("user_id".utf8).span.bytes, value: Array(user.utf8).span.bytes)
        let group = GroupTable(groupCount: settings.groups).group(of: leaf)
        switch kind {
        case .hello:
            return frame(.hello, Hello(clusterName: "", role: .client, software: "raw").encoded())
        case .ingest:
            return RawClient.frame(
                MergingEvents.payload(MergingEvents.event("deaf", ["userId": "deaf"])))
        case .ingestTold:
            // As much to tell as the standard paths give: a note for each of a few bytes.
            var batch = IngestBatchWriter(space: "default")
            let traits: CBORValue = ["email": "", "phone": ""]
            let event: CBORValue = [
                "type": "page", "userId": "", "anonymousId": "", "traits": traits,
                "context": ["traits": traits, "device": ["id": ""], "externalIds": 0],
            ]
            for _ in 0..<500 { batch.append(bytes: event.encoded()) }
            return RawClient.frame(batch.payload)
        case .refusedItems:
            var batch = IngestBatchWriter(space: "default")
            for _ in 0..<5_000 { batch.append(.invalidJSON) }
            return RawClient.frame(batch.payload)
        case .advanceTime: return RawClient.frame(AdvanceTime(stamp: LogTime(1)))
        case .get: return get("nobody")
        case .getLong: return get(user)
        case .getFar: return get(Self.user(settings, at: 2))
        case .stats: return RawClient.frame(Stats())
        case .status: return RawClient.frame(Status())
        case .ping: return RawClient.frame(Ping())
        case .unknown: return frame(FrameType(rawValue: 0x33), [1, 2, 3])
        case .malformed: return frame(.get, [1, 2, 3])
        case .peerGreeting: return RawNode.greeting(settings, folder)[1]
        case .peerPerform:
            return RawClient.frame(
                PeerPerform(
                    group: group, isIngest: false, isWaiting: false, deadlineMillis: 100,
                    operations: OperationWriter(), finds: [], waits: [leaf]))
        case .peerFind:
            let find = FindRequest(
                record: leaf, leaf: leaf, other: leaf, proof: .none, stamp: .min)
            return RawClient.frame(
                PeerPerform(
                    group: group, isIngest: false, isWaiting: false, deadlineMillis: 100,
                    operations: OperationWriter(), finds: Array(repeating: find, count: 100),
                    waits: []))
        case .peerRead:
            var other = leaf
            while GroupTable(groupCount: settings.groups).group(of: other) != group
                || other == leaf
            {
                other = LeafID(high: other.high, low: other.low &+ 1)
            }
            return RawClient.frame(
                PeerRead(group: group, leaf: other, record: other, deadlineMillis: 100))
        case .peerReadLong:
            return RawClient.frame(
                PeerRead(group: group, leaf: leaf, record: leaf, deadlineMillis: 100))
        case .peerTotals: return RawClient.frame(PeerTotals(group: group))
        case .peerMark: return RawClient.frame(PeerMark(group: group))
        case .peerStatus: return RawClient.frame(PeerStatus())
        case .peerHeartbeat:
            return RawClient.frame(PeerHeartbeat(wall: settings.start, news: folder.news))
        case .peerForwards:
            return RawClient.frame(
                PeerForwards(
                    group: group, search: 1, step: .scan,
                    lost: [PeerForwards.LostGroup(group: GroupID(1), mark: .none)]))
        }
    }

    private func get(_ value: String) -> [UInt8] {
        RawClient.frame(Get(space: "default", namespace: "user_id", value: value))
    }

    private func frame(_ type: FrameType, _ payload: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        FrameWriter.write(
            FrameHeader(type: type, requestID: 1, version: ProtocolVersion.current),
            payload: payload, into: &writer)
        return writer.bytes
    }
}
