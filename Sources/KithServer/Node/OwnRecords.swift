internal import KithBytes
internal import KithConsensus
internal import KithCore

/// What a node's logs hold, as far as a simulation must know to lose it: counters, roots as
/// digests, Forwards.
public struct OwnRecords: Sendable {
    /// One a group, without those of profiles, which move with them.
    private var counters: [GroupID: Statistics] = [:]
    private var roots: [LeafID: UInt64] = [:]
    private var forwards: Set<LeafID> = []
    /// A merge is under way, or something on its way to a log.
    private var isBusy = false

    /// Of a folder that no node was ever started on.
    public init() {}

    /// Whether other nodes know all that has come to these logs since: records that have gone to
    /// roots of theirs.
    public func addsNothing(to earlier: OwnRecords) -> Bool {
        !isBusy
            && counters.allSatisfy { $1 == earlier.counters[$0] ?? Statistics() }
            && roots.allSatisfy { earlier.roots[$0] == $1 }
            && earlier.roots.keys.allSatisfy { roots[$0] != nil || forwards.contains($0) }
    }

    /// Whether records have become Forwards since.
    public func hasNewForwards(since earlier: OwnRecords) -> Bool {
        !forwards.isSubset(of: earlier.forwards)
    }

    mutating func add(_ group: isolated Group) {
        var sum = Statistics()
        for shard in group.machine.table.shards(of: group.id) {
            let machine = group.shards.machine(shard)
            sum.add(machine.statistics)
            machine.inspect { leaf, state, digest in
                switch state {
                case .root: roots[leaf] = digest
                case .forward: forwards.insert(leaf)
                case .sealed: isBusy = true
                }
            }
        }
        (sum.members, sum.anonymous, sum.identifiers) = (0, 0, [])
        counters[group.id] = sum
        isBusy =
            isBusy || group.consensus.last != group.machine.applied
            || !group.unloggedOperations.allSatisfy(\.isEmpty)
    }
}
