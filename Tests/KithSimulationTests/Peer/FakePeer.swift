// Somebody in the place of node 2: listens at its port, greets as it would, and then answers as no
// node does. What real nodes do only where memory or code is damaged, it does all the time.

import KithBytes
import KithCore
import KithPorts
import KithWire

@testable import KithSimulation

/// How it answers.
enum Misconduct: String, CaseIterable, Sendable {
    /// Does not even greet.
    case mute, malformedGreeting, otherNode, otherCluster
    /// Greets, and never answers; or does not even read what it is asked.
    case silence, deaf
    /// Answers with bytes that are no frame.
    case noise, wrongChecksum, tooLong, halfFrame
    /// Ends the connection after a request, or in the middle of its answer.
    case hangUp, hangUpInside
    /// Answers requests that nobody made.
    case wrongIDs, unasked
    /// Answers with frames that say nothing.
    case wrongType, wrongPayload, malformedError
    /// Leaves outcomes out, or says more than it was asked.
    case tooFew, tooMany
    /// Says no, two times, or a thousand.
    case twice, often
    /// Answers in form, with whatever outcomes, about whatever records.
    case lies

    /// It is taken for the node it says it is.
    var greets: Bool {
        ![.mute, .malformedGreeting, .otherNode, .otherCluster].contains(self)
    }

    /// It says in form that it does nothing.
    var refuses: Bool { self == .twice || self == .often }

    /// What it says of others' records may be taken for true.
    var isBelieved: Bool { self == .lies }
}

/// The node that is none. Touched on the simulation's thread only.
final class FakePeer: @unchecked Sendable {
    private let world: PeerWorld
    private let lane: Lane
    private let host: SimulatedHost
    private let conduct: Misconduct
    private var random: Xoshiro256
    /// Requests that came.
    private(set) var requestCount = 0
    /// Connections that it took.
    private(set) var connectionCount = 0

    private static let name = "fake"
    static let node = 2
    private static let port: UInt16 = 7102
    private static let repeats = 1_000
    private static let deafNanoseconds: UInt64 = 60_000_000_000

    /// Listens from the next step on. Node 2 must be down.
    init(in world: PeerWorld, _ conduct: Misconduct) {
        self.world = world
        self.conduct = conduct
        random = Xoshiro256(seed: world.settings.seed, label: "fake \(conduct)")
        lane = world.cluster.simulator.lane(node: Self.name)
        host = world.cluster.network.host(Self.name)
        lane.start { await self.listen() }
    }

    /// Is gone, with its connections.
    func leave() { world.cluster.network.crash(Self.name) }

    private func listen() async {
        do {
            let listener = try await host.listen(
                host: "127.0.0.1", port: Self.port, loops: [lane])
            while let stream = try await listener.accept() {
                connectionCount += 1
                lane.start {
                    await self.converse(stream)
                    stream.close()
                }
            }
        } catch {
            return  // it has left
        }
    }

    private func converse(_ stream: any ByteStream) async {
        var decoder = FrameDecoder()
        decoder.frameBytesMax = PeerLimits.frameBytesMax
        do {
            while true {
                while let frame = try decoder.next() {
                    if conduct == .deaf, frame.type != .hello, frame.type != .peerGreeting {
                        requestCount += 1
                        await world.cluster.simulator.wait(
                            nanoseconds: Self.deafNanoseconds, subject: 98)
                        return
                    }
                    let (bytes, goesOn) = answer(frame)
                    if !bytes.isEmpty { try await stream.write(bytes) }
                    if !goesOn { return }
                }
                let bytes = try await stream.read(atMost: 64 << 10)
                if bytes.isEmpty { return }
                decoder.append(bytes)
            }
        } catch {
            return  // the other side has had enough
        }
    }

