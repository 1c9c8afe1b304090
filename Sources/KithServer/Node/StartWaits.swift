internal import KithBytes
internal import Synchronization

/// Whom a node waits for that asks the others what they have heard of it. Written by the start,
/// read by whoever asks the node meanwhile.
final class StartWaits: Sendable {
    private let nodes = Mutex<[NodeID]>([])
    /// What they are asked for.
    private let what: String

    /// `what` stands behind "it waits for node 2, which must say first ".
    init(_ what: String = "what they have heard of it") { self.what = what }

    func wait(for silent: [NodeID]) { nodes.withLock { $0 = silent } }

    /// For people; stands behind "starting: " and "node 2 is starting: ".
    var text: String {
        let silent = nodes.withLock { $0 }
        guard !silent.isEmpty else { return "it asks the other nodes \(what)" }
        let list = silent.map { "node \($0.rawValue)" }.joined(separator: ", ")
        return "it waits for \(list), which must say first \(what)"
    }
}
