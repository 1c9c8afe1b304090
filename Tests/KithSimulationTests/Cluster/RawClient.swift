import KithBytes
import KithPorts
import KithSimulation
import KithWire

/// A client that sends the bytes it likes, when it likes. Runs on a lane of its own.
struct RawClient: Sendable {
    let simulator: Simulator
    let stream: any ByteStream

    /// Connects to the node that listens on `port`.
    static func connect(
        _ simulator: Simulator, _ network: SimulatedNetwork, _ lane: Lane, port: UInt16 = 7101
    ) async throws -> RawClient {
        let host = network.host("mallory")
        return RawClient(
            simulator: simulator,
            stream: try await host.connect(host: "127.0.0.1", port: port, loop: lane))
    }

    static var hello: [UInt8] {
        frame(Hello(clusterName: "", role: .client, software: "raw"))
    }

    static func frame(_ message: some WireMessage) -> [UInt8] {
        var writer = ByteWriter()
        FrameWriter.write(message, requestID: 1, into: &writer)
        return writer.bytes
    }

    /// An `Ingest` with that payload.
    static func frame(_ payload: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        FrameWriter.write(
            FrameHeader(type: .ingest, requestID: 1), payload: payload, into: &writer)
        return writer.bytes
    }

    /// The beginning of a frame that claims to be `byteCount` long, header included.
    static func beginning(of byteCount: Int, _ type: FrameType = .ingest) -> [UInt8] {
        var writer = ByteWriter()
        FrameWriter.write(
            FrameHeader(type: type, requestID: 1), payload: [UInt8](repeating: 0, count: 64),
            into: &writer)
        var bytes = Array(writer.bytes.prefix(FrameHeader.byteCount))
        let length = UInt32(byteCount - FrameHeader.lengthFieldByteCount)
        for place in 0..<4 { bytes[place] = UInt8(truncatingIfNeeded: length >> UInt32(8 * place)) }
        return bytes
    }

    /// Takes the answer to a batch, and leaves; nothing where the node closes the connection.
    func ingestResults() async throws -> [IngestResult] {
        var decoder = FrameDecoder(frameBytesMax: 1 << 20)
        while true {
            let bytes = try await stream.read(atMost: 64 << 10)
            if bytes.isEmpty { return [] }
            decoder.append(bytes)
            if let frame = try decoder.next() {
                stream.close()
                return try IngestReply(decoding: frame.payload).results
            }
        }
    }

    /// Greets and takes the answer, whatever pieces it comes in.
    func greet() async throws {
        try await stream.write(Self.hello)
        var decoder = FrameDecoder()
        while try decoder.next() == nil {
            let bytes = try await stream.read(atMost: 4096)
            if bytes.isEmpty { throw NetworkError.closed }
            decoder.append(bytes)
        }
    }

    func wait(milliseconds: UInt64) async {
        await simulator.wait(nanoseconds: milliseconds * 1_000_000, subject: 99)
    }

    /// Writes the bytes one by one, `pause` apart. False once the connection is closed.
    func trickle(_ bytes: [UInt8], pauseMilliseconds pause: UInt64) async -> Bool {
        for byte in bytes {
            do { try await stream.write([byte]) } catch { return false }
            await wait(milliseconds: pause)
        }
        return true
    }

    /// Reads until the node closes the connection.
    func readToEnd() async {
        while let bytes = try? await stream.read(atMost: 4096), !bytes.isEmpty {}
    }
}
