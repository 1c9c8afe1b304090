// Keeps requests under way over several connections and measures them, on one loop: one thread, no
// task a request.
//
//             ┌─ link 0: sender ─▶ node ─▶ receiver ─┐
//   next N ───┼─ link 1:  …                          ├──▶ tally, histogram
//             └─ link C:  …                          ┘
//
// A closed loop keeps `window` requests in flight on every connection, and a latency runs from when
// the request is handed to the kernel. An open loop (`rate`) has request N *due* at start + N/rate
// whether or not the node keeps up; any connection with room takes it, and its latency runs from
// when it was due. So a node that stalls for a second has every request that was due in that second
// in the histogram: nothing is left out because the generator waited too (coordinated omission).
//
// A latency ends when every event of the request has its last answer, tries again included. What
// was on a connection that breaks, or has no room, is sent again under the same message ids for
// `patienceMillis`.

import KithBytes
import KithClient
import KithPorts
import KithWire

/// One load test, from the first request to the last answer.
actor LoadRun {
    /// How the load is put on.
    struct Settings: Sendable {
        var connections = 1
        var window = 1
        /// Requests a second; nil for a closed loop.
        var rate: Double?
        /// Requests in all; nil for as many as begin within `seconds`.
        var requests: Int?
        var seconds: Double?
        /// How long an event is tried.
        var patienceMillis: UInt64 = 30_000
    }

    /// How a run ended.
    struct Outcome: Sendable {
        var tally = LoadTally()
        var latency = LatencyHistogram()
        /// From the first request to the last answer.
        var seconds = 0.0
        /// Why connections were given up, if they were.
        var failure: ClientError?
    }

    /// A node that owes answers and says nothing for so long has its connection closed.
    static let silenceMillisMax: UInt32 = 15_000
    /// The bytes at which no more requests are gathered into one write.
    static let writeBytesMax = 64 << 10
    static let readBytes = 256 << 10
    private static let retryMillisMin: UInt64 = 50
    /// From one look at what is due to the next.
    private static let pulseMillis: UInt64 = 20
    private static let pulseMillisOpen: UInt64 = 1

    nonisolated let loop: any Loop
    let clock: any Clock
    let work: any LoadWork
    let settings: Settings
    private let client: Client
    private let draw: @Sendable (LoadTally, LatencyHistogram, _ seconds: Double) -> Void

    var outcome = Outcome()
    var links: [Link] = []
    private var nextNumber = 0
    private var startedAt: UInt64 = 0
    private var endedAt: UInt64 = 0
    private var drawnAt: UInt64 = 0
    private var isIssuing = true
    private var retryIDs: UInt64 = 1 << 62

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// A run over `client`'s addresses; the client need not run. `draw` is called about once a
    /// second.
    init(
        _ settings: Settings, work: any LoadWork, client: Client, clock: any Clock, loop: any Loop,
        draw: @escaping @Sendable (LoadTally, LatencyHistogram, _ seconds: Double) -> Void
    ) {
        precondition(settings.requests != nil || settings.seconds != nil, "a run without an end")
        self.settings = settings
        self.work = work
        self.client = client
        self.clock = clock
        self.loop = loop
        self.draw = draw
    }

    /// Opens every connection, spread over the addresses in turn; then runs to the end.
    func run() async throws(ClientError) -> Outcome {
        for index in 0..<settings.connections {
            links.append(Link(try await client.openConnection(from: index)))
        }
        startedAt = now()
        endedAt = startedAt
        drawnAt = startedAt
        await withDiscardingTaskGroup { group in
            for index in links.indices { group.addTask { await self.keepUp(index) } }
            group.addTask { await self.pulse() }
        }
        outcome.seconds = Double(endedAt - startedAt) / 1e9
        return outcome
    }

    func now() -> UInt64 { clock.monotonicNanoseconds() }

    // MARK: What is to be sent

    /// Whether a link has nothing to do any more, ever.
    func isDone(_ index: Int) -> Bool {
        !hasMore && links[index].inFlight.isEmpty && links[index].again.isEmpty
    }

    private var hasMore: Bool {
        isIssuing && nextNumber < settings.requests ?? .max
    }

    /// Appends what may be sent now, and notes it as in flight.
    func gather(_ index: Int, into writer: inout ByteWriter) {
        let time = now()
        if let seconds = settings.seconds, settings.rate == nil,
            time - startedAt >= UInt64(seconds * 1e9)
        {
            isIssuing = false
        }
        while links[index].inFlight.count < settings.window, writer.count < Self.writeBytesMax {
            guard let flight = takeAgain(index, time) ?? takeNext(time) else { return }
            var id = work.requestID(of: flight.number)
            if flight.items != nil {
                retryIDs += 1
                id = retryIDs
            }
            work.append(flight.number, items: flight.items, requestID: id, to: &writer)
            if links[index].inFlight.isEmpty { links[index].heardAt = time }
            links[index].inFlight[id] = flight
        }
    }

    private func takeAgain(_ index: Int, _ time: UInt64) -> Flight? {
        guard let place = links[index].again.firstIndex(where: { $0.notBefore <= time }) else {
            return nil
        }
        return links[index].again.remove(at: place)
    }

    private func takeNext(_ time: UInt64) -> Flight? {
        guard hasMore else { return nil }
        let since = due(nextNumber) ?? time
        guard since <= time else { return nil }
        nextNumber += 1
        return Flight(number: nextNumber - 1, items: nil, since: since, notBefore: 0)
    }

    /// When request `number` is due; nil in a closed loop.
    private func due(_ number: Int) -> UInt64? {
        settings.rate.map { startedAt + UInt64(Double(number) / $0 * 1e9) }
    }

    // MARK: What came back

    /// Takes the reply to a request. False where the connection must end.
    func take(_ frame: Frame, _ index: Int) -> Bool {
        let time = now()
        links[index].heardAt = time
        guard let flight = links[index].inFlight.removeValue(forKey: frame.requestID) else {
            return false
        }
        let isLast = time - flight.since >= settings.patienceMillis * 1_000_000
        do throws(ByteError) {
            if frame.type == .error {
                let reply = try ErrorReply(decoding: frame.payload)
                return take(reply, flight, index, time, isLast: isLast)
            }
            switch try work.judge(
                frame, flight.number, items: flight.items, isLast: isLast, &outcome.tally)
            {
            case .done: settle(flight, time)
            case .again(let items, let millis): tryAgain(flight, items, millis, index, time)
            }
            return true
        } catch {
            // As good as no answer.
            links[index].inFlight[frame.requestID] = flight
            outcome.failure = .protocolError(
                address: links[index].addressText, message: "\(error)")
            return false
        }
    }

    private func take(
        _ reply: ErrorReply, _ flight: Flight, _ index: Int, _ time: UInt64, isLast: Bool
    ) -> Bool {
        let count = flight.items?.count ?? work.events(ofRequest: flight.number)
        switch reply.code {
        case .overloaded, .unavailable, .shuttingDown, .starting, .clock:
            guard !isLast else {
                outcome.tally.overloaded += count
                break
            }
            outcome.tally.retriedOverloaded += count
            tryAgain(flight, flight.items, reply.retryAfterMillis, index, time)
            return reply.code != .shuttingDown
        case .internalError, .deadlineExceeded:
            guard !isLast else {
                outcome.tally.unknown += count
                break
            }
            outcome.tally.retriedUnknown += count
            tryAgain(flight, flight.items, reply.retryAfterMillis, index, time)
            return true
        default:
            outcome.tally.refused += count
        }
        outcome.failure = .refused(
            address: links[index].addressText, code: reply.code, text: reply.text,
            retryAfterMillis: reply.retryAfterMillis)
        settle(flight, time)
        return true
    }

    private func tryAgain(
        _ flight: Flight, _ items: [Int]?, _ millis: UInt32, _ index: Int, _ time: UInt64
    ) {
        var again = flight
        again.items = items
        again.notBefore = time + max(UInt64(millis), Self.retryMillisMin) * 1_000_000
        links[index].again.append(again)
    }

    private func settle(_ flight: Flight, _ time: UInt64) {
        outcome.latency.record(time - flight.since)
        endedAt = time
    }

    /// Puts back in line what was in flight on a connection that ended; what was tried for too long
    /// is given up.
    func takeBack(_ index: Int) {
        let time = now()
        let flights = links[index].inFlight.sorted { $0.key < $1.key }.map(\.value)
        links[index].inFlight.removeAll(keepingCapacity: true)
        for flight in flights {
            let count = flight.items?.count ?? work.events(ofRequest: flight.number)
            if time - flight.since >= settings.patienceMillis * 1_000_000 {
                outcome.tally.unknown += count
                settle(flight, time)
            } else {
                outcome.tally.retriedUnknown += count
                links[index].again.append(flight)
            }
        }
    }

    /// Gives up a link that finds no node, with all that it has to send.
    func giveUp(_ index: Int, _ error: ClientError) {
        for flight in links[index].again {
            outcome.tally.unknown += flight.items?.count ?? work.events(ofRequest: flight.number)
        }
        links[index].again = []
        links[index].isGivenUp = true
        outcome.failure = error
        endedAt = now()
        if links.allSatisfy({ $0.isGivenUp }) { isIssuing = false }
    }

    func openAgain(from index: Int) async throws(ClientError) -> ClientConnection {
        try await client.openConnection(from: index)
    }

    // MARK: Time

    private var isOver: Bool { links.indices.allSatisfy { links[$0].isGivenUp || isDone($0) } }

    /// Looks at what only time brings: requests that are due, the end, silence, the live line.
    private func pulse() async {
        let millis = settings.rate == nil ? Self.pulseMillis : Self.pulseMillisOpen
        while !isOver {
            // A sleep that throws means that the loop stops; then everything else ends too.
            try? await clock.sleep(nanoseconds: millis * 1_000_000, on: loop)
            let time = now()
            for index in links.indices {
                links[index].bell.ring()
                if !links[index].inFlight.isEmpty,
                    time > links[index].heardAt + UInt64(Self.silenceMillisMax) * 1_000_000
                {
                    links[index].connection?.stream.close()
                }
            }
            if time - drawnAt >= 1_000_000_000 {
                drawnAt = time
                draw(outcome.tally, outcome.latency, Double(time - startedAt) / 1e9)
            }
        }
        for index in links.indices { links[index].bell.ring() }
    }
}
