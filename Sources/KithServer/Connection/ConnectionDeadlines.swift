// What a connection owes the node, and until when.
//
//   accepted ──▶ a complete Hello, 5 s ──▶ idle: nothing owed ◀──┐
//                                            │ first bytes of    │ the whole frame
//                                            ▼ a frame           │
//                                          the rest of it, 30 s ─┘
//   beside it: replies that are handed to the kernel are read, 30 s
//
// A client between two frames may be silent for ever; the number of connections is bounded. The
// rest of a frame is owed only while the node reads: time in which it waits itself, for the log or
// for room, is not held against the client. The node looks at all connections once a second, since
// a timer each would cost more than what it guards against.

internal import Synchronization

/// The deadlines of one connection, in nanoseconds of the monotonic clock. Set by the connection,
/// looked at by the node, on whatever loops they are.
final class ConnectionDeadlines: Sendable {
    private let reading: Atomic<UInt64>
    private let writing = Atomic<UInt64>(.max)

    /// For the `Hello`, from the moment a connection is accepted.
    static let helloNanosecondsMax: UInt64 = 5_000_000_000
    /// For the rest of a frame, from its first bytes on.
    static let frameNanosecondsMax: UInt64 = 30_000_000_000
    /// For a write to be taken, from its first byte on.
    static let writeNanosecondsMax: UInt64 = 30_000_000_000

    /// Of a connection accepted `now`.
    init(acceptedAt now: UInt64) {
        reading = Atomic(now &+ Self.helloNanosecondsMax)
    }

    /// By when the client has to have sent what it began; nil where it owes nothing.
    func setReading(_ deadline: UInt64?) {
        reading.store(deadline ?? .max, ordering: .relaxed)
    }

    /// By when the client has to have taken what is being written; nil where nothing is.
    func setWriting(_ deadline: UInt64?) {
        writing.store(deadline ?? .max, ordering: .relaxed)
    }

    func isOverdue(at now: UInt64) -> Bool {
        reading.load(ordering: .relaxed) <= now || writing.load(ordering: .relaxed) <= now
    }
}
