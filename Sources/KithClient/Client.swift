// A client of a cluster: one connection at a time, to the first address of a list that answers;
// when it breaks, to the next. Requests are pipelined and their replies matched by request id.
//
//   caller ─▶ request ─▶ waiting ──writer──▶ inFlight ──reader──▶ reply slot ─▶ caller
//                           ▲                    │
//                           └── broke, retries ──┘   else the slot gets `unanswered`
//
// `run` owns everything that lives longer than a call, as child tasks: the connection with its
// reader and its writer, and one task for all deadlines. A task a request would cost more than the
// request. Connecting is on demand: an idle client whose connection broke stays without one.
//
// Invariants: a request is in `waiting` or in `inFlight` or its slot is filled. `inFlight` holds at
// most `requestsInFlightMax`, `waiting` at most `requestsWaitingMax` besides what came back from a
// broken connection. Requests are sent, and sent again, in the order of their ids.

import KithBytes
public import KithPorts
public import KithWire

/// A connection to a cluster, with fallbacks. Pinned to the loop that it is given.
///
/// Use it inside `Client.withClient`, or call `run` in a task group of your own. Every request has
/// a deadline; a cancelled caller gets `cancelled` at once.
public actor Client {
    /// Where the cluster's nodes listen, in order of preference.
    public nonisolated let addresses: [NodeAddress]
    /// The bounds of this client.
    public nonisolated let options: ClientOptions
    nonisolated let network: any Network
    nonisolated let clock: any Clock
    nonisolated let loop: any Loop

    /// The loop that this actor is pinned to.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    /// By ascending id.
    var waiting: [PendingRequest] = []
    /// The first of `waiting` that was not taken.
    var waitingStart = 0
    var inFlight: [UInt64: PendingRequest] = [:]
    /// Ids start above the hello's.
    var lastRequestID = Client.helloRequestID
    var link: Link?
    /// Raised when there is something to send, or room to send it.
    nonisolated let work = Signal()
    /// Raised when the deadline task must look again.
    nonisolated let deadlines = Signal()
    /// When the deadline task looks next, in nanoseconds of the monotonic clock.
    var deadlineCheck: UInt64?
    var isRunning = false
    /// Whether `close` was called, or `run` has ended.
    var isClosed = false

    static let helloRequestID: UInt64 = 1

    /// A client that is not connected yet. `addresses` must not be empty.
    public init(
        addresses: [NodeAddress], options: ClientOptions = ClientOptions(),
        network: any Network, clock: any Clock, loop: any Loop
    ) {
        precondition(!addresses.isEmpty, "a client without an address")
        self.addresses = addresses
        self.options = options
        self.network = network
        self.clock = clock
        self.loop = loop.forActor()
    }

    /// Runs a client for as long as `body` runs. Throws what `body` throws; requests that are
    /// unanswered when it returns get `closed` or `unanswered`.
    public static func withClient<Value: Sendable>(
        addresses: [NodeAddress], options: ClientOptions = ClientOptions(),
        network: any Network, clock: any Clock, loop: any Loop,
        _ body: (Client) async throws -> Value
    ) async throws -> Value {
        let client = Client(
            addresses: addresses, options: options, network: network, clock: clock, loop: loop)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await client.run() }
            do {
                let value = try await body(client)
                await client.close()
                return value
            } catch {
                await client.close()
                throw error
            }
        }
    }

    /// Connects, sends, receives and watches deadlines until `close` or cancellation. To be called
    /// once. When it returns, every request has its result.
    public func run() async {
        precondition(!isRunning, "a client runs once")
        isRunning = true
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepConnected() }
            group.addTask { await self.watchDeadlines() }
            await group.next()
            group.cancelAll()
        }
        isClosed = true
        failAll(.closed)
    }

    /// Ends `run`, which then cancels what it was doing. Safe to call twice.
    public func close() {
        isClosed = true
        work.raise()
        deadlines.raise()
        link?.stream.close()
        if !isRunning { failAll(.closed) }
    }

    /// What the node said when the present connection was opened; `nil` without one.
    public var hello: HelloReply? { link?.hello }

    /// The address of the present connection; `nil` without one.
    public var address: NodeAddress? { link?.address }

    /// For error texts: the present node, or all of the list.
    var addressText: String {
        link?.address.description ?? addresses.map(\.description).joined(separator: ", ")
    }

    var hasWaiting: Bool { waitingStart < waiting.count }
    var isStopping: Bool { isClosed || Task.isCancelled }
}

