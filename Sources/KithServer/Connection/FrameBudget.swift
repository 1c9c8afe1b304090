// The bytes of large frames that a node holds at a time, over all its connections.
//
//   64 KiB of it read ──▶ take(bytes) ──▶ the rest is read ──▶ in line, in work ──▶ give(bytes)
//                          │      ▲
//                          └─wait─┘ first come, first served; nothing is read from that socket
//                             └──▶ withdrawn, or over its deadline: nothing is taken
//
// A frame is charged whole, before the rest of it is read: charged as it arrives, frames in parts
// could fill the budget with none of them able to become whole. A connection that waits holds whole
// frames only, which are answered whatever it waits for, so there is no circle. A frame that stays
// in parts ends with its deadline (`ConnectionDeadlines`), and sooner while others wait
// (`FramePace`).
//
// Small frames are not charged and never wait: whoever fills the budget cannot keep them out. What
// they take is bounded by the connection; the first 64 KiB of a large frame are no more than that,
// so who claims one and sends none of it holds no room. Frames from nodes of the cluster are not
// charged either: they are what frames of clients, here or elsewhere, wait for.

internal import Synchronization

/// The room for large frames. Used from all loops of a node; costs a lock for each large frame.
final class FrameBudget: Sendable {
    private struct State {
        var free: Int
        /// In the order they came.
        var waiting: [Waiting] = []
        var lastTurn: UInt64 = 0

        /// Takes out those who wait longest as far as there is room for them.
        mutating func grant() -> [CheckedContinuation<Bool, Never>] {
            var count = 0
            while count < waiting.count, waiting[count].bytes <= free {
                free -= waiting[count].bytes
                count += 1
            }
            defer { waiting.removeFirst(count) }
            return waiting.prefix(count).map(\.continuation)
        }
    }

    private struct Waiting {
        let turn: Turn
        let bytes: Int
        /// In nanoseconds of the monotonic clock.
        let deadline: UInt64
        let continuation: CheckedContinuation<Bool, Never>
    }

    /// Names one wait, so that it can be withdrawn.
    struct Turn: Equatable, Sendable {
        fileprivate let number: UInt64
    }

    private let state: Mutex<State>
    private let bytesMax: Int

    /// A frame up to this size, header included, is not charged.
    static let smallFrameBytes = 64 << 10

    init(bytesMax: Int) {
        precondition(bytesMax > 0, "a budget of \(bytesMax) bytes")
        self.bytesMax = bytesMax
        state = Mutex(State(free: bytesMax))
    }

    /// Bytes that are taken. For tests.
    var takenBytes: Int { state.withLock { bytesMax - $0.free } }

    /// Whether a frame of so many bytes has to wait now.
    func isShort(of byteCount: Int) -> Bool {
        state.withLock { !$0.waiting.isEmpty || $0.free < min(byteCount, bytesMax) }
    }

    /// Bytes that all those lack who wait; 0 where nobody does.
    var missingBytes: Int {
        state.withLock { state in
            state.waiting.isEmpty ? 0 : state.waiting.reduce(0) { $0 + $1.bytes } - state.free
        }
    }

    /// How many wait. For tests.
    var waitingCount: Int { state.withLock { $0.waiting.count } }

    /// The name of a wait to come.
    func nextTurn() -> Turn {
        state.withLock { state in
            state.lastTurn += 1
            return Turn(number: state.lastTurn)
        }
    }

    /// Takes the charge of a frame of `byteCount` bytes, after everybody who asked before has
    /// theirs. Returns what must be given back; nil, and nothing taken, where the wait was
    /// withdrawn, or `expire` found it over its deadline. A frame larger than the budget is charged
    /// all of it.
    func take(
        _ byteCount: Int, in turn: Turn? = nil, until deadline: UInt64 = .max
    ) async -> Int? {
        guard byteCount > Self.smallFrameBytes else { return 0 }
        let charge = min(byteCount, bytesMax)
        let turn = turn ?? nextTurn()
        let isGranted = await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                guard state.waiting.isEmpty, state.free >= charge else {
                    state.waiting.append(
                        Waiting(
                            turn: turn, bytes: charge, deadline: deadline,
                            continuation: continuation))
                    return false
                }
                state.free -= charge
                return true
            }
            if isFree { continuation.resume(returning: true) }
        }
        return isGranted ? charge : nil
    }

    /// Ends a wait, if it has not ended. O(all that wait).
    func withdraw(_ turn: Turn) { end { $0.turn == turn } }

    /// Ends the waits that are over their deadline. O(all that wait).
    func expire(at now: UInt64) { end { $0.deadline <= now } }

    private func end(where isOver: (Waiting) -> Bool) {
        let (ended, granted) = state.withLock { state in
            let ended = state.waiting.filter(isOver).map(\.continuation)
            guard !ended.isEmpty else { return (ended, ended) }
            state.waiting.removeAll(where: isOver)
            // What it needed may have been more than those behind it do.
            return (ended, state.grant())
        }
        for continuation in ended { continuation.resume(returning: false) }
        for continuation in granted { continuation.resume(returning: true) }
    }

    /// Gives a charge back, and what is free then to those who wait longest.
    func give(_ charge: Int) {
        guard charge > 0 else { return }
        let granted = state.withLock { state in
            state.free += charge
            precondition(state.free <= bytesMax, "\(charge) bytes given back twice")
            return state.grant()
        }
        for continuation in granted { continuation.resume(returning: true) }
    }
}
