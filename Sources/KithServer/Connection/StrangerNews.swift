internal import Synchronization

/// Connections that were refused, for the node's log: counted as they come, told together, so that
/// a crowd of them fills no disk.
final class StrangerNews: Sendable {
    /// Why a connection was refused or closed.
    enum Reason: Int, CaseIterable {
        case full, noKith, otherVersion, otherCluster, otherFile, overdue, slow, noMemory

        var text: String {
            switch self {
            case .full: "beyond the number of connections that are served"
            case .noKith: "did not speak the protocol"
            case .otherVersion: "spoke another version of the protocol"
            case .otherCluster: "meant another cluster"
            case .otherFile: "from a node whose cluster file or folder does not fit"
            case .noMemory: "sent more than there is memory for"
            case .slow: "sent a large frame too slowly while others waited for its room"
            case .overdue: "owed a greeting, the rest of a frame or a read for too long"
            }
        }
    }

    private struct State {
        var counts = [Int](repeating: 0, count: Reason.allCases.count)
        var last = ""
        var toldAt: UInt64?
    }

    private let state = Mutex(State())

    /// Nanoseconds between two lines of the log at least.
    static let pauseNanoseconds: UInt64 = 10_000_000_000

    /// Counts one; `peer` is the address at its other end.
    func note(_ reason: Reason, _ peer: String) {
        state.withLock { state in
            state.counts[reason.rawValue] += 1
            state.last = peer
        }
    }

    /// What was counted since the last line; nil where nothing was, or that line is too new.
    func line(at now: UInt64) -> LogLine? {
        state.withLock { state in
            let total = state.counts.reduce(0, +)
            guard total > 0 else { return nil }
            if let toldAt = state.toldAt, now &- toldAt < Self.pauseNanoseconds { return nil }
            let counts = state.counts
            let parts = Reason.allCases.filter { counts[$0.rawValue] > 0 }.map {
                "\(counts[$0.rawValue]) \($0.text)"
            }
            let last = state.last
            state = State()
            state.toldAt = now
            return .warning(
                "refused \(total) connection\(total == 1 ? "" : "s"), the last from \(last): "
                    + parts.joined(separator: ", "))
        }
    }
}
