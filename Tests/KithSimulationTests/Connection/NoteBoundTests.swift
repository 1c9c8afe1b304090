import KithBytes
import KithClient
import KithCore
import KithWire
import Testing

@testable import KithSimulation

/// A batch of many small mistakes has an answer of bounded length, and what is left out of it is
/// told as a number.
@Suite struct NoteBoundTests {
    @Test func `no batch has more to be told than an answer takes`() throws {
        let cluster = SimulatedCluster(ClusterSettings(seed: 97))
        try cluster.startAll()
        let traits: CBORValue = ["email": "", "phone": ""]
        let event: CBORValue = [
            "type": "page", "userId": "", "anonymousId": "", "traits": traits,
            "context": ["traits": traits, "device": ["id": ""], "externalIds": 0],
        ]
        let one = try cluster.run(at: 1) { try await $0.ingest(MergingEvents.payload(event)) }
        #expect(one.results == [.rejected(.noIdentifier)] && one.notesLeftOut == 0)
        #expect(one.notes.count == 8)
        var batch = IngestBatchWriter(space: "default")
        let count = EventBatch.notesMax / one.notes.count + 1_000
        for _ in 0..<count { batch.append(bytes: event.encoded()) }
        let payload = batch.payload

        let all = try cluster.run(at: 1) { try await $0.ingest(payload) }

        #expect(all.results == Array(repeating: .rejected(.noIdentifier), count: count))
        #expect(all.notes.count == EventBatch.notesMax)
        #expect(all.notes.count + Int(all.notesLeftOut) == count * one.notes.count)
        #expect(all.names == one.names)
        #expect(all.encoded().count <= IngestReply.bytesMax(itemCount: count))
        try cluster.shutdown()
    }
}
