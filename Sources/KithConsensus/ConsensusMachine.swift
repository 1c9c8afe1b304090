public import KithBytes

/// The consensus of one group as a pure machine: inputs in, effects out. It decides which entries
/// are committed and nothing about what they mean.
///
/// This far a group has one voter, the node itself: it leads from its first term on, and what its
/// own disk holds is committed. The shape is that of Raft (Ongaro and Ousterhout 2014): a leader
/// of a term appends entries of that term, the first being its own (Raft's no-op), and applies an
/// entry only after a quorum has it on disk and an entry of its own term is among them.
public struct ConsensusMachine: Sendable, Equatable {
    /// The term that this leader writes into every entry.
    public private(set) var term: Term
    /// The last entry proposed.
    public private(set) var last: LogIndex
    /// The last entry that a quorum has on disk. Never falls.
    private(set) var committed: LogIndex

    /// Where a group's log ended at the start of this process.
    public init(lastTerm: Term, lastIndex: LogIndex) {
        term = Term(lastTerm.rawValue + 1)
        last = lastIndex
        committed = lastIndex
    }

    /// The log goes on behind `index`, which is durable; nothing was proposed yet.
    public mutating func skip(to index: LogIndex) {
        precondition(
            last == committed && index > last, "from \(last.rawValue) to \(index.rawValue)")
        last = index
        committed = index
    }

    /// Gives the next entry its place. It must reach the log before any later one.
    public mutating func propose() -> (term: Term, index: LogIndex) {
        last = last.next
        return (term, last)
    }

    /// The log refused the entries after `index` and stored nothing of them: their places are free.
    public mutating func withdraw(after index: LogIndex) {
        precondition(index >= committed, "entry \(index.rawValue) is committed")
        last = index
    }

    /// The node's own disk has everything up to `index`: with one voter, a quorum.
    public mutating func becameDurable(through index: LogIndex) {
        precondition(index <= last, "entry \(index.rawValue) was never proposed")
        committed = max(committed, index)
    }
}
