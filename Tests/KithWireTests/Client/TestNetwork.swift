import KithBytes
import KithClient
import KithPorts
import KithWire
import Synchronization

/// A network in memory. Each address has a script, which runs once for each connection to it.
final class TestNetwork: Network {
    typealias Script = @Sendable (inout ScriptedNode) async throws -> Void

    private let loop: TestLoop
    private let scripts: [UInt16: Script]
    private let attempts = Mutex<[UInt16]>([])

    /// Nodes by port; nobody listens on other ports, except that port 9 never answers at all.
    init(_ world: TestWorld, _ scripts: [UInt16: Script]) {
        loop = world.loop
        self.scripts = scripts
    }

    /// The ports that were connected to, in order.
    var connectedPorts: [UInt16] { attempts.withLock { $0 } }

    func listen(host: String, port: UInt16, loops: [any Loop]) async throws(NetworkError)
        -> any Listener
    {
        throw .cannotListen(address: host, message: "not in this test")
    }

    func connect(host: String, port: UInt16, loop: any Loop) async throws(NetworkError)
        -> any ByteStream
    {
        attempts.withLock { $0.append(port) }
        if port == 9 {
            let never = Pipe()
            _ = await withTaskCancellationHandler {
                await never.read(atMost: 1)
            } onCancel: {
                never.close()
            }
        }
        guard let script = scripts[port] else {
            throw .unreachable(address: "\(host):\(port)", message: "connection refused")
        }
        let toNode = Pipe()
        let toClient = Pipe()
        let mine = TestStream(loop: self.loop, incoming: toClient, outgoing: toNode)
        let theirs = TestStream(loop: self.loop, incoming: toNode, outgoing: toClient)
        self.loop.start {
            var node = ScriptedNode(stream: theirs)
            // A script ends by an error where the client closed the connection before it.
            try? await script(&node)
            theirs.close()
        }
        return mine
    }
}

/// One direction of a connection. One reader at a time.
final class Pipe: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var isClosed = false
        var reader: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Bytes that were written and not read.
    var byteCount: Int { state.withLock { $0.bytes.count } }

    /// Whether the bytes were taken.
    func write(_ bytes: [UInt8]) -> Bool {
        let (isTaken, reader) = state.withLock { state in
            guard !state.isClosed else {
                return (false, nil as CheckedContinuation<Void, Never>?)
            }
            state.bytes += bytes
            defer { state.reader = nil }
            return (true, state.reader)
        }
        reader?.resume()
        return isTaken
    }

    func close() {
        let reader = state.withLock { state in
            state.isClosed = true
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }

    /// Empty at the end.
    func read(atMost: Int) async -> [UInt8] {
        while true {
            let bytes: [UInt8]? = state.withLock { state in
                if state.bytes.isEmpty { return state.isClosed ? [] : nil }
                let taken = Array(state.bytes.prefix(atMost))
                state.bytes.removeFirst(taken.count)
                return taken
            }
            if let bytes { return bytes }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if state.isClosed || !state.bytes.isEmpty { return true }
                    state.reader = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }
}

final class TestStream: ByteStream {
    let loop: any Loop
    let peer = "test"
    private let incoming: Pipe
    private let outgoing: Pipe
    private let isClosed = Mutex(false)

    init(loop: any Loop, incoming: Pipe, outgoing: Pipe) {
        self.loop = loop
        self.incoming = incoming
        self.outgoing = outgoing
    }

    /// Bytes that have arrived and were not read.
    var unreadByteCount: Int { incoming.byteCount }

    func read(atMost: Int) async throws(NetworkError) -> [UInt8] {
        let bytes = await incoming.read(atMost: atMost)
        if bytes.isEmpty, isClosed.withLock({ $0 }) { throw .closed }
        return bytes
    }

    func write(_ bytes: [UInt8]) async throws(NetworkError) {
        guard outgoing.write(bytes) else { throw .closed }
    }

    func close() {
        isClosed.withLock { $0 = true }
        incoming.close()
        outgoing.close()
    }
}

/// The node's end of one connection, for a script to speak with.
struct ScriptedNode: Sendable {
    let stream: TestStream
    private var decoder = FrameDecoder(frameBytesMax: 1 << 20)

    init(stream: TestStream) {
        self.stream = stream
    }

    struct Ended: Error {}

    /// The next frame from the client.
    mutating func next() async throws -> Frame {
        while true {
            if let frame = try decoder.next() { return frame }
            let bytes = try await stream.read(atMost: 1 << 16)
            guard !bytes.isEmpty else { throw Ended() }
            decoder.append(bytes)
        }
    }

    /// Answers the hello, as node `id`.
    mutating func greet(id: UInt16 = 1, cluster: String = "test", limits: WireLimits = WireLimits())
        async throws
    {
        let hello = try await next()
        try await reply(
            HelloReply(
                clusterName: cluster, nodeID: NodeID(id), limits: limits, retentionClock: .wall,
                groups: 1),
            to: hello)
    }

    func reply(_ message: some WireMessage, to request: Frame) async throws {
        try await stream.write(Self.frame(message, request.requestID))
    }

    static func frame(_ message: some WireMessage, _ requestID: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        FrameWriter.write(message, requestID: requestID, into: &writer)
        return writer.bytes
    }
}
