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
import KithCore
import KithPorts
import KithWire

/// The driver of one ingest.
actor IngestRun {
    private static let pauseMillisMin: UInt64 = 50
    private static let pauseMillisMax: UInt64 = 2_000
    /// Sendings of a line, the first one with it.
    static let passesMax = 8
    /// Events and bytes of a batch of lines that are sent again.
    static let heldItemsMax = 1_000
    static let heldBytesMax = 256 << 10
    /// Nanoseconds without a line after which a stream is taken to have ended for now.
    private static let silenceNanoseconds: UInt64 = 10_000_000_000
    /// Refused lines, none taken before them, after which nothing more is sent.
    private static let badLinesMax = 100
    /// Lines that `--json` lists.
    private static let lineNotesMax = 1_000

    private nonisolated let loop: any Loop
    private let clock: any Clock
    let clients: [Client]
    let feed: BatchFeed
    let settings: Settings
    private let console: Console
    private let startedAt: UInt64

    var tally = IngestTally()
    private var errors: [String] = []
    var stop: ClientError?
    /// The first line that has no certain answer, or was not sent to the end.
    var firstUnsettled: LinePlace?
    private var shown = 0
    private var lines: [LineNote] = []
    /// The last line that was sent.
    var lastSent: LinePlace?
    var isInterrupted = false
    /// A line was an event.
    private var hasGood = false
    /// Lines that are sent again when all else is in; nil with the event clock.
    var held: HeldLines?
    /// Whether people were told that a pass could keep no more.
    var isToldOfHeld = false
    /// Whether lines that are read are kept.
    var isHolding = false
    /// Where the pass at hand keeps what is left.
    var heldAgain: HeldLines?
    /// Whether the pass at hand came to anything.
    var hasProgress = false
    /// As many lines as `badLinesMax` were refused, and none was taken.
    private var isHopeless = false
    /// Batches that are being tried again, since when, and nanoseconds of it before that.
    private var troubled = 0
    private var troubledAt: UInt64 = 0
    private var troubledNanoseconds: UInt64 = 0
    /// Whether people were told that nothing is answered at present.
    private var isTold = false
    /// Nodes that people were told of as not answering or refusing, without the reasons.
    private var silentNodes: Set<NodeSilence> = []
    /// Nodes that people were told of as having no room.
    private var shortNodes: Set<ShortNode> = []
    var progress: IngestProgress
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
        let widest = isEventClock || clients.count > 1 ? 1 : settings.window
        var greatestTime: LogTime?
        if !isEventClock { await beginHolding() }
        /// When the last lines came; nil where none came since lines were sent again.
        var lastCame: UInt64?
        await withTaskGroup(of: Void.self) { group in
            var underWay = 0
            var number = 0
            while stop == nil, !isInterrupted, !isHopeless {
                // One at a time until something was taken: the file may be none of events.
                if underWay == (hasGood ? widest : 1) {
                    await group.next()
                    underWay -= 1
                    continue
                }
                switch await feed.next() {
                case .batch(let batch):
                    if isInterrupted { break }
                    lastSent = batch.places.last ?? lastSent
                    let client = clients[number % clients.count]
                    group.addTask { await self.deliver(batch, over: client) }
                    number += 1
                    underWay += 1
                    lastCame = clock.monotonicNanoseconds()
                    if let held, held.isFull { await endHolding(held) }
                case .failed(let error):
                    report(error.description)
                case .idle:
                    // Whoever a silent stream's old lines are about may be known by now, or may
                    // stand in what is still to come.
                    guard let held, held.count > 0, let came = lastCame,
                        clock.monotonicNanoseconds() - came >= Self.silenceNanoseconds
                    else { break }
                    await group.waitForAll()
                    underWay = 0
                    await sendAgain(isEnd: false)
                    if stop == nil, !isInterrupted { await goOnHolding() }
                    lastCame = nil
                case .end(let time):
                    greatestTime = time
                    await group.waitForAll()
                    await sendAgain(isEnd: true)
                    if isEventClock, stop == nil { await advance(to: greatestTime) }
                    return
                }
            }
            await group.waitForAll()
        }
        countHeld()
        finish()
        return Outcome(
            tally: tally, seconds: seconds, errors: errors, stop: stop, lines: lines,
            stoppedAt: stoppedAt)
    }

    /// Whether a signal has come.
    var isStopping: Bool { isInterrupted }

    /// Sends nothing more; what is under way is awaited.
    func interrupt() { isInterrupted = true }

    /// The first line that a signal kept from being sent, or from being answered for certain.
    private var stoppedAt: String? {
        guard isInterrupted else { return nil }
        if let firstUnsettled { return name(firstUnsettled) }
        guard let lastSent else { return name(LinePlace(file: 0, line: 1)) }
        return name(LinePlace(file: lastSent.file, line: lastSent.line + 1))
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
                "… and \(Words.grouped(shown - settings.errorsShownMax)) more such lines; "
                    + "--errors all shows every one")
        }
        if let stoppedAt { report("stopped at \(stoppedAt)") }
        guard stop != nil || stoppedAt == nil && tally.isLeft, let place = firstUnsettled else {
            return
        }
        report("stopped: from \(name(place)) on, lines may not be stored")
    }

    func report(_ error: String) {
        errors.append(error)
        if !settings.isQuiet { console.drawLive("") }
        console.complain("kith ingest: \(error)")
    }

    // MARK: One batch

    func deliver(_ batch: LineBatch, over client: Client) async {
        var isTroubled = false
        defer { if isTroubled { recover() } }
        var delivery = BatchDelivery(batch)
        var pause = Self.pauseMillisMin
        while true {
            let attempt = await send(delivery.payload, over: client)
            settle(delivery.take(attempt.answer), of: batch)
            guard !delivery.isDone else { break }
            if !isTroubled {
                isTroubled = true
                if troubled == 0 { troubledAt = clock.monotonicNanoseconds() }
                troubled += 1
            }
            if isPatienceOver || attempt.isFinal || stop != nil || isInterrupted {
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

    /// `--patience` is a total: the time in which some batch or other was tried again.
    private var isPatienceOver: Bool {
        let now = clock.monotonicNanoseconds()
        return troubledNanoseconds + (now - troubledAt)
            >= UInt64(settings.patience) * 1_000_000_000
    }

    private func recover() {
        troubled -= 1
        if troubled == 0 { troubledNanoseconds += clock.monotonicNanoseconds() - troubledAt }
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
                answer: .reply(reply), retryAfterMillis: reply.retryAfterMillis,
                error: await silence(reply.silentNodes, client))
        } catch {
            var attempt = Attempt(
                answer: .all(error.isUnknown ? .answered(.unknown) : .unsent), error: error)
            switch error {
            case .refused(_, let code, _, let retryAfterMillis):
                attempt.retryAfterMillis = retryAfterMillis
                switch code {
                case .overloaded: attempt.answer = .all(.answered(.overloaded))
                case .unavailable, .shuttingDown, .internalError, .deadlineExceeded, .starting,
                    .clock:
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

    /// What the nodes that did not answer, or refused, mean, if there are any: said once for each
    /// and what it did, and what stops the run when the patience is at an end.
    private func silence(_ nodes: [NodeSilence], _ client: Client) async -> ClientError? {
        guard !nodes.isEmpty else { return nil }
        for node in nodes
        where silentNodes.insert(NodeSilence(node.node, node.conduct)).inserted {
            if !settings.isQuiet { console.drawLive("") }
            console.complain(
                "kith ingest: \(node.text); its events are sent again for up to "
                    + "\(settings.patience) s")
        }
        let address = await client.address ?? client.addresses[0]
        return .refused(
            address: address.description, code: .unavailable,
            text: nodes.map(\.text).joined(separator: "; "),
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
        for line in lines { settle(line, of: batch) }
        guard !hasGood, tally.refusedTotal >= Self.badLinesMax, !isHopeless else { return }
        isHopeless = true
        report(
            "stopped: of the first \(Words.grouped(tally.refusedTotal)) lines not one is an event")
    }

    private func settle(_ answered: BatchDelivery.Settled, of batch: LineBatch) {
        var line = answered
        let (outcome, item) = (line.outcome, line.item)
        if let names = batch.repeated[item] { line.told.append(.repeatedNames(names)) }
        switch outcome {
        case .unsent, .answered(.rejected), .answered(.unknown), .answered(.overloaded): break
        case .answered: hasGood = true
        }
        if holds(line, of: batch) {
            progress.events = tally.total
            return
        }
        tally.count(outcome)
        let place = batch.places[item]
        switch outcome {
        case .answered(.rejected(let reason)):
            tally.count(line.told)
            let why = batch.notes[item] ?? ToldNote.explanation(reason, line.told)
            let text = ([why] + line.told.filter(\.isOfJSON).compactMap(\.line))
                .joined(separator: "; ")
            show(place, reason: reason.name, "\(reason.name): \(text)", text)
        case .unsent, .answered(.unknown), .answered(.overloaded):
            leave(place)
        case .answered:
            if batch.assigned.contains(item) { tally.withoutMessageID += 1 }
            tell(line.told, of: item, in: batch)
        }
        progress.events = tally.total
        progress.refused = tally.refusedTotal
    }

    /// Counts what was told of a line that was taken, and names the line.
    func tell(_ told: [ToldNote], of item: Int, in batch: LineBatch) {
        tally.count(told)
        let lines = told.compactMap(\.line)
        guard !lines.isEmpty else { return }
        let text = lines.joined(separator: "; ")
        show(batch.places[item], reason: nil, text, text)
    }

    func name(_ place: LinePlace) -> String {
        let file = settings.names[place.file]
        return "\(file == "-" ? "(standard input)" : file):\(place.line)"
    }

    private func show(_ place: LinePlace, reason: String?, _ text: String, _ note: String) {
        shown += 1
        guard shown <= settings.errorsShownMax else { return }
        if lines.count < Self.lineNotesMax {
            let file = settings.names[place.file]
            lines.append(LineNote(file: file, line: place.line, reason: reason, text: note))
        }
        if !settings.isQuiet { console.drawLive("") }
        console.complain("\(name(place)): \(text)")
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
