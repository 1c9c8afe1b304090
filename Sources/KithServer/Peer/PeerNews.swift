internal import Synchronization

/// Whether another node answers, as this node's log was told last: a line for each change, and none
/// for what stays so. Called by both links to that node, from their loops.
final class PeerNews: Sendable {
    private enum Standing { case unknown, up, starting, down }

    private struct State {
        var standing = Standing.unknown
        /// Links that are open.
        var openCount = 0
        /// What became of its last start, as far as this node had to do with it; nil once it is up.
        var start: String?
    }

    private let name: String
    private let print: @Sendable (LogLine) -> Void
    private let state = Mutex(State())

    init(_ name: String, _ print: @escaping @Sendable (LogLine) -> Void) {
        self.name = name
        self.print = print
    }

    /// A link has exchanged greetings with it.
    func linkOpened() {
        let isNews = state.withLock { state in
            state.openCount += 1
            state.start = nil
            defer { state.standing = .up }
            return state.standing != .up
        }
        if isNews { print(LogLine(.info, "\(name) answers")) }
    }

    /// What became of its last start, for people; nil where it is up, or nothing is known of one.
    var start: String? { state.withLock { $0.start } }

    /// Its start has asked this node what it has heard. Where it does not come up, its own folder
    /// or file was the reason.
    func startAsked() {
        state.withLock { state in
            // A copy of its folder asks beside it, and ends.
            guard state.openCount == 0 else { return }
            state.start = "it was started, and did not come up: its own log says why"
        }
    }

    /// Its greeting was refused.
    func startRefused(_ reason: String) {
        state.withLock { $0.start = "it was refused: \(reason)" }
    }

    /// A link that was open has ended; `isMeant` where this node stops.
    func linkEnded(_ reason: String, isMeant: Bool) {
        let isNews = state.withLock { state in
            state.openCount -= 1
            guard state.openCount == 0, !isMeant else { return false }
            defer { state.standing = .down }
            return state.standing != .down
        }
        if isNews { print(.warning("\(name) does not answer any more: \(reason)")) }
    }

    /// A link could not be opened; `isMeant` where this node stops.
    func linkFailed(_ failure: PeerFailure, isMeant: Bool) {
        var (isStarting, isRefusal) = (false, false)
        if case .starting = failure { isStarting = true }
        if case .refused = failure { isRefusal = true }
        let isNews = state.withLock { [isStarting] state in
            guard state.openCount == 0, !isMeant else { return false }
            let standing = isStarting ? Standing.starting : .down
            defer { state.standing = standing }
            return state.standing != standing
        }
        guard isNews else { return }
        print(
            isStarting
                ? LogLine(.info, "\(name) is starting: \(failure.text)")
                : .warning("\(name) \(isRefusal ? "refuses" : "does not answer"): \(failure.text)"))
    }
}
