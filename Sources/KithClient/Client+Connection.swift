import KithBytes
import KithPorts
import KithWire

// The connection: opened on demand, spoken over by a reader and a writer until it ends.

extension Client {
    /// An open connection whose hello is done.
    struct Link: Sendable {
        let stream: any ByteStream
        let address: NodeAddress
        let addressIndex: Int
        let hello: HelloReply
        /// Holds the bytes that arrived behind the hello's answer.
        var decoder: FrameDecoder
        /// Since when the node owes an answer and no whole frame has arrived, in nanoseconds of the
        /// monotonic clock; a request that is over its deadline is still owed. `nil` where nothing
        /// is. Bytes alone do not count: a length that was changed on its way swallows all that
        /// follows.
        var silentSince: UInt64?
        /// Whether any request was answered.
        var hasAnswered = false
    }

    /// Why a connection ended.
    enum LinkEnd: Sendable {
        case broke(String)
        case protocolError(String)
    }

    /// Connects whenever there is something to send, until the client stops.
    func keepConnected() async {
        var start = 0
        var delay = options.reconnectMillisMin
        while !isStopping {
            guard hasWaiting else {
                await work.wait()
                continue
            }
            let round = await openFirst(from: start)
            if isStopping {
                if case .success(let link) = round { link.stream.close() }
                break
            }
            switch round {
            case .success(let opened):
                link = opened
                let end = await converse(over: opened)
                let hasAnswered = link?.hasAnswered ?? false
                takeBack(after: end)
                link = nil
                start = (opened.addressIndex + 1) % addresses.count
                if addresses.count > 1, hasWaiting { mark(.clientFellBack) }
                if hasAnswered {
                    delay = options.reconnectMillisMin
                    continue
                }
            case .failure(let error):
                mark(.clientNobodyAnswers)
                let isFinal = !Self.isWorthAnotherAddress(error)
                for request in takeAll() { retry(request, after: error, isFinal: isFinal) }
            }
            // Nobody answered anything: not again at once.
            if hasWaiting, !isStopping {
                // A sleep that throws was cancelled: the loop's condition sees why.
                try? await clock.sleep(nanoseconds: UInt64(delay) * 1_000_000, on: loop)
                delay = min(delay * 2, options.reconnectMillisMax)
            }
        }
    }

    /// Puts a request back in line, if it may be tried again.
    private func retry(_ request: PendingRequest, after error: ClientError, isFinal: Bool) {
        guard request.retriesLeft > 0, !isFinal else { return fail(request, error) }
        guard !request.reply.isFilled else { return }
        mark(request.wasSent ? .clientSentAgain : .clientTriedAgain)
        var again = request
        again.retriesLeft -= 1
        waiting.append(again)
    }

    /// Sorts out what was in flight on a connection that ended: unanswered, or back in line before
    /// what was never sent.
    private func takeBack(after end: LinkEnd) {
        let sent = inFlight.values.sorted { $0.id < $1.id }
        let unsent = waiting[waitingStart...]
        inFlight.removeAll(keepingCapacity: true)
        waiting = []
        waitingStart = 0
        if !sent.isEmpty { mark(.clientBrokenInFlight) }
        for request in sent {
            let error: ClientError =
                switch end {
                case .broke(let message):
                    .unanswered(what: request.what, address: addressText, message: message)
                case .protocolError(let message):
                    .protocolError(address: addressText, message: message)
                }
            retry(request, after: error, isFinal: false)
        }
        waiting += unsent
    }
}

// MARK: - Speaking

extension Client {
    /// Sends and receives until either fails. The stream is closed when this returns.
    private func converse(over opened: Link) async -> LinkEnd {
        await withTaskCancellationHandler {
            await withTaskGroup(of: LinkEnd.self) { group in
                group.addTask { await self.receive(over: opened) }
                group.addTask { await self.send(over: opened) }
                let end = await group.next()
                opened.stream.close()
                group.cancelAll()
                return end ?? .broke("closed")
            }
        } onCancel: {
            opened.stream.close()
        }
    }

