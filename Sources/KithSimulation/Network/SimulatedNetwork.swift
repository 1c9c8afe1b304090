internal import KithBytes
internal import KithPorts

/// All hosts of a simulated world and the TCP connections between them, in memory.
///
///     write ─▶ cut into segments ─▶ `decide` ─▶ on the way ─▶ arrived ─▶ read
///              at seeded places     seeded      in order      joined
///
/// The bytes of one direction, on the way or unread, never exceed `Settings.streamBytesMax`: a
/// writer waits for room, so a peer that does not read stops it. Segments are delivered by events
/// of the simulator, in order within a stream, at times drawn from the network's own stream of the
/// seed.
///
/// A node sees it through `host(_:)`, which is its `Network` port. `crash(_:)` is what the death of
/// a process looks like from here.
///
/// `@unchecked Sendable`: touched on the simulation's thread only; each entrance asks.
public final class SimulatedNetwork: NetworkUnderFaults, @unchecked Sendable {
    /// What the cables are like.
    public struct Settings: Sendable {
        /// How long a segment travels, drawn anew for each.
        var delayNanoseconds: ClosedRange<UInt64> = 20_000...500_000
        /// Bytes of one direction of a connection that were written and not read.
        var streamBytesMax = 65_536
        /// Connections that a listener has not accepted yet; one more is refused.
        var backlogMax = 128

        /// A quiet local network.
        public init() {}
    }

    /// What is listened on and connected to.
    struct Address: Hashable {
        let host: String
        let port: UInt16
    }

    /// The world that this network is part of.
    let simulator: Simulator
    /// What the cables of this network are like.
    public let settings: Settings
    /// Replaces the verdict on a segment, when set: `nil` leaves it to the seed.
    var intercept: ((Departure) -> Delivery?)?
    /// What is wrong between which hosts.
    package var weather = NetworkWeather()

    /// Delays, cuts and losses; nothing else draws from it.
    var random: Xoshiro256
    private var incarnations: [String: Int] = [:]
    private var listeners: [Address: SimulatedListener] = [:]
    /// Who listened there last.
    private var owners: [Address: String] = [:]
    /// Hosts without power, and the ends there that owe a reset once it is back.
    private var debts: [String: [SimulatedStream]] = [:]
    /// Ends that are not closed, and those whose peer's end is not.
    private var streams: [UInt64: SimulatedStream] = [:]
    private var streamsMade: UInt64 = 0
    private var connecting = 0
    private var nextPort: UInt16 = firstFreePort

    private static let firstFreePort: UInt16 = 49_152

    /// A network without hosts.
    public init(_ simulator: Simulator, settings: Settings = Settings()) {
        self.simulator = simulator
        self.settings = settings
        random = simulator.random("network")
        simulator.addReporter(self)
    }

    /// The `Network` port of the node called `name`, until its next crash. A node that starts again
    /// asks again: what is left of its former life cannot reach the network any more.
    public func host(_ name: String) -> SimulatedHost {
        for stream in debts.removeValue(forKey: name) ?? [] { stream.disown() }
        return SimulatedHost(network: self, name: name, incarnation: incarnation(of: name))
    }

    /// The process of node `name` dies: its listeners are gone, its streams break, at its own end
    /// at once, at the other after what was on the way has arrived or, as the seed says, was lost.
    ///
    /// `isSilent` is power loss: nobody tells the other ends. What reaches the dead host is
    /// answered, with a reset, when it is back; until then nobody answers there, not even with a
    /// refusal.
    public func crash(_ name: String, isSilent: Bool = false) {
        simulator.enter("crash of \(name)") {
            incarnations[name] = incarnation(of: name) + 1
            if isSilent { debts[name] = debts[name] ?? [] }
            for listener in sortedListeners where listener.hostName == name { listener.shut() }
            for stream in sortedStreams where stream.hostName == name {
                if isSilent {
                    stream.vanish()
                } else {
                    stream.breakLocally(
                        message: "\(name) crashed", isInFlightLost: random.oneIn(2))
                }
            }
        }
    }

    /// Breaks the connections between two hosts: at the end of `from` at once, at the other by a
    /// reset on the way, or, where `isSilent`, not before it writes.
    package func breakStreams(from: String, to: String, isSilent: Bool) {
        for stream in sortedStreams
        where stream.hostName == from && stream.remote?.hostName == to {
            if isSilent {
                stream.vanish()
            } else {
                stream.breakLocally(message: "reset", isInFlightLost: random.oneIn(2))
            }
        }
    }

    /// Whether `from` has an open end of a connection to `to`.
    func isConnected(from: String, to: String) -> Bool {
        sortedStreams.contains { $0.hostName == from && $0.remote?.hostName == to }
    }

    /// Whether the host has no power.
    func isDark(_ name: String) -> Bool { debts[name] != nil }

    /// Has `stream`, whose host is dark, reset its connection when the power is back.
    func owe(_ stream: SimulatedStream) { debts[stream.hostName]?.append(stream) }

    /// How often the node has crashed.
    func incarnation(of name: String) -> Int { incarnations[name] ?? 0 }

    // MARK: Deliveries

