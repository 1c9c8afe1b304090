import KithBytes
import KithClient
import KithCore
import KithPorts
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// What a node does that cannot go on: it ends and says why.
@Suite struct EndingTests {
    @Test func `a group whose entry the log can never take ends the node with that error`() throws {
        // One piece of a batch is one entry; this one is longer than a segment of such a cluster.
        var settings = ClusterSettings(seed: 31)
        settings.groups = 1
        let cluster = SimulatedCluster(settings)
        try cluster.start()
        var batch = IngestBatchWriter(space: "default")
        let filler = CBORValue.text(String(repeating: "x", count: 20_000))
        for number in 0..<20 {
            batch.append(
                bytes: MergingEvents.event(
                    "\(number)", ["userId": "u", "properties": ["filler": filler]]
                ).encoded())
        }
        let payload = batch.payload

        let answer = try cluster.run { client in
            do {
                return try await client.ingest(payload).results
            } catch {
                return []
            }
        }
        try cluster.simulator.run(until: { !cluster.isUp() })

        #expect(answer.allSatisfy { $0 == .unknown })
        let said = cluster.failure().map(\.description) ?? "nothing"
        #expect(said.hasPrefix("tooLarge"), "the node ended with \(said)")
        try cluster.shutdown()
    }
}
