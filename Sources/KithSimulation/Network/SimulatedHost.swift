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
        await simulator.wait(
            nanoseconds: network.drawDelay(), kind: .delivery, subject: UInt64(port))
        let stream = meet(address, loop: loop)
        await simulator.wait(
            nanoseconds: network.drawDelay(), kind: .delivery, subject: UInt64(port))
        guard isUp else { throw refuse("\(name) has crashed") }
        guard let stream else { throw refuse("connection refused") }
        return stream
    }

    /// What happens at the other host when the request to connect arrives.
    private func meet(
        _ address: SimulatedNetwork.Address, loop: any Loop
    ) -> SimulatedStream? {
        guard isUp, let listener = network.listener(at: address), listener.hasRoom else {
            return nil
        }
        let pair = network.makePair(
            client: name, clientLoop: loop, server: listener, serverLoop: listener.nextLoop())
        listener.offer(pair.server)
        return pair.client
    }
}
