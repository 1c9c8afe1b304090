import KithBytes
import KithServer
import Testing

@testable import KithSimulation

/// A folder that was used before, and is not what it was.
@Suite struct LostLogTests {
    @Test func `a folder whose log is gone does not start as if it were new`() async throws {
        let cluster = SimulatedCluster(ClusterSettings(seed: 1))
        defer { try? cluster.shutdown() }
        try cluster.start()
        try cluster.stop()
        let disk = cluster.disk()
        let names = try cluster.simulator.run(on: cluster.clientLane) { try await disk.list("log") }
        #expect(!names.isEmpty)
        try cluster.simulator.run(on: cluster.clientLane) {
            for name in names { try await disk.remove("log/" + name) }
        }

        let error = #expect(throws: NodeError.self) { try cluster.start() }
        guard case .log = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect("\(String(describing: error))".contains("missing"))
    }

    @Test func `a cluster file with other nodes is refused with both lists`() throws {
        var settings = ClusterSettings(seed: 2)
        settings.nodeCount = 3
        settings.groups = 3
        let three = SimulatedCluster(settings)
        defer { try? three.shutdown() }
        try three.startAll()
        try three.stop(1)
        settings.nodeCount = 2
        let two = SimulatedCluster(settings)
        defer { try? two.shutdown() }
        two.setDisk(three.disk(1), 1)

        #expect(
            throws: NodeError.otherCluster(key: "nodes", folder: "1, 2, 3", file: "1, 2")
        ) { try two.start(1) }
    }
}
