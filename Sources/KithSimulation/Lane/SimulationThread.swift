internal import Glibc

/// Which simulator the present thread is inside, if any.
///
/// A slot of thread-specific data, not a comparison of `pthread_self()`: that function is declared
/// constant, so the optimiser carries its result across an `await`, after which the thread may be
/// another one. `pthread_getspecific` is opaque and is asked each time (a few nanoseconds).
enum SimulationThread {
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        let status = pthread_key_create(&key, nil)
        precondition(status == 0, "no thread-specific slot left: \(status)")
        return key
    }()

    /// True between `enter` and `leave` of `simulator` on this thread.
    static func isInside(_ simulator: Simulator) -> Bool {
        pthread_getspecific(key) == Unmanaged.passUnretained(simulator).toOpaque()
    }

    /// True when this thread is inside any simulator.
    static var isInsideAny: Bool { pthread_getspecific(key) != nil }

    /// This thread is inside `simulator` from now on.
    static func enter(_ simulator: Simulator) {
        pthread_setspecific(key, Unmanaged.passUnretained(simulator).toOpaque())
    }

    /// This thread is inside no simulator any more.
    static func leave() {
        pthread_setspecific(key, nil)
    }
}
