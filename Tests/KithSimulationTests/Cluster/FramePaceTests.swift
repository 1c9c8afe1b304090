import KithBytes
import KithCore
import KithPorts
import KithStorage
import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation

/// Large frames that do not come along give way to those that wait for room, and no others do.
@Suite struct FramePaceTests {
    private static let second: UInt64 = 1_000_000_000
    private static let frameBytes = 8 << 20

    // MARK: The decision

    /// A frame of 3,000 bytes: 100 are due each second.
    private func pace(_ receivedBytes: Int, since: UInt64 = 0) -> FramePace {
        FramePace(
            room: 5_000, restBytes: 3_000, receivedBytes: receivedBytes, since: since * Self.second)
    }

    @Test(arguments: [
        (0 as UInt64, 0, nil as Double?), (1, 0, nil), (2, 0, 2), (2, 199, 0.01), (2, 200, nil),
        (15, 1_499, 0.01), (15, 1_500, nil), (29, 2_999, nil),
    ])
    func `a frame is behind where less is there than an even rate makes whole in time`(
        seconds: UInt64, receivedBytes: Int, lag: Double?
    ) {
        let found = pace(receivedBytes).lag(at: seconds * Self.second)

        #expect(found.map { Double($0) / 1e9 } == lag)
    }

    @Test func `a frame that begins after the look is not behind`() {
        #expect(pace(0, since: 9).lag(at: 5 * Self.second) == nil)
    }

    @Test func `the slowest go first, and no more than are needed`() {
        // Behind by 5 s, not at all, no frame, by 8 s, and by 5 s.
        let paces = [pace(500), pace(1_000), nil, pace(200), pace(0, since: 5)]
        func going(_ missingBytes: Int) -> [Int] {
            FramePace.givingWay(paces, missingBytes: missingBytes, at: 10 * Self.second)
        }

        #expect(going(0) == [])
        #expect(going(1) == [3])
        #expect(going(5_000) == [3])
        #expect(going(5_001) == [3, 0])
        #expect(going(1 << 30) == [3, 0, 4])
    }

    @Test func `a frame is judged while its client owes something, and by what it owes`() {
        let deadlines = ConnectionDeadlines(acceptedAt: 0)
        deadlines.setReading(nil)
        deadlines.setFrame(room: 5_000, restBytes: 3_000, receivedBytes: 0)
        #expect(deadlines.pace == nil, "the node does not read on")

        deadlines.setReading(37 * Self.second)
        #expect(deadlines.pace == pace(0, since: 7))
        // It does not take its answers, so that it is not read on.
        deadlines.setReading(nil)
        deadlines.setWriting(40 * Self.second)
        #expect(deadlines.pace == pace(0, since: 10))
        deadlines.endFrame()
        #expect(deadlines.pace == nil)
    }

    // MARK: A node

    /// What a crowd came to. Touched on the simulation's thread only.
    private final class Crowd: @unchecked Sendable {
        var begun = 0
        var closed = 0
    }

    /// What somebody does who has claimed a large frame.
    enum Hostility: CaseIterable, Sendable {
        /// Sends 70 bytes of it, or as much as is read of one without room, and then nothing.
        case claims, stalls
        /// A byte a second.
        case trickles

        var first: Int { self == .claims ? 70 : FrameBudget.smallFrameBytes + 100 }
    }

    private func cluster(seed: UInt64) throws -> SimulatedCluster {
        var settings = ClusterSettings(seed: seed)
        settings.log = LogOptions()  // a batch fits a segment
        let cluster = SimulatedCluster(settings)
        try cluster.start()
        return cluster
    }

    /// 60 who claim 8 MiB each, nearly twice of what there is room for.
    private func enter(_ hostility: Hostility, _ cluster: SimulatedCluster) throws -> Crowd {
        let crowd = Crowd()
        let lane = cluster.simulator.lane(node: "crowd")
        let (simulator, network) = (cluster.simulator, cluster.network)
        let beginning =
            RawClient.beginning(of: Self.frameBytes)
            + [UInt8](repeating: 0, count: hostility.first)
        for _ in 0..<60 {
            lane.start {
                guard let client = try? await RawClient.connect(simulator, network, lane),
                    (try? await client.greet()) != nil
                else { return }
                crowd.begun += 1
                // One that is closed while it sends is counted like any other.
                try? await client.stream.write(beginning)
                if hostility == .trickles {
                    _ = await client.trickle(
                        [UInt8](repeating: 0, count: 100), pauseMilliseconds: 1_000)
                } else {
                    await client.readToEnd()
                }
                crowd.closed += 1
            }
        }
        try simulator.run(nanoseconds: 500_000_000, maxSteps: 5_000_000)
        return crowd
    }

