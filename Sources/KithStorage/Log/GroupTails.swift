internal import KithBytes

/// Where each group's log ends, and the rule that entries keep: the index grows by exactly one, the
/// term never falls, and only a rebase moves the end. Checked before writing and after reading
/// back.
struct GroupTails: Equatable, Sendable {
    /// The last entry of one group.
    struct Tail: Equatable, Sendable {
        let term: Term
        let index: LogIndex
    }

    private var tails: [GroupID: Tail] = [:]

    /// Where the group's log ends; `nil` where it has no entry in the log.
    public subscript(group: GroupID) -> Tail? { tails[group] }

    /// The groups with an entry in the log, ascending.
    public var groups: [GroupID] { tails.keys.sorted() }

    /// Takes the entry as the group's new end, or throws and changes nothing. The first entry of a
    /// group may have any index: what came before it was cut.
    mutating func take(_ entry: LogEntry) throws(OrderFault) {
        if entry.kind != .rebase {
            let last = tails[entry.group]
            let continues =
                if let last {
                    last.index.rawValue < .max && entry.index == last.index.next
                        && last.term <= entry.term
                } else {
                    entry.index > .zero
                }
            guard continues else {
                throw OrderFault(
                    group: entry.group, term: entry.term, index: entry.index,
                    lastTerm: last?.term, lastIndex: last?.index)
            }
        }
        tails[entry.group] = Tail(term: entry.term, index: entry.index)
    }
}
