// TCP made of the kernel's sockets. Numeric addresses are used as they are; names are resolved on
// a worker thread that starts with the first name and is shared by all.

internal import CLinux
internal import Glibc
public import KithPorts
internal import Synchronization

/// The network of a Linux process. The loops that it is given must be `EventLoop`s.
public final class LinuxNetwork: Network {
    /// How long `connect` tries, over name resolution and all addresses of a name together.
    static let connectNanosecondsMax: UInt64 = 5_000_000_000
    /// How many connections the kernel may hold for `accept` (it may itself allow fewer).
    static let backlog: Int32 = 4096

    private let resolver = Mutex<WorkerThread?>(nil)
    private let connectNanoseconds: UInt64

    public init() { connectNanoseconds = Self.connectNanosecondsMax }

    /// With another limit for `connect`.
    init(connectNanoseconds: UInt64) { self.connectNanoseconds = connectNanoseconds }

    /// Ends the resolver's thread. Streams and listeners end with their loops.
    public func stop() {
        // Not waited for: the system's resolver may take its time and cannot be interrupted.
        resolver.withLock { $0.take() }?.stop(waits: false)
    }

    // MARK: - Listening

    public func listen(
        host: String, port: UInt16, loops: [any Loop]
    ) async throws(NetworkError) -> any Listener {
        precondition(!loops.isEmpty, "a listener needs a loop for its streams")
        let loops = loops.map(eventLoop)
        let name = Self.text(host, port)
        let deadline = monotonicNanoseconds() + connectNanoseconds
        let addresses: [SocketAddress]
        switch await resolve(host, port, deadline, loops[0]) {
        case .success(let found): addresses = found
        case .failure(let message): throw .cannotListen(address: name, message: message)
        }
        do throws(SystemError) {
            let descriptor = try Self.listeningSocket(addresses[0])
            let port = SocketAddress.local(of: descriptor.raw)?.port ?? port
            let socket = try Socket(descriptor, loop: loops[0], isReady: true)
            return LinuxListener(socket, port: port, loops: loops)
        } catch {
            throw .cannotListen(address: name, message: errorText(error.code))
        }
    }

    private static func listeningSocket(_ address: SocketAddress) throws(SystemError) -> Descriptor
    {
        let descriptor = try newSocket(address)
        let raw = descriptor.raw
        var one: Int32 = 1
        try systemCall("setsockopt") {
            setsockopt(
                raw, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        }
        try systemCall("bind") { address.withPointer { bind(raw, $0, $1) } }
        try systemCall("listen") { Glibc.listen(raw, backlog) }
        return descriptor
    }

    private static func newSocket(_ address: SocketAddress) throws(SystemError) -> Descriptor {
        let kind = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        return Descriptor(
            owning: try systemCall("socket") { socket(address.family, Int32(kind), 0) })
    }

    // MARK: - Connecting

    public func connect(
        host: String, port: UInt16, loop: any Loop
    ) async throws(NetworkError) -> any ByteStream {
        let loop = eventLoop(loop)
        let name = Self.text(host, port)
        let deadline = monotonicNanoseconds() + connectNanoseconds
        let addresses: [SocketAddress]
        switch await resolve(host, port, deadline, loop) {
        case .success(let found): addresses = found
        case .failure(let message): throw .unreachable(address: name, message: message)
        }
        var last = NetworkError.unreachable(address: name, message: "no addresses")
        for address in addresses {
            do throws(NetworkError) {
                return try await connect(address, name, deadline, loop)
            } catch {
                if case .closed = error { throw error }
                last = error
            }
        }
        throw last
    }

    private func connect(
        _ address: SocketAddress, _ name: String, _ deadline: UInt64, _ loop: EventLoop
    ) async throws(NetworkError) -> LinuxStream {
        let socket: Socket
        do throws(SystemError) {
            socket = try Self.connectingSocket(address, loop)
        } catch {
            throw .unreachable(address: name, message: errorText(error.code))
        }
        let limit = connectNanoseconds
        let timer = loop.schedule(at: deadline) { outcome in
            let message = "no answer within \(Double(limit) / 1e9) s"
            socket.close(
                outcome == .fired ? .unreachable(address: name, message: message) : .closed)
        }
        await socket.wait(.writing)
        loop.cancel(timer)
        if Task.isCancelled {
            socket.close()
            throw .closed
        }
        if let failure = socket.state.withLock({ $0.failure }) {
            socket.close()
            throw failure
        }
        var code = socket.takeError()
        // A port of the ephemeral range can, with nobody listening, connect to itself.
        if code == 0, socket.isConnectedToItself { code = ECONNREFUSED }
        guard code == 0 else {
            socket.close()
            throw .unreachable(address: name, message: errorText(code))
        }
        socket.becomeReady()
        return LinuxStream(socket, peer: address.text)
    }

    private static func connectingSocket(
        _ address: SocketAddress, _ loop: EventLoop
    ) throws(SystemError) -> Socket {
        let descriptor = try newSocket(address)
        setNoDelay(descriptor)
        let raw = descriptor.raw
        switch systemCall({ address.withPointer { Glibc.connect(raw, $0, $1) } }) {
        case .success:
            return try Socket(descriptor, loop: loop, isReady: true)
        case .failure(EINPROGRESS):
            return try Socket(descriptor, loop: loop, isReady: false)
        case .failure(let code):
            throw SystemError("connect", code)
        }
    }

    // MARK: - Names

    private static func text(_ host: String, _ port: UInt16) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    private func resolve(
        _ host: String, _ port: UInt16, _ deadline: UInt64, _ loop: EventLoop
    ) async -> SocketAddress.LookUp {
        if let address = SocketAddress.numeric(host, port) { return .success([address]) }
        let worker: WorkerThread
        do throws(SystemError) {
            worker = try resolverThread()
        } catch {
            return .failure(error.description)
        }
        let answer = OneShot<SocketAddress.LookUp>()
        let isTaken = worker.submit { answer.resolve(SocketAddress.resolve(host, port)) }
        if !isTaken { return .failure("the network is stopped") }
        let timer = loop.schedule(at: deadline) { _ in
            answer.resolve(.failure("the name was not resolved in time"))
        }
        let result = await answer.value { answer.resolve(.failure("cancelled")) }
        loop.cancel(timer)
        return result
    }

    private func resolverThread() throws(SystemError) -> WorkerThread {
        try resolver.withLock { resolver throws(SystemError) in
            if let resolver { return resolver }
            let worker = try WorkerThread(name: "kith-resolver")
            resolver = worker
            return worker
        }
    }
}

extension Socket {
    /// Marks a connection that has come about as ready in both directions.
    fileprivate func becomeReady() {
        state.withLock { state in
            state.reading.isReady = true
            state.writing.isReady = true
        }
    }

    fileprivate var isConnectedToItself: Bool {
        state.withLock { state in
            guard state.descriptor.isOpen,
                let local = SocketAddress.local(of: state.descriptor.raw),
                let peer = SocketAddress.peer(of: state.descriptor.raw)
            else { return false }
            return local.port == peer.port && local.text == peer.text
        }
    }
}