    /// A batch of about 1 MB.
    private static var batch: [UInt8] {
        var batch = IngestBatchWriter(space: "default")
        let filler = CBORValue.text(String(repeating: "x", count: 25_000))
        for number in 0..<40 {
            batch.append(
                bytes: MergingEvents.event(
                    "\(number)", ["userId": .text("u\(number)"), "properties": ["filler": filler]]
                ).encoded())
        }
        return RawClient.frame(batch.payload)
    }

    /// Sends the batch in pieces, `pauseMilliseconds` apart; its results, and seconds until then.
    private func ingest(
        _ cluster: SimulatedCluster, pieceBytes: Int = .max, pauseMilliseconds: UInt64 = 0
    ) throws -> (results: [IngestResult], seconds: Double) {
        let request = Self.batch
        let lane = cluster.simulator.lane(node: "honest")
        let (simulator, network) = (cluster.simulator, cluster.network)
        let started = simulator.nanoseconds
        let results: [IngestResult] = try simulator.run(on: lane, maxSteps: 20_000_000) {
            let client = try await RawClient.connect(simulator, network, lane)
            try await client.greet()
            var rest = request[...]
            while !rest.isEmpty {
                let piece = rest.prefix(pieceBytes)
                rest = rest.dropFirst(piece.count)
                do { try await client.stream.write(Array(piece)) } catch { return [] }
                if pauseMilliseconds > 0 { await client.wait(milliseconds: pauseMilliseconds) }
            }
            return try await client.ingestResults()
        }
        return (results, Double(simulator.nanoseconds - started) / 1e9)
    }

    private static let taken = [IngestResult](repeating: .ok, count: 40)

    @Test(arguments: Hostility.allCases)
    func `an honest batch gets through a crowd that claims all the room`(
        hostility: Hostility
    ) throws {
        let cluster = try cluster(seed: 71)
        let crowd = try enter(hostility, cluster)
        #expect(crowd.begun == 60)

        let (results, seconds) = try ingest(cluster)

        #expect(results == Self.taken)
        #expect(seconds < 5, "after \(seconds) s")
        if hostility != .claims {
            try cluster.simulator.run(nanoseconds: 12 * Self.second, maxSteps: 20_000_000)
            let told = cluster.said().contains { $0.contains("sent a large frame too slowly") }
            #expect(told, "\(cluster.said())")
        } else {
            #expect(crowd.closed == 0)
        }
        try cluster.shutdown()
    }

    /// 48 kB a second; the deadline asks for 33.
    @Test func `a slow client that keeps its pace gets through whatever others wait for`() throws {
        let cluster = try cluster(seed: 72)
        let lane = cluster.simulator.lane(node: "later")
        let (simulator, network) = (cluster.simulator, cluster.network)
        let beginning =
            RawClient.beginning(of: Self.frameBytes) + [UInt8](repeating: 0, count: 70_000)
        // From the third second on others wait, again and again.
        lane.start {
            await simulator.wait(nanoseconds: 3 * Self.second, subject: 1)
            for _ in 0..<15 {
                for _ in 0..<40 {
                    lane.start {
                        guard let client = try? await RawClient.connect(simulator, network, lane),
                            (try? await client.greet()) != nil,
                            (try? await client.stream.write(beginning)) != nil
                        else { return }
                        await client.readToEnd()
                    }
                }
                await simulator.wait(nanoseconds: Self.second, subject: 1)
            }
        }

        let (results, seconds) = try ingest(cluster, pieceBytes: 4_800, pauseMilliseconds: 100)

        #expect(results == Self.taken)
        #expect(seconds > 20)
        #expect(cluster.said().contains { $0.contains("too slowly") }, "nobody waited")
        try cluster.shutdown()
    }

    @Test func `a client for whom nobody waits has all of its time`() throws {
        let cluster = try cluster(seed: 73)
        let lane = cluster.simulator.lane(node: "slow")
        let (simulator, network) = (cluster.simulator, cluster.network)
        let started = simulator.nanoseconds
        try simulator.run(on: lane, maxSteps: 5_000_000) {
            let client = try await RawClient.connect(simulator, network, lane)
            try await client.greet()
            try await client.stream.write(
                RawClient.beginning(of: Self.frameBytes) + [UInt8](repeating: 0, count: 70_000))
            await client.readToEnd()
            client.stream.close()
        }
        let passed = Double(simulator.nanoseconds - started) / 1e9

        #expect(29.9...32 ~= passed, "closed after \(passed) s")
        try cluster.shutdown()
    }
}
