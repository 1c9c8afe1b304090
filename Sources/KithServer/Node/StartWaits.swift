internal import KithBytes
internal import Synchronization

/// Whom a node waits for that asks the others what they have heard of it. Written by the start,
/// read by whoever asks the node meanwhile.
final class StartWaits: Sendable {
    private let nodes = Mutex<[NodeID]>([])

    func wait(for silent: [NodeID]) { nodes.withLock { $0 = silent } }

    /// For people; stands behind "starting: " and "node 2 is starting: ".
    var text: String {
        let silent = nodes.withLock { $0 }
        guard !silent.isEmpty else { return "it asks the other nodes what they have heard of it" }
        let list = silent.map { "node \($0.rawValue)" }.joined(separator: ", ")
        return "it waits for \(list), which must say first what they have heard of it"
    }
}
