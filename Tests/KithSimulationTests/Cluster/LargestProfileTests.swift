import KithBytes
import KithClient
import KithCore
import KithServer
import Testing

@testable import KithSimulation
@testable import KithStorage
@testable import KithWire

/// One profile harms no other, and none becomes unreadable: whatever one person's events bring, it
/// is taken, and read at every node.
@Suite struct LargestProfileTests {
    private static func cluster(nodes: Int) throws -> SimulatedCluster {
        var settings = ClusterSettings(seed: UInt64(nodes))
        settings.nodeCount = nodes
        settings.groups = nodes == 1 ? 4 : nodes
        settings.log.segmentBytes = 32 << 20
        let cluster = SimulatedCluster(settings)
        try cluster.startAll()
        return cluster
    }

    private static func track(
        _ number: Int, _ members: [CBORMember], name: String, traits: [CBORMember] = []
    ) -> CBORValue {
        .map(
            [
                CBORMember("type", "track"), CBORMember("event", .text(name)),
                CBORMember("messageId", .text("m\(number)")),
            ] + members
                + (traits.isEmpty
                    ? [] : [CBORMember("context", .map([CBORMember("traits", .map(traits))]))]))
    }

    /// Sends events in batches, one after another to node after node; all are to be taken.
    private static func send(
        _ cluster: SimulatedCluster, nodes: Int, _ events: [CBORValue]
    ) throws {
        for (place, start) in stride(from: 0, to: events.count, by: 1_500).enumerated() {
            var batch = IngestBatchWriter(space: "default")
            let part = events[start..<min(start + 1_500, events.count)]
            for event in part { batch.append(bytes: event.encoded()) }
            let payload = batch.payload
            let node = place % nodes + 1
            let reply = try cluster.run(at: node) { try await $0.ingest(payload) }
            #expect(reply.results.count == part.count)
            #expect(reply.results.allSatisfy { $0 == .ok }, "batch \(place)")
        }
    }

    private static func read(
        _ cluster: SimulatedCluster, at node: Int, _ namespace: String, _ value: String
    ) throws -> (profile: Profile, bytes: Int)? {
        let get = Get(space: "default", namespace: namespace, value: value)
        guard
            let bytes = try cluster.run(at: node, { try await $0.get(get, retries: 5) }).profile
        else { return nil }
        var reader = ByteReader(bytes.span.bytes)
        return (try Profile(decoding: &reader), bytes.count)
    }

    @Test(arguments: [1, 3])
    func `a user of 66,000 event names takes no room from the traits of others`(
        nodes: Int
    ) throws {
        let cluster = try Self.cluster(nodes: nodes)
        let names = 0..<66_000
        try Self.send(
            cluster, nodes: nodes,
            names.map { number in
                let digits = String(number)
                let zeros = String(repeating: "0", count: 7 - digits.count)
                return Self.track(
                    number, [CBORMember("userId", "greedy")], name: "Viewed /p/\(zeros)\(digits)")
            })
        let others = 0..<1_500
        try Self.send(
            cluster, nodes: nodes,
            others.map {
                Self.track(
                    100_000 + $0, [CBORMember("userId", .text("u\($0)"))], name: "Seen",
                    traits: [CBORMember(.text("trait \($0)"), .integer(Int64($0)))])
            })

        for node in 1...nodes {
            let greedy = try Self.read(cluster, at: node, "user_id", "greedy")?.profile
            #expect(greedy?.eventsTotal == UInt64(names.count))
            #expect(greedy?.events.count == FacetLimits.eventNamesMax + 1)
            #expect(
                greedy?.events.first { $0.name == "(other)" }?.count
                    == UInt64(names.count - FacetLimits.eventNamesMax))
        }
        for number in others {
            let node = number % nodes + 1
            let profile = try Self.read(cluster, at: node, "user_id", "u\(number)")?.profile
            #expect(profile?.traits.map(\.name) == ["trait \(number)"])
            #expect(profile?.events.map(\.name) == ["Seen"])
        }
        try cluster.checkInvariants()
        try cluster.shutdown()
    }

    @Test(arguments: [1, 3])
    func `a user of 45,000 event names of 197 bytes is read at every node`(nodes: Int) throws {
        let cluster = try Self.cluster(nodes: nodes)
        let pad = String(repeating: "x", count: 192)
        try Self.send(
            cluster, nodes: nodes,
            (0..<45_000).map { number in
                Self.track(number, [CBORMember("userId", "u")], name: "\(10_000 + number)\(pad)")
            })

        for node in 1...nodes {
            let profile = try Self.read(cluster, at: node, "user_id", "u")?.profile
            #expect(profile?.eventsTotal == 45_000)
            #expect(profile?.events.count == FacetLimits.eventNamesMax + 1)
            #expect(profile?.events.dropFirst().allSatisfy { $0.name.utf8.count == 197 } == true)
        }
        try cluster.shutdown()
    }

    /// By event names, traits, identifiers and merges, until nothing more is taken.
    @Test func `the largest profile that can be made is read at every node of three`() throws {
        let cluster = try Self.cluster(nodes: 3)
        let pad = String(repeating: "x", count: 190)
        let long = String(repeating: "i", count: 1_000)
        let value = CBORValue.text(String(repeating: "v", count: 20_000))
        for device in 0..<21 {
            let id = CBORMember("anonymousId", .text("\(device)\(long)"))
            try Self.send(
                cluster, nodes: 3,
                (0..<FacetLimits.eventNamesMax).map {
                    let name = device * FacetLimits.eventNamesMax + $0
                    let isFirst = $0 == 0 && device < 12
                    return Self.track(
                        name, [id], name: "\(name)\(pad)",
                        traits: isFirst ? [CBORMember(.text("t\(device)"), value)] : [])
                })
            try Self.send(
                cluster, nodes: 3,
                [
                    Self.track(
                        1_000_000 + device, [CBORMember("userId", "u"), id], name: "Linked")
                ])
        }

        let said = try (1...3).map { try Self.read(cluster, at: $0, "user_id", "u") }
        #expect(said.allSatisfy { $0?.profile == said[0]?.profile })
        let bytes = try #require(said[0]).bytes
        #expect(bytes <= FacetLimits.profileBytesMax)
        #expect(bytes > FacetLimits.profileBytesMax - (256 << 10))
        let joined = try #require(said[0]).profile.identifiers.count - 1
        #expect(joined > 15 && joined < 21)
        for device in 0..<21 {
            for node in 1...3 {
                let found = try Self.read(cluster, at: node, "anonymous_id", "\(device)\(long)")
                #expect(found?.profile.isMember == (device < joined), "\(device) at \(node)")
            }
        }
        try cluster.checkInvariants()
        try cluster.shutdown()
    }

    /// What carries a profile has room for it and for all around it.
    @Test func `every message and frame carries the largest profile`() {
        let profile = FacetLimits.profileBytesMax

        #expect(profile + (8 << 10) <= PeerLimits.profileBytesMax)
        #expect(profile + (16 << 10) <= Int(WireLimits().frameBytesMax))
        #expect(profile + (16 << 10) <= Int(ClientOptions().frameBytesMax))
        #expect(2 * ShardMachine.absorbBytesMax + (64 << 10) <= PeerLimits.operationBytesMax)
        #expect(PeerLimits.profileBytesMax + (8 << 10) <= Int(PeerLimits.frameBytesMax))
    }
}
