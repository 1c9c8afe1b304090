// Accepting. Most failures of `accept` concern one connection that died in the queue, and are
// passed over; running out of descriptors or memory concerns all, and is waited out: the
// connections stay in the kernel's queue meanwhile.

internal import CLinux
internal import Glibc
internal import KithPorts
internal import Synchronization

/// A listening socket.
final class LinuxListener: Listener {
    /// How long accepting pauses when descriptors or memory have run out, in nanoseconds.
    static let pauseNanoseconds: UInt64 = 50_000_000

    public let port: UInt16
    private let socket: Socket
    private let loops: [EventLoop]
    private let accepted = Atomic<Int>(0)

    init(_ socket: Socket, port: UInt16, loops: [EventLoop]) {
        self.socket = socket
        self.port = port
        self.loops = loops
    }

    deinit { socket.close() }

    /// The next connection; `nil` after `close`, and when the task is cancelled. Never throws:
    /// shortages are waited out.
    public func accept() async throws(NetworkError) -> (any ByteStream)? {
        while !Task.isCancelled {
            switch attemptAccept() {
            case .done(let stream): return stream
            case .wait: await socket.wait(.reading)
            case .giveWay: await socket.loop.nextTurn()
            case .failed: return nil
            case .shortage:
                let until = LinuxListener.pauseNanoseconds
                do {
                    try await LinuxClock().sleep(nanoseconds: until, on: socket.loop)
                } catch { return nil }
            }
        }
        return nil
    }

    public func close() async { socket.close() }

    private enum Attempt {
        case done(LinuxStream)
        case wait
        case giveWay
        case shortage
        case failed
    }

    private func attemptAccept() -> Attempt {
        let turn = socket.currentTurn
        if socket.state.withLock({ $0.mustGiveWay(turn) }) { return .giveWay }
        var peer = SocketAddress()
        while true {
            let result: CallResult<Int32>? = socket.state.withLock { state -> CallResult<Int32>? in
                guard state.failure == nil, state.descriptor.isOpen else { return nil }
                let raw = state.descriptor.raw
                let result = systemCall {
                    peer.withMutablePointer { kith_accept(raw, $0, $1) }
                }
                if case .failure(EAGAIN) = result { state.reading.isReady = false }
                return result
            }
            switch result {
            case nil: return .failed
            case .failure(EAGAIN): return .wait
            case .failure(EMFILE), .failure(ENFILE), .failure(ENOBUFS), .failure(ENOMEM):
                return .shortage
            case .failure(EBADF), .failure(EINVAL), .failure(ENOTSOCK): return .failed
            case .failure: continue
            case .success(let raw):
                guard let stream = adopt(Descriptor(owning: raw), peer) else { continue }
                return .done(stream)
            }
        }
    }

    /// Makes a stream of an accepted socket, on the next loop. Nil when that loop has stopped or
    /// the kernel cannot watch one more: the connection is dropped.
    private func adopt(_ descriptor: consuming Descriptor, _ peer: SocketAddress) -> LinuxStream? {
        let turn = accepted.wrappingAdd(1, ordering: .relaxed).oldValue
        let loop = loops[turn % loops.count]
        setNoDelay(descriptor)
        guard let socket = try? Socket(descriptor, loop: loop, isReady: true) else { return nil }
        return LinuxStream(socket, peer: peer.text)
    }
}

/// Sends small messages at once. A failure only costs latency, so it is not an error.
func setNoDelay(_ descriptor: borrowing Descriptor) {
    var one: Int32 = 1
    setsockopt(
        descriptor.raw, Int32(IPPROTO_TCP), TCP_NODELAY, &one,
        socklen_t(MemoryLayout<Int32>.size))
}
