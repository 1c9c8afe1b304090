internal import KithCore
internal import Synchronization

/// Where merged leaves were last seen rooted, so that their next event goes there at once. One for
/// all connections of an event loop.
///
/// A hint is only a place to begin: a root that does not hold the leaf says so and the message
/// starts again at the leaf's home. Direct-mapped; made when the first merged leaf is met, doubled
/// while half of it is in use, up to `entriesMax`. Leaves that are their own roots need no hint and
/// are not kept.
///
/// The lock is never waited for: only connections of one loop come here, and none suspends inside.
final class HintCache: Sendable {
    private let state = Mutex(Entries())

    /// Entries at most, 32 bytes each.
    static let entriesMax = 1 << 18
    private static let entriesMin = 1 << 13

    /// A cache that has learnt those hints; of no use to a node that knows better.
    init(_ hints: [(leaf: LeafID, root: LeafID)] = []) {
        for hint in hints { withEntries { $0.learn(hint.leaf, hint.root) } }
    }

    /// Forgets all: each is learnt again by a way that is one node longer.
    func forget() { state.withLock { $0 = Entries() } }

    /// Runs `body` with the entries.
    func withEntries<Result>(_ body: (inout Entries) -> Result) -> Result {
        state.withLock { body(&$0) }
    }

    /// What the cache holds.
    struct Entries {
        private var entries: [(leaf: LeafID, root: LeafID)] = []
        private var used = 0

        private static var none: (leaf: LeafID, root: LeafID) {
            let none = LeafID(high: .max, low: .max)
            return (none, none)
        }

        private func place(_ leaf: LeafID) -> Int {
            // The low byte is the shard; the bits above it spread best.
            Int(truncatingIfNeeded: leaf.low >> 8) & (entries.count - 1)
        }

        /// Where to begin for `leaf`; nil for its home.
        func root(of leaf: LeafID) -> LeafID? {
            guard !entries.isEmpty else { return nil }
            let entry = entries[place(leaf)]
            return entry.leaf == leaf && entry.root < leaf ? entry.root : nil
        }

        /// Takes in where a leaf was found.
        mutating func learn(_ leaf: LeafID, _ root: LeafID) {
            if root == leaf {
                guard !entries.isEmpty, entries[place(leaf)].leaf == leaf else { return }
                entries[place(leaf)] = (leaf, leaf)
                return
            }
            if used * 2 >= entries.count, entries.count < HintCache.entriesMax { grow() }
            let place = place(leaf)
            if entries[place].leaf == Self.none.leaf { used += 1 }
            entries[place] = (leaf, root)
        }

        private mutating func grow() {
            let old = entries
            let count = max(HintCache.entriesMin, old.count * 2)
            entries = Array(repeating: Self.none, count: count)
            used = 0
            for entry in old where entry.root < entry.leaf {
                entries[place(entry.leaf)] = entry
                used += 1
            }
        }
    }
}
