import KithBytes
import KithCore
import KithWire
import Testing

/// One message, with the name that its bytes have in docs/wire.md, and how to read it.
struct Sample: Sendable, CustomTestStringConvertible {
    let name: String
    let type: FrameType
    let requestID: UInt64
    let payload: [UInt8]
    /// Decodes a payload and encodes what came out.
    let recode: @Sendable ([UInt8]) throws(ByteError) -> [UInt8]

    var testDescription: String { name }

    init<Message: WireMessage>(_ name: String, _ requestID: UInt64, _ message: Message) {
        self.name = name
        self.requestID = requestID
        type = Message.frameType
        payload = message.encoded()
        recode = { bytes throws(ByteError) in
            try Message(decoding: bytes.span.bytes).encoded()
        }
    }

    init(_ name: String, _ requestID: UInt64, batch: IngestBatchWriter) {
        self.name = name
        self.requestID = requestID
        type = .ingest
        payload = batch.payload
        recode = { bytes throws(ByteError) in
            let view = try IngestView(decoding: bytes.span.bytes)
            var writer = IngestBatchWriter(space: view.space, hasStamps: view.hasStamps)
            var items = view.items
            while let item = try items.next() {
                writer.append(item.kind, stamp: item.stamp, bytes: item.bytes)
            }
            return writer.payload
        }
    }

    /// The whole frame.
    var frame: [UInt8] {
        var writer = ByteWriter()
        FrameWriter.write(
            FrameHeader(type: type, requestID: requestID), payload: payload, into: &writer)
        return writer.bytes
    }

    /// Every example of docs/wire.md, in its order.
    static let all = ofClients + peers
    /// The values that no example of the document has.
    static let further = furtherOfClients + furtherPeers

    private static let ofClients: [Sample] = [
        Sample("hello", 1, Hello(clusterName: "local-3", role: .client, software: "kith 1.0")),
        Sample(
            "hello-reply", 1,
            HelloReply(
                clusterName: "local-3", nodeID: NodeID(2), retentionClock: .wall, groups: 3)),
        Sample("ingest", 2, batch: plainBatch),
        Sample("ingest-stamped", 3, batch: stampedBatch),
        Sample(
            "ingest-reply", 2,
            IngestReply(
                token: token((0, 41), (2, 7)),
                results: [.ok, .rejected(.invalidJSON), .rejected(.eventTooLarge)])),
        Sample(
            "ingest-reply-overloaded", 3,
            IngestReply(
                token: SessionToken(), retryAfterMillis: 250,
                results: [
                    .ok, .duplicate, .expiredOnArrival, .forgotten, .suppressed, .unknown,
                    .overloaded,
                ], shortNodes: [ShortNode(NodeID(2), .disk)])),
        Sample(
            "ingest-reply-silent", 4,
            IngestReply(
                token: SessionToken(), retryAfterMillis: 500, results: [.unknown, .overloaded],
                silentNodes: [NodeSilence(NodeID(3), .refuses, reason: "clock: x")])),
        Sample(
            "ingest-reply-notes", 5,
            IngestReply(
                token: SessionToken(), results: [.ok, .rejected(.invalidTimestamp), .ok],
                notes: [
                    EventNote(
                        position: 0, .ignored(.invalid, namespace: 0, at: .path(0), count: 1)),
                    EventNote(position: 1, .fault(EventFault(.timestamp, .looksLikeSeconds))),
                    EventNote(position: 2, .linkRefused(.twoAccounts, namespace: 0)),
                    EventNote(position: 2, .linkVoid(.age, namespace: 0)),
                    EventNote(position: 2, .timeMoved), EventNote(position: 2, .noMessageID),
                    EventNote(position: 2, .traitsRefused(3)),
                    EventNote(position: 2, .wrongKind(.traits, .isOtherText)),
                    EventNote(
                        position: 2, .wrongKind(.beginning(of: 0, steps: 1), .isArray)),
                ], names: NoteNames(namespaces: ["email"], paths: ["traits.email"]))),
        Sample("advance-time", 4, AdvanceTime(stamp: LogTime(1_700_000_000_000))),
        Sample("done", 4, Done()),
        Sample(
            "get", 5,
            Get(space: "default", namespace: "email", value: "a@x.com", deadlineMillis: 2000)),
        Sample(
            "get-session", 6,
            Get(
                space: "default", namespace: "anonymous_id", value: "1", wantsQuarantine: true,
                consistency: .session(token((2, 7))))),
        Sample(
            "profile", 5, ProfileReply(profile: [1, 2, 255], token: token((2, 9)), ageMillis: 0)),
        Sample("profile-none", 6, ProfileReply(profile: nil, ageMillis: 120)),
        Sample("profile-never", 6, ProfileReply(profile: nil, ignored: .blocked)),
        Sample("stats", 7, Stats()),
        Sample("stats-reply", 7, StatsReply(map: [0xa1, 0x67] + "expired".utf8 + [0])),
        Sample("status", 8, Status()),
        Sample("status-reply", 8, StatusReply(map: [0xa1, 0x64] + "node".utf8 + [1])),
        Sample("ping", 9, Ping()),
        Sample("pong", 9, Pong()),
        Sample(
            "error", 10,
            ErrorReply(
                code: .overloaded, text: "too many bytes in flight", retryAfterMillis: 250)),
    ]

