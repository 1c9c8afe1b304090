import KithBytes
import KithClient
import KithCore
import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation

/// Another node's operations are judged before they are logged: one that cannot be understood would
/// stop this node at every start.
@Suite struct MalformedOperationTests {
    /// What is wrong with an operation.
    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        let bytes: [UInt8]
        var testDescription: String { name }
    }

    /// An operation as it stands in an entry: its type, its length, no stamp, and the payload.
    private static func framed(_ type: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.u8(type)
        writer.u32(UInt32(payload.count))
        writer.i64(OperationWriter.noStamp)
        writer.raw(payload)
        return writer.bytes
    }

    static let cases: [Case] =
        [OperationType.event, .seal, .absorb, .release, .touch, .count].map {
            Case(name: "\($0)", bytes: framed($0.rawValue, [42]))
        } + [
            Case(name: "an event of junk", bytes: framed(1, Array(repeating: 0x5a, count: 400))),
            Case(name: "a record of another group", bytes: otherGroup),
        ]

    private static var otherGroup: [UInt8] {
        let table = GroupTable(groupCount: 2)
        let leaf = (0...).lazy.map { LeafID(high: $0 << 40, low: 7) }.first {
            table.group(of: $0) == GroupID(1)
        }
        var operations = OperationWriter()
        operations.touch(leaf ?? LeafID(high: 0, low: 0), stamp: OperationWriter.noStamp)
        return operations.bytes
    }

    private static func request(_ operations: OperationWriter) -> [UInt8] {
        RawClient.frame(
            PeerPerform(
                group: GroupID(0), isIngest: false, isWaiting: false, deadlineMillis: 1_000,
                operations: operations, finds: [], waits: []))
    }

    @Test(arguments: cases)
    func `a malformed operation of a node is refused and not logged`(wrong: Case) throws {
        var settings = ClusterSettings(seed: 43)
        settings.nodeCount = 2
        settings.groups = 2
        let cluster = SimulatedCluster(settings)
        try cluster.startAll()
        let before = log(cluster)
        // In one request with a good one: of that nothing is done either.
        var good = OperationWriter()
        good.time()
        let operations = try OperationWriter(
            checking: (good.bytes + wrong.bytes).span.bytes, count: 2)

        let answers = try RawNode.ask([Self.request(operations)], cluster)

        #expect(try outcomes(answers) == [.malformed, .malformed])
        #expect(log(cluster) == before)

        let taken = try RawNode.ask([Self.request(good)], cluster)
        #expect(try outcomes(taken) == [.done])
        #expect(log(cluster) != before)
        // It starts again, and serves.
        try cluster.stop(1)
        try cluster.start(1)
        try cluster.reconnect()
        let event = MergingEvents.event("after", ["userId": "u"])
        let reply = try cluster.run(at: 1) { try await $0.ingest(MergingEvents.payload(event)) }
        #expect(reply.results == [.ok])
        try cluster.shutdown()
    }

    private func outcomes(_ answers: [Frame]) throws -> [Outcome] {
        let frame = try #require(answers.first)
        let reply = try PeerPerformReply(decoding: frame.payload)
        guard case .answered(let outcomes, _, _, _) = reply.answer else {
            Issue.record("\(reply)")
            return []
        }
        return outcomes
    }

    /// The bytes of node 1's segments.
    private func log(_ cluster: SimulatedCluster) -> [[UInt8]] {
        let disk = cluster.disk(1)
        return disk.paths.filter { $0.hasSuffix(".seg") }.map { disk.bytes(of: $0) ?? [] }
    }
}
