public import KithPorts

/// The `Network` port of one node of a simulated world.
///
/// Who a node is comes from here, not from addresses: nodes of a local cluster may all be on
/// 127.0.0.1 and differ by port. A listener on `0.0.0.0` is reached under the node's name.
public final class SimulatedHost: Network {
    private let network: SimulatedNetwork
    private let name: String
    private let incarnation: Int

    /// The view of one life of a node. Made by `SimulatedNetwork.host`.
    init(network: SimulatedNetwork, name: String, incarnation: Int) {
        self.network = network
        self.name = name
        self.incarnation = incarnation
    }

    private var isUp: Bool { network.incarnation(of: name) == incarnation }

    /// Listens at once. Throws `cannotListen` when the address is taken, no port is free, or the
    /// node has crashed since.
    public func listen(
        host: String, port: UInt16, loops: [any Loop]
    ) async throws(NetworkError) -> any Listener {
        precondition(!loops.isEmpty, "a listener needs a loop for its streams")
        let known = host == "0.0.0.0" || host == "::" || host.isEmpty ? name : host
        func refuse(_ message: String) -> NetworkError {
            .cannotListen(address: "\(host):\(port)", message: message)
        }
        guard network.simulator.admits("listen on \(name)") else { throw refuse("foreign thread") }
        guard isUp else { throw refuse("\(name) has crashed") }
        guard let chosen = port == 0 ? network.freePort(of: known) : port else {
            throw refuse("no port is free")
        }
        let address = SimulatedNetwork.Address(host: known, port: chosen)
        guard network.listener(at: address) == nil else { throw refuse("address in use") }
        let listener = SimulatedListener(
            network: network, hostName: name, address: address, loops: loops)
        network.add(listener)
        return listener
    }

    /// Connects after one seeded delay there and one back. Throws `unreachable` when nobody listens
    /// there at the time of arrival, when too many wait to be accepted, or when this node crashes.
    public func connect(
        host: String, port: UInt16, loop: any Loop
    ) async throws(NetworkError) -> any ByteStream {
        let address = SimulatedNetwork.Address(host: host, port: port)
        func refuse(_ message: String) -> NetworkError {
            .unreachable(address: "\(host):\(port)", message: message)
        }
        let simulator = network.simulator
        guard simulator.admits("connect on \(name)") else { throw refuse("foreign thread") }
        guard isUp else { throw refuse("\(name) has crashed") }

        network.beginConnecting()
        defer { network.endConnecting() }
        guard let far = network.owner(of: address) else {
            await travel(from: name, to: "nobody", port)
            throw refuse("connection refused")
        }
        guard await travel(from: name, to: far, port) else { throw refuse("timed out") }
        let stream = meet(address, far, loop: loop)
        guard await travel(from: far, to: name, port) else {
            stream?.close()
            throw refuse("timed out")
        }
        guard isUp else { throw refuse("\(name) has crashed") }
        guard let stream else { throw refuse("connection refused") }
        return stream
    }

    /// Returns when what leaves now has arrived; false where nobody is there for too long.
    @discardableResult
    private func travel(from: String, to: String, _ port: UInt16) async -> Bool {
        let simulator = network.simulator
        await simulator.wait(
            nanoseconds: network.delay(from: from, to: to, byteCount: 0), kind: .delivery,
            subject: UInt64(port))
        for _ in 0..<Self.darkTriesMax {
            guard network.isDark(to) else { return true }
            await simulator.wait(
                nanoseconds: Self.darkNanoseconds, kind: .delivery, subject: UInt64(port))
        }
        return false
    }

    /// Attempts to reach a host without power.
    private static let darkTriesMax = 100
    /// Virtual time from one to the next.
    private static let darkNanoseconds: UInt64 = 500_000_000

    /// What happens at the other host when the request to connect arrives.
    private func meet(
        _ address: SimulatedNetwork.Address, _ far: String, loop: any Loop
    ) -> SimulatedStream? {
        guard isUp, let listener = network.listener(at: address), listener.hasRoom else {
            return nil
        }
        let isClear = network.weather.isClear
        if !isClear, network.weather.refuses(name, far, now: network.simulator.nanoseconds) {
            return nil
        }
        let pair = network.makePair(
            client: name, clientLoop: loop, server: listener, serverLoop: listener.nextLoop())
        if !isClear, network.weather.takeLostAccept(from: name, to: far) {
            pair.server.vanish()
        } else {
            listener.offer(pair.server)
        }
        return pair.client
    }
}
