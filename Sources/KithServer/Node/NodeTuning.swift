public import KithCore

/// Bounds of a node's inside that no cluster file says. The defaults are those of every node; a
/// simulation makes them small, so that what is rare happens often.
public struct NodeTuning: Sendable {
    /// Bytes of operations that may wait for the log, for each group; above it `overloaded`.
    public var pendingBytesMax = Group.pendingBytesMax
    /// Bytes of operations that one entry gathers; a larger submission is an entry by itself.
    public var entryBytesGoal = Group.entryBytesGoal
    /// Where leaves are taken to be rooted at first. Right or wrong: a hint is only a place to
    /// begin. A root must be below its leaf.
    public var hints: [(leaf: LeafID, root: LeafID)] = []

    /// The defaults.
    public init() {}
}