    private func answer(_ frame: Frame) -> (bytes: [UInt8], goesOn: Bool) {
        switch frame.type {
        case .hello: return greet(frame)
        case .peerGreeting:
            guard conduct != .otherCluster else {
                let error = ErrorReply(code: .wrongCluster, text: "another cluster")
                return (Self.frame(error, frame.requestID), true)
            }
            let greeting = try? PeerGreeting(decoding: frame.payload)
            let reply = PeerGreetingReply(
                folder: Self.folder(as: Self.node, knownBy: greeting?.folder))
            return (Self.frame(reply, frame.requestID), true)
        case .peerHeartbeat where conduct.greets && conduct != .silence:
            let wall =
                conduct == .lies
                ? LogTime(Int64(bitPattern: random.next())) : world.settings.start
            let reply = PeerHeartbeatReply(
                wall: wall, news: Self.folder(as: Self.node, knownBy: nil).news)
            return (Self.frame(reply, frame.requestID), true)
        default:
            requestCount += 1
            return misconduct(frame)
        }
    }

    private func greet(_ frame: Frame) -> (bytes: [UInt8], goesOn: Bool) {
        switch conduct {
        case .mute: return ([], true)
        case .malformedGreeting:
            return (Self.frame(.helloReply, noise(20), frame.requestID), true)
        default:
            let reply = HelloReply(
                clusterName: world.settings.name,
                nodeID: NodeID(conduct == .otherNode ? 3 : UInt16(Self.node)),
                retentionClock: .wall, groups: UInt16(world.settings.groups))
            return (Self.frame(reply, frame.requestID), true)
        }
    }

    private func misconduct(_ frame: Frame) -> (bytes: [UInt8], goesOn: Bool) {
        let id = frame.requestID
        let refusal = refusal(of: frame)
        switch conduct {
        case .mute, .malformedGreeting, .otherNode, .otherCluster, .silence, .deaf:
            return ([], true)
        case .noise: return (noise(200), true)
        case .wrongChecksum:
            var bytes = refusal
            bytes[bytes.count - 1] ^= 1
            return (bytes, true)
        case .tooLong:
            return (RawClient.beginning(of: 17 << 20, .peerPerformReply), true)
        case .halfFrame:
            return (RawClient.beginning(of: 15 << 20, .peerPerformReply), true)
        case .hangUp: return ([], false)
        case .hangUpInside: return (Array(refusal.dropLast(3)), false)
        case .wrongIDs:
            return (Self.frame(.peerPerformReply, [9], id &+ 1 &+ random.below(UInt64(9))), true)
        case .unasked: return (Self.frame(.peerPerformReply, [2], 0), true)
        case .wrongType: return (Self.frame(Pong(), id), true)
        case .wrongPayload: return (Self.frame(replyType(to: frame), noise(60), id), true)
        case .malformedError: return (Self.frame(.error, noise(30), id), true)
        case .tooFew, .tooMany, .lies: return (reply(to: frame), true)
        case .twice: return (refusal + refusal, true)
        case .often: return (Array((0..<Self.repeats).map { _ in refusal }.joined()), true)
        }
    }

    // MARK: Answers

    /// An answer in form by which nothing was done.
    private func refusal(of frame: Frame) -> [UInt8] {
        switch frame.type {
        case .peerPerform:
            Self.frame(PeerPerformReply(.overloaded(retryAfterMillis: 20)), frame.requestID)
        case .peerRead: Self.frame(PeerReadReply.stopping, frame.requestID)
        default:
            Self.frame(ErrorReply(code: .unavailable, text: "stopping"), frame.requestID)
        }
    }

    private func replyType(to frame: Frame) -> FrameType {
        switch frame.type {
        case .peerPerform: .peerPerformReply
        case .peerRead: .peerReadReply
        case .peerTotals: .peerTotalsReply
        case .peerMark: .peerMarkReply
        case .peerForwards: .peerForwardsReply
        case .peerHeartbeat: .peerHeartbeatReply
        default: .statusReply
        }
    }

