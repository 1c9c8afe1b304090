// What a node says at its port while it replays its log, which may take minutes: that it is there,
// that it does not serve yet, and how far it is.
//
//   accepted ─▶ Hello ─▶ HelloReply ─▶ Status ─▶ its row, `starting`, with the percentage
//                                   ├▶ PeerGreeting that only asks ─▶ what its folder remembers
//                                   ├▶ PeerForwards ─▶ what it knows, once its log is replayed
//                                   └▶ anything else ─▶ Error `starting`
//
// So whoever asks can tell a node that starts from one that is gone, and go on to another
// meanwhile. Nothing is kept waiting: each request is answered at once, and what is longer than a
// greeting may be is answered by its header. When the log is replayed these connections are closed;
// clients connect again and find the node itself.

internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithWire
internal import Synchronization

/// Answers at a listener until the log is replayed. A value.
struct StartingPort: Sendable {
    let settings: NodeSettings
    let listener: any Listener
    let clock: any Clock
    /// For nodes that ask what this one has heard of them.
    let word: FolderWord
    /// Nil while it asks others, before its log is opened or after a loss.
    let progress: StartProgress?
    /// Whom it waits for then.
    var waits = StartWaits()
    /// For nodes that lost their log; nil while this one's is not replayed.
    var forwards: ForwardService?

    /// Connections at a time; for a further one the oldest is closed.
    static let connectionsMax = 64
    /// Nanoseconds from a connection to its end, whatever it asks.
    static let connectionNanosecondsMax: UInt64 = 10_000_000_000

