internal import KithBytes
internal import KithPorts
internal import KithWire
internal import Synchronization

/// The beginning of a connection to another node: Hello, then the greeting between nodes.
struct PeerHandshake: Sendable {
    let stream: any ByteStream
    var decoder = FrameDecoder()
    /// The node that must answer there.
    let peer: NodeID
    let introduction: PeerIntroduction

    static let readBytes = 64 << 10

    init(_ stream: any ByteStream, to peer: NodeID, _ introduction: PeerIntroduction) {
        self.stream = stream
        self.peer = peer
        self.introduction = introduction
    }

    /// Hello. Nil where the right node answers.
    mutating func hello() async throws(NetworkError) -> PeerFailure? {
        var writer = ByteWriter()
        FrameWriter.write(introduction.hello, requestID: 1, into: &writer)
        try await stream.write(writer.bytes)
        return judge(try await next())
    }

    /// The digests of what both cluster files must say alike, and what this node says of its
    /// folder; nil to only ask. What the other says of its own.
    mutating func greet(
        _ folder: FolderWord?
    ) async throws(NetworkError) -> Result<FolderWord, PeerFailure> {
        decoder.frameBytesMax = PeerLimits.frameBytesMax
        decoder.versions = ProtocolVersion.supported
        var writer = ByteWriter()
        FrameWriter.write(
            PeerGreeting(digests: introduction.digests, folder: folder), requestID: 1, into: &writer
        )
        try await stream.write(writer.bytes)
        let answer = try await next()
        guard let answer, answer.type == .peerGreetingReply else {
            mark(.peerGreetingRefused)
            return .failure(
                answer.map(PeerLink.refusal) ?? .notSent("it does not speak the protocol"))
        }
        do throws(ByteError) {
            return .success(try PeerGreetingReply(decoding: answer.payload).folder)
        } catch {
            return .failure(.notSent("its greeting is malformed: \(error)"))
        }
    }

    /// One step of a search for lost Forwards, after a greeting.
    mutating func search(
        _ request: PeerForwards
    ) async throws(NetworkError) -> Result<PeerForwardsReply, PeerFailure> {
        var writer = ByteWriter()
        FrameWriter.write(request, requestID: 1, into: &writer)
        try await stream.write(writer.bytes)
        let answer = try await next()
        guard let answer, answer.type == .peerForwardsReply else {
            return .failure(
                answer.map(PeerLink.refusal) ?? .notSent("it does not speak the protocol"))
        }
        do throws(ByteError) {
            return .success(try PeerForwardsReply(decoding: answer.payload))
        } catch {
            return .failure(.notSent("its answer is malformed: \(error)"))
        }
    }

    private func judge(_ reply: Frame?) -> PeerFailure? {
        guard let reply, reply.type == .helloReply else {
            return reply.map(PeerLink.refusal) ?? .notSent("it does not speak the protocol")
        }
        do throws(ByteError) {
            let hello = try HelloReply(decoding: reply.payload)
            guard hello.nodeID == peer else {
                mark(.peerOtherNodeAnswers)
                return .notSent("node \(hello.nodeID.rawValue) answers there")
            }
            return nil
        } catch {
            return .notSent("its greeting is malformed: \(error)")
        }
    }

    /// The next frame; nil where the bytes are none.
    private mutating func next() async throws(NetworkError) -> Frame? {
        while true {
            do throws(FrameError) {
                if let frame = try decoder.next() { return frame }
            } catch {
                return nil
            }
            let bytes = try await stream.read(atMost: Self.readBytes)
            guard !bytes.isEmpty else { throw .closed }
            decoder.append(bytes)
        }
    }
}

// MARK: Asking once, before the node has links

extension PeerHandshake {
    /// Milliseconds that a node whose loss is meant waits for another's word.
    static let askMillisMax: UInt64 = 5_000
    /// Milliseconds in which a node that runs answers one that starts.
    static let answerMillisMax: UInt64 = 1_000

    /// What that node says of its folder and of others', asked without a greeting.
    static func ask(
        _ node: ClusterConfiguration.Node, _ introduction: PeerIntroduction, _ ports: NodePorts,
        millis: UInt64
    ) async -> Result<FolderWord, PeerFailure> {
        await once(node, introduction, ports, millis: millis) {
            (handshake: inout PeerHandshake) async throws(NetworkError)
                -> Result<FolderWord, PeerFailure> in
            if let failure = try await handshake.hello() { return .failure(failure) }
            return try await handshake.greet(nil)
        }
    }

    /// What a group of that node knows of Forwards that were lost.
    static func ask(
        _ node: ClusterConfiguration.Node, _ request: PeerForwards,
        _ introduction: PeerIntroduction, _ ports: NodePorts, millis: UInt64
    ) async -> Result<PeerForwardsReply, PeerFailure> {
        await once(node, introduction, ports, millis: millis) {
            (handshake: inout PeerHandshake) async throws(NetworkError)
                -> Result<PeerForwardsReply, PeerFailure> in
            if let failure = try await handshake.hello() { return .failure(failure) }
            if case .failure(let failure) = try await handshake.greet(nil) {
                return .failure(failure)
            }
            return try await handshake.search(request)
        }
    }

    /// Whether that node answers at its address.
    static func answers(
        _ node: ClusterConfiguration.Node, _ introduction: PeerIntroduction, _ ports: NodePorts
    ) async -> Bool {
        let found = await once(
            node, introduction, ports, millis: answerMillisMax
        ) {
            (handshake: inout PeerHandshake) async throws(NetworkError)
                -> Result<Bool, PeerFailure> in
            if let failure = try await handshake.hello() { return .failure(failure) }
            return .success(true)
        }
        if case .success = found { return true }
        return false
    }

    private static func once<Value: Sendable>(
        _ node: ClusterConfiguration.Node, _ introduction: PeerIntroduction, _ ports: NodePorts,
        millis: UInt64,
        _ body:
            @escaping @Sendable (inout PeerHandshake) async throws(NetworkError)
            -> Result<Value, PeerFailure>
    ) async -> Result<Value, PeerFailure> {
        let loop = ports.loops[0]
        let opened = OpenedStream()
        return await withTaskGroup(of: Result<Value, PeerFailure>?.self) { tasks in
            tasks.addTask {
                do throws(NetworkError) {
                    let stream = try await ports.network.connect(
                        host: node.host, port: node.port, loop: loop)
                    guard opened.keep(stream) else {
                        stream.close()
                        return nil
                    }
                    var handshake = PeerHandshake(stream, to: node.id, introduction)
                    let result = try await body(&handshake)
                    stream.close()
                    return result
                } catch {
                    return .failure(.notSent(PeerLink.text(error)))
                }
            }
            tasks.addTask {
                // A sleep that throws was cancelled: the answer came first.
                try? await ports.clock.sleep(
                    nanoseconds: millis * 1_000_000, on: loop)
                return nil
            }
            let first = await tasks.next() ?? nil
            opened.close()
            tasks.cancelAll()
            return first ?? .failure(.notSent("no answer within \(millis) ms"))
        }
    }
}

/// The stream of an attempt, closed when its time is over.
private final class OpenedStream: Sendable {
    private let state = Mutex<(stream: (any ByteStream)?, isOver: Bool)>((nil, false))

    /// False where it is too late for it.
    func keep(_ stream: any ByteStream) -> Bool {
        state.withLock { state in
            guard !state.isOver else { return false }
            state.stream = stream
            return true
        }
    }

    func close() {
        let stream = state.withLock { state in
            state.isOver = true
            return state.stream
        }
        stream?.close()
    }
}