    /// An answer in form, of too few outcomes, of too many, or of any.
    private func reply(to frame: Frame) -> [UInt8] {
        guard frame.type == .peerPerform, let asked = try? PeerPerform(decoding: frame.payload)
        else { return conduct == .lies ? lie(to: frame) : refusal(of: frame) }
        let change = conduct == .tooFew ? -1 : conduct == .tooMany ? 3 : 0
        func list(_ count: Int, _ outcome: () -> Outcome) -> [Outcome] {
            (0..<max(0, count == 0 && change < 0 ? 0 : count + change)).map { _ in outcome() }
        }
        let finds = list(asked.finds.count) {
            guard conduct == .lies else { return .malformed }
            return random.oneIn(3) || asked.finds.isEmpty
                ? anything() : .found(finding(asked.finds[random.below(asked.finds.count)]))
        }
        let operations = list(asked.operationCount) {
            conduct == .lies ? anything() : .malformed
        }
        let waits = (0..<max(0, asked.waits.count + change)).map { _ in random.oneIn(2) }
        let answer = PartAnswer.answered(
            operations: operations, finds: finds, waits: waits,
            token: LogIndex(random.next()))
        return Self.frame(PeerPerformReply(answer), frame.requestID)
    }

    private func lie(to frame: Frame) -> [UInt8] {
        let id = frame.requestID
        switch frame.type {
        case .peerRead:
            switch random.below(4) {
            case 0: return Self.frame(PeerReadReply.absent, id)
            case 1: return Self.frame(PeerReadReply.profile(noise(300)), id)
            case 2: return Self.frame(PeerReadReply.waiting(for: leaf()), id)
            default: return Self.frame(PeerReadReply.moved(to: leaf()), id)
            }
        case .peerMark:
            return Self.frame(PeerMarkReply(mark: OperationIndex(rawValue: random.next())), id)
        case .peerTotals: return Self.frame(PeerTotalsReply(statistics: Statistics()), id)
        default: return Self.frame(StatusReply(map: noise(40)), id)
        }
    }

    private func finding(_ request: FindRequest) -> Finding {
        var finding = Finding(root: random.oneIn(4) ? leaf() : request.leaf)
        finding.holds = random.oneIn(2)
        finding.holdsOther = random.oneIn(4)
        finding.isLive = !random.oneIn(4)
        finding.isListed = random.oneIn(2)
        finding.payloadBytes = random.below(PeerLimits.payloadBytesMax)
        finding.profileBytes = random.below(8 << 20)
        finding.ledgerEntries = random.below(20_000)
        return finding
    }

    private func anything() -> Outcome {
        let index = OperationIndex(rawValue: random.next())
        let all: [Outcome] = [
            .counted(root: leaf(), open: UInt32(truncatingIfNeeded: random.next())),
            .duplicate(root: leaf(), open: 2), .forgotten, .expiredOnArrival, .contested,
            .suppressed, .sealed(leaf()), .moved(to: leaf(), version: index), .unknownFacet,
            .released(ReleaseOrder(leaf: leaf(), version: index, ledger: noise(9), marks: [])),
            .found(Finding(root: leaf())), .sealedNow(version: index), .merged(root: leaf()),
            .again, .void, .together, .absorbed(by: leaf()), .stale, .done, .notYet,
            .reclaimed(count: 7, more: true), .malformed, .declined, .voidByAge,
            .told(root: leaf(), open: 2, isDuplicate: random.oneIn(2), aside()),
        ]
        return all[random.below(all.count)]
    }

    private func aside() -> EventAside {
        var aside = EventAside()
        aside.traitsRefused = UInt16(truncatingIfNeeded: random.next())
        aside.refused = random.next()
        aside.isTimeMoved = random.oneIn(2)
        return aside
    }

    private func leaf() -> LeafID {
        LeafID(high: random.next(), low: random.next())
    }

    private func noise(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    /// What a node says that has the folder which the other knows, and of which there is nothing
    /// to remember.
    static func folder(as node: Int, knownBy other: FolderWord?) -> FolderWord {
        let id = NodeID(UInt16(node))
        let known = other?.news.words.first { $0.node == id }?.start
        return FolderWord(
            starts: StartList(number: max(1, known?.number ?? 1), ids: [known?.id ?? 1]),
            news: NodeNews(words: [NodeWord(node: id, start: StartID(number: 0, id: 0))]))
    }

    static func frame(_ message: some WireMessage, _ id: UInt64) -> [UInt8] {
        frame(type(of: message).frameType, message.encoded(), id)
    }

    static func frame(_ type: FrameType, _ payload: [UInt8], _ id: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        FrameWriter.write(FrameHeader(type: type, requestID: id), payload: payload, into: &writer)
        return writer.bytes
    }
}
