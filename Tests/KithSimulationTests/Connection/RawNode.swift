import KithBytes
import KithCore
import KithPorts
import KithWire

@testable import KithServer
@testable import KithSimulation

/// Somebody who greets node 1 as node 2 does, with what node 2's folder says of itself, and then
/// sends what it likes.
enum RawNode {
    /// What node 2 says of its folder, with nothing to remember.
    static func folder(of cluster: SimulatedCluster) throws -> FolderWord {
        guard let cell = cluster.disk(2).bytes(of: FolderStarts.file.path),
            let list = try FolderStarts(decoding: value(of: cell)).list
        else { throw ByteError.truncated(needed: 1, available: 0) }
        return FolderWord(
            starts: list,
            news: NodeNews(words: [NodeWord(node: NodeID(2), start: StartID(number: 0, id: 0))]))
    }

    /// What a durable cell holds, without its header.
    private static func value(of cell: [UInt8]) -> [UInt8] {
        let length = Int(cell[16]) | Int(cell[17]) << 8
        return Array(cell[20..<(20 + length)])
    }

    /// The frames of its greeting, each of which is answered.
    static func greeting(_ settings: ClusterSettings, _ folder: FolderWord) -> [[UInt8]] {
        let introduction = PeerIntroduction(
            NodeSettings(
                configuration: settings.configuration(), nodeID: NodeID(2), software: "raw"))
        return [
            RawClient.frame(introduction.hello),
            RawClient.frame(PeerGreeting(digests: introduction.digests, folder: folder)),
        ]
    }

    /// Greets, sends `requests` at once, and returns their answers in the order they came.
    static func ask(
        _ requests: [[UInt8]], _ cluster: SimulatedCluster, meanwhile: (() -> Void)? = nil
    ) throws -> [Frame] {
        let greeting = greeting(cluster.settings, try folder(of: cluster))
        let lane = cluster.simulator.lane(node: "crowd")
        let (simulator, network) = (cluster.simulator, cluster.network)
        let answers = Shared<[Frame]>([])
        let isDone = Shared(false)
        lane.start {
            defer { isDone.value = true }
            do {
                let client = try await RawClient.connect(simulator, network, lane)
                var decoder = FrameDecoder(frameBytesMax: PeerLimits.frameBytesMax)
                var count = 0
                for bytes in greeting {
                    try await client.stream.write(bytes)
                    count += 1
                    try await read(client.stream, &decoder, until: count, answers)
                }
                let all = Array(requests.joined())
                lane.start {
                    // Broken off where the node ends the connection, which the reader tells.
                    try? await client.stream.write(all)
                }
                try await read(client.stream, &decoder, until: count + requests.count, answers)
                client.stream.close()
            } catch {
                return
            }
        }
        for _ in 0..<100_000 where !isDone.value {
            try simulator.run(nanoseconds: 100_000, maxSteps: 1_000_000)
            meanwhile?()
        }
        return Array(answers.value.dropFirst(greeting.count))
    }

    private static func read(
        _ stream: any ByteStream, _ decoder: inout FrameDecoder, until count: Int,
        _ answers: Shared<[Frame]>
    ) async throws {
        while answers.value.count < count {
            let bytes = try await stream.read(atMost: 64 << 10)
            if bytes.isEmpty { throw NetworkError.closed }
            decoder.append(bytes)
            while let frame = try decoder.next() { answers.value.append(frame) }
        }
    }
}
