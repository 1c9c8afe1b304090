// One `kith ingest`: takes batches from the feed, keeps a few of them on their way, and counts what
// the answers say.
//
//   BatchFeed (its own loop) ──▶ IngestRun ──up to `window` at once──▶ Client ──▶ node
//                                   ▲                                    │
//                                   └── unknown, overloaded: again later ┘
//
// Batches of one connection are sent in the order of the lines: a child task is made for each in
// that order, all run on one loop, and a loop runs its jobs first in, first out. With the event
// clock, or spread over nodes, a batch is sent when the one before it has its answer.
//
// An event that got no certain answer is sent again under the same message id, with pauses that
// double, until it has one or the patience is at an end. What is left then is reported, never
// called a failure.

import KithBytes
import KithClient
import KithPorts
import KithWire

/// The driver of one ingest.
actor IngestRun {
    /// What does not change during a run.
    struct Settings: Sendable {
        var names: [String]
        var space: String
        /// Batches on their way at once; the event clock and spreading allow one.
        var window: Int
        /// Refused lines that are shown one by one.
        var errorsShownMax: Int
        var isQuiet: Bool
        /// For how long one batch is tried, in seconds.
        var patience: Int
        var bytesTotal: UInt64?
    }

    /// How a run ended.
    struct Outcome: Sendable {
        var tally: IngestTally
        var seconds: Double
        var errors: [String]
        /// Why it stopped before the end of the input.
        var stop: ClientError?
    }

    private static let pauseMillisMin: UInt64 = 50
    private static let pauseMillisMax: UInt64 = 2_000

    private nonisolated let loop: any Loop
    private let clock: any Clock
    private let clients: [Client]
    private let feed: BatchFeed
    private let settings: Settings
    private let console: Console
    private let startedAt: UInt64

    private var tally = IngestTally()
    private var errors: [String] = []
    private var stop: ClientError?
    /// The first line that has no certain answer.
    private var firstUnsettled: LinePlace?
    private var shown = 0
    /// Whether people were told that nothing is answered at present.
    private var isTold = false
    /// Nodes that people were told of as not answering.
    private var silentNodes: Set<NodeID> = []
    /// Nodes that people were told of as having no room.
    private var shortNodes: Set<ShortNode> = []
    private var progress: IngestProgress
    private var drawnAt: UInt64 = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(
        _ settings: Settings, clients: [Client], feed: BatchFeed, console: Console,
        clock: any Clock, loop: any Loop
    ) {
        precondition(!clients.isEmpty && settings.window > 0, "nobody to send to")
        self.settings = settings
        self.clients = clients
        self.feed = feed
        self.console = console
        self.clock = clock
        self.loop = loop
        progress = IngestProgress(bytesTotal: settings.bytesTotal)
        startedAt = clock.monotonicNanoseconds()
    }

    /// Sends everything. `isEventClock` is what the node's hello said.
    func run(isEventClock: Bool) async -> Outcome {
        let window = isEventClock || clients.count > 1 ? 1 : settings.window
        var greatestTime: LogTime?
        await withTaskGroup(of: Void.self) { group in
            var underWay = 0
            var number = 0
            while stop == nil {
                if underWay == window {
                    await group.next()
                    underWay -= 1
                    continue
                }
                switch await feed.next() {
                case .batch(let batch):
                    let client = clients[number % clients.count]
                    group.addTask { await self.deliver(batch, over: client) }
                    number += 1
                    underWay += 1
                case .failed(let error):
                    report(error.description)
                case .idle: break
                case .end(let time):
                    greatestTime = time
                    await group.waitForAll()
                    if isEventClock, stop == nil { await advance(to: greatestTime) }
                    return
                }
            }
            await group.waitForAll()
        }
        finish()
        return Outcome(tally: tally, seconds: seconds, errors: errors, stop: stop)
    }

    private var seconds: Double { Double(clock.monotonicNanoseconds() - startedAt) / 1e9 }

    /// Has every group log the greatest time, so that totals are judged at one time.
    private func advance(to time: LogTime?) async {
        guard let time else { return }
        do throws(ClientError) {
            try await clients[0].advanceTime(to: time, retries: 3)
        } catch {
            stop = error
        }
    }

    private func finish() {
        if !settings.isQuiet, console.hasLiveLine { console.drawLive("") }
        if shown > settings.errorsShownMax {
            console.complain(
                "… and \(Words.grouped(shown - settings.errorsShownMax)) more refused lines; "
                    + "--errors all shows every one")
        }
        guard stop != nil, let place = firstUnsettled else { return }
        report("stopped: from \(name(place)) on, lines may not be stored")
    }

    private func report(_ error: String) {
        errors.append(error)
        if !settings.isQuiet { console.drawLive("") }
        console.complain("kith ingest: \(error)")
    }

    // MARK: One batch

    private func deliver(_ batch: LineBatch, over client: Client) async {
        let deadline = clock.monotonicNanoseconds() + UInt64(settings.patience) * 1_000_000_000
        var delivery = BatchDelivery(batch)
        var pause = Self.pauseMillisMin
        while true {
            let attempt = await send(delivery.payload, over: client)
            settle(delivery.take(attempt.answer), of: batch)
            guard !delivery.isDone else { break }
            let isOver = clock.monotonicNanoseconds() >= deadline
            if isOver || attempt.isFinal || stop != nil {
                settle(delivery.giveUp(), of: batch)
                stop = stop ?? attempt.error
                break
            }
            let wait = max(pause, UInt64(attempt.retryAfterMillis))
            // A sleep that throws means that the loop stops; the next send says so.
            try? await clock.sleep(nanoseconds: wait * 1_000_000, on: loop)
            pause = min(pause * 2, Self.pauseMillisMax)
        }
        progress.bytesDone = max(progress.bytesDone, batch.bytesTaken)
        draw()
    }

    /// One try, and what it means for others.
    private struct Attempt {
        var answer: BatchDelivery.Answer
        var retryAfterMillis: UInt32 = 0
        /// What stops the run when the patience is at an end.
        var error: ClientError?
        /// Whether trying again cannot help.
        var isFinal = false
    }

    private func send(_ payload: [UInt8], over client: Client) async -> Attempt {
        do throws(ClientError) {
            // The client would send all of it again, also what must not be.
            let reply = try await client.ingest(payload, retries: 0)
            isTold = false
            for node in reply.shortNodes { tell(node) }
            return Attempt(
                answer: .results(reply.results), retryAfterMillis: reply.retryAfterMillis,
                error: await silence(reply.silentNodes, client))
        } catch {
            var attempt = Attempt(
                answer: .all(error.isUnknown ? .answered(.unknown) : .unsent), error: error)
            switch error {
            case .refused(_, let code, _, let retryAfterMillis):
                attempt.retryAfterMillis = retryAfterMillis
                switch code {
                case .overloaded: attempt.answer = .all(.answered(.overloaded))
                case .unavailable, .shuttingDown, .internalError, .deadlineExceeded, .starting:
                    break
                default: attempt.isFinal = true
                }
            case .tooLarge, .protocolError, .closed, .cancelled: attempt.isFinal = true
            case .unreachable, .timedOut, .unanswered, .tooManyRequests: break
            }
            if !attempt.isFinal, attempt.answer != .all(.answered(.overloaded)) { tell(error) }
            return attempt
        }
    }

    /// Says that a node has no room, once for each node and reason.
    private func tell(_ node: ShortNode) {
        guard shortNodes.insert(node).inserted else { return }
        if !settings.isQuiet { console.drawLive("") }
        console.complain("kith ingest: \(node.text); trying again for up to \(settings.patience) s")
    }

    /// Says why nothing goes on, once until something does.
    private func tell(_ error: ClientError) {
        guard !isTold else { return }
        isTold = true
        if !settings.isQuiet { console.drawLive("") }
        console.complain(
            "kith ingest: \(Words.printable(error.description)); trying for up to "
                + "\(settings.patience) s")
    }

    /// What the nodes that did not answer mean, if there are any: said once, and what stops the run
    /// when the patience is at an end.
    private func silence(_ nodes: [NodeID], _ client: Client) async -> ClientError? {
        guard !nodes.isEmpty else { return nil }
        let names = nodes.map { "node \($0.rawValue)" }.joined(separator: ", ")
        let verb = nodes.count == 1 ? "does" : "do"
        if !silentNodes.isSuperset(of: nodes) {
            silentNodes.formUnion(nodes)
            if !settings.isQuiet { console.drawLive("") }
            console.complain(
                "kith ingest: \(names) \(verb) not answer; its events are sent again for up to "
                    + "\(settings.patience) s")
        }
        let address = await client.address ?? client.addresses[0]
        return .refused(
            address: address.description, code: .unavailable, text: "\(names) \(verb) not answer",
            retryAfterMillis: 0)
    }

    /// A payload of those items of `payload`, which holds the items `open`.
    static func subset(_ payload: [UInt8], keeping kept: [Int], of open: [Int]) -> [UInt8]? {
        guard kept.count < open.count else { return nil }
        let wanted = Set(kept)
        do throws(ByteError) {
            let view = try IngestView(decoding: payload.span.bytes)
            var writer = IngestBatchWriter(
                space: view.space, hasStamps: view.hasStamps, capacity: payload.count)
            var items = view.items
            var place = 0
            while let item = try items.next() {
                if wanted.contains(open[place]) {
                    writer.append(item.kind, stamp: item.stamp, bytes: item.bytes)
                }
                place += 1
            }
            return writer.payload
        } catch {
            preconditionFailure("a payload made here does not decode: \(error)")
        }
    }

    // MARK: One line

    private func settle(_ lines: [BatchDelivery.Settled], of batch: LineBatch) {
        for line in lines { settle(line.outcome, line.item, of: batch) }
    }

    private func settle(_ outcome: LineOutcome, _ item: Int, of batch: LineBatch) {
        tally.count(outcome)
        let place = batch.places[item]
        switch outcome {
        case .answered(.rejected(let reason)):
            show("\(name(place)): \(reason.name): \(batch.notes[item] ?? reason.explanation)")
        case .unsent, .answered(.unknown), .answered(.overloaded):
            if firstUnsettled.map({ place < $0 }) ?? true { firstUnsettled = place }
        case .answered: break
        }
        progress.events = tally.total
        progress.refused = tally.refusedTotal
    }

    private func name(_ place: LinePlace) -> String {
        let file = settings.names[place.file]
        return "\(file == "-" ? "(standard input)" : file):\(place.line)"
    }

    private func show(_ text: String) {
        shown += 1
        guard shown <= settings.errorsShownMax else { return }
        if !settings.isQuiet { console.drawLive("") }
        console.complain(text)
    }

    private func draw() {
        guard !settings.isQuiet, console.hasLiveLine else { return }
        let now = clock.monotonicNanoseconds()
        guard Double(now - drawnAt) / 1e9 >= IngestProgress.secondsMin else { return }
        drawnAt = now
        progress.seconds = seconds
        console.drawLive(progress.line)
    }
}