    /// Where the fate of each segment is decided. Everything that goes wrong on a network goes
    /// wrong here.
    private func decide(_ departure: Departure) -> Delivery {
        if let verdict = intercept?(departure) { return verdict }
        return .arrives(
            afterNanoseconds: delay(
                from: departure.from, to: departure.to, byteCount: departure.segment.byteCount))
    }

    /// How long so many bytes take, drawn anew each time.
    func delay(from: String, to: String, byteCount: Int) -> UInt64 {
        let delay = random.within(settings.delayNanoseconds)
        if weather.isClear { return delay }
        return weather.delay(
            delay, from: from, to: to, byteCount: byteCount, now: simulator.nanoseconds, &random)
    }

    /// Sends `segment` to the end `to`, after all that was sent to it before.
    func send(_ segment: Segment, from: SimulatedStream, to: SimulatedStream) {
        var segment = segment
        if !weather.isClear, case .bytes(let bytes) = segment,
            let damage = weather.takeDamage(from: from.hostName, to: to.hostName)
        {
            switch damage {
            case .flip:
                segment = .bytes(flipped(bytes))
            case .cut:
                let delay = delay(
                    from: from.hostName, to: to.hostName, byteCount: bytes.count)
                let part = Array(bytes.prefix(random.below(bytes.count)))
                if !part.isEmpty { to.expect(.bytes(part), after: delay) }
                to.expect(.reset(message: "broken"), after: delay)
                from.expect(.reset(message: "broken"), after: delay)
                return
            }
        }
        let departure = Departure(
            segment: segment, from: from.hostName, to: to.hostName, stream: to.number)
        switch decide(departure) {
        case .arrives(let delay):
            to.expect(segment, after: delay)
        case .breaks(let message, let delay):
            to.expect(.reset(message: message), after: delay)
            from.expect(.reset(message: message), after: delay)
        }
    }

    /// The bytes written, in pieces: as they are, or cut in up to four, often near the front, where
    /// a reader expects a header to be whole.
    func cut(_ bytes: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var rest = bytes
        var pieces: [ArraySlice<UInt8>] = []
        while rest.count > 1 && pieces.count < 3 && random.oneIn(3) {
            let within = random.oneIn(2) ? min(rest.count, 16) : rest.count
            let length = 1 + random.below(within - 1)
            pieces.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        pieces.append(rest)
        return pieces
    }

    private func flipped(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8))
        return bytes
    }

    // MARK: Connections

    /// The listener at an address, if one listens there.
    func listener(at address: Address) -> SimulatedListener? { listeners[address] }

    /// The host that listens at an address, or did so last; nil where none ever did.
    func owner(of address: Address) -> String? { owners[address] }

    /// Makes a listener reachable.
    func add(_ listener: SimulatedListener) {
        listeners[listener.address] = listener
        owners[listener.address] = listener.hostName
    }

    /// Makes a listener unreachable; its address is free again.
    func remove(_ listener: SimulatedListener) {
        if listeners[listener.address] === listener { listeners[listener.address] = nil }
    }

    /// Counts a connect that waits, for reports.
    func beginConnecting() { connecting += 1 }
    /// A connect is over.
    func endConnecting() { connecting -= 1 }

    /// A port of `host` that nobody listens on; `nil` when all are taken.
    func freePort(of host: String) -> UInt16? {
        let span = Int(UInt16.max - Self.firstFreePort) + 1
        for _ in 0..<span {
            let port = takePort()
            if listeners[Address(host: host, port: port)] == nil { return port }
        }
        return nil
    }

    private func takePort() -> UInt16 {
        let port = nextPort
        nextPort = port == .max ? Self.firstFreePort : port + 1
        return port
    }

    /// The two ends of a new connection.
    func makePair(
        client: String, clientLoop: any Loop, server: SimulatedListener, serverLoop: any Loop
    ) -> (client: SimulatedStream, server: SimulatedStream) {
        let near = SimulatedStream(
            network: self, number: streamsMade + 1, hostName: client, loop: clientLoop,
            peer: "\(server.address.host):\(server.address.port)")
        let far = SimulatedStream(
            network: self, number: streamsMade + 2, hostName: server.hostName, loop: serverLoop,
            peer: "\(client):\(takePort())")
        streamsMade += 2
        near.remote = far
        far.remote = near
        streams[near.number] = near
        streams[far.number] = far
        return (near, far)
    }

    /// Lets go of an end that no crash needs to break any more.
    func forget(_ stream: SimulatedStream) {
        streams[stream.number] = nil
    }

    private var sortedStreams: [SimulatedStream] {
        streams.sorted { $0.key < $1.key }.map(\.value)
    }

    private var sortedListeners: [SimulatedListener] {
        listeners.values.sorted {
            ($0.address.host, $0.address.port) < ($1.address.host, $1.address.port)
        }
    }
}

extension SimulatedNetwork: WaitReporting {
    /// Accepts, connects, reads and writes that wait.
    public var waits: [String] {
        var lines = sortedListeners.compactMap(\.wait)
        if connecting > 0 { lines.append("\(connecting) connects") }
        for stream in sortedStreams { lines += stream.waits }
        return lines
    }

    /// Shuts all listeners and breaks all streams.
    public func abandon() {
        for listener in sortedListeners { listener.shut() }
        for stream in sortedStreams {
            stream.breakLocally(message: "simulation shut down", isInFlightLost: true)
        }
    }
}
