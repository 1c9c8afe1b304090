internal import KithBytes
internal import KithPorts

/// One end of a simulated TCP connection.
///
///                 close                            the peer's end arrives
///      open ─────────────────▶ closed       open ─────────────────────────▶ open, ended
///        │                       ▲            reads: what is left, then empty
///        └──▶ reset ─────────────┘            writes: taken, until the peer's reset arrives
///         reads: what is left, then throw
///         writes: throw
///
/// As on Linux: closing while bytes are unread resets the connection instead of ending it; bytes
/// that reach a closed end are answered with a reset; after the peer's end, a reset shows itself to
/// writers only. A write that returned says nothing about arrival.
///
/// `@unchecked Sendable`: touched on the simulation's thread only.
final class SimulatedStream: ByteStream, @unchecked Sendable {
    private enum State {
        case open
        case reset(message: String)
        case closed
    }

    /// The lane this end is pinned to.
    public let loop: any Loop
    /// Host and port at the other end.
    public let peer: String
    /// The node at this end.
    let hostName: String
    /// Stands for this end in the trace.
    let number: UInt64
    /// The other end; gone when neither is open.
    var remote: SimulatedStream?

    private let network: SimulatedNetwork
    private var state = State.open
    private var hasEnded = false
    private var received = ByteQueue()
    /// On the way to this end, oldest first. Each has an event; which event comes for which does
    /// not matter, the oldest arrives.
    private var inFlight = FIFO<Segment>()
    private var lastDue: UInt64 = 0
    /// Bytes in `inFlight` and `received`: what the other end's writer counts against the limit.
    private var occupied = 0
    private var reader: UnsafeContinuation<Void, Never>?
    private var writer: UnsafeContinuation<Void, Never>?

    /// An open end; `remote` is set by whoever makes the pair.
    init(
        network: SimulatedNetwork, number: UInt64, hostName: String, loop: any Loop, peer: String
    ) {
        self.network = network
        self.number = number
        self.hostName = hostName
        self.loop = loop
        self.peer = peer
    }

    // MARK: The port

    /// The next bytes, at most `atMost`; empty when the other side has ended.
    public func read(atMost: Int) async throws(NetworkError) -> [UInt8] {
        precondition(atMost > 0, "a read of \(atMost) bytes")
        guard network.simulator.admits("read on \(hostName)") else { throw .closed }
        precondition(reader == nil, "two tasks read from \(peer)")
        while true {
            if case .closed = state { throw .closed }
            if !received.isEmpty { return takeReceived(atMost) }
            if hasEnded { return [] }
            if case .reset(let message) = state { throw .reset(message: message) }
            // Looked at again in here: a task that visits from another lane may be suspended on its
            // way in, and what it would wait for come meanwhile.
            await withUnsafeContinuation { continuation in
                if mayRead { continuation.resume() } else { reader = continuation }
            }
        }
    }

    /// A read has something to return or to throw.
    private var mayRead: Bool {
        guard case .open = state else { return true }
        return hasEnded || !received.isEmpty
    }

    /// Returns once all bytes are on the way, at once when there is room for them.
    public func write(_ bytes: [UInt8]) async throws(NetworkError) {
        guard network.simulator.admits("write on \(hostName)") else { throw .closed }
        precondition(writer == nil, "two tasks write to \(peer)")
        var rest = bytes[...]
        while true {
            switch state {
            case .closed: throw .closed
            case .reset(let message): throw .reset(message: message)
            case .open: break
            }
            guard !rest.isEmpty, let remote else { return }
            let room = network.settings.streamBytesMax - remote.occupied
            if room > 0 {
                transmit(rest.prefix(room), to: remote)
                rest = rest.dropFirst(room)
            } else {
                await withUnsafeContinuation { continuation in
                    if mayWrite { continuation.resume() } else { writer = continuation }
                }
            }
        }
    }

    /// A write has room, or something to throw.
    private var mayWrite: Bool {
        guard case .open = state, let remote else { return true }
        return remote.occupied < network.settings.streamBytesMax
    }

    /// Closes both directions; waiting readers and writers throw `closed`. Safe to call twice.
    public func close() {
        network.simulator.enter("close on \(hostName)") {
            let former = state
            if case .closed = former { return }
            state = .closed
            if case .open = former, let remote {
                let farewell: Segment =
                    received.isEmpty ? .end : .reset(message: "closed with bytes unread")
                network.send(farewell, from: self, to: remote)
            }
            received.removeAll()
            wake()
            release()
        }
    }

    // MARK: Called by the network

    /// Puts `segment` on the way to this end.
    func expect(_ segment: Segment, after delay: UInt64) {
        let simulator = network.simulator
        inFlight.append(segment)
        lastDue = max(lastDue, simulator.nanoseconds + min(delay, Simulator.nanosecondsMax))
        simulator.schedule(
            after: lastDue - simulator.nanoseconds, kind: .delivery, subject: number
        ) { [self] in
            if let segment = inFlight.popFirst() { arrive(segment) }
        }
    }

    /// Breaks the connection from this end: here at once, at the other end by a reset on the way.
    func breakLocally(message: String, isInFlightLost: Bool) {
        guard case .open = state else { return }
        state = .reset(message: message)
        received.removeAll()
        inFlight.removeAll()
        if let remote {
            if isInFlightLost { remote.inFlight.removeAll() }
            network.send(.reset(message: message), from: self, to: remote)
        }
        wake()
        release()
    }

    /// This end is gone, and the other is not told.
    func vanish() {
        guard case .open = state else { return }
        state = .closed
        received.removeAll()
        wake()
        network.forget(self)
    }

    /// Tells the other end that nobody is here any more.
    func disown() {
        guard let remote else { return }
        network.send(.reset(message: "closed by peer"), from: self, to: remote)
    }

    private func arrive(_ segment: Segment) {
        switch (segment, state) {
        case (.bytes(let bytes), .open):
            let sum = UInt64(CRC32C.checksum(bytes))
            network.simulator.record(.bytes, number, UInt64(bytes.count) << 32 | sum)
            received.append(bytes)
            reader.take()?.resume()
        case (.bytes(let bytes), _):
            occupied -= bytes.count
            guard case .closed = state else { break }
            if network.isDark(hostName) { network.owe(self) } else { disown() }
        case (.end, .open):
            hasEnded = true
            reader.take()?.resume()
        case (.reset(let message), .open):
            state = .reset(message: message)
            wake()
            release()
        case (.end, _), (.reset, _):
            break
        }
    }

    // MARK: Helpers

    private func takeReceived(_ atMost: Int) -> [UInt8] {
        let bytes = received.take(atMost: atMost)
        occupied -= bytes.count
        remote?.writer.take()?.resume()
        return bytes
    }

    private func transmit(_ bytes: ArraySlice<UInt8>, to remote: SimulatedStream) {
        for piece in network.cut(bytes) {
            remote.occupied += piece.count
            network.send(.bytes(Array(piece)), from: self, to: remote)
        }
    }

    private func wake() {
        reader.take()?.resume()
        writer.take()?.resume()
    }

    /// Lets go of the other end when neither is open, and of the network's hold on this one.
    private func release() {
        network.forget(self)
        guard let remote else { return }
        if case .open = remote.state { return }
        remote.remote = nil
        self.remote = nil
    }

    /// Who waits here, for a report.
    var waits: [String] {
        var lines: [String] = []
        if reader != nil { lines.append("read of stream \(number), \(hostName) from \(peer)") }
        if writer != nil { lines.append("write of stream \(number), \(hostName) to \(peer)") }
        return lines
    }
}
