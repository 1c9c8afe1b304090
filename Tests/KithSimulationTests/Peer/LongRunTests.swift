import KithBytes
import KithClient
import KithCore
import KithSimulation
import KithStorage
import KithWire
import Testing

/// A batch may be longer than what may wait for a log, or than a message between nodes, and all of
/// it about one person.
@Suite struct LongRunTests {
    @Test(arguments: [1, 2])
    func `a batch about one person that is longer than an entry is taken`(home: Int) throws {
        var settings = ClusterSettings(seed: UInt64(home))
        settings.nodeCount = 2
        settings.groups = 2
        settings.log.segmentBytes = 32 << 20
        settings.cables.streamBytesMax = 1 << 20
        let cluster = SimulatedCluster(settings)
        try cluster.startAll()
        let user = (0..<1_000).lazy.map { "u\($0)" }.first {
            settings.home(of: "user_id", $0) == home
        }
        let name = try #require(user)
        let text = CBORValue.text(String(repeating: "x", count: 31 << 10))
        let count = 230
        var batch = IngestBatchWriter(space: "default")
        for number in 0..<count {
            let event: CBORValue = [
                "type": "identify", "userId": .text(name), "messageId": .text("m\(number)"),
                "traits": ["about": text],
            ]
            batch.append(bytes: event.encoded())
        }
        let payload = batch.payload
        #expect(payload.count > 6 << 20)

        var reply: IngestReply?
        for _ in 0..<3 where reply?.results.contains(where: \.wantsRetry) ?? true {
            reply = try cluster.run(at: 1) { try await $0.ingest(payload) }
        }
        let certain = reply?.results.count { $0 == .ok || $0 == .duplicate }
        #expect(certain == count, "\(reply?.results.prefix(3) ?? [])")
        try cluster.shutdown()
    }
}
