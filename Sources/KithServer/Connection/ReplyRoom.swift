internal import Synchronization

/// Bytes of answers that the clients of a node have asked for and not taken, over all connections:
/// promised, waiting or being written. Beyond `bytesMax` each connection has a small share only, so
/// that ten thousand clients that do not read take no more than that each. Nobody waits here: what
/// a connection waits for is that its own client reads. Used from all loops; no lock.
final class ReplyRoom: Sendable {
    private let held = Atomic<Int>(0)
    private let bytesMax: Int

    init(bytesMax: Int) {
        precondition(bytesMax > 0, "room for \(bytesMax) bytes")
        self.bytesMax = bytesMax
    }

    /// Bytes that are held.
    var heldBytes: Int { held.load(ordering: .relaxed) }

    /// Whether a connection may have no more than its share.
    var isTight: Bool { heldBytes >= bytesMax }

    /// Counts bytes, or with a negative number counts them no more.
    func add(_ byteCount: Int) { held.wrappingAdd(byteCount, ordering: .relaxed) }
}
