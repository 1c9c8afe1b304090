import Foundation
import KithBytes
import KithClient
import KithPorts
import KithWire
import Testing

@testable import KithSimulation

/// Whatever arrives on an open port, the node answers or closes the connection, and others go on.
///
/// `KITH_HOSTILE` says how many byte strings are sent, `KITH_SEED` from which seed.
@Suite struct HostileBytesTests {
    static let environment = ProcessInfo.processInfo.environment
    static let count = environment["KITH_HOSTILE"].flatMap { Int($0) } ?? 50_000
    static let seed = environment["KITH_SEED"].flatMap { UInt64($0) } ?? 1
    /// Strings on one connection, as far as the node leaves it open.
    static let stringsPerConnection = 10

    @Test func `malformed frames never stop a node, and other clients go on`() throws {
        let cluster = SimulatedCluster(ClusterSettings(seed: Self.seed))
        try cluster.start()
        let progress = Progress()
        let lane = cluster.simulator.lane(node: "mallory")
        let host = cluster.network.host("mallory")
        let sender = HostileSender(seed: Self.seed)
        for worker in 0..<4 {
            lane.start {
                for _ in 0..<(Self.count / 4 / Self.stringsPerConnection) {
                    await sender.converse(over: host, lane, Self.stringsPerConnection, progress)
                }
                progress.workersDone += 1
                _ = worker
            }
        }
        let client = cluster.client()
        cluster.clientLane.start {
            while progress.workersDone < 4 {
                let number = progress.honest + 1
                let event = MergingEvents.event(
                    "honest", ["messageId": .text("h\(number)"), "userId": "honest"])
                let reply = try? await client.ingest(MergingEvents.payload(event))
                guard reply?.results == [.ok] else {
                    progress.failures.append("\(String(describing: reply))")
                    return
                }
                progress.honest = number
            }
        }
        try cluster.simulator.run(until: { progress.workersDone == 4 }, maxSteps: 200_000_000)
        try cluster.simulator.run(nanoseconds: 1_000_000_000)

        #expect(progress.failures.isEmpty, "seed \(Self.seed): \(progress.failures)")
        #expect(progress.honest > 100)
        #expect(progress.sent >= Self.count / 4)
        #expect(cluster.isUp())
        let counts = try MergingEvents.counts(cluster, namespace: "user_id", "honest")
        #expect(counts["honest"] == UInt64(progress.honest))
        try cluster.checkInvariants()
        try cluster.shutdown()
    }
}

/// Touched on the simulation's thread only.
private final class Progress: @unchecked Sendable {
    var sent = 0
    var honest = 0
    var workersDone = 0
    var failures: [String] = []
}

/// Makes byte strings that are nearly frames. Touched on the simulation's thread only.
private final class HostileSender: @unchecked Sendable {
    private var random: Xoshiro256

    init(seed: UInt64) { random = Xoshiro256(seed: seed, label: "hostile bytes") }

    /// One connection: mostly a right greeting, then strings until the node closes it.
    func converse(
        over host: SimulatedHost, _ lane: Lane, _ count: Int, _ progress: Progress
    ) async {
        guard let stream = try? await host.connect(host: "127.0.0.1", port: 7101, loop: lane) else {
            progress.failures.append("the node does not take connections any more")
            return
        }
        if !random.oneIn(8) {
            let hello = Hello(clusterName: "", role: .client, software: "mallory")
            var writer = ByteWriter()
            FrameWriter.write(hello, requestID: 1, into: &writer)
            try? await stream.write(writer.bytes)  // closed by the node is fine here and below
            _ = try? await stream.read(atMost: 4096)
        }
        for _ in 0..<count {
            progress.sent += 1
            do { try await stream.write(string()) } catch { break }
            if random.oneIn(2) {
                // An answer may never come: half a frame asks for nothing.
                var ping = ByteWriter()
                FrameWriter.write(Ping(), requestID: 9, into: &ping)
                do {
                    try await stream.write(ping.bytes)
                    if random.oneIn(4) { stream.close() }
                } catch { break }
            }
        }
        stream.close()
    }

    private func string() -> [UInt8] {
        switch random.below(6) {
        case 0: return bytes(1 + random.below(200))
        case 1: return mutated(frame(of: payload()))
        case 2: return Array(frame(of: payload()).prefix(random.below(60)))
        case 3: return frame(of: bytes(random.below(300)))
        default: return frame(of: mutated(payload()))
        }
    }

    private func frame(of payload: [UInt8]) -> [UInt8] {
        let types: [FrameType] = [
            .ingest, .ingest, .ingest, .get, .stats, .status, .ping, .advanceTime, .hello, .done,
            FrameType(rawValue: UInt8(random.below(256))),
        ]
        var writer = ByteWriter()
        FrameWriter.write(
            FrameHeader(
                type: types[random.below(types.count)], requestID: random.below(UInt64(5)),
                version: random.oneIn(20) ? UInt8(random.below(256)) : 1),
            payload: payload, into: &writer)
        return writer.bytes
    }

    private func payload() -> [UInt8] {
        switch random.below(4) {
        case 0:
            return Get(space: "default", namespace: "user_id", value: "x").encoded()
        default:
            var batch = IngestBatchWriter(space: random.oneIn(9) ? "Bad Space" : "default")
            for _ in 0..<random.below(4) {
                let event = MergingEvents.list[random.below(MergingEvents.list.count)]
                batch.append(bytes: random.oneIn(2) ? mutated(event.encoded()) : event.encoded())
            }
            return batch.payload
        }
    }

    private func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    private func mutated(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<(1 + random.below(4)) where !bytes.isEmpty {
            let place = random.below(bytes.count)
            switch random.below(5) {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes[place] ^= 1 << UInt8(random.below(8))
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
            default: bytes[place] = [0, 0x7f, 0x80, 0xff][random.below(4)]
            }
        }
        return bytes
    }
}
