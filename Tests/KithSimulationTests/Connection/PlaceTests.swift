import KithBytes
import KithClient
import KithCore
import KithPorts
import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation

/// Who has a place: idle clients give way to others, those with requests in work do not, and nodes
/// have places of their own.
@Suite struct PlaceTests {
    private static let clientsMax = 8

    /// Clients that greet and then say nothing. Touched on the simulation's thread only.
    private final class Crowd: @unchecked Sendable {
        var greeted = 0
        var refused: [ErrorReply] = []
        /// What each was told last, by number, in the order in which they were closed.
        var farewells: [(number: Int, error: ErrorReply?)] = []
    }

    private func cluster(
        seed: UInt64, nodes: Int = 1, ingestBytesMax: Int? = nil
    ) throws -> SimulatedCluster {
        var settings = ClusterSettings(seed: seed)
        settings.nodeCount = nodes
        settings.groups = nodes
        settings.clientsMax = Self.clientsMax
        settings.strangersMax = 4
        settings.ingestBytesMax = ingestBytesMax
        let cluster = SimulatedCluster(settings)
        try cluster.startAll()
        return cluster
    }

    /// `count` clients one after another, 10 ms apart; each asks `request` after its greeting.
    private func enter(
        _ count: Int, _ cluster: SimulatedCluster, _ crowd: Crowd, asking request: [UInt8] = []
    ) throws {
        let lane = cluster.simulator.lane(node: "crowd")
        let (simulator, network) = (cluster.simulator, cluster.network)
        for number in 0..<count {
            lane.start {
                guard let client = try? await RawClient.connect(simulator, network, lane) else {
                    return
                }
                var decoder = FrameDecoder(frameBytesMax: 1 << 20)
                var last: ErrorReply?
                do {
                    try await client.stream.write(RawClient.hello + request)
                    while true {
                        while let frame = try decoder.next() {
                            if frame.type == .helloReply { crowd.greeted += 1 }
                            guard frame.type == .error else { continue }
                            last = try ErrorReply(decoding: frame.payload)
                            if frame.requestID == 1, let last { crowd.refused.append(last) }
                        }
                        let bytes = try await client.stream.read(atMost: 4096)
                        if bytes.isEmpty { break }
                        decoder.append(bytes)
                    }
                } catch {
                    last = nil  // closed without a word
                }
                crowd.farewells.append((number, last))
            }
            try simulator.run(nanoseconds: 10_000_000)
        }
    }

    private func status(_ cluster: SimulatedCluster, _ key: String) throws -> UInt64? {
        let bytes = try cluster.run(at: 1) { try await $0.status() }
        guard case .array(let nodes)? = try CBORValue(decoding: bytes.span.bytes)["nodes"],
            case .unsigned(let count)? = nodes.first?[key]
        else { return nil }
        return count
    }

    @Test func `the longest idle client goes for a newcomer, and is told`() throws {
        let cluster = try cluster(seed: 81)
        let crowd = Crowd()
        try enter(Self.clientsMax + 3, cluster, crowd)
        try cluster.simulator.run(nanoseconds: 2_000_000_000)

        #expect(crowd.greeted == Self.clientsMax + 3)
        #expect(crowd.farewells.map(\.number) == [0, 1, 2])
        for farewell in crowd.farewells {
            #expect(farewell.error?.code == .overloaded)
            #expect(farewell.error?.text.contains("idle") == true)
        }
        #expect(try status(cluster, "clientsClosedForOthers") == 4)
        #expect(cluster.said().contains { $0.contains("3 idle closed for others") })
        try cluster.shutdown()
    }

    @Test func `a client whose requests are in work is never closed for another`() throws {
        let cluster = try cluster(seed: 82, nodes: 2)
        try cluster.reconnect()
        // Node 2 does not answer any more: stats at node 1 are in work until it is given up.
        cluster.pause(2)
        let crowd = Crowd()
        try enter(Self.clientsMax, cluster, crowd, asking: RawClient.frame(Stats()))
        let late = Crowd()
        try enter(2, cluster, late)

        #expect(late.greeted == 0)
        #expect(late.refused.count == 2)
        for error in late.refused {
            #expect(error.code == .overloaded)
            #expect(error.retryAfterMillis > 0)
            #expect(error.text.contains("all places for clients"))
        }
        #expect(crowd.farewells.isEmpty)
        // Once they are answered there is room.
        try cluster.simulator.run(nanoseconds: 12_000_000_000, maxSteps: 5_000_000)
        let third = Crowd()
        try enter(1, cluster, third)
        #expect(third.greeted == 1)
        cluster.resume(2)
        try cluster.simulator.run(nanoseconds: 1_000_000_000, maxSteps: 5_000_000)
        #expect(try status(cluster, "clientsRefused") == 2)
        try cluster.shutdown()
    }

    @Test func `those who have not greeted keep out neither clients nor each other`() throws {
        let cluster = try cluster(seed: 83)
        let lane = cluster.simulator.lane(node: "mute")
        let (simulator, network) = (cluster.simulator, cluster.network)
        let closed = Shared(0)
        for _ in 0..<50 {
            lane.start {
                guard let client = try? await RawClient.connect(simulator, network, lane) else {
                    return
                }
                await client.readToEnd()
                closed.value += 1
            }
        }
        try simulator.run(nanoseconds: 100_000_000, maxSteps: 1_000_000)
        #expect(closed.value == 46)
        let crowd = Crowd()
        try enter(1, cluster, crowd)
        #expect(crowd.greeted == 1)
        try cluster.shutdown()
    }

