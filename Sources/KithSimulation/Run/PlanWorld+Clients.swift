// What clients do: each performs its steps in order, each step when its time has come, and tries
// again until it has a certain answer. Some send batches ahead of the answers to those before.
// Every try is in the history.

package import KithBytes
internal import KithClient
package import KithCore
internal import KithPorts
internal import KithWire

extension PlanWorld {
    /// The longest pause between two tries, in milliseconds.
    private static var pauseMillisMax: UInt64 { 1_000 }

    /// Begins a root task for each client.
    package func startClients() {
        let greatest = work.steps.map(\.client).max() ?? 0
        for number in stride(from: 1, through: greatest, by: 1) {
            let steps = work.steps.filter { $0.client == number }
            if steps.isEmpty { continue }
            let client = client(of: number)
            clientsLeft += 1
            start { [self] in
                await take(steps, client)
                clientsLeft -= 1
            }
        }
    }

    /// Batches of one client that are not answered while it sends the next: more than a node has in
    /// work and reads ahead.
    private static var hastyMax: Int { 10 }

    /// A batch that is sent ahead is a task of its own. Its request is made in the order of the
    /// steps, since tasks and requests of a lane run in the order in which they came.
    private func take(_ steps: [PlannedWork.Step], _ client: Client) async {
        await withTaskGroup(of: Void.self) { tasks in
            var open = 0
            for step in steps {
                if now < step.at {
                    await wait(nanoseconds: step.at - now, subject: UInt64(step.number))
                }
                while open > (step.isHasty ? Self.hastyMax - 1 : 0) {
                    await tasks.next()
                    open -= 1
                }
                doing[step.number] = step.client
                open += 1
                tasks.addTask { [self] in
                    await perform(step, client)
                    doing[step.number] = nil
                }
            }
        }
    }

    private func perform(_ step: PlannedWork.Step, _ client: Client) async {
        switch step.action {
        case .ingest(let space, let events): await ingest(step, space, events, client)
        case .get(let space, let identifier, let isQuarantine):
            let get = Get(
                space: space, namespace: identifier.namespace, value: identifier.value,
                wantsQuarantine: isQuarantine)
            await ask(step) {
                .profile(try Self.profile(try await client.get(get).profile))
            }
        case .stats:
            await ask(step) {
                .totals(try Self.value(try await client.stats()))
            }
        case .bytes(let bytes):
            note("step \(step.number): \(bytes.count) raw bytes")
            await send(bytes, to: step)
        case .stall(let requests, let nanoseconds):
            note("step \(step.number): stalls with \(requests) requests")
            await stall(requests, nanoseconds, client)
        case .pass(let milliseconds):
            note("step \(step.number): \(milliseconds) ms pass")
            passTime(milliseconds: milliseconds)
        }
    }

    /// A CBOR item as the wire has it. In a function of its own: a span of what was awaited makes
    /// the optimiser of Swift 6.3.1 produce a broken module.
    package static func value(_ bytes: [UInt8]) throws(ByteError) -> CBORValue {
        try CBORValue(decoding: bytes.span.bytes)
    }

    /// A profile as the wire has it.
    package static func profile(_ bytes: [UInt8]?) throws(ByteError) -> Profile? {
        guard let bytes else { return nil }
        var reader = ByteReader(bytes.span.bytes)
        return try Profile(decoding: &reader)
    }

    // MARK: Requests

    private func ingest(
        _ step: PlannedWork.Step, _ space: String, _ events: [PlannedEvent], _ client: Client
    ) async {
        // Some clients send the whole batch again, some only what has no certain answer.
        let sendsAll = random.oneIn(2)
        var standing = BatchStanding(events, passes: step.passes)
        // Fewer at a time where a node takes no larger frames.
        var mostAtOnce = events.count
        var tries = 0
        while !standing.isDone, !isOver {
            if tries > 0 { await pause(tries) }
            tries += 1
            let sent = standing.next(all: sendsAll, atMost: mostAtOnce)
            var batch = IngestBatchWriter(space: space)
            for place in sent {
                batch.append(standing.kind(of: place), bytes: events[place].bytes)
            }
            let invoked = now
            trace("step \(step.number) sends \(Self.names(sent.map { events[$0] }))")
            switch await Self.result(of: batch.payload, client) {
            case .success(let reply):
                let told = standing.take(reply, of: sent)
                if !told.provisional.isEmpty {
                    add(step, invoked, .results(told.provisional), isProvisional: true)
                }
                if !told.links.isEmpty {
                    add(step, invoked, .results(told.links), isForLinks: true)
                }
                if !told.results.isEmpty { add(step, invoked, .results(told.results)) }
                note("step \(step.number): ingest of \(sent.count)\(Self.open(told.results))")
            case .failure(let error):
                note("step \(step.number): ingest of \(sent.count) failed: \(error)")
                // Of what was not sent nothing can have taken effect.
                if case .tooLarge = error, sent.count > 1 {
                    mostAtOnce = sent.count / 2
                    tries = 0
                    continue
                }
                for isForLinks in [false, true] {
                    let some = sent.filter { standing.isForLinks($0) == isForLinks }
                    if some.isEmpty { continue }
                    add(
                        step, invoked, .failed("\(error)", events: some.map { events[$0].number }),
                        isForLinks: isForLinks)
                }
                if isBreach(error, step) { return }
                if case .tooLarge = error { return }
            }
        }
    }

