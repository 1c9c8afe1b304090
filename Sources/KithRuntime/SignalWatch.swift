// SIGTERM, SIGINT and, where that is wanted, SIGHUP as something to await.
//
// A handler sends the signal's number into a socket pair whose other end a loop watches. The
// alternative, blocking the signals everywhere and reading a signalfd, does not hold in a Swift
// process: with an asynchronous `main` the main thread ends up in `sigsuspend` with nothing
// blocked, and the first SIGTERM kills the process there.

internal import CLinux
internal import Glibc
internal import Synchronization

/// A request to stop, by signal.
public enum StopSignal: Sendable {
    /// SIGTERM.
    case terminate
    /// SIGINT, e.g. control-C.
    case interrupt
    /// SIGHUP: the terminal has gone.
    case hangUp

    fileprivate init(_ number: Int32) {
        self =
            switch number {
            case SIGINT: .interrupt
            case SIGHUP: .hangUp
            default: .terminate
            }
    }

    /// What a shell says of a program that this signal ended: 128 and the signal's number.
    public var exitCode: Int32 {
        switch self {
        case .terminate: 128 + SIGTERM
        case .interrupt: 128 + SIGINT
        case .hangUp: 128 + SIGHUP
        }
    }
}

/// Catches SIGTERM and SIGINT, or these and SIGHUP, while it exists. There may be one in a process.
/// SIGINT and SIGHUP stay ignored where they were ignored (a command in the background of a shell
/// script, or of `nohup`).
public final class SignalWatch: Sendable {
    private static let isInUse = Atomic<Bool>(false)

    private let socket: Socket
    private let handlerEnd: Descriptor

    /// From here on the signals do not end the process.
    public init(loop: EventLoop, withHangUp: Bool = false) throws(SystemError) {
        let wasInUse = Self.isInUse.exchange(true, ordering: .acquiringAndReleasing)
        precondition(!wasInUse, "there is a signal watch already")
        do throws(SystemError) {
            var ends: [Int32] = [-1, -1]
            let kind = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
            try systemCall("socketpair") { socketpair(AF_UNIX, Int32(kind), 0, &ends) }
            let handlerEnd = Descriptor(owning: ends[1])
            socket = try Socket(Descriptor(owning: ends[0]), loop: loop, isReady: true)
            kith_forward_stop_signals(handlerEnd.raw, withHangUp ? 1 : 0)
            self.handlerEnd = handlerEnd
        } catch {
            Self.isInUse.store(false, ordering: .releasing)
            throw error
        }
    }

    deinit {
        kith_restore_stop_signals()
        socket.close()
        Self.isInUse.store(false, ordering: .releasing)
    }

    /// The next signal, in order of arrival; none is lost between calls. Nil when the task is
    /// cancelled, after `close`, or when the loop stops. Called by one task at a time.
    public func next() async -> StopSignal? {
        // The only errors are those that mean that nothing will come any more.
        guard let byte = try? await socket.read(atMost: 1).first else { return nil }
        return StopSignal(Int32(byte))
    }

    /// Gives the signals their default meaning again and ends `next`.
    public func close() {
        kith_restore_stop_signals()
        socket.close()
    }
}
