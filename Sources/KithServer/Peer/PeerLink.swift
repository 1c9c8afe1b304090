// One connection to another node, opened when it is needed. Requests are pipelined and their
// replies matched by request id.
//
//   caller ─▶ request ─▶ waiting ──send──▶ inFlight ──receive──▶ caller
//
// It never sends anything twice: what was in flight when the connection ended is unknown, and the
// machines above know what to do about that. While the other node does not answer, requests fail at
// once instead of queueing up; the pause before it is tried again doubles.
//
// Invariants: a request is in `waiting` or in `inFlight`, or its caller has its answer. Every
// request has its answer soon after its deadline at the latest.

internal import KithBytes
internal import KithPorts
internal import KithWire

/// A node's own connection to another node, for one kind of request. Pinned to the loop given.
actor PeerLink {
    private nonisolated let loop: any Loop
    private nonisolated let ports: NodePorts
    private nonisolated let address: (host: String, port: UInt16)
    /// The node that must answer there.
    private nonisolated let peer: NodeID
    private nonisolated let greeting: PeerIntroduction
    private nonisolated let memory: FolderMemory
    /// Told what is wrong with this node's own folder.
    private nonisolated let onWrongFolder: @Sendable (NodeError) -> Void
    /// By default the constants below.
    private nonisolated let tuning: NodeTuning

    private var waiting: [Pending] = []
    private var waitingBytes = 0
    private var inFlight: [UInt64: Pending] = [:]
    private var inFlightBytes = 0
    private var lastID: UInt64 = 1
    private var stream: (any ByteStream)?
    private var isOpen = false
    private var isClosed = false
    private var work = Doorbell()
    private var room = Doorbell()
    private var deadlines = Doorbell()
    /// Until when requests fail at once, in nanoseconds of the monotonic clock.
    private var silentUntil: UInt64 = 0
    private var pauseMillis = PeerLink.pauseMillisMin
    /// The node did not answer last time: nobody waits long for the next attempt.
    private var isSuspect = false
    /// Since when the other node owes an answer and has sent no whole frame; nil while it owes
    /// none. Bytes alone do not count: a length that was changed on its way swallows all that
    /// follows.
    private var silentSince: UInt64?
    /// Why the other node could not be spoken to, last time.
    private var reason = PeerFailure.notSent("not connected yet")
    private nonisolated let news: PeerNews

    /// Bytes of requests sent and unanswered; more wait.
    static let inFlightBytesMax = 32 << 20
    /// Bytes of requests that wait for that; more are refused.
    static let waitingBytesMax = 64 << 20
    /// Requests that wait for that; more are refused.
    static let waitingMax = 65_536
    /// Requests sent and unanswered; more wait.
    static let inFlightMax = 512
    /// Milliseconds for a connection and both greetings.
    static let connectMillisMax: UInt64 = 1_000
    /// Milliseconds that requests wait for an attempt at a node that did not answer last time. The
    /// attempt itself goes on: three round trips to a far node may take longer than that.
    static let suspectMillisMax: UInt64 = 100
    /// Milliseconds of the first pause after a failure.
    static let pauseMillisMin: UInt64 = 50
    /// Milliseconds of the longest pause after a node did not even refuse.
    static let pauseMillisMax: UInt64 = 1_000
    /// Milliseconds of the longest pause after a refusal, which costs next to nothing.
    static let refusedPauseMillisMax: UInt64 = 100
    /// Milliseconds between two looks at the deadlines of what is in flight.
    static let watchMillis: UInt64 = 100
    /// Milliseconds without a whole frame after which a missed deadline ends the connection.
    static let silenceMillisMax: UInt64 = 2_000
    /// Bytes gathered into one write.
    static let writeBytesGoal = 1 << 20
    /// Bytes asked of the kernel at a time.
    static let readBytes = 1 << 20

    private struct Pending {
        let id: UInt64
        let type: FrameType
        let payload: [UInt8]
        let deadline: UInt64
        let continuation: CheckedContinuation<Result<Frame, PeerFailure>, Never>
    }

    init(
        to node: ClusterConfiguration.Node, loop: any Loop, ports: NodePorts,
        greeting: PeerIntroduction, memory: FolderMemory, tuning: NodeTuning, news: PeerNews,
        onWrongFolder: @escaping @Sendable (NodeError) -> Void
    ) {
        self.memory = memory
        self.onWrongFolder = onWrongFolder
        self.news = news
        peer = node.id
        address = (node.host, node.port)
        self.loop = loop.forActor()
        self.ports = ports
        self.greeting = greeting
        self.tuning = tuning
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    /// Where the link's tasks run.
    nonisolated var home: any TaskExecutor { loop.tasks }

    private var now: UInt64 { ports.clock.monotonicNanoseconds() }

    // MARK: Asking

    /// Sends one request and waits for its answer, until `deadline` (nanoseconds of the monotonic
    /// clock). An `Error` in answer is `refused`.
    func request(_ message: some WireMessage, deadline: UInt64) async -> Result<Frame, PeerFailure>
    {
        guard !isClosed else { return .failure(.notSent("this node is stopping")) }
        if !isOpen, now < silentUntil {
            mark(.peerNotTried)
            return .failure(reason)
        }
        guard deadline > now else {
            mark(.peerNoTimeLeft)
            return .failure(.notSent("no time is left"))
        }
        let payload = message.encoded()
        guard waitingBytes + payload.count <= Self.waitingBytesMax,
            waiting.count < tuning.requestsWaitingMax
        else {
            mark(.peerQueueFull)
            return .failure(.notSent("too much waits for it"))
        }
        lastID += 1
        let id = lastID
        let type = type(of: message).frameType
        let answer: Result<Frame, PeerFailure> = await withCheckedContinuation { continuation in
            // Closed while this task was on its way in from another loop: nobody answers any more.
            guard !isClosed else {
                return continuation.resume(returning: .failure(.notSent("this node is stopping")))
            }
            waitingBytes += payload.count
            waiting.append(
                Pending(
                    id: id, type: type, payload: payload, deadline: deadline,
                    continuation: continuation))
            work.ring()
            deadlines.ring()
        }
        guard case .success(let frame) = answer, frame.type == .error else { return answer }
        return .failure(Self.refusal(frame))
    }

    static func refusal(_ frame: Frame) -> PeerFailure {
        do throws(ByteError) {
            let reply = try ErrorReply(decoding: frame.payload)
            mark(.peerRefused)
            if reply.code == .starting { return .starting(reply.text) }
            return .refused("\(reply.code): \(reply.text)", code: reply.code)
        } catch {
            return .unknown("a malformed error: \(error)")
        }
    }

    /// Ends `run`; whatever is unanswered fails. Safe to call twice.
    func close() {
        isClosed = true
        stream?.close()
        failAll("this node is stopping")
        ringAll()
    }

    private func ringAll() {
        work.ring()
        room.ring()
        deadlines.ring()
    }

    private func failAll(_ text: String) { failAll(.notSent(text)) }

    /// Fails what waits with `failure`, and what is in flight as unknown.
    private func failAll(_ failure: PeerFailure) {
        // Nothing of what waits was sent, whatever became of the connection.
        if case .unknown(let text) = failure { reason = .notSent(text) } else { reason = failure }
        if !inFlight.isEmpty { mark(.peerBrokenInFlight) }
        if !waiting.isEmpty { mark(.peerBrokenUnsent) }
        for pending in takeSent() {
            pending.continuation.resume(returning: .failure(.unknown(failure.text)))
        }
        let unsent = waiting
        waiting = []
        waitingBytes = 0
        for pending in unsent { pending.continuation.resume(returning: .failure(reason)) }
    }

    /// What is in flight, by ascending id; nothing is after it.
    private func takeSent() -> [Pending] {
        let sent = inFlight.values.sorted { $0.id < $1.id }
        inFlight = [:]
        inFlightBytes = 0
        return sent
    }

    // MARK: The connection

    /// Connects whenever something is to be sent, until `close`.
    func run() async {
        while !isClosed {
            if waiting.isEmpty {
                await withCheckedContinuation { work.wait($0) }
                continue
            }
            let began = now
            switch await open() {
            case .success(let opened):
                stream = opened.stream
                isOpen = true
                isSuspect = false
                silentUntil = 0
                silentSince = nil
                news.linkOpened()
                let text = await converse(opened)
                isOpen = false
                stream = nil
                news.linkEnded(text, isMeant: isClosed)
                // What was never sent fails too: a caller decides better than a queue.
                failAll(text)
                rest(atMost: Self.refusedPauseMillisMax)
            case .failure(let failure):
                if isSuspect { mark(.peerStillSilent) }
                isSuspect = true
                news.linkFailed(failure, isMeant: isClosed)
                failAll(failure)
                let isSilent = now - began >= Self.connectMillisMax * 1_000_000
                mark(isSilent ? .peerConnectSilent : .peerConnectRefused)
                rest(atMost: isSilent ? Self.pauseMillisMax : Self.refusedPauseMillisMax)
            }
        }
        failAll("this node is stopping")
    }

    private func rest(atMost limit: UInt64) {
        pauseMillis = min(pauseMillis, limit)
        silentUntil = now + pauseMillis * 1_000_000
        pauseMillis *= 2
    }

    /// The other node has just spoken to this one: it is worth trying again.
    func retryNow() {
        if silentUntil > now { mark(.peerTriedByGreeting) }
        pauseMillis = Self.pauseMillisMin
        silentUntil = 0
        isSuspect = false
    }

    private struct Opened: Sendable {
        let stream: any ByteStream
        var decoder: FrameDecoder
    }

    /// Connects and exchanges greetings, within `connectMillisMax`.
    private func open() async -> Result<Opened, PeerFailure> {
        let late = PeerFailure.notSent("no answer within \(Self.connectMillisMax) ms")
        // A sleep that throws was cancelled: the connection came first.
        return await withTaskGroup(of: Attempt.self) { [ports, loop, isSuspect] tasks in
            tasks.addTask { .ended(await self.connect()) }
            tasks.addTask {
                try? await ports.clock.sleep(
                    nanoseconds: Self.connectMillisMax * 1_000_000, on: loop)
                return .ended(.failure(late))
            }
            if isSuspect {
                tasks.addTask {
                    try? await ports.clock.sleep(
                        nanoseconds: Self.suspectMillisMax * 1_000_000, on: loop)
                    return .goesOn
                }
            }
            var first: Result<Opened, PeerFailure>?
            while first == nil, let attempt = await tasks.next() {
                switch attempt {
                case .ended(let result): first = result
                case .goesOn: giveUpWaiting()
                }
            }
            if case .failure? = first { stream?.close() }
            tasks.cancelAll()
            // What came through after its time.
            while case .failure? = first, let attempt = await tasks.next() {
                if case .ended(.success(let opened)) = attempt { opened.stream.close() }
            }
            return first ?? .failure(late)
        }
    }

    private enum Attempt: Sendable {
        case ended(Result<Opened, PeerFailure>)
        /// What waits for it has waited long enough.
        case goesOn
    }

    /// Answers what waits for an attempt that goes on; until it is over requests fail at once.
    private func giveUpWaiting() {
        mark(.peerNotWaitedFor)
        failAll("no answer within \(Self.suspectMillisMax) ms")
        silentUntil = now + (Self.connectMillisMax - Self.suspectMillisMax) * 1_000_000
    }

    private func connect() async -> Result<Opened, PeerFailure> {
        do throws(NetworkError) {
            let opened = try await ports.network.connect(
                host: address.host, port: address.port, loop: loop)
            if isClosed || Task.isCancelled {
                opened.close()
                return .failure(.notSent("cancelled"))
            }
            stream = opened
            var handshake = PeerHandshake(opened, to: peer, greeting)
            if let failure = try await greet(&handshake) {
                opened.close()
                return .failure(failure)
            }
            return .success(Opened(stream: opened, decoder: handshake.decoder))
        } catch {
            stream?.close()
            return .failure(.notSent(Self.text(error)))
        }
    }

    /// Hello and the greeting between nodes. Nil where all is well.
    private func greet(
        _ handshake: inout PeerHandshake
    ) async throws(NetworkError) -> PeerFailure? {
        if let failure = try await handshake.hello() { return failure }
        switch try await handshake.greet(await memory.word()) {
        case .failure(let failure):
            if case .refused(_, code: .wrongFolder) = failure { await weigh(failure.text) }
            return failure
        case .success(let word):
            return await judge(word)
        }
    }

    /// Whether the other node's folder is what it was, and this one's what the other has seen.
    private func judge(_ word: FolderWord) async -> PeerFailure? {
        do throws(NodeError) {
            switch try await memory.hear(word.news, of: word.starts, from: peer) {
            case .taken: return nil
            case .otherIsWrong(let text): return .refused(text, code: .wrongFolder)
            case .ownIsWrong(let error):
                onWrongFolder(error)
                return .notSent("this node is stopping")
            }
        } catch {
            onWrongFolder(error)
            return .notSent("this node is stopping")
        }
    }

    /// What the other node's refusal of this one's folder means depends on whether its own is the
    /// one that was seen.
    private func weigh(_ refusal: String) async {
        let node = ClusterConfiguration.Node(id: peer, host: address.host, port: address.port)
        guard
            case .success(let word) = await PeerHandshake.ask(
                node, greeting, ports, millis: PeerHandshake.answerMillisMax)
        else {
            return  // it is asked again with the next greeting
        }
        if let error = await memory.judge(refusalBy: peer, word, why: refusal) {
            onWrongFolder(error)
        }
    }

    // MARK: Speaking

    /// Sends and receives until one of them fails, and says why.
    private func converse(_ opened: Opened) async -> String {
        await withTaskGroup(of: String.self) { tasks in
            tasks.addTask { await self.receive(opened) }
            tasks.addTask { await self.send(over: opened.stream) }
            tasks.addTask { await self.watch(opened.stream) }
            let first = await tasks.next() ?? "closed"
            opened.stream.close()
            isOpen = false
            ringAll()
            tasks.cancelAll()
            return first
        }
    }

    private func send(over stream: any ByteStream) async -> String {
        var writer = ByteWriter()
        while isOpen, !isClosed {
            if waiting.isEmpty {
                await withCheckedContinuation { work.wait($0) }
                continue
            }
            if inFlight.count >= tuning.requestsInFlightMax
                || inFlightBytes >= Self.inFlightBytesMax
            {
                mark(.peerWindowFull)
                await withCheckedContinuation { room.wait($0) }
                continue
            }
            writer.removeAll(keepingCapacity: true)
            var taken = 0
            while taken < waiting.count, writer.count < Self.writeBytesGoal,
                inFlight.count < tuning.requestsInFlightMax, inFlightBytes < Self.inFlightBytesMax
            {
                let pending = waiting[taken]
                taken += 1
                waitingBytes -= pending.payload.count
                inFlight[pending.id] = pending
                inFlightBytes += pending.payload.count
                FrameWriter.write(
                    FrameHeader(type: pending.type, requestID: pending.id),
                    payload: pending.payload, into: &writer)
            }
            waiting.removeFirst(taken)
            if silentSince == nil { silentSince = now }
            do throws(NetworkError) {
                try await stream.write(writer.bytes)
            } catch {
                return Self.text(error)
            }
        }
        return "closed"
    }

    private func receive(_ opened: Opened) async -> String {
        var decoder = opened.decoder
        while true {
            var hasHeard = false
            do throws(FrameError) {
                while let frame = try decoder.next() {
                    hasHeard = true
                    guard frame.requestID != 0 else { return Self.refusal(frame).text }
                    let id = Rules.request(answeredBy: frame, of: inFlight)
                    // Where nobody waits any more, the deadline came first.
                    guard let pending = inFlight.removeValue(forKey: id) else {
                        mark(.peerLateReply)
                        continue
                    }
                    inFlightBytes -= pending.payload.count
                    pauseMillis = Self.pauseMillisMin
                    pending.continuation.resume(returning: .success(frame))
                }
            } catch {
                mark(.peerBadFrame)
                return error.description
            }
            room.ring()
            if hasHeard { silentSince = inFlight.isEmpty ? nil : now }
            do throws(NetworkError) {
                let bytes = try await opened.stream.read(atMost: Self.readBytes)
                guard !bytes.isEmpty else { return "it closed the connection" }
                decoder.append(bytes)
            } catch {
                return Self.text(error)
            }
        }
    }

    /// Fails what is over its deadline; a node that was silent as well is given up.
    private func watch(_ stream: any ByteStream) async -> String {
        while isOpen, !isClosed {
            if inFlight.isEmpty, waiting.isEmpty {
                await withCheckedContinuation { deadlines.wait($0) }
                continue
            }
            do {
                try await ports.clock.sleep(nanoseconds: Self.watchMillis * 1_000_000, on: loop)
            } catch {
                return "closed"  // cancelled: the connection has ended
            }
            let time = now
            guard expire(at: time) else { continue }
            room.ring()
            if let since = silentSince, time - since >= Self.silenceMillisMax * 1_000_000 {
                mark(.peerGivenUp)
                isSuspect = true
                return "no answer in time"
            }
        }
        return "closed"
    }

    /// Fails what is over its deadline, sent or not; false where nothing is. O(waiting + in
    /// flight).
    private func expire(at time: UInt64) -> Bool {
        let late = inFlight.values.filter { $0.deadline <= time }.sorted { $0.id < $1.id }
        if !late.isEmpty { mark(.peerTimedOut) }
        for pending in late {
            inFlight[pending.id] = nil
            inFlightBytes -= pending.payload.count
            pending.continuation.resume(returning: .failure(.unknown("no answer in time")))
        }
        let unsent = waiting.filter { $0.deadline <= time }
        if !unsent.isEmpty { mark(.peerTimedOutUnsent) }
        if !unsent.isEmpty { waiting.removeAll { $0.deadline <= time } }
        for pending in unsent {
            waitingBytes -= pending.payload.count
            pending.continuation.resume(returning: .failure(.notSent("no answer in time")))
        }
        return !late.isEmpty || !unsent.isEmpty
    }

    static func text(_ error: NetworkError) -> String {
        switch error {
        case .unreachable(_, let message), .cannotListen(_, let message), .reset(let message):
            message
        case .closed: "it closed the connection"
        }
    }
}
