internal import KithPorts

/// A listening port of a simulated host. Connections wait in a bounded backlog to be accepted;
/// their bytes may arrive before that.
///
/// `@unchecked Sendable`: touched on the simulation's thread only.
final class SimulatedListener: Listener, @unchecked Sendable {
    private let network: SimulatedNetwork
    /// The node that listens.
    let hostName: String
    /// Where it listens.
    let address: SimulatedNetwork.Address
    private let loops: [any Loop]
    private var accepted = 0
    private var backlog = FIFO<SimulatedStream>()
    private var isClosed = false
    private var acceptor: UnsafeContinuation<Void, Never>?

    /// An open listener, not yet known to the network.
    init(
        network: SimulatedNetwork, hostName: String, address: SimulatedNetwork.Address,
        loops: [any Loop]
    ) {
        self.network = network
        self.hostName = hostName
        self.address = address
        self.loops = loops
    }

    /// The port listened on; the one chosen where 0 was asked for.
    public var port: UInt16 { address.port }

    /// The next accepted stream; `nil` after `close`, when the host crashed, and when the task is
    /// cancelled.
    public func accept() async throws(NetworkError) -> (any ByteStream)? {
        guard network.simulator.admits("accept on \(hostName)") else { return nil }
        precondition(acceptor == nil, "two tasks accept on \(address.host):\(address.port)")
        while !isClosed, !Task.isCancelled {
            if let stream = backlog.popFirst() { return stream }
            await withTaskCancellationHandler {
                await withUnsafeContinuation { continuation in
                    if isClosed || !backlog.isEmpty || Task.isCancelled {
                        continuation.resume()
                    } else {
                        acceptor = continuation
                    }
                }
            } onCancel: {
                // On the simulation's one thread, as everything here.
                acceptor.take()?.resume()
            }
        }
        return nil
    }

    /// Stops listening; breaks what was not accepted. Safe to call twice.
    public func close() async {
        guard network.simulator.admits("close of a listener of \(hostName)") else { return }
        shut()
    }

    // MARK: Called by the network

    /// False when a connection that arrives now is refused.
    var hasRoom: Bool { !isClosed && backlog.count < network.settings.backlogMax }

    /// The loop of the next stream, round robin; with a lane an actor a lane of its own there, for
    /// the actor that serves the connection.
    func nextLoop() -> any Loop {
        defer { accepted += 1 }
        return loops[accepted % loops.count].forActor()
    }

    /// Takes a connection into the backlog.
    func offer(_ stream: SimulatedStream) {
        backlog.append(stream)
        acceptor.take()?.resume()
    }

    /// Closes: no more connections, the backlog broken, a waiting accept ended.
    func shut() {
        guard !isClosed else { return }
        isClosed = true
        network.remove(self)
        while let stream = backlog.popFirst() {
            stream.breakLocally(message: "never accepted", isInFlightLost: false)
            stream.close()
        }
        acceptor.take()?.resume()
    }

    /// Who waits here, for a report.
    var wait: String? {
        acceptor == nil ? nil : "accept on \(address.host):\(address.port)"
    }
}