// MARK: - One request

extension Client {
    /// Sends one request and waits for its reply of type `Reply`.
    func request<Reply: WireMessage>(
        _ type: FrameType, what: String, payload: [UInt8], millis: UInt32?, retries: Int,
        for reply: Reply.Type
    ) async throws(ClientError) -> Reply {
        let frame = try await exchange(
            type, what: what, payload: payload, millis: millis ?? options.requestMillisMax,
            retries: retries)
        guard frame.type == Reply.frameType else {
            throw broken("\(what) was answered with a frame of type \(frame.type.rawValue)")
        }
        do {
            return try Reply(decoding: frame.payload)
        } catch {
            throw broken("the answer to \(what) is malformed: \(error)")
        }
    }

    private func exchange(
        _ type: FrameType, what: String, payload: [UInt8], millis: UInt32, retries: Int
    ) async throws(ClientError) -> Frame {
        guard !isClosed else { throw .closed }
        let limit = Int(min(options.frameBytesMax, link?.hello.limits.frameBytesMax ?? .max))
        let byteCount = payload.count + Int(FrameHeader.lengthMin)
        guard byteCount <= limit else {
            mark(.clientTooLarge)
            throw .tooLarge(what: what, byteCount: byteCount, limit: limit)
        }
        guard waiting.count - waitingStart < options.requestsWaitingMax else {
            mark(.clientTooMany)
            throw .tooManyRequests(limit: options.requestsWaitingMax)
        }
        lastRequestID += 1
        let request = PendingRequest(
            id: lastRequestID, what: what, type: type, payload: payload,
            deadline: clock.monotonicNanoseconds() + UInt64(millis) * 1_000_000,
            retriesLeft: retries, reply: ReplySlot())
        waiting.append(request)
        expectDeadline(request.deadline)
        work.raise()
        let result = await request.reply.result()
        if case .failure(.cancelled) = result { mark(.clientCancelled) }
        if case .failure(.cancelled) = result { forget(request.id) }
        return try result.get()
    }

    /// Ends the connection: a node whose reply makes no sense is not asked again. The error names
    /// it.
    public func broken(_ message: String) -> ClientError {
        let error = ClientError.protocolError(address: addressText, message: message)
        link?.stream.close()
        return error
    }

    /// Takes a request out wherever it is. O(waiting), and rare.
    private func forget(_ id: UInt64) {
        if inFlight.removeValue(forKey: id) != nil {
            work.raise()
        } else if let place = waiting[waitingStart...].firstIndex(where: { $0.id == id }) {
            waiting.remove(at: place)
        }
    }

    /// The next request to send; `nil` where none waits.
    func takeWaiting() -> PendingRequest? {
        guard hasWaiting else { return nil }
        let request = waiting[waitingStart]
        waitingStart += 1
        if waitingStart == waiting.count {
            waiting.removeAll(keepingCapacity: true)
            waitingStart = 0
        } else if waitingStart >= 256, waitingStart * 2 > waiting.count {
            waiting.removeSubrange(..<waitingStart)
            waitingStart = 0
        }
        return request
    }

    /// Everything that is unanswered, by ascending id; nothing is waiting or in flight after it.
    func takeAll() -> [PendingRequest] {
        let sent = inFlight.values.sorted { $0.id < $1.id }
        let all = sent + waiting[waitingStart...]
        inFlight.removeAll(keepingCapacity: true)
        waiting.removeAll(keepingCapacity: true)
        waitingStart = 0
        return all
    }

    /// Gives `error` to everything that is unanswered.
    func failAll(_ error: ClientError) {
        for request in takeAll() { fail(request, error) }
    }

    /// Gives `error` to a request; one that a node may have seen is `unanswered`, whatever kept it
    /// from being sent again.
    func fail(_ request: PendingRequest, _ error: ClientError) {
        var reported = error
        if request.wasSent, !error.isUnknown {
            reported = .unanswered(
                what: request.what, address: addressText, message: error.description)
        }
        request.reply.fill(.failure(reported))
    }
}
