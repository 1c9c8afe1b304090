import Glibc

/// A program as a child process, known by its id and nothing else: no descriptor, no thread and no
/// handler stands for it. Whoever starts one must `reap` it until that says that it has ended.
struct ChildProcess: Sendable {
    let id: pid_t

    /// Names in the environment of a child the process that it is to end with.
    static let parentVariable = "KITH_PARENT_PROCESS"

    /// How it ended.
    enum End: Equatable, Sendable {
        case exited(Int32)
        case killed(signal: Int32)
        /// Somebody else has waited for it.
        case lost
    }

    /// Why there is none.
    struct Failure: Error {
        /// An error number.
        let code: Int32
    }

    /// Starts `program` under the name `name`. What it says goes to the end of the file `log`. It
    /// gets a process group of its own, so that control-C at a terminal reaches its parent only, no
    /// blocked signals, and the default meaning of SIGPIPE. A `kith serve` whose environment has
    /// `parentVariable` ends with the thread that calls this, at the latest.
    static func start(
        _ program: String, as name: String, _ arguments: [String], variables: [String], log: String
    ) throws(Failure) -> ChildProcess {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        let flags = O_WRONLY | O_CREAT | O_APPEND
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, flags, 0o644)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        let kinds = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(kinds))
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)

        var words = ([name] + arguments).map { strdup($0) } + [nil]
        var environment = variables.map { strdup($0) } + [nil]
        defer { for word in words + environment { free(word) } }
        var id: pid_t = 0
        let code = posix_spawn(&id, program, &actions, &attributes, &words, &environment)
        guard code == 0 else { throw Failure(code: code) }
        return ChildProcess(id: id)
    }

    /// How it has ended; nil while it has not. Does not wait. After an end it is not to be asked
    /// again: its id may be that of another process.
    func reap() -> End? {
        var status: Int32 = 0
        while true {
            switch waitpid(id, &status, WNOHANG) {
            case 0: return nil
            case id:
                let signal = status & 0x7f
                return signal == 0 ? .exited(status >> 8 & 0xff) : .killed(signal: signal)
            default: if errno != EINTR { return .lost }
            }
        }
    }

    /// Sends it a signal. It must not have been reaped.
    func signal(_ number: Int32) { _ = Glibc.kill(id, number) }
}
