// One non-blocking socket, watched by one loop, for streams and listeners alike.
//
// The state is behind a lock, so that `close` is safe from any thread: nobody is ever inside a
// system call on a number that `close` has given back. Inside the lock there are only non-blocking
// calls, and on the hot path only the loop's thread takes it.
//
// Each direction is the same little machine:
//
//                      the kernel says EAGAIN (or gave less than asked)
//        ┌─────────┐ ───────────────────────────────────────────────────▶ ┌──────────┐
//        │  ready  │                                                      │ not ready│ + waiter?
//        └─────────┘ ◀─────────────────────────────────────────────────── └──────────┘
//                      an edge from epoll: wakes the waiter
//
// Readiness is a hint that may be wrong in one direction only: a "ready" socket may say EAGAIN, but
// one that is marked "not ready" will get an edge. That holds because the mark is set under the
// lock at a moment when the kernel had nothing, so whatever comes later is a new edge. A read that
// returned less than it asked for counts as such a moment, unless the end of the stream has been
// seen: that edge comes only once.

internal import CLinux
internal import Glibc
internal import KithPorts
internal import Synchronization

final class Socket: Watcher, Sendable {
    enum Direction {
        case reading
        case writing
    }

    /// What became of one try at the kernel.
    enum Attempt<Value> {
        case done(Value)
        /// Nothing to be had: wait for an edge.
        case wait
        /// Ready, but others have a turn first.
        case giveWay
        case failed(NetworkError)
    }

    /// How many operations in one turn of the loop may pass before the socket gives way.
    static let operationsPerTurnMax = 16

    struct Side {
        var isReady: Bool
        var waiter: UnsafeContinuation<Void, Never>?
    }

    struct State: ~Copyable {
        var descriptor: Descriptor
        var ticket: WatchTicket?
        var reading: Side
        var writing: Side
        /// The other side has ended or broken: no further edge will announce what is there to read.
        var hasSeenEnd = false
        /// Why the socket is closed or broken; every later operation throws it.
        var failure: NetworkError?
        var turn: UInt64 = 0
        var operations = 0

        init(_ descriptor: consuming Descriptor, isReady: Bool) {
            self.descriptor = descriptor
            reading = Side(isReady: isReady)
            writing = Side(isReady: isReady)
        }

        /// Counts an operation; true when it is one too many for the loop's turn `now`, or, off
        /// the loop (nil), since the last one that was too many.
        mutating func mustGiveWay(_ now: UInt64?) -> Bool {
            let present = now ?? .max
            if turn != present {
                turn = present
                operations = 0
            }
            operations += 1
            guard operations > Socket.operationsPerTurnMax else { return false }
            if now == nil { operations = 0 }
            return true
        }

        /// Takes the waiter of a direction and marks it ready.
        mutating func wake(_ direction: Direction) -> UnsafeContinuation<Void, Never>? {
            switch direction {
            case .reading:
                reading.isReady = true
                defer { reading.waiter = nil }
                return reading.waiter
            case .writing:
                writing.isReady = true
                defer { writing.waiter = nil }
                return writing.waiter
            }
        }
    }

    let loop: EventLoop
    let state: Mutex<State>

    /// Takes over a non-blocking socket. `isReady` is false for one that is still connecting.
    init(
        _ descriptor: consuming Descriptor, loop: EventLoop, isReady: Bool
    ) throws(SystemError) {
        let raw = descriptor.raw
        self.loop = loop
        state = Mutex(State(descriptor, isReady: isReady))
        let ticket = try loop.poller.add(raw, self)
        let isClosed = state.withLock { state in
            state.ticket = ticket
            return !state.descriptor.isOpen
        }
        // The loop may have stopped in between.
        if isClosed { loop.poller.remove(ticket) }
    }

    // MARK: - From the loop

    func ready(_ events: UInt32) {
        let broken = EPOLLHUP.rawValue | EPOLLERR.rawValue
        let (reader, writer) = state.withLock { state in
            if events & (broken | EPOLLRDHUP.rawValue) != 0 { state.hasSeenEnd = true }
            let forReader = EPOLLIN.rawValue | EPOLLRDHUP.rawValue | broken
            let forWriter = EPOLLOUT.rawValue | broken
            return (
                events & forReader != 0 ? state.wake(.reading) : nil,
                events & forWriter != 0 ? state.wake(.writing) : nil
            )
        }
        reader?.resume()
        writer?.resume()
    }

    func loopStopped() { close() }

    // MARK: - Waiting and closing

    /// Suspends until a direction may be ready, the socket is closed, or the task is cancelled.
    func wait(_ direction: Direction) async {
        await suspend { continuation in
            let isParked = state.withLock { state in
                guard state.descriptor.isOpen, state.failure == nil else { return false }
                return Self.park(continuation, &state, direction)
            }
            // Cancellation that came before parking found nobody to wake: look again.
            if !isParked { continuation.resume() } else if Task.isCancelled { wake(direction) }
        } onCancel: {
            wake(direction)
        }
    }

    private static func park(
        _ continuation: UnsafeContinuation<Void, Never>, _ state: inout State,
        _ direction: Direction
    ) -> Bool {
        switch direction {
        case .reading:
            if state.reading.isReady { return false }
            precondition(state.reading.waiter == nil, "a stream has one reader at a time")
            state.reading.waiter = continuation
        case .writing:
            if state.writing.isReady { return false }
            precondition(state.writing.waiter == nil, "a stream has one writer at a time")
            state.writing.waiter = continuation
        }
        return true
    }

    private func wake(_ direction: Direction) {
        state.withLock { $0.wake(direction) }?.resume()
    }

    /// Closes the descriptor and wakes both waiters; `failure` is what they and all later callers
    /// throw. The first caller's reason stays.
    func close(_ failure: NetworkError = .closed) {
        let (reader, writer, ticket) = state.withLock { state in
            if state.failure == nil { state.failure = failure }
            state.descriptor.close()
            defer { state.ticket = nil }
            return (state.wake(.reading), state.wake(.writing), state.ticket)
        }
        if let ticket { loop.poller.remove(ticket) }
        reader?.resume()
        writer?.resume()
    }

    /// The error that the kernel holds for this socket; 0 for none.
    func takeError() -> Int32 {
        state.withLock { state in
            guard state.descriptor.isOpen else { return ECANCELED }
            var code: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            let raw = state.descriptor.raw
            switch systemCall({ getsockopt(raw, SOL_SOCKET, SO_ERROR, &code, &length) }) {
            case .success: return code
            case .failure(let failed): return failed
            }
        }
    }

    /// The number of the present turn, if the caller is on the loop.
    var currentTurn: UInt64? { loop.isCurrent ? loop.turn : nil }
}