    /// Runs `work`, and answers at the port for as long as it takes.
    func answer<Value: Sendable>(during work: () async -> Value) async -> Value {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await self.run() }
            let value = await work()
            tasks.cancelAll()
            return value
        }
    }

    /// Accepts and answers until it is cancelled.
    private func run() async {
        let places = Places()
        await withDiscardingTaskGroup { tasks in
            while !Task.isCancelled {
                let stream: any ByteStream
                do throws(NetworkError) {
                    guard let accepted = try await listener.accept() else { break }
                    stream = accepted
                } catch {
                    break  // the node itself finds the listener broken, and says so
                }
                guard !Task.isCancelled else {
                    stream.close()
                    continue
                }
                let number = places.enter(stream)
                tasks.addTask(executorPreference: stream.loop.tasks) {
                    await self.serve(stream)
                    places.leave(number)
                }
            }
            tasks.cancelAll()
        }
    }

    /// The connections, in the order they came: whoever says nothing gives way to who asks.
    private final class Places: Sendable {
        private let state = Mutex((streams: [(number: Int, stream: any ByteStream)](), last: 0))

        func enter(_ stream: any ByteStream) -> Int {
            let (number, oldest) = state.withLock { state in
                let oldest =
                    state.streams.count < StartingPort.connectionsMax
                    ? nil : state.streams.removeFirst().stream
                state.last += 1
                state.streams.append((state.last, stream))
                return (state.last, oldest)
            }
            oldest?.close()
            return number
        }

        func leave(_ number: Int) {
            state.withLock { $0.streams.removeAll { $0.number == number } }
        }
    }

    /// Serves one connection until it ends, has had its time, or the node is started.
    private func serve(_ stream: any ByteStream) async {
        await withTaskCancellationHandler {
            await withTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await self.converse(stream) }
                tasks.addTask { [clock] in
                    // A sleep that throws was cancelled: the conversation is over.
                    try? await clock.sleep(
                        nanoseconds: Self.connectionNanosecondsMax, on: stream.loop)
                }
                await tasks.next()
                stream.close()
                tasks.cancelAll()
            }
        } onCancel: {
            stream.close()
        }
    }

    private func converse(_ stream: any ByteStream) async {
        var decoder = FrameDecoder()
        var isGreeted = false
        var hasAsked = false
        while !Task.isCancelled {
            var writer = ByteWriter()
            var goesOn = true
            do throws(FrameError) {
                while goesOn, let frame = try decoder.next() {
                    let reply = isGreeted ? await reply(to: frame, &hasAsked) : greet(frame)
                    goesOn = isGreeted || reply is HelloReply
                    isGreeted = true
                    FrameWriter.write(
                        reply, requestID: frame.requestID,
                        version: goesOn ? nil : ProtocolVersion.hello, into: &writer)
                }
            } catch {
                // No frame, or a batch: nobody's request can be told by its number any more.
                FrameWriter.write(
                    starting, requestID: 0, version: isGreeted ? nil : ProtocolVersion.hello,
                    into: &writer)
                goesOn = false
            }
            do throws(NetworkError) {
                if writer.count > 0 { try await stream.write(writer.bytes) }
                guard goesOn else { return }
                let bytes = try await stream.read(atMost: Int(WireLimits.helloFrameBytesMax))
                guard !bytes.isEmpty else { return }
                decoder.append(bytes)
            } catch {
                return  // closed or reset: nobody is left to be told
            }
        }
    }

    private func greet(_ frame: Frame) -> any WireMessage {
        guard frame.type == .hello else {
            return ErrorReply(code: .notHello, text: "the first frame must be a Hello")
        }
        do throws(ByteError) {
            let hello = try Hello(decoding: frame.payload)
            let configuration = settings.configuration
            if let refusal = hello.refusal(by: configuration.name) { return refusal.error }
            return HelloReply(
                clusterName: configuration.name, nodeID: settings.nodeID, limits: settings.limits,
                retentionClock: configuration.retention.clock, groups: UInt16(configuration.groups))
        } catch {
            return ErrorReply(code: .malformed, text: "Hello: \(error)")
        }
    }

    /// `hasAsked`: a node has shown by its greeting that it is one of this cluster.
    private func reply(to frame: Frame, _ hasAsked: inout Bool) async -> any WireMessage {
        switch frame.type {
        case .status: return StatusReply(map: status.encoded())
        case .peerGreeting:
            guard let greeting = try? PeerGreeting(decoding: frame.payload),
                greeting.folder == nil
            else { return starting }
            if let key = PeerIntroduction(settings).difference(from: greeting) {
                return ErrorReply.fileDiffers(in: key)
            }
            mark(.peerAskedByStart)
            hasAsked = true
            return PeerGreetingReply(folder: word)
        case .peerForwards:
            guard hasAsked, let forwards else { return starting }
            return await forwards.answer(frame)
        default: return starting
        }
    }

    private var progressText: String {
        progress?.text ?? waits.text
    }

    private var starting: ErrorReply {
        mark(.nodeAskedWhileStarting)
        return ErrorReply(code: .starting, text: progressText)
    }

    /// Its own row, and those of others as what they are from here: not asked.
    private var status: CBORValue {
        let configuration = settings.configuration
        let nodes = configuration.nodes.map { node -> CBORValue in
            var row: [(String, CBORValue)] = [
                ("id", .unsigned(UInt64(node.id.rawValue))),
                ("address", .text("\(node.host):\(node.port)")),
            ]
            if node.id == settings.nodeID {
                row += [
                    ("state", .text("starting")), ("problem", .text(progressText)),
                    ("startPercent", .unsigned(UInt64(progress?.percent ?? 0))),
                    ("software", .text(settings.software)),
                ]
            } else {
                row += [
                    ("state", .text("unknown")),
                    (
                        "problem",
                        .text("node \(settings.nodeID.rawValue), which was asked, is starting")
                    ),
                ]
            }
            return .object(row)
        }
        let groups = GroupTable(groupCount: configuration.groups).groups.map { id -> CBORValue in
            let leader = configuration.leader(of: id)
            return .object([
                ("group", .unsigned(UInt64(id.rawValue))),
                ("leader", .unsigned(UInt64(leader.rawValue))),
                ("state", .text(leader == settings.nodeID ? "starting" : "unknown")),
            ])
        }
        return .object([
            ("cluster", .text(configuration.name)), ("nodes", .array(nodes)),
            ("groups", .array(groups)),
        ])
    }
}
