import Glibc
import Synchronization

/// Says which seed a thread runs when it traps: a broken precondition ends the process before
/// anything can be printed in order.
enum SeedAlarm {
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        let status = pthread_key_create(&key, nil)
        precondition(status == 0, "no thread-specific slot left: \(status)")
        return key
    }()

    /// Makes traps say the seed, and then do what they did before.
    static func install() {
        _ = key
        for signal in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE] {
            var old = sigaction()
            sigaction(signal, nil, &old)
            former.withLock { $0.append((signal, old)) }
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { SeedAlarm.ring($0) }
            sigaction(signal, &action, nil)
        }
    }

    /// This thread runs that seed.
    static func begin(_ seed: UInt64) {
        pthread_setspecific(key, UnsafeRawPointer(bitPattern: UInt(truncatingIfNeeded: seed) &+ 1))
    }

    /// This thread runs none.
    static func end() { pthread_setspecific(key, nil) }

    private static let former = Mutex<[(Int32, sigaction)]>([])

    /// Only calls that a handler may make; then the former handler is in place again, and the
    /// instruction that trapped is tried again.
    private static func ring(_ signal: Int32) {
        var text: (UInt8, UInt8) = (0, 0)
        func write(_ literal: StaticString) {
            _ = Glibc.write(STDERR_FILENO, literal.utf8Start, literal.utf8CodeUnitCount)
        }
        write("kith simulate: seed ")
        if let value = pthread_getspecific(key) {
            var seed = UInt(bitPattern: value) &- 1
            var divisor: UInt = 1
            while seed / divisor >= 10 { divisor *= 10 }
            while divisor > 0 {
                text.0 = UInt8(ascii: "0") + UInt8(seed / divisor)
                _ = Glibc.write(STDERR_FILENO, &text.0, 1)
                seed %= divisor
                divisor /= 10
            }
        } else {
            write("of no thread")
        }
        write(" FAILED: the process traps\n")
        former.withLockIfAvailable { list in
            for place in list.indices where list[place].0 == signal {
                var action = list[place].1
                sigaction(signal, &action, nil)
            }
        }
    }
}
