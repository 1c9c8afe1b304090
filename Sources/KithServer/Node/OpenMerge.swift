internal import KithBytes
public import KithCore

/// A merge that has begun and is not at its end, as the leader of the loser's group sees it. For
/// simulations, which ask right before they let a node die.
public struct OpenMerge: Equatable, Sendable {
    public var loser: LeafID
    /// The leaf sealed into.
    public var into: LeafID
    /// The seal's; `none` before it is logged.
    public var version: OperationIndex
    /// What has been asked of the log, and is not durable yet.
    public var unlogged: Unlogged?

    /// An operation that waits for the log or for its sync.
    public enum Unlogged: Equatable, Sendable { case seal, forward, reopen }
}

/// What the leader of a winner's group knows of an absorb.
public enum AbsorbState: Equatable, Sendable {
    /// Not taken yet.
    case none
    /// It waits for the log or for its sync.
    case unlogged
    case absorbed
    case declined
    /// The record is sealed into that one itself.
    case sealed(into: LeafID)
    /// The record has gone on to that one.
    case moved(to: LeafID)
    /// Nothing is there: the leaf has no facets (any more).
    case empty
}

extension Node {
    /// The merges under way of the groups led here. Only where no actor of the node runs
    /// (`Simulator.inspect`); traps elsewhere. O(records sealed, and operations that wait).
    public nonisolated var openMerges: [OpenMerge] {
        groups.flatMap { group in group.assumeIsolated { $0.openMerges } }
    }

    /// False where `openMerges` is empty for certain. As above, but O(groups).
    public nonisolated var mayHaveOpenMerges: Bool {
        groups.contains { group in group.assumeIsolated { $0.mayHaveOpenMerges } }
    }

    /// What became of an absorb at `winner`; nil where its group is led elsewhere. As above.
    public nonisolated func absorbState(
        of loser: LeafID, version: OperationIndex, at winner: LeafID
    ) -> AbsorbState? {
        guard let group = groups.first(where: { $0.owns(winner) }) else { return nil }
        return group.assumeIsolated { $0.absorbState(of: loser, version: version, at: winner) }
    }
}