    @Test func `a node that returns gets in where clients have all places`() throws {
        let cluster = try cluster(seed: 84, nodes: 2)
        try cluster.stop(2)
        let crowd = Crowd()
        try enter(3 * Self.clientsMax, cluster, crowd)
        #expect(crowd.greeted == 3 * Self.clientsMax)
        try cluster.start(2)
        let before = crowd.farewells.count
        try cluster.reconnect()
        // Through node 2, which must ask node 1.
        let home = cluster.settings.homes(at: 1)
        let reply = try cluster.run(at: 2) {
            try await $0.ingest(
                MergingEvents.payload(MergingEvents.event("there", ["userId": .text(home)])))
        }
        #expect(reply.results == [.ok])
        // No client had to go for a node.
        #expect(crowd.farewells.count - before <= 1)
        try cluster.shutdown()
    }

    /// The beginning of a frame that takes all of a budget of as many bytes: as much of it as is
    /// read before it needs room.
    private static let large = 200 << 10
    private static var beginning: [UInt8] {
        let header = RawClient.beginning(of: large)
        return header
            + [UInt8](repeating: 0, count: FrameBudget.smallFrameBytes - header.count)
    }

    @Test func `frames that wait for room keep out neither clients nor a node that returns`()
        throws
    {
        let cluster = try cluster(seed: 86, nodes: 2, ingestBytesMax: Self.large)
        try cluster.stop(2)
        let crowd = Crowd()
        // The first frame has all the room; those of the others wait, and none ever comes.
        let rounds = 5
        for round in 0..<rounds {
            // All but the one that gets the room when the one before it has to go.
            let count = round == 0 ? Self.clientsMax : Self.clientsMax - 1
            try enter(count, cluster, crowd, asking: Self.beginning)
            // After this they are half-way, no matter what they may still send.
            try cluster.simulator.run(nanoseconds: 1_500_000_000, maxSteps: 5_000_000)
        }

        #expect(crowd.greeted == rounds * (Self.clientsMax - 1) + 1)
        // Beside those that went for others, those whose frame had the room and did not come.
        #expect(crowd.farewells.count >= (rounds - 1) * (Self.clientsMax - 1))
        // A connection that has not been read to its end may be reset before the word is read.
        let told = crowd.farewells.compactMap(\.error)
        #expect(told.count > Self.clientsMax)
        for error in told { #expect(error.text.contains("in the middle of a request")) }
        try cluster.start(2)
        try cluster.reconnect()
        let home = cluster.settings.homes(at: 1)
        let reply = try cluster.run(at: 2) {
            try await $0.ingest(
                MergingEvents.payload(MergingEvents.event("there", ["userId": .text(home)])))
        }
        #expect(reply.results == [.ok])
        #expect(try status(cluster, "clientsRefused") == 0)
        try cluster.shutdown()
    }

    @Test func `a frame that waits for room does not make its client the first to go`() throws {
        let cluster = try cluster(seed: 87, ingestBytesMax: Self.large)
        let uploaders = Crowd()
        try enter(2, cluster, uploaders, asking: Self.beginning)
        let idle = Crowd()
        try enter(Self.clientsMax - 2, cluster, idle)
        // Not so long that the first frame gives way to the second.
        try cluster.simulator.run(nanoseconds: 1_500_000_000, maxSteps: 5_000_000)
        let late = Crowd()
        try enter(3, cluster, late)
        try cluster.simulator.run(nanoseconds: 100_000_000, maxSteps: 5_000_000)

        #expect(late.greeted == 3)
        #expect(uploaders.farewells.isEmpty)
        #expect(idle.farewells.map(\.number) == [0, 1, 2])
        try cluster.shutdown()
    }

    @Test func `what is said of those without a place is what became of them`() throws {
        let cluster = try cluster(seed: 88)
        let lane = cluster.simulator.lane(node: "mute")
        let (simulator, network) = (cluster.simulator, cluster.network)
        for _ in 0..<9 {
            lane.start {
                guard let client = try? await RawClient.connect(simulator, network, lane) else {
                    return
                }
                await client.readToEnd()
            }
        }
        try simulator.run(nanoseconds: 1_500_000_000, maxSteps: 1_000_000)

        let lines = cluster.said().filter { $0.contains("places:") }
        #expect(lines.count == 1)
        #expect(lines.first?.contains("5 closed that did not say") == true, "\(lines)")
        #expect(lines.first?.contains("for clients") == false, "\(lines)")
        try cluster.shutdown()
    }

    @Test func `one that says it is a node and does not greet as one has no place`() throws {
        let cluster = try cluster(seed: 85, nodes: 2)
        let lane = cluster.simulator.lane(node: "false")
        let (simulator, network) = (cluster.simulator, cluster.network)
        let answers = Shared<[FrameType]>([])
        let hasEnded = Shared(false)
        lane.start {
            guard let client = try? await RawClient.connect(simulator, network, lane) else {
                return
            }
            let hello = Hello(clusterName: "", role: .node, nodeID: NodeID(2), software: "false")
            var decoder = FrameDecoder(frameBytesMax: 1 << 20)
            // Ends when the node closes it.
            try? await client.stream.write(RawClient.frame(hello) + RawClient.frame(Stats()))
            while let bytes = try? await client.stream.read(atMost: 4096), !bytes.isEmpty {
                decoder.append(bytes)
                while let frame = try? decoder.next() { answers.value.append(frame.type) }
            }
            hasEnded.value = true
        }
        try simulator.run(nanoseconds: 8_000_000_000, maxSteps: 1_000_000)
        #expect(answers.value == [.helloReply, .error])
        #expect(hasEnded.value)
        try cluster.shutdown()
    }
}

extension ClusterSettings {
    /// A user whose record that node keeps.
    fileprivate func homes(at node: Int) -> String {
        (0...).lazy.map { "user-\($0)" }.first { home(of: "user_id", $0) == node } ?? ""
    }
}
