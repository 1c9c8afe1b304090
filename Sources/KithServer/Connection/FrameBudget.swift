// The bytes of large frames that a node holds at a time, over all its connections.
//
//   length field read ──▶ take(bytes) ──▶ the rest is read ──▶ in line, in work ──▶ give(bytes)
//                          │      ▲
//                          └─wait─┘ first come, first served; nothing is read from that socket
//
// A frame is charged whole, before its body is read: charged as it arrives, frames in parts could
// fill the budget with none of them able to become whole. A connection that waits holds whole
// frames only, which are answered whatever it waits for, so there is no circle. A frame that stays
// in parts ends with its deadline (`ConnectionDeadlines`).
//
// Small frames are not charged and never wait: whoever fills the budget cannot keep them out. What
// they take is bounded by the connection. Frames from nodes of the cluster are not charged either:
// they are what frames of clients, here or elsewhere, wait for.

internal import Synchronization

/// The room for large frames. Used from all loops of a node; costs a lock for each large frame.
final class FrameBudget: Sendable {
    private struct State {
        var free: Int
        /// In the order they came.
        var waiting: [(bytes: Int, continuation: CheckedContinuation<Void, Never>)] = []
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

    /// How many wait. For tests.
    var waitingCount: Int { state.withLock { $0.waiting.count } }

    /// Takes the charge of a frame of `byteCount` bytes, after everybody who asked before has
    /// theirs. Returns what must be given back. A frame larger than the budget is charged all of
    /// it.
    func take(_ byteCount: Int) async -> Int {
        guard byteCount > Self.smallFrameBytes else { return 0 }
        let charge = min(byteCount, bytesMax)
        await withCheckedContinuation { continuation in
            let isGranted = state.withLock { state in
                guard state.waiting.isEmpty, state.free >= charge else {
                    state.waiting.append((charge, continuation))
                    return false
                }
                state.free -= charge
                return true
            }
            if isGranted { continuation.resume() }
        }
        return charge
    }

    /// Gives a charge back, and what is free then to those who wait longest.
    func give(_ charge: Int) {
        guard charge > 0 else { return }
        let granted = state.withLock { state in
            state.free += charge
            precondition(state.free <= bytesMax, "\(charge) bytes given back twice")
            var count = 0
            while count < state.waiting.count, state.waiting[count].bytes <= state.free {
                state.free -= state.waiting[count].bytes
                count += 1
            }
            let granted = state.waiting.prefix(count).map(\.continuation)
            state.waiting.removeFirst(count)
            return granted
        }
        for continuation in granted { continuation.resume() }
    }
}
