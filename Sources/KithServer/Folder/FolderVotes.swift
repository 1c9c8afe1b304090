internal import KithBytes
internal import KithWire

/// Who has another folder than was seen: this node, or the other one, as their words say of each
/// other. The one rule for it, before a start and while a node runs.
///
///     this one differs   the other differs
///          no                 no             both are what was seen: they agree
///          no                 yes            the other has a wrong folder, and is not believed
///          yes                no             this one has a wrong folder
///          yes                yes            one of them has: it is this one where more nodes
///                                            contradict it than agree with it
///
/// So one wrong folder does not end those that are right. A node counts once, by what it said last.
struct FolderVotes {
    private var agreeing: Set<NodeID> = []
    private var contradicting: Set<NodeID> = []

    enum Verdict: Equatable {
        case agree
        case otherIsWrong
        case ownIsWrong
        /// Each says so of the other: `isOutvoted` decides.
        case contradict
    }

    /// Counts another node. `own`: how this node's folder is not what the other has seen; `other`:
    /// the reverse.
    mutating func count(
        _ node: NodeID, own: FolderDifference?, other: FolderDifference?
    ) -> Verdict {
        switch (own, other) {
        case (nil, nil):
            contradicting.remove(node)
            agreeing.insert(node)
            return .agree
        case (nil, _): return .otherIsWrong
        case (_, nil): return .ownIsWrong
        case (_, _):
            agreeing.remove(node)
            contradicting.insert(node)
            return .contradict
        }
    }

    /// Whether more nodes contradict this one than agree with it.
    var isOutvoted: Bool { contradicting.count > agreeing.count }
}
