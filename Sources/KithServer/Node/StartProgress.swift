internal import Synchronization

/// How far a node has come with its log, from 0 to 1,000. Written by the recovery, read by whoever
/// asks the node meanwhile.
final class StartProgress: Sendable {
    private let permille = Atomic<Int>(0)

    /// Never goes back.
    func reach(_ done: Int) {
        permille.max(min(1_000, done), ordering: .relaxed)
    }

    /// Whole percent; 100 only at the end.
    var percent: Int { permille.load(ordering: .relaxed) / 10 }

    /// For people; stands behind "node 2 is starting: ".
    var text: String { "\(percent) % of its log is replayed" }
}
