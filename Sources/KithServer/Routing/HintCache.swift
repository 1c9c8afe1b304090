internal import KithCore

/// Where merged leaves were last seen rooted, so that their next event goes there at once.
///
/// A hint is only a place to begin: a root that does not hold the leaf says so and the message
/// starts again at the leaf's home. Direct-mapped, of a fixed size, made when the first merged leaf
/// is met; leaves that are their own roots need no hint and are not kept.
struct HintCache {
    private var entries: [(leaf: LeafID, root: LeafID)] = []

    /// Entries, 32 bytes each.
    static let entriesMax = 8192

    private func place(_ leaf: LeafID) -> Int {
        // The low byte is the shard; the bits above it spread best.
        Int(truncatingIfNeeded: leaf.low >> 8) & (Self.entriesMax - 1)
    }

    func root(of leaf: LeafID) -> LeafID? {
        guard !entries.isEmpty else { return nil }
        let entry = entries[place(leaf)]
        return entry.leaf == leaf && entry.root < leaf ? entry.root : nil
    }

    mutating func learn(_ leaf: LeafID, _ root: LeafID) {
        if root == leaf {
            guard !entries.isEmpty, entries[place(leaf)].leaf == leaf else { return }
            entries[place(leaf)] = (leaf, leaf)
            return
        }
        if entries.isEmpty {
            let none = LeafID(high: .max, low: .max)
            entries = Array(repeating: (none, none), count: Self.entriesMax)
        }
        entries[place(leaf)] = (leaf, root)
    }
}