    /// The events of a batch, for the trace.
    private static func names(_ events: [PlannedEvent]) -> String {
        events.map { event in
            let identifiers = event.identifiers.map { "\($0.namespace):\($0.value)" }
            return "\(event.mark) {\(identifiers.joined(separator: ", "))}"
        }.joined(separator: " · ")
    }

    /// The first results that are not certain, for a note.
    private static func open(_ results: [(event: Int, result: IngestResult)]) -> String {
        let open = results.filter { $0.result.wantsRetry }
        if open.isEmpty { return ", all certain" }
        let names = open.prefix(3).map { "e\($0.event) \($0.result)" }.joined(separator: ", ")
        return ", \(open.count) not certain: \(names)"
    }

    /// One try: what the client itself would send again is no try that the history knows.
    private static func result(
        of payload: [UInt8], _ client: Client
    ) async -> Result<IngestReply, ClientError> {
        do throws(ClientError) {
            return .success(try await client.ingest(payload, retries: 0))
        } catch {
            return .failure(error)
        }
    }

    private func ask(
        _ step: PlannedWork.Step, _ body: () async throws -> History.Answer
    ) async {
        var tries = 0
        while !isOver {
            if tries > 0 { await pause(tries) }
            tries += 1
            let invoked = now
            switch await Self.result(of: body) {
            case .success(let answer): return add(step, invoked, answer)
            case .failure(let error):
                add(step, invoked, .failed("\(error)"))
                note("step \(step.number): \(error)")
                if isBreach(error, step) { return }
                guard Self.isWorthAnother(error) else { return }
            }
        }
    }

    private static func result(
        of body: () async throws -> History.Answer
    ) async -> Result<History.Answer, any Error> {
        do {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    /// Whether no node may ever answer so, whatever is wrong at the moment; and says it.
    private func isBreach(_ error: any Error, _ step: PlannedWork.Step) -> Bool {
        let isBreach =
            switch error as? ClientError {
            case .refused(_, let code, _, _):
                [
                    .notHello, .wrongCluster, .unknownType, .unknownNamespace, .badSpace,
                    .wrongClock,
                ].contains(code)
            case nil: error is ByteError
            default: false
            }
        if isBreach { broke("answers are those of the contract", "step \(step.number): \(error)") }
        return isBreach
    }

    /// Whether the same question may be answered later.
    private static func isWorthAnother(_ error: any Error) -> Bool {
        switch error as? ClientError {
        case .refused(_, let code, _, _):
            switch code {
            case .unavailable, .overloaded, .shuttingDown, .deadlineExceeded, .internalError,
                .clock, .starting:
                true
            default: false
            }
        case .tooLarge, .closed, .cancelled: false
        default: true
        }
    }

    private func pause(_ tries: Int) async {
        let most = min(Self.pauseMillisMax, 20 << UInt64(min(tries, 6)))
        await wait(
            nanoseconds: random.within(1_000_000...most * 1_000_000), subject: UInt64(tries))
    }

    private func add(
        _ step: PlannedWork.Step, _ invoked: UInt64, _ answer: History.Answer,
        isProvisional: Bool = false, isForLinks: Bool = false
    ) {
        var call = History.Call(
            step: step.number, client: step.client, invoked: invoked, returned: now,
            answer: answer)
        call.isProvisional = isProvisional
        call.isForLinks = isForLinks
        history.add(call)
    }

    // MARK: Clients that do not behave

    /// How long a client that sent raw bytes waits for what comes back.
    private static var listenNanoseconds: UInt64 { 200_000_000 }

    private func send(_ bytes: [UInt8], to step: PlannedWork.Step) async {
        // Refused where the node is down.
        let connected = try? await connect(to: step.client % nodeCount + 1)
        guard let stream = connected else { return note("step \(step.number): no connection") }
        await impose(on: stream, for: Self.listenNanoseconds) {
            try await stream.write(bytes)
            while !(try await stream.read(atMost: 65_536)).isEmpty {}
        }
    }

    private func stall(_ requests: Int, _ nanoseconds: UInt64, _ client: Client) async {
        // Refused where no node is up.
        guard let connection = try? await client.openConnection() else {
            return note("no connection to stall")
        }
        var writer = ByteWriter()
        for number in 0..<requests {
            FrameWriter.write(
                FrameHeader(
                    type: .stats, requestID: UInt64(number + 2), version: connection.hello.version),
                payload: [], into: &writer)
        }
        let bytes = writer.bytes
        await impose(on: connection.stream, for: nanoseconds) {
            try await connection.stream.write(bytes)
        }
    }

    /// Has `body` work on the stream for so long at most, and closes it at the end of that time.
    private func impose(
        on stream: any ByteStream, for nanoseconds: UInt64,
        _ body: @escaping @Sendable () async throws -> Void
    ) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                // However it ends: the node may close a connection that misbehaves.
                try? await body()
            }
            await wait(nanoseconds: nanoseconds, subject: 0)
            stream.close()
        }
    }
}
