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
    private static let passesMax = 8
    /// Events and bytes of a batch of lines that are sent again.
    private static let heldItemsMax = 1_000
    private static let heldBytesMax = 256 << 10
    /// Nanoseconds without a line after which a stream is taken to have ended for now.
    private static let silenceNanoseconds: UInt64 = 10_000_000_000
    /// Refused lines, none taken before them, after which nothing more is sent.
    private static let badLinesMax = 100
    /// Lines that `--json` lists.
    private static let lineNotesMax = 1_000

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
    /// The first line that has no certain answer, or was not sent to the end.
    private var firstUnsettled: LinePlace?
    private var shown = 0
    private var lines: [LineNote] = []
    /// The last line that was sent.
    private var lastSent: LinePlace?
    private var isInterrupted = false
    /// A line was an event.
    private var hasGood = false
    /// Lines that are sent again when all else is in; nil with the event clock.
    private var held: HeldLines?
    /// Whether people were told that a pass could keep no more.
    private var isToldOfHeld = false
    /// Whether lines that are read are kept.
    private var isHolding = false
    /// Where the pass at hand keeps what is left.
    private var heldAgain: HeldLines?
    /// Whether the pass at hand came to anything.
    private var hasProgress = false
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
        let widest = isEventClock || clients.count > 1 ? 1 : settings.window
        var greatestTime: LogTime?
        if !isEventClock { await beginHolding() }
        var idleSince = clock.monotonicNanoseconds()
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
                    idleSince = clock.monotonicNanoseconds()
                    if let held, held.isFull { await endHolding(held) }
                case .failed(let error):
                    report(error.description)
                case .idle:
                    // A stream that is silent for a while has come to an end as far as one can
                    // tell.
                    guard let held, held.count > 0,
                        clock.monotonicNanoseconds() - idleSince >= Self.silenceNanoseconds
                    else { break }
                    await group.waitForAll()
                    underWay = 0
                    await sendAgain()
                    if stop == nil, !isInterrupted { await beginHolding() }
                    idleSince = clock.monotonicNanoseconds()
                case .end(let time):
                    greatestTime = time
                    await group.waitForAll()
                    await sendAgain()
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

    // MARK: Lines that are sent again (C16)

    private func newHeld() throws(InputError) -> HeldLines {
        try HeldLines(bytesMax: settings.heldLinesBytesMax, in: settings.heldFolder)
    }

    private func beginHolding() async {
        isHolding = true
        do throws(InputError) {
            held = try newHeld()
            await feed.setProvisional(true)
        } catch {
            // Without a file every line is counted as it comes.
            held = nil
            isHolding = false
            await feed.setProvisional(false)
            report("\(error); old lines are not sent again")
        }
    }

    /// No more is kept: later lines are counted as they come.
    private func endHolding(_ lines: HeldLines) async {
        guard isHolding else { return }
        isHolding = false
        await feed.setProvisional(false)
        let after = lastSent.map { "after \(name($0)) " } ?? ""
        report("\(lines.fullness); old lines \(after)are not sent again")
    }

    /// Sends the lines that are kept again, until a pass comes to nothing; then once more, so that
    /// what is left is counted.
    private func sendAgain() async {
        var pass = 2
        while let lines = held, lines.count > 0, stop == nil, !isInterrupted {
            let isLast = pass >= Self.passesMax || (pass > 2 && !hasProgress)
            hasProgress = false
            heldAgain = nil
            var gathered: [HeldLine] = []
            var failure: InputError?
            do throws(InputError) {
                if !isLast { heldAgain = try newHeld() }
                var byteCount = 0
                try await lines.forEach { line in
                    gathered.append(line)
                    byteCount += line.bytes.count
                    guard gathered.count >= Self.heldItemsMax || byteCount >= Self.heldBytesMax
                    else { return }
                    await self.deliverAgain(gathered, isLast: isLast)
                    gathered = []
                    byteCount = 0
                }
            } catch {
                failure = error
            }
            if !gathered.isEmpty { await deliverAgain(gathered, isLast: isLast) }
            if let failure {
                report(failure.description)
                countHeld()
                return
            }
            held = heldAgain
            heldAgain = nil
            pass += 1
        }
    }

    private func deliverAgain(_ lines: [HeldLine], isLast: Bool) async {
        if stop != nil || isInterrupted {
            let takenCount = lines.reduce(0) { $0 + ($1.isTaken ? 1 : 0) }
            countLeft(lines.count, takenCount, from: lines.map(\.place).min())
            return
        }
        // Where no more can be kept this is the last time.
        var isLast = isLast
        if let heldAgain, heldAgain.failure != nil {
            if !isToldOfHeld {
                isToldOfHeld = true
                report("\(heldAgain.fullness); the rest is sent for the last time")
            }
            isLast = true
        }
        let batch = LineBatcher.batch(
            again: lines, space: settings.space, isLast: isLast, bytesTaken: progress.bytesDone)
        await deliver(batch, over: clients[0])
    }

    private func keep(_ line: HeldLine) {
        (heldAgain ?? held)?.append(line)
    }

    /// What is kept when nothing more is sent.
    private func countHeld() {
        for lines in [held, heldAgain].compactMap({ $0 }) where lines.count > 0 {
            countLeft(lines.count, lines.takenCount, from: lines.firstPlace)
        }
        held = nil
        heldAgain = nil
    }

    /// Counts lines that would have been sent again, and are not: no node has judged them for the
    /// last time, nor counted them.
    private func countLeft(_ count: Int, _ takenCount: Int, from first: LinePlace?) {
        tally.leftProvisional += count - takenCount
        tally.linksLeft += takenCount
        if let first { leave(first) }
    }

    private func leave(_ place: LinePlace) {
        firstUnsettled = firstUnsettled.map { min($0, place) } ?? place
    }

    /// Whether the line is kept to be sent again, or was counted before: then there is nothing to
    /// count of it now.
    private func holds(_ line: BatchDelivery.Settled, of batch: LineBatch) -> Bool {
        guard batch.pass != .only else { return false }
        let isTaken = batch.taken.contains(line.item)
        if isTaken {
            switch line.outcome {
            case .unsent, .answered(.unknown), .answered(.overloaded):
                // It is stored, and counted; its links may not be made.
                countLeft(1, 1, from: batch.places[line.item])
                return true
            case .answered: break
            }
        }
        let isVoid = line.told.contains {
            if case .linkVoid(.age, _) = $0 { true } else { false }
        }
        if batch.pass == .last {
            if isTaken { tell(line.told.filter(\.isLink), of: line.item, in: batch) }
            return isTaken
        }
        let mustWait =
            line.outcome == .answered(.expiredOnArrival) && !isTaken
            || isVoid && (line.outcome == .answered(.ok) || line.outcome == .answered(.duplicate))
        if mustWait {
            keep(
                HeldLine(
                    place: batch.places[line.item], isTaken: isTaken || isVoid,
                    isUnnamed: batch.unnamed.contains(line.item),
                    isAssigned: batch.assigned.contains(line.item),
                    bytes: batch.event(line.item)))
            if !isVoid { return true }
        } else if batch.pass == .again {
            hasProgress = true
        }
        // Of links that are void by age the last pass tells.
        let told = line.told.filter {
            if case .linkVoid(.age, _) = $0 { false } else { true }
        }
        if isTaken {
            if !isVoid { tell(told.filter(\.isLink), of: line.item, in: batch) }
            // Its profile has ended meanwhile: there is nothing to link to any more.
            if line.outcome == .answered(.expiredOnArrival) {
                tally.linksVoid[.age, default: 0] += 1
            }
            return true
        }
        if isVoid {
            tally.count(line.outcome)
            tell(told, of: line.item, in: batch)
            if batch.assigned.contains(line.item) { tally.withoutMessageID += 1 }
            if batch.pass == .again { hasProgress = true }
            return true
        }
        return false
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

    private func report(_ error: String) {
        errors.append(error)
        if !settings.isQuiet { console.drawLive("") }
        console.complain("kith ingest: \(error)")
    }

    // MARK: One batch

    private func deliver(_ batch: LineBatch, over client: Client) async {
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

    private func settle(_ line: BatchDelivery.Settled, of batch: LineBatch) {
        let (outcome, item) = (line.outcome, line.item)
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
            let text = batch.notes[item] ?? ToldNote.explanation(reason, line.told)
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
    private func tell(_ told: [ToldNote], of item: Int, in batch: LineBatch) {
        tally.count(told)
        let lines = told.compactMap(\.line)
        guard !lines.isEmpty else { return }
        let text = lines.joined(separator: "; ")
        show(batch.places[item], reason: nil, text, text)
    }

    private func name(_ place: LinePlace) -> String {
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
