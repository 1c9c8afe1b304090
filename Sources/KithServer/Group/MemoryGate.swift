internal import KithBytes
internal import Synchronization

/// Whether a node's profiles have room in memory: what its groups say that they hold, against the
/// limit. Groups write after each entry, of events after each 256 KiB, on their loops; whoever
/// takes events asks.
///
/// Events are refused above the limit, and while the reserve that the last growth has spent is not
/// back (`MemoryReserve`). Nothing else is: reads go on, merges are finished, expiry makes room.
final class MemoryGate: Sendable {
    /// In bytes.
    let limit: UInt64
    private let held: Mutex<[UInt64]>
    private let isAbove = Atomic<Bool>(false)

    init(groupCount: Int, limit: UInt64) {
        self.limit = limit
        held = Mutex(Array(repeating: 0, count: groupCount))
    }

    /// Bytes that all groups hold together. O(groups).
    var heldBytes: UInt64 { held.withLock { $0.reduce(0, +) } }

    /// The group at that place holds so many bytes now.
    func note(_ bytes: Int, at place: Int) {
        held.withLock { held in
            held[place] = UInt64(bytes)
            // With the lock, or an older total could win.
            isAbove.store(held.reduce(0, +) > limit, ordering: .relaxed)
        }
    }

    /// Whether events must be refused.
    var isFull: Bool { isAbove.load(ordering: .relaxed) || MemoryReserve.isSpent }
}
