// A thread of the operating system, for loops and for blocking work. Signals are blocked in it
// before it starts, so that no system call of a loop or a disk thread is ever interrupted. The
// signals of a crash are left alone: blocked, they would kill the process without its crash report.

internal import CLinux
internal import Glibc
internal import Synchronization

/// A started thread that is joined exactly once.
final class SystemThread: Sendable {
    private let handle: Mutex<pthread_t?>

    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a thread that runs `body`. `name` is cut to 15 bytes.
    init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        var blocked = sigset_t()
        var previous = sigset_t()
        sigfillset(&blocked)
        for crash in [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT, SIGSYS, SIGQUIT] {
            sigdelset(&blocked, crash)
        }
        pthread_sigmask(SIG_SETMASK, &blocked, &previous)
        defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }

        let start = Unmanaged.passRetained(Start(name: String(name.prefix(15)), body: body))
        var handle = pthread_t()
        let code = pthread_create(
            &handle, nil,
            { argument in
                let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
                kith_name_thread(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw SystemError("pthread_create", code)
        }
        self.handle = Mutex(handle)
    }

    /// Returns when the thread has ended; at once if somebody has already joined it.
    func join() {
        handle.withLock { handle in
            guard let thread = handle else { return }
            pthread_join(thread, nil)
            handle = nil
        }
    }

    /// Gives up joining: the thread cleans up after itself whenever it ends.
    func detach() {
        handle.withLock { handle in
            guard let thread = handle else { return }
            pthread_detach(thread)
            handle = nil
        }
    }
}
