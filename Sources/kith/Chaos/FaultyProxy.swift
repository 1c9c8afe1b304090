// TCP proxies between the processes of a real cluster, where the faults of the network happen.
//
//   client ──▶ 127.0.0.1:p(client,n1) ─┐
//   n2     ──▶ 127.0.0.1:p(n2,n1)     ─┼─▶ the port on which n1 listens just now
//   n3     ──▶ 127.0.0.1:p(n3,n1)     ─┘
//
// There is a listener for each ordered pair of hosts, so that it is known who speaks to whom: a
// node's cluster file names, of each other node, the proxy on the way from here to there. What may
// pass, and when, the weather says (`NetworkWeather`), the same as in simulations: a host here is
// called as there.
//
// Touched on its loop only.

import KithPorts
import KithSimulation

/// The network between the processes of a cluster.
final class FaultyProxy: NetworkUnderFaults, @unchecked Sendable {
    var weather = NetworkWeather()
    let nodeCount: Int
    /// Where the nodes listen, by their numbers; none while a node is down.
    var targets: [Int: UInt16] = [:]
    private let network: any Network
    private let clock: any Clock
    private let loop: any Loop
    private var random: Xoshiro256
    private var listeners: [(route: Route, listener: any Listener)] = []
    private var connections: [ProxiedConnection] = []
    private var isClosed = false

    /// Bytes that a connection takes at a time.
    private static let readBytes = 64 << 10
    /// How long what is held waits before it looks again whether all is healed.
    private static let lookNanoseconds: UInt64 = 50_000_000

    /// Who connects to whom, by their numbers; 0 for the clients.
    struct Route: Equatable, Sendable {
        let from: Int
        let to: Int
    }

    init(
        nodeCount: Int, network: any Network, clock: any Clock, loop: any Loop, random: Xoshiro256
    ) {
        self.nodeCount = nodeCount
        self.network = network
        self.clock = clock
        self.loop = loop
        self.random = random
    }

    /// Nanoseconds by which the weather goes.
    var now: UInt64 { clock.monotonicNanoseconds() }

    /// Listens for every pair, and forwards from now on.
    func open() async throws(NetworkError) {
        for to in 1...nodeCount {
            for from in 0...nodeCount where from != to {
                let listener = try await network.listen(host: "127.0.0.1", port: 0, loops: [loop])
                let route = Route(from: from, to: to)
                listeners.append((route, listener))
                loop.start { [self] in await accept(listener, route) }
            }
        }
    }

    /// The port on which `from` reaches node `to`.
    func port(from: Int, to: Int) -> UInt16 {
        let route = Route(from: from, to: to)
        guard let place = listeners.first(where: { $0.route == route }) else {
            preconditionFailure("no way from \(from) to \(to)")
        }
        return place.listener.port
    }

    /// Ends everything.
    func close() async {
        isClosed = true
        for (_, listener) in listeners { await listener.close() }
        for connection in connections { connection.close() }
    }

    func breakStreams(from: String, to: String, isSilent: Bool) {
        for connection in connections {
            let near = NetworkWeather.host(connection.route.from)
            let far = NetworkWeather.host(connection.route.to)
            guard (near, far) == (from, to) || (near, far) == (to, from) else { continue }
            if isSilent {
                connection.vanish(isNear: near == from)
            } else {
                connection.close()
            }
        }
    }

    // MARK: Forwarding

    private func accept(_ listener: any Listener, _ route: Route) async {
        // Ends where the listener is closed; a listener of Linux throws nothing.
        while !isClosed, let stream = try? await listener.accept() {
            loop.start { [self] in await serve(stream, route) }
        }
    }

    private func serve(_ near: any ByteStream, _ route: Route) async {
        defer { near.close() }
        let (from, to) = (NetworkWeather.host(route.from), NetworkWeather.host(route.to))
        if weather.refuses(from, to, now: now) { return }
        if weather.takeLostAccept(from: from, to: to) { return await swallow(near) }
        // A node that is down, or has died this moment: the connection ends at once.
        guard let port = targets[route.to],
            let far = try? await network.connect(host: "127.0.0.1", port: port, loop: loop)
        else { return }
        let connection = ProxiedConnection(route: route, near: near, far: far)
        if isClosed { return connection.close() }
        connections.append(connection)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.pump(connection, near, far, from: from, to: to) }
            group.addTask { await self.pump(connection, far, near, from: to, to: from) }
        }
        connections.removeAll { $0 === connection }
        connection.close()
    }

    /// Nobody ever answers.
    private func swallow(_ stream: any ByteStream) async {
        // However it ends: the other side has given up.
        while let bytes = try? await stream.read(atMost: Self.readBytes), !bytes.isEmpty {}
    }

    /// Carries what `source` says to `sink`, as the weather has it, until either ends.
    private func pump(
        _ connection: ProxiedConnection, _ source: any ByteStream, _ sink: any ByteStream,
        from: String, to: String
    ) async {
        while true {
            // A connection that broke says no more than one that ended.
            let read = try? await source.read(atMost: Self.readBytes)
            var bytes = read ?? []
            if !connection.isSilent { await hold(bytes.count, from: from, to: to) }
            if connection.isSilent {
                if bytes.isEmpty { return }
                continue
            }
            if bytes.isEmpty { return connection.close() }
            let damage = weather.takeDamage(from: from, to: to)
            switch damage {
            case .flip:
                bytes[random.below(bytes.count)] ^= UInt8(1) << UInt8(random.below(8))
            case .cut: bytes.removeLast(bytes.count - random.below(bytes.count))
            case nil: break
            }
            // A sink that has gone has closed its own side: the other pump sees that.
            try? await sink.write(bytes)
            if case .cut? = damage { return connection.close() }
        }
    }

    /// Waits as long as so many bytes take on their way.
    private func hold(_ byteCount: Int, from: String, to: String) async {
        if weather.isClear { return }
        let delay = weather.delay(
            0, from: from, to: to, byteCount: byteCount, now: now, &random)
        let end = now + delay
        while now < end, !weather.isClear, !isClosed {
            // A sleep that throws means that the loop stops.
            guard
                (try? await clock.sleep(
                    nanoseconds: min(end - now, Self.lookNanoseconds), on: loop)) != nil
            else { return }
        }
    }
}

/// A connection through a proxy: `near` was accepted, `far` was made.
final class ProxiedConnection: @unchecked Sendable {
    let route: FaultyProxy.Route
    private let near: any ByteStream
    private let far: any ByteStream
    /// One end is gone without a word: what the other says reaches nobody.
    private(set) var isSilent = false

    init(route: FaultyProxy.Route, near: any ByteStream, far: any ByteStream) {
        self.route = route
        self.near = near
        self.far = far
    }

    /// One end is gone; the other stays open until whoever is there ends it.
    func vanish(isNear: Bool) {
        isSilent = true
        (isNear ? near : far).close()
    }

    /// Closes both ends; those of them that are open.
    func close() {
        near.close()
        far.close()
    }
}
