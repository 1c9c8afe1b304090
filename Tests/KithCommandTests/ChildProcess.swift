// A child process, spawned and waited for by the system's own calls. Foundation's `Process` watches
// its children through a socket on a thread of its own; where many come and go at once, that thread
// was seen in `wait4` of a child that lived on, and whoever waited for another one hung for ever.

import Foundation
import Glibc
import Synchronization

/// A program that runs beside the tests. Its signals are as a shell leaves them, and of this
/// process it has no descriptors but the three.
final class ChildProcess: Sendable {
    let processIdentifier: pid_t
    /// What it was given behind its name.
    let arguments: [String]

    /// How it ended: its exit code, or the number of the signal that ended it.
    struct End: Equatable, Sendable {
        var isSignal: Bool
        var status: Int32
    }

    private let end = Mutex<End?>(nil)
    /// Entered until the end is known.
    private let group = DispatchGroup()

    /// Spawns `program` with those arguments behind its name, and the three descriptors.
    init(
        _ program: String, _ arguments: [String], environment: [String: String]? = nil,
        input: Int32, output: Int32, error: Int32
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Away from 0 to 2 first: what is put there must not hide what comes after it.
        let copies = try [input, output, error].map { descriptor in
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
            guard copy >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
            return copy
        }
        defer { for copy in copies { close(copy) } }
        for (place, copy) in copies.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, copy, Int32(place))
        }
        let closeFrom = try Self.closeFrom
        _ = closeFrom(&actions, 3)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))

        let variables = (environment ?? ProcessInfo.processInfo.environment)
            .map { "\($0)=\($1)" }
        var names = ([program] + arguments).map { strdup($0) } + [nil]
        var values = variables.map { strdup($0) } + [nil]
        defer { for text in names + values { free(text) } }
        var number: pid_t = 0
        let failure = posix_spawn(&number, program, &actions, &attributes, &names, &values)
        guard failure == 0 else { throw POSIXError(POSIXErrorCode(rawValue: failure) ?? .EIO) }
        processIdentifier = number
        self.arguments = arguments
        group.enter()
        Thread.detachNewThread { self.wait() }
    }

    /// `posix_spawn_file_actions_addclosefrom_np`, which Glibc's module map hides.
    private typealias CloseFrom =
        @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32

    private static var closeFrom: CloseFrom {
        get throws {
            let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np")
            guard let symbol else { throw POSIXError(.ENOSYS) }
            return unsafe unsafeBitCast(symbol, to: CloseFrom.self)
        }
    }

    /// Reaps the child; nobody else waits for it.
    private func wait() {
        var status: Int32 = 0
        while waitpid(processIdentifier, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7f
        end.withLock {
            $0 = End(isSignal: signal != 0, status: signal != 0 ? signal : status >> 8 & 0xff)
        }
        group.leave()
    }

    var isRunning: Bool { end.withLock { $0 == nil } }

    /// Sends it a signal; nothing where it has ended, so that nobody else can have its number.
    func signal(_ number: Int32) {
        end.withLock { if $0 == nil { kill(processIdentifier, number) } }
    }

    /// Waits for its end.
    @discardableResult
    func waitUntilExit() -> End {
        group.wait()
        return end.withLock { $0 } ?? End(isSignal: true, status: 0)
    }

    /// Runs a script in a shell to its end, with the terminal of this process; its exit code.
    static func shell(_ script: String, _ arguments: String...) throws -> End {
        try ChildProcess("/bin/sh", ["-c", script] + arguments, input: 0, output: 1, error: 2)
            .waitUntilExit()
    }
}
