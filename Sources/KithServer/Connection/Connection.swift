internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithWire

/// One connection: frames in, replies out.
///
/// Ingest requests are taken in the order sent, a few in work at a time (`IngestFlights`);
/// everything else is answered beside them, a bounded number at a time. A request of any kind
/// begins when there is room for its answer (`Outbox`): who does not read answers is not read. One
/// that stops in the middle of a frame, or of an answer, is closed after a while, and one that is
/// idle when its place is needed (`ConnectionPlaces`).
actor Connection {
    nonisolated let loop: any Loop
    private let stream: any ByteStream
    let service: Service
    private let places: ConnectionPlaces
    let pool: LoopPool
    /// What `places` knows it by.
    private var number: UInt64 = 0
    var decoder = FrameDecoder()
    var flights = IngestFlights()
    let hints: HintCache
    var isGreeted = false
    /// It has a place as what it is.
    var isPlaced = false
    nonisolated let deadlines: ConnectionDeadlines
    /// By when the frame that has begun must be whole.
    var frameDeadline: UInt64?
    /// The other side is a node, and its cluster file agrees.
    var isPeer = false
    /// A node that starts has shown that it is one of this cluster: it may ask what those ask.
    private var hasAsked = false
    private var isNode = false
    private var nodeID = NodeID(0)

    /// The node's, for all connections.
    let budget: FrameBudget
    /// The same for long answers.
    let replyBudget: FrameBudget
    /// What was taken for the frame that has begun.
    var charge = 0
    /// What there was of it when that was taken.
    var chargedAtBytes = 0
    /// The wait for that; nil where there is none.
    var frameTurn: FrameBudget.Turn?

    var ingestQueue: [Request] = []
    var ingestBell = Doorbell()
    var roomBell = Doorbell()
    private var answering = 0
    /// Of the requests that they answer.
    private var answeringBytes = 0
    /// By default the constant below.
    private let answeringBytesMax: Int
    var isEnding = false
    private var isGone = false

    private var outbox: Outbox
    private var writeBell = Doorbell()
    /// Nothing will be sent any more but what is in `outbox`.
    private var isAnswered = false
    /// Another has its place: it ends once all is answered, with a word.
    private var isLeaving = false
    private var wasHalfway = false
    /// What answers were promised, and hold of `replyBudget`, that turned out long; by number.
    private var lengthened: [UInt64: (promise: Int, charge: Int)] = [:]
    private var lastAnswer: UInt64 = 0
    /// Those of them that wait for room, in the order they came.
    private var lengthening: [(byteCount: Int, continuation: CheckedContinuation<Bool, Never>)] = []
    /// Those that wait for room among all clients' long answers.
    private var replyTurns: [FrameBudget.Turn] = []

    /// A frame, what of the budget it holds until it is answered, and what its answer is promised.
    struct Request {
        let frame: Frame
        let charge: Int
        var promise = 0
    }

    /// Ingest frames read ahead of the one in work.
    static let ingestQueueMax = 4
    /// Requests other than ingest answered at a time.
    static let answeringMax = 128
    /// The same for another node, which speaks for all of its clients.
    static let answeringToNodeMax = 1024
    /// Bytes of those requests; a longer one is answered by itself. What a link of another node
    /// sends at most, twice.
    static let answeringBytesMax = 64 << 20
    /// Bytes asked of the kernel at a time.
    static let readBytes = 256 << 10

    init(
        _ stream: any ByteStream, _ service: Service, _ shared: Shared, _ hints: HintCache,
        _ pool: LoopPool
    ) {
        self.hints = hints
        self.stream = stream
        self.service = service
        self.pool = pool
        budget = shared.frames
        replyBudget = shared.longReplies
        places = shared.places
        outbox = Outbox(shared.replies, clientBytesMax: shared.outboxBytes)
        answeringBytesMax = shared.answeringBytesMax
        loop = stream.loop
        deadlines = ConnectionDeadlines(acceptedAt: service.clock.monotonicNanoseconds())
    }

    /// What all connections of a node share the room of.
    struct Shared: Sendable {
        let frames: FrameBudget
        let replies: ReplyRoom
        let longReplies: FrameBudget
        let places: ConnectionPlaces
        /// What a client's outbox holds.
        let outboxBytes: Int
        /// See the connection's.
        let answeringBytesMax: Int
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    /// Serves until the client ends, breaks the protocol, its place is needed, or the node stops.
    func run(as number: UInt64) async {
        self.number = number
        await withDiscardingTaskGroup { writing in
            writing.addTask { await self.writeLoop() }
            await withDiscardingTaskGroup { tasks in
                tasks.addTask { await self.ingestLoop() }
                await self.readLoop(&tasks)
                self.giveBack(self.charge)
                self.end()
            }
            isAnswered = true
            writeBell.ring()
        }
        stream.close()
        giveBack(outbox.drop())
        places.leave(number)
    }

    /// Who is at the other end.
    nonisolated var peer: String { stream.peer }

    /// Breaks the connection off: readers and writers return at once.
    nonisolated func close() { stream.close() }

    /// Whether the client has owed something for longer than it may.
    nonisolated func isOverdue(at now: UInt64) -> Bool { deadlines.isOverdue(at: now) }

    /// How its large frame in parts comes along; nil where it has none.
    nonisolated var pace: FramePace? { deadlines.pace }

    /// What closing it would break.
    nonisolated func burden(
        at now: UInt64
    ) -> (burden: ConnectionDeadlines.Burden, since: UInt64) {
        deadlines.burden(at: now)
    }

    /// Its place is another's: what is in work is answered, no more is read, and it ends with a
    /// word. One that does not take its answers ends now.
    func makeRoom() {
        guard !isEnding else { return }
        wasHalfway = burden(at: service.clock.monotonicNanoseconds()).burden == .halfway
        if wasHalfway, outbox.heldBytes > 0 { return breakOff() }
        isLeaving = true
        end()
        writeBell.ring()
    }

    /// No more is read; what is in work is answered, as far as the client takes it.
    private func end() {
        isEnding = true
        if let frameTurn { budget.withdraw(frameTurn) }
        ingestBell.ring()
        roomBell.ring()
    }

    /// The client is gone: what waits for it goes too.
    private func breakOff() {
        mark(.connectionGone)
        stream.close()
        isGone = true
        giveBack(outbox.drop())
        let waiting = lengthening
        lengthening = []
        for waiter in waiting { waiter.continuation.resume(returning: false) }
        for turn in replyTurns { replyBudget.withdraw(turn) }
        end()
    }

    /// Memory that the connection itself holds: what is read and not answered, and answers that
    /// are not taken. What all connections of a loop share is not in it. O(requests that wait).
    var memoryBytes: Int {
        let queued = ingestQueue.reduce(0) { $0 + $1.frame.payload.byteCount }
        return decoder.memoryBytes + queued + answeringBytes + outbox.memoryBytes
    }

    /// Bytes that the other side has asked for and not taken, as its outbox counts them; whether it
    /// is a node.
    var heldReplies: (byteCount: Int, isOfNode: Bool) { (outbox.heldBytes, outbox.isOfNode) }

    // MARK: Reading

    private func readLoop(_ tasks: inout DiscardingTaskGroup) async {
        defer { deadlines.endFrame() }
        while !isEnding {
            await waitToRead()
            if isEnding { return }
            expectRest()
            do throws(NetworkError) {
                let bytes = try await stream.read(atMost: readGoal)
                if bytes.isEmpty || isEnding { return }
                decoder.append(bytes)
            } catch {
                return  // closed or reset: nobody is left to be told
            }
            if isPlaced { deadlines.setReading(nil) }
            do throws(FrameError) {
                while let frame = try decoder.next() {
                    frameDeadline = nil
                    deadlines.endFrame()
                    await takeCharge(FrameHeader.byteCount + frame.payload.byteCount)
                    var request = Request(frame: frame, charge: charge)
                    charge = 0
                    guard await take(&request, &tasks) else { return giveBack(request.charge) }
                }
                try expectMemory(for: decoder.frameByteCount ?? 0)
                await expectFrame()
            } catch {
                let code = ErrorCode(error)
                if case .noMemory = error {
                    service.strangers.note(.noMemory, stream.peer)
                } else {
                    mark(code == .tooLarge ? .connectionTooLarge : .connectionBadFrame)
                    if !isGreeted { service.strangers.note(.noKith, stream.peer) }
                }
                keep(ErrorReply(code: code, text: error.description), 0)
                return
            }
        }
    }

    /// False where the connection must end.
    private func take(_ request: inout Request, _ tasks: inout DiscardingTaskGroup) async -> Bool {
        let frame = request.frame
        if !isGreeted { return await greet(frame) }
        request.promise = promise(for: frame)
        let isIngest = frame.type == .ingest && isPlaced
        let answeringMax = isPeer ? Self.answeringToNodeMax : Self.answeringMax
        let size = frame.payload.byteCount
        while !isEnding,
            isIngest
                ? ingestQueue.count >= Self.ingestQueueMax
                : answering >= answeringMax
                    || answeringBytes > 0 && answeringBytes + size > answeringBytesMax
        {
            if isIngest { mark(.connectionQueueFull) }
            await withCheckedContinuation { roomBell.wait($0) }
        }
        await waitForRoom(
            of: request.promise,
            beside: isPeer && frame.type == .peerHeartbeat ? Outbox.heartbeatBytesMax : 0)
        // Once the connection ends nobody takes from the queue any more.
        guard !isEnding else { return false }
        outbox.promise(request.promise)
        deadlines.begin(at: service.clock.monotonicNanoseconds())
        if isIngest {
            ingestQueue.append(request)
            ingestBell.ring()
        } else {
            answering += 1
            answeringBytes += size
            tasks.addTask { [request] in await self.answer(request) }
        }
        return true
    }

    /// The gate of every request: suspends until there is room for an answer of so many bytes, with
    /// `extra` bytes beside what there is else, and no client's request that came before waits for
    /// some, or the connection ends. A node's long answers have room of their own: what comes after
    /// them is of other clients.
    func waitForRoom(of byteCount: Int, beside extra: Int) async {
        while !isEnding,
            !lengthening.isEmpty && !isPeer || !outbox.hasRoom(for: byteCount - extra)
        {
            mark(.connectionRepliesWait)
            await withCheckedContinuation { roomBell.wait($0) }
        }
    }

    private func greet(_ frame: Frame) async -> Bool {
        guard frame.type == .hello else {
            mark(.connectionNotHello)
            service.strangers.note(.noKith, stream.peer)
            keep(
                ErrorReply(code: .notHello, text: "the first frame must be a Hello"),
                frame.requestID)
            return false
        }
        let hello: Hello
        do {
            hello = try Hello(decoding: frame.payload)
        } catch {
            mark(.connectionMalformed)
            keep(ErrorReply(code: .malformed, text: "Hello: \(error)"), frame.requestID)
            return false
        }
        if let (error, reason) = hello.refusal(by: service.clusterName) {
            if reason == .otherCluster { mark(.connectionOtherCluster) }
            service.strangers.note(reason, stream.peer)
            keep(error, frame.requestID)
            return false
        }
        // One that says it is a node has a place only once its greeting shows which.
        if hello.role != .node {
            guard await getPlace(frame.requestID) else { return false }
        }
        isGreeted = true
        decoder.versions = ProtocolVersion.supported
        isNode = hello.role == .node
        nodeID = hello.nodeID
        // A node has more room only once its greeting has shown that it is one of this cluster.
        decoder.frameBytesMax =
            isNode ? PeerLimits.greetingBytesMax : service.limits.frameBytesMax
        keep(
            HelloReply(
                clusterName: service.clusterName, nodeID: service.nodeID, limits: service.limits,
                retentionClock: service.isEventClock ? .event : .wall,
                groups: UInt16(service.router.places.count)), frame.requestID)
        return true
    }

    /// Takes a place among the clients, if need be that of another, which is told; false where all
    /// have requests in work, which this client is told.
    private func getPlace(_ requestID: UInt64) async -> Bool {
        switch places.admitClient(number, at: service.clock.monotonicNanoseconds()) {
        case .admitted: break
        case .instead(let other): await other.makeRoom()
        case .refused:
            keep(
                ErrorReply(
                    code: .overloaded,
                    text:
                        "all places for clients at node \(service.nodeID.rawValue) are taken, and "
                        + "all of them have requests in work",
                    retryAfterMillis: Self.refusedRetryMillis), requestID)
            return false
        }
        isPlaced = true
        deadlines.setReading(nil)
        return true
    }

    /// When a client that found no place may try again.
    static let refusedRetryMillis: UInt32 = 500

    // MARK: Everything else

    private func answer(_ request: Request) async {
        let frame = request.frame
        lastAnswer += 1
        let room = AnswerRoom(connection: self, number: lastAnswer, byteCount: request.promise)
        let reply: any WireMessage =
            if isNode, !isPeer || frame.type.isPeer {
                await answerPeer(frame, room)
            } else if frame.type.isPeer {
                ErrorReply(
                    code: .unknownType, text: "frame type \(frame.type.rawValue) is for nodes only")
            } else {
                await service.answer(frame, hints, room)
            }
        giveBack(request.charge)
        answering -= 1
        answeringBytes -= frame.payload.byteCount
        deadlines.end(at: service.clock.monotonicNanoseconds())
        let long = lengthened.removeValue(forKey: room.number)
        keep(
            reply, frame.requestID, promised: long?.promise ?? request.promise,
            isLong: long != nil, charges: Outbox.Charges(replies: long?.charge ?? 0))
    }

    /// Waits for room for a long answer in place of what it was promised.
    func lengthen(
        _ room: AnswerRoom, to byteCount: Int, until deadline: UInt64
    ) async -> AnswerRoom.Lengthening {
        let former = lengthened[room.number] ?? (room.byteCount, 0)
        let wasLong = lengthened[room.number] != nil
        outbox.withdraw(former.promise, isLong: wasLong)
        replyBudget.give(former.charge)
        lengthened[room.number] = (0, 0)
        guard await getRoom(forLong: byteCount) else { return .ended }
        lengthened[room.number] = (byteCount, 0)
        // After the room here, so that one client's answers in line take none of it.
        guard !isPeer else { return .done }
        guard !isGone else { return .ended }
        let turn = replyBudget.nextTurn()
        replyTurns.append(turn)
        let charge = await replyBudget.take(byteCount, in: turn, until: deadline)
        replyTurns.removeAll { $0 == turn }
        guard let charge else { return isGone ? .ended : .late }
        lengthened[room.number] = (byteCount, charge)
        return .done
    }

    /// Waits until there is room for an answer of so many bytes, behind those that came before, and
    /// promises it.
    private func getRoom(forLong byteCount: Int) async -> Bool {
        mark(.connectionLongReply)
        return await withCheckedContinuation { continuation in
            if isGone { return continuation.resume(returning: false) }
            lengthening.append((byteCount, continuation))
            // What it was promised before may have been all that others waited for.
            roomChanged()
        }
    }

    /// Requests that only a node may send, and only after its greeting.
    private func answerPeer(_ frame: Frame, _ room: AnswerRoom) async -> any WireMessage {
        if frame.type == .peerGreeting {
            let (answer, greeted) = await service.peers.greet(frame, from: nodeID)
            switch greeted {
            case .taken:
                isPeer = true
                isPlaced = true
                outbox.becomeToNode()
                places.admitNode(number, nodeID, at: service.clock.monotonicNanoseconds())
                deadlines.setReading(nil)
                decoder.frameBytesMax = PeerLimits.frameBytesMax
            case .asked:
                hasAsked = true
                deadlines.setReading(
                    service.clock.monotonicNanoseconds()
                        &+ 2 * ConnectionDeadlines.helloNanosecondsMax)
            case .refused: service.strangers.note(.otherFile, stream.peer)
            }
            return answer
        }
        guard isPeer || hasAsked && frame.type == .peerForwards else {
            return ErrorReply(
                code: .notHello, text: "a node's first request must be its greeting")
        }
        return await service.peers.answer(frame, from: nodeID, room)
    }

    // MARK: Writing

    /// What an answer is promised: as much as that kind of answer has, or, of those that may be
    /// long, what most of them have.
    private func promise(for frame: Frame) -> Int {
        let size = frame.payload.byteCount
        return switch frame.type {
        case .ingest:
            Self.promiseBytesMin
                + max(
                    min(
                        IngestView.itemCountMax(of: frame.payload),
                        Int(service.limits.batchEventsMax)) * IngestReply.usualItemBytes,
                    // The answer to a larger one holds the room of its frame until it is taken.
                    min(size, FrameBudget.smallFrameBytes))
        case .peerPerform: min(max(size, Self.promiseBytesMin), Outbox.bytesMax)
        case .get, .peerRead: 2 * Self.promiseBytesMin
        case .stats, .status, .peerTotals, .peerStatus: Outbox.shareBytesMax
        case .peerForwards: service.peers.forwardsGoal * LostForward.byteCount
        case .peerGreeting, .peerHeartbeat: Int(PeerLimits.greetingBytesMax)
        default: Self.promiseBytesMin
        }
    }

    /// More than an `Error` has.
    private static let promiseBytesMin = 4 << 10

    /// Puts an answer in line, in place of what was promised for it.
    func keep(
        _ message: any WireMessage, _ requestID: UInt64, promised: Int = 0, isLong: Bool = false,
        charges: Outbox.Charges = Outbox.Charges()
    ) {
        // What answers a Hello is readable by a side of any version.
        let freed = outbox.keep(
            message, requestID, version: isGreeted ? nil : ProtocolVersion.hello,
            promised: promised, isLong: isLong, charges: charges)
        giveBack(freed)
        writeBell.ring()
        roomChanged()
    }

    /// Lets those go on that there is room for, in the order they came.
    private func roomChanged() {
        while let first = lengthening.first, outbox.hasRoom(forLong: first.byteCount) {
            outbox.promise(first.byteCount, isLong: true)
            lengthening.removeFirst().continuation.resume(returning: true)
        }
        roomBell.ring()
    }

    /// Writes what there is, until all is answered. Its turn comes after those of answers that are
    /// ready by then: they go out together.
    private func writeLoop() async {
        while true {
            if outbox.isEmpty {
                if isAnswered { return }
                if isLeaving, outbox.heldBytes == 0 {
                    await sayFarewell()
                    return
                }
                await withCheckedContinuation { writeBell.wait($0) }
                continue
            }
            let bytes = outbox.take()
            deadlines.setWriting(
                service.clock.monotonicNanoseconds() &+ ConnectionDeadlines.writeNanosecondsMax)
            do throws(NetworkError) {
                try await stream.write(bytes)
            } catch {
                breakOff()
            }
            deadlines.setWriting(nil)
            giveBack(outbox.written())
            roomChanged()
        }
    }

    /// The last word to a client whose place is another's; then the connection ends.
    private func sayFarewell() async {
        let error = ErrorReply(
            code: .overloaded,
            text: (wasHalfway ? "longest in the middle of a request" : "idle for longest")
                + ", and its place was needed for another client",
            retryAfterMillis: 0)
        giveBack(outbox.keep(error, 0, version: nil, promised: 0))
        deadlines.setWriting(
            service.clock.monotonicNanoseconds() &+ ConnectionDeadlines.farewellNanosecondsMax)
        do throws(NetworkError) {
            try await stream.write(outbox.take())
        } catch {
            breakOff()  // it ends all the same
        }
        giveBack(outbox.written())
        stream.close()
    }
}
