import KithBytes
import KithClient
import KithCore
import KithPorts
import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation

/// The id of a node's log vouches for its frames: who knew it could send bytes that pass for them.
@Suite struct LogSecretOnWireTests {
    /// Everything that was sent, by stream. Touched on the simulation's thread only.
    private final class Wire: @unchecked Sendable {
        private(set) var streams: [UInt64: [UInt8]] = [:]

        func add(_ bytes: [UInt8], to stream: UInt64) { streams[stream, default: []] += bytes }

        var byteCount: Int { streams.values.reduce(0) { $0 + $1.count } }

        func contains(_ part: ArraySlice<UInt8>) -> Bool {
            let part = Array(part)
            return streams.values.contains { bytes in
                guard bytes.count >= part.count else { return false }
                return (0...(bytes.count - part.count)).contains { start in
                    bytes[start] == part[0]
                        && bytes[start..<(start + part.count)].elementsEqual(part)
                }
            }
        }
    }

    /// Bytes 44 to 60 of a segment's header, by docs/log.md.
    private func logID(_ cluster: SimulatedCluster, _ node: Int) throws -> [UInt8] {
        let disk = cluster.disk(node)
        let path = try #require(disk.paths.first { $0.hasSuffix(".seg") })
        return Array(try #require(disk.bytes(of: path))[44..<60])
    }

    @Test func `no frame of a cluster at work holds a word of any log's id`() throws {
        let seed: UInt64 = 41
        let world = PeerWorld(seed: seed, believesClocks: false)
        let wire = Wire()
        world.cluster.network.intercept = { departure in
            if case .bytes(let bytes) = departure.segment { wire.add(bytes, to: departure.stream) }
            return nil
        }
        // Greetings, batches, merges between nodes, reads, totals, heartbeats, a start again.
        try world.cluster.startAll()
        try world.settle()
        let persons = [
            world.person("one", cookieAt: 1, accountAt: 3),
            world.person("two", cookieAt: 2, accountAt: 1),
        ]
        for person in persons { _ = try world.ingestAll(person.events.map(\.event), at: 1) }
        try world.cluster.stop(2)
        _ = try? world.cluster.run(at: 1) { try await $0.stats(retries: 0) }
        try world.cluster.start(2)
        try world.settle()
        try world.pass(milliseconds: 3_000)
        _ = try world.cluster.run(at: 3) { try await $0.stats() }
        _ = try world.cluster.run(at: 3) { try await $0.status() }
        try world.expectWhole(persons, "seed \(seed)")

        let ids = try (1...3).map { try logID(world.cluster, $0) }
        #expect(Set(ids).count == 3 && ids.allSatisfy { Set($0).count > 4 })
        #expect(wire.byteCount > 10_000)
        // What is sent is found: this search can fail.
        #expect(wire.contains(Array(persons[0].account.utf8)[...]))
        for id in ids {
            #expect(!wire.contains(id[..<8]) && !wire.contains(id[8...]), "seed \(seed)")
        }
        world.cluster.network.intercept = nil
        try world.end()
    }
}
