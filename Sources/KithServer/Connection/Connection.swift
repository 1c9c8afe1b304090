internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithWire

/// One client's connection: frames in, replies out.
///
/// Ingest requests are taken in the order sent, a few in work at a time (`IngestFlights`);
/// everything else is answered beside them, a bounded number at a time. A client that does not read
/// its replies stops being read: replies that wait are bounded, and so are requests. One that stops
/// in the middle of a frame, or of a reply, is closed after a while.
actor Connection {
    nonisolated let loop: any Loop
    private let stream: any ByteStream
    private let service: Service
    private var decoder = FrameDecoder()
    private var reader: EventReader
    /// Batches that no request uses, kept for their memory.
    private var batches: [EventBatch] = []
    private var flights = IngestFlights()
    private let hints: HintCache
    private var isGreeted = false
    private nonisolated let deadlines: ConnectionDeadlines
    /// By when the frame that has begun must be whole.
    private var frameDeadline: UInt64?
    /// The other side is a node, and its cluster file agrees.
    private var isPeer = false
    private var isNode = false
    private var nodeID = NodeID(0)

    /// The node's, for all connections.
    private let budget: FrameBudget
    /// What was taken for the frame that has begun.
    private var charge = 0

    private var ingestQueue: [Request] = []
    private var ingestBell = Doorbell()
    private var roomBell = Doorbell()
    private var answering = 0
    private var isEnding = false

    private var outgoing = ByteWriter()
    private var writeBell = Doorbell()
    /// Nothing will be sent any more but what is in `outgoing`.
    private var isAnswered = false
    private var writersWaiting: [CheckedContinuation<Void, Never>] = []

    /// A frame, and what of the budget it holds until it is answered.
    private struct Request {
        let frame: Frame
        let charge: Int
    }

    /// Ingest frames read ahead of the one in work.
    static let ingestQueueMax = 4
    /// Requests other than ingest answered at a time.
    static let answeringMax = 128
    /// The same for another node, which speaks for all of its clients.
    static let answeringToNodeMax = 1024
    /// Bytes of replies that wait for the client to read.
    static let outgoingBytesMax = 1 << 20
    /// Bytes asked of the kernel at a time.
    static let readBytes = 256 << 10

    init(
        _ stream: any ByteStream, _ service: Service, _ budget: FrameBudget, _ hints: HintCache
    ) {
        self.hints = hints
        self.stream = stream
        self.service = service
        self.budget = budget
        loop = stream.loop
        deadlines = ConnectionDeadlines(acceptedAt: service.clock.monotonicNanoseconds())
        reader = EventReader(
            rules: service.rules, key: service.hashKey,
            eventBytesMax: Int(service.limits.eventBytesMax))
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    /// Serves until the client ends, breaks the protocol, or the node stops.
    func run() async {
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
    }

    /// Who is at the other end.
    nonisolated var peer: String { stream.peer }

    /// Breaks the connection off: readers and writers return at once.
    nonisolated func close() { stream.close() }

    /// Whether the client has owed something for longer than it may.
    nonisolated func isOverdue(at now: UInt64) -> Bool { deadlines.isOverdue(at: now) }

    private func end() {
        isEnding = true
        ingestBell.ring()
        roomBell.ring()
    }

    // MARK: Reading

    private func readLoop(_ tasks: inout DiscardingTaskGroup) async {
        while !isEnding {
            expectRest()
            do throws(NetworkError) {
                let bytes = try await stream.read(atMost: readGoal)
                if bytes.isEmpty { return }
                decoder.append(bytes)
            } catch {
                return  // closed or reset: nobody is left to be told
            }
            if isGreeted { deadlines.setReading(nil) }
            do throws(FrameError) {
                while let frame = try decoder.next() {
                    frameDeadline = nil
                    await takeCharge(FrameHeader.byteCount + frame.payload.byteCount)
                    let request = Request(frame: frame, charge: charge)
                    charge = 0
                    guard await take(request, &tasks) else { return giveBack(request.charge) }
                }
                await takeCharge(decoder.frameByteCount ?? 0)
            } catch {
                let code: ErrorCode
                switch error {
                case .tooLong: code = .tooLarge
                case .unsupportedVersion: code = .unsupportedVersion
                case .tooShort, .badChecksum: code = .malformed
                }
                mark(code == .tooLarge ? .connectionTooLarge : .connectionBadFrame)
                if !isGreeted { service.strangers.note(.noKith, stream.peer) }
                await send(ErrorReply(code: code, text: error.description), 0)
                return
            }
        }
    }

    /// Bytes to ask for: those that the frame in parts lacks, since room is taken for it, else what
    /// is small enough to need no room.
    private var readGoal: Int {
        guard isGreeted else { return Int(WireLimits.helloFrameBytesMax) }
        let missing = (decoder.frameByteCount ?? 0) - decoder.bufferedByteCount
        return min(Self.readBytes, max(FrameBudget.smallFrameBytes, missing))
    }

    /// Waits for room for the frame that has begun, unless it has some. What a node of the cluster
    /// sends is what clients' frames wait for, so it must not wait for them.
    private func takeCharge(_ byteCount: Int) async {
        guard charge == 0, !isPeer, byteCount > FrameBudget.smallFrameBytes else { return }
        if budget.isShort(of: byteCount) { mark(.connectionBudgetWaits) }
        charge = await budget.take(byteCount)
        frameDeadline = nil  // it begins again: until now the node did not read
    }

    private func giveBack(_ charge: Int) { budget.give(charge) }

    /// Before a read: a client in the middle of a frame owes the rest.
    private func expectRest() {
        guard isGreeted else { return }
        guard decoder.bufferedByteCount > 0 else { return deadlines.setReading(nil) }
        let deadline =
            frameDeadline
            ?? service.clock.monotonicNanoseconds() &+ ConnectionDeadlines.frameNanosecondsMax
        frameDeadline = deadline
        deadlines.setReading(deadline)
    }

    /// False where the connection must end.
    private func take(_ request: Request, _ tasks: inout DiscardingTaskGroup) async -> Bool {
        let frame = request.frame
        if !isGreeted { return await greet(frame) }
        if frame.type == .ingest {
            while !isEnding, ingestQueue.count >= Self.ingestQueueMax {
                mark(.connectionQueueFull)
                await withCheckedContinuation { roomBell.wait($0) }
            }
            // Once the connection ends nobody takes from the queue any more.
            guard !isEnding else { return false }
            ingestQueue.append(request)
            ingestBell.ring()
            return true
        }
        let answeringMax = isPeer ? Self.answeringToNodeMax : Self.answeringMax
        while !isEnding, answering >= answeringMax || outgoing.count > Self.outgoingBytesMax {
            await withCheckedContinuation { roomBell.wait($0) }
        }
        guard !isEnding else { return false }
        answering += 1
        tasks.addTask { await self.answer(request) }
        return true
    }

    private func greet(_ frame: Frame) async -> Bool {
        guard frame.type == .hello else {
            mark(.connectionNotHello)
            service.strangers.note(.noKith, stream.peer)
            await send(
                ErrorReply(code: .notHello, text: "the first frame must be a Hello"),
                frame.requestID)
            return false
        }
        let hello: Hello
        do {
            hello = try Hello(decoding: frame.payload)
        } catch {
            mark(.connectionMalformed)
            await send(ErrorReply(code: .malformed, text: "Hello: \(error)"), frame.requestID)
            return false
        }
        if let (error, reason) = hello.refusal(by: service.clusterName) {
            if reason == .otherCluster { mark(.connectionOtherCluster) }
            service.strangers.note(reason, stream.peer)
            await send(error, frame.requestID)
            return false
        }
        isGreeted = true
        decoder.versions = ProtocolVersion.supported
        isNode = hello.role == .node
        nodeID = hello.nodeID
        deadlines.setReading(nil)
        // A node has more room only once its greeting has shown that it is one of this cluster.
        decoder.frameBytesMax =
            isNode ? WireLimits.helloFrameBytesMax : service.limits.frameBytesMax
        await send(
            HelloReply(
                clusterName: service.clusterName, nodeID: service.nodeID, limits: service.limits,
                retentionClock: service.isEventClock ? .event : .wall,
                groups: UInt16(service.router.places.count)), frame.requestID)
        return true
    }

    // MARK: Ingest

    private func ingestLoop() async {
        await withDiscardingTaskGroup { tasks in
            while true {
                while ingestQueue.isEmpty {
                    if isEnding { return }
                    await withCheckedContinuation { ingestBell.wait($0) }
                }
                let request = ingestQueue.removeFirst()
                roomBell.ring()
                while !flights.hasRoom {
                    mark(.connectionFlightsFull)
                    await withCheckedContinuation { flights.wait($0) }
                }
                // A history is replayed one request after the other.
                let flight = flights.begin(isAlone: service.isEventClock)
                tasks.addTask {
                    let reply = await self.ingest(request.frame, flight)
                    await self.finish(request, flight, reply)
                }
            }
        }
    }

    private func finish(
        _ request: Request, _ flight: IngestFlights.Flight, _ reply: any WireMessage
    ) async {
        flights.end(flight)
        giveBack(request.charge)
        await send(reply, request.frame.requestID)
    }

    private func ingest(
        _ frame: Frame, _ flight: IngestFlights.Flight
    ) async -> any WireMessage {
        var plan: IngestPlan
        do {
            plan = try IngestPlan(frame, service)
        } catch {
            mark(.connectionMalformed)
            return ErrorReply(code: .malformed, text: "Ingest: \(error)")
        }
        guard IdentityRules.isName(plan.space) else {
            mark(.connectionBadSpace)
            return ErrorReply(code: .badSpace, text: "a space is 1 to 64 of a-z 0-9 _ -")
        }
        if let refusal = service.guardedClock.refusal(ofEvents: true, of: service.nodeID) {
            return refusal
        }
        guard plan.hasStamps == service.isEventClock else {
            let text =
                service.isEventClock
                ? "retention.clock is event: every event needs a stamp"
                : "retention.clock is wall: events carry no stamps"
            return ErrorReply(code: .wrongClock, text: text)
        }
        var batch = batches.popLast() ?? EventBatch()
        // Piece by piece, so that no log entry grows with what a client packs into one frame.
        while !plan.isDone {
            do {
                try plan.readPiece(frame, &reader, &batch, service)
            } catch {
                return ErrorReply(code: .malformed, text: "Ingest: \(error)")
            }
            if !plan.isDone { flights.stayAlone(flight) }
            await settle(&plan, batch, flight)
        }
        batches.append(batch)
        return plan.reply
    }

    /// Takes one piece through all its rounds.
    private func settle(
        _ plan: inout IngestPlan, _ batch: EventBatch, _ flight: IngestFlights.Flight
    ) async {
        let rejected = plan.takeRejected()
        let busy = flights.unsettled(before: flight)
        var machine = hints.withEntries { entries in
            IngestMachine(
                batch: batch, table: service.router.table, policy: service.policy,
                isStamped: plan.hasStamps, rejected: rejected,
                countGroup: service.router.countGroup, busy: busy,
                hint: { entries.root(of: $0) })
        }
        let trouble = await service.router.settle(
            &machine,
            beforeRound: { machine, mustWait in
                if mustWait { await withCheckedContinuation { self.flights.wait(flight, $0) } }
                if machine.isGated { machine.openGate(self.flights.unsettled(before: flight)) }
            }, afterRound: { self.flights.roundEnded(flight, $0) })
        plan.take(machine, batch, trouble)
        learn(machine, batch)
    }

    /// Keeps where the events' leaves were found rooted.
    private func learn(_ machine: IngestMachine, _ batch: EventBatch) {
        hints.withEntries { entries in
            for event in batch.heads.indices {
                if let learned = machine.learned(event) {
                    entries.learn(learned.leaf, learned.root)
                }
            }
        }
    }

    // MARK: Everything else

    private func answer(_ request: Request) async {
        let frame = request.frame
        if frame.type.isPeer {
            await answerPeer(frame)
        } else {
            await service.answer(frame, hints) { await self.send($0, frame.requestID) }
        }
        giveBack(request.charge)
        answering -= 1
        roomBell.ring()
    }

    /// Requests that only a node may send, and only after its greeting.
    private func answerPeer(_ frame: Frame) async {
        guard isNode else {
            let text = "frame type \(frame.type.rawValue) is for nodes only"
            await send(ErrorReply(code: .unknownType, text: text), frame.requestID)
            return
        }
        if frame.type == .peerGreeting {
            let answer = await service.peers.greet(frame, from: nodeID)
            if answer is Done {
                isPeer = true
                decoder.frameBytesMax = PeerLimits.frameBytesMax
            } else {
                service.strangers.note(.otherFile, stream.peer)
            }
            await send(answer, frame.requestID)
        } else if isPeer {
            await send(await service.peers.answer(frame, from: nodeID), frame.requestID)
        } else {
            let text = "a node's first request must be its greeting"
            await send(ErrorReply(code: .notHello, text: text), frame.requestID)
        }
    }

    // MARK: Writing

    private func send(_ message: any WireMessage, _ requestID: UInt64) async {
        while outgoing.count > Self.outgoingBytesMax {
            mark(.connectionRepliesWait)
            await withCheckedContinuation { writersWaiting.append($0) }
        }
        // What answers a Hello is readable by a side of any version.
        FrameWriter.write(
            message, requestID: requestID, version: isGreeted ? nil : ProtocolVersion.hello,
            into: &outgoing)
        writeBell.ring()
    }

    /// Writes what there is, until all is answered. Its turn comes after those of answers that are
    /// ready by then: they go out together.
    private func writeLoop() async {
        while true {
            if outgoing.count == 0 {
                if isAnswered { return }
                await withCheckedContinuation { writeBell.wait($0) }
                continue
            }
            let bytes = outgoing.bytes
            outgoing = ByteWriter()
            deadlines.setWriting(
                service.clock.monotonicNanoseconds() &+ ConnectionDeadlines.writeNanosecondsMax)
            do throws(NetworkError) {
                try await stream.write(bytes)
            } catch {
                mark(.connectionGone)
                // The client is gone: what waits for it goes too.
                outgoing = ByteWriter()
                end()
                stream.close()
            }
            deadlines.setWriting(nil)
            let waiting = writersWaiting
            writersWaiting = []
            for writer in waiting { writer.resume() }
            roomBell.ring()
        }
    }
}