    private static let furtherOfClients: [Sample] = [
        Sample(
            "hello of a node", 1,
            Hello(
                versions: 1...3, clusterName: "", role: .node, nodeID: NodeID(3), software: "")),
        Sample(
            "hello reply, event clock", 1,
            HelloReply(
                version: 1, clusterName: "c", nodeID: NodeID(9),
                limits: WireLimits(frameBytesMax: 1, batchEventsMax: 2, eventBytesMax: 3),
                retentionClock: .event, groups: 256)),
        Sample("empty batch", 2, batch: IngestBatchWriter(space: "")),
        Sample(
            "every reason", 2,
            IngestReply(
                token: token((0, 1), (1, .max), (65_535, 0)),
                results: RejectionReason.allCases.map { .rejected($0) },
                silentNodes: (1...64).map {
                    NodeSilence(NodeID($0), $0 % 2 == 0 ? .doesNotAnswer : .isStarting)
                },
                shortNodes: (1...64).map { ShortNode(NodeID($0), .memory) })),
        Sample(
            "notes without names", 2,
            IngestReply(
                token: SessionToken(), results: [.rejected(.noIdentifier)],
                notes: [
                    EventNote(
                        position: 0, .ignored(.limit, namespace: nil, at: .externalIDs, count: 9)),
                    EventNote(position: 0, .isNull(at: .previousID)),
                    EventNote(position: 0, .wrongKind(.context, .isOther)),
                    EventNote(position: 0, .wrongKind(.contextTraits, .isNumber)),
                ], notesLeftOut: 7)),
        Sample("stale get", 3, Get(space: "s", namespace: "n", value: "é", consistency: .stale)),
        Sample("empty profile", 4, ProfileReply(profile: [])),
        Sample("time before 1970", 5, AdvanceTime(stamp: LogTime(-1))),
    ]

    static let event: [UInt8] = [0xa1, 0x64] + "type".utf8 + [0x64] + "page".utf8

    static var plainBatch: IngestBatchWriter {
        var batch = IngestBatchWriter(space: "default")
        batch.append(bytes: event)
        batch.append(.invalidJSON)
        batch.append(.tooLarge)
        return batch
    }

    static var stampedBatch: IngestBatchWriter {
        var batch = IngestBatchWriter(space: "shop-1", hasStamps: true)
        batch.append(stamp: LogTime(1_700_000_000_000), bytes: event)
        return batch
    }

    static func token(_ entries: (UInt16, UInt64)...) -> SessionToken {
        SessionToken(entries.map { .init(group: GroupID($0.0), index: LogIndex($0.1)) })
    }
}

/// A seeded generator (SplitMix64), so that a failure can be run again.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// `bytes` with one to four of: a byte changed, a byte removed, bytes inserted, a run set to
    /// all ones (the greatest length), the tail cut off. Now and then it is noise altogether.
    mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
        if next() % 8 == 0 {
            return (0..<Int(next() % 64)).map { _ in UInt8(truncatingIfNeeded: next()) }
        }
        var result = bytes
        for _ in 0..<(1 + next() % 4) {
            let place = result.isEmpty ? 0 : Int(next() % UInt64(result.count))
            switch next() % 5 {
            case 0 where !result.isEmpty: result[place] = UInt8(truncatingIfNeeded: next())
            case 1 where !result.isEmpty: result.remove(at: place)
            case 2:
                let count = Int(next() % 9)
                result.insert(contentsOf: [UInt8](repeating: 0, count: count), at: place)
            case 3:
                for index in place..<min(place + 4, result.count) { result[index] = 0xff }
            default: result.removeSubrange(place...)
            }
        }
        return result
    }
}