    /// Gathers what waits into one write after the other, while the window is open.
    private func send(over opened: Link) async -> LinkEnd {
        var writer = ByteWriter()
        while !isStopping {
            writer.removeAll(keepingCapacity: true)
            gather(into: &writer, for: opened.hello)
            if writer.count == 0 {
                await work.wait()
                continue
            }
            do throws(NetworkError) {
                try await opened.stream.write(writer.bytes)
            } catch {
                return .broke(Self.text(of: error))
            }
        }
        return .broke("closed")
    }

    private func gather(into writer: inout ByteWriter, for hello: HelloReply) {
        let now = clock.monotonicNanoseconds()
        let limit = Int(min(options.frameBytesMax, hello.limits.frameBytesMax))
        while inFlight.count < options.requestsInFlightMax,
            writer.count < options.writeBytesMax, var request = takeWaiting()
        {
            guard !request.reply.isFilled else { continue }
            let byteCount = request.payload.count + Int(FrameHeader.lengthMin)
            guard byteCount <= limit else {
                mark(.clientTooLargeForNode)
                let error = ClientError.tooLarge(
                    what: request.what, byteCount: byteCount, limit: limit)
                fail(request, error)
                continue
            }
            if link?.silentSince == nil { link?.silentSince = now }
            request.wasSent = true
            inFlight[request.id] = request
            FrameWriter.write(
                FrameHeader(type: request.type, requestID: request.id, version: hello.version),
                payload: request.payload, into: &writer)
        }
    }

    private func receive(over opened: Link) async -> LinkEnd {
        var decoder = opened.decoder
        decoder.frameBytesMax = options.frameBytesMax
        decoder.versions = opened.hello.version...opened.hello.version
        while true {
            var hasHeard = false
            do throws(FrameError) {
                while let frame = try decoder.next() {
                    hasHeard = true
                    if let end = take(frame) { return end }
                }
            } catch {
                mark(.clientBadFrame)
                return .protocolError(error.description)
            }
            if hasHeard {
                link?.silentSince = inFlight.isEmpty ? nil : clock.monotonicNanoseconds()
            }
            if hasWaiting { work.raise() }
            do throws(NetworkError) {
                let bytes = try await opened.stream.read(atMost: options.readBytesMax)
                guard !bytes.isEmpty else { return .broke("the node closed it") }
                decoder.append(bytes)
            } catch {
                return .broke(Self.text(of: error))
            }
        }
    }

    /// Hands a reply to who waits for it. Returns why the connection must end, if it must.
    private func take(_ frame: Frame) -> LinkEnd? {
        guard frame.type == .error else {
            guard frame.requestID <= lastRequestID, frame.requestID > Self.helloRequestID else {
                return .protocolError("a reply to request \(frame.requestID), which was not sent")
            }
            link?.hasAnswered = true
            // Where nobody waits any more, the deadline or a cancellation came first.
            let id = Rules.request(answeredBy: frame, of: inFlight)
            guard let request = inFlight.removeValue(forKey: id) else {
                mark(.clientLateReply)
                return nil
            }
            request.reply.fill(.success(frame))
            return nil
        }
        let reply: ErrorReply
        do throws(ByteError) {
            reply = try ErrorReply(decoding: frame.payload)
        } catch {
            return .protocolError("a malformed error: \(error)")
        }
        guard frame.requestID != 0 else {
            mark(.clientConnectionRefused)
            return .broke("\(reply.code): \(reply.text)")
        }
        if reply.code == .shuttingDown || reply.code == .starting,
            inFlight[frame.requestID].map(\.retriesLeft) ?? 0 > 0
        {
            mark(.clientNodeStopping)
            // It stays in flight, and so is sent again to another node.
            return .broke("\(reply.code): \(reply.text)")
        }
        link?.hasAnswered = true
        inFlight.removeValue(forKey: frame.requestID)?.reply.fill(
            .failure(Self.refused(by: addressText, reply)))
        return nil
    }

    static func refused(by address: String, _ reply: ErrorReply) -> ClientError {
        .refused(
            address: address, code: reply.code, text: reply.text,
            retryAfterMillis: reply.retryAfterMillis)
    }

    static func text(of error: NetworkError) -> String {
        switch error {
        case .unreachable(_, let message), .cannotListen(_, let message), .reset(let message):
            message
        case .closed: "closed"
        }
    }
}
