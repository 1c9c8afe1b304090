// What a connection owes the node, and until when; and since when neither owes the other anything.
//
//   accepted ──▶ a complete Hello, 5 s ──▶ idle: nothing owed ◀──┐
//                                            │ first bytes of    │ the whole frame
//                                            ▼ a frame           │
//                                          the rest of it, 30 s ─┘
//   beside it: replies that are handed to the kernel are read, 30 s
//
// A client between two frames may be silent as long as its place is not needed
// (`ConnectionPlaces`). One that says it is a node owes its greeting by the time of the `Hello`.
// The rest of a frame is owed only while the node reads: time in which it waits itself, for the log
// or for room, is not held against the client. While others wait for room, a large frame is owed
// step by step (`FramePace`). The node looks at all connections once a second,
// since a timer each would cost more than what it guards against.

internal import Synchronization

/// The deadlines of one connection, in nanoseconds of the monotonic clock. Set by the connection,
/// looked at by the node, on whatever loops they are.
final class ConnectionDeadlines: Sendable {
    private let reading: Atomic<UInt64>
    private let writing = Atomic<UInt64>(.max)
    private let lastActive: Atomic<UInt64>
    private let inWork = Atomic<Int>(0)
    /// For room for the frame that has begun.
    private let isWaiting = Atomic<Bool>(false)
    /// Bytes of the large frame in parts that holds room; 0 where there is none.
    private let room = Atomic<Int>(0)
    /// See `FramePace`.
    private let restBytes = Atomic<Int>(0)
    private let receivedBytes = Atomic<Int>(0)

    /// For the `Hello`, from the moment a connection is accepted.
    static let helloNanosecondsMax: UInt64 = 5_000_000_000
    /// For the rest of a frame, from its first bytes on.
    static let frameNanosecondsMax: UInt64 = 30_000_000_000
    /// For a write to be taken, from its first byte on.
    static let writeNanosecondsMax: UInt64 = 30_000_000_000
    /// For the word that a connection is closed since another needs its place.
    static let farewellNanosecondsMax: UInt64 = 1_000_000_000

    /// Of a connection accepted `now`.
    init(acceptedAt now: UInt64) {
        reading = Atomic(now &+ Self.helloNanosecondsMax)
        lastActive = Atomic(now)
    }

    /// By when the client has to have sent what it began; nil where it owes nothing.
    func setReading(_ deadline: UInt64?) {
        reading.store(deadline ?? .max, ordering: .relaxed)
    }

    /// By when the client has to have taken what is being written; nil where nothing is.
    func setWriting(_ deadline: UInt64?) {
        writing.store(deadline ?? .max, ordering: .relaxed)
    }

    /// What has come of a large frame in parts that holds room.
    func setFrame(room: Int, restBytes: Int, receivedBytes: Int) {
        self.receivedBytes.store(receivedBytes, ordering: .relaxed)
        self.restBytes.store(restBytes, ordering: .relaxed)
        self.room.store(room, ordering: .relaxed)
    }

    /// There is none any more.
    func endFrame() { room.store(0, ordering: .relaxed) }

    /// How a large frame in parts comes along; nil where there is none, or it is the node that does
    /// not go on. A client that does not take its answers, so that it is not read on, sends none.
    var pace: FramePace? {
        let room = room.load(ordering: .relaxed)
        let rest = reading.load(ordering: .relaxed)
        let answers = writing.load(ordering: .relaxed)
        guard room > 0, rest != .max || answers != .max else { return nil }
        return FramePace(
            room: room, restBytes: restBytes.load(ordering: .relaxed),
            receivedBytes: receivedBytes.load(ordering: .relaxed),
            since: rest != .max
                ? rest &- Self.frameNanosecondsMax : answers &- Self.writeNanosecondsMax)
    }

    func isOverdue(at now: UInt64) -> Bool {
        reading.load(ordering: .relaxed) <= now || writing.load(ordering: .relaxed) <= now
    }

    /// A request begins.
    func begin(at now: UInt64) {
        inWork.wrappingAdd(1, ordering: .relaxed)
        lastActive.store(now, ordering: .relaxed)
    }

    /// A request is answered.
    func end(at now: UInt64) {
        inWork.wrappingSubtract(1, ordering: .relaxed)
        lastActive.store(now, ordering: .relaxed)
    }

    /// A frame has begun, and waits for room: the client owes nothing, and is not idle.
    func beginWait(at now: UInt64) {
        lastActive.store(now, ordering: .relaxed)
        isWaiting.store(true, ordering: .relaxed)
    }

    /// There is room, or it is not wanted any more.
    func endWait(at now: UInt64) {
        lastActive.store(now, ordering: .relaxed)
        isWaiting.store(false, ordering: .relaxed)
    }

    /// How much closing the connection would break.
    enum Burden: Int, Comparable {
        /// Nothing: nobody owes anybody anything.
        case idle
        /// A frame that the client has not sent all of, or that waits for room, replies it has not
        /// taken. Not more than that, though it is the node that does not read on: nobody can say
        /// whether the rest of such a frame would ever come.
        case halfway
        /// A request in work.
        case inWork

        static func < (left: Burden, right: Burden) -> Bool { left.rawValue < right.rawValue }
    }

    /// Nanoseconds for which what is half-way counts as in work: most of it is whole by then.
    private static let patienceNanoseconds: UInt64 = 1_000_000_000

    /// What closing would break, and since when the client has begun nothing else.
    func burden(at now: UInt64) -> (burden: Burden, since: UInt64) {
        let since = lastActive.load(ordering: .relaxed)
        if inWork.load(ordering: .relaxed) > 0 { return (.inWork, since) }
        let isHalfway =
            reading.load(ordering: .relaxed) != .max || writing.load(ordering: .relaxed) != .max
            || isWaiting.load(ordering: .relaxed)
        guard isHalfway else { return (.idle, since) }
        return (now &- since < Self.patienceNanoseconds ? .inWork : .halfway, since)
    }
}
