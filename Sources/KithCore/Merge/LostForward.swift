// Forwards of a log that was lost, found again.
//
// Where a node has lost its log, other nodes hold profiles with identifiers whose records were in
// it: each of these records was a Forward to the root that holds the facet. The facet knows the
// seal by which it became one, so that the record can be made again as it was, before its group
// answers anybody:
//
//     begin   every other group: note what comes to a root from now on (`ForwardWatch`)
//     scan    every other group: all facets, and pending releases, whose home was lost
//     noted   every other group: what came since
//     restore the lost records, in the log of their own group; then `restored`, and what is sealed
//             still is sealed anew
//
// A facet moves only by an absorb. When all scans are done it is at some record: either that was
// scanned with it, or the absorb that brought it there was noted. So none is missed, though other
// groups go on merging meanwhile. Which of its holders is reported does not matter: each of them is
// the root, or a record that leads there.

public import KithBytes

/// A Forward that was lost with its log, as a record of another group gives it away.
public struct LostForward: Sendable, Hashable {
    /// Whose home record it was.
    public var leaf: LeafID
    /// The seal by which that record became a Forward.
    public var version: OperationIndex
    /// A record that holds the leaf's facet, or dropped it and has yet to tell its home.
    public var holder: LeafID

    public init(leaf: LeafID, version: OperationIndex, holder: LeafID) {
        self.leaf = leaf
        self.version = version
        self.holder = holder
    }
}

/// What came to the roots of a group since a search began. Lives in memory only: a search that
/// finds its watch gone begins again.
struct ForwardWatch: Sendable {
    /// Chosen by who searches.
    let search: UInt64
    /// By group number: whether its log was lost.
    let isLost: [Bool]
    private(set) var noted: [LostForward] = []
    private var isNoted: Set<LostForward> = []
    /// More came than it notes: it is of no use any more.
    private(set) var isFull = false

    /// What one watch notes at most: about 150 bytes each, with the set.
    static let notedMax = 65_536

    init(search: UInt64, lost: [GroupID], _ table: GroupTable) {
        self.search = search
        isLost = Self.isLost(lost, table)
    }

    static func isLost(_ lost: [GroupID], _ table: GroupTable) -> [Bool] {
        var isLost = Array(repeating: false, count: table.groupCount)
        for group in lost where Int(group.rawValue) < isLost.count {
            isLost[Int(group.rawValue)] = true
        }
        return isLost
    }

    mutating func note(_ forwards: [LostForward]) {
        for forward in forwards where !isFull && isNoted.insert(forward).inserted {
            noted.append(forward)
            guard noted.count > Self.notedMax else { continue }
            isFull = true
            (noted, isNoted) = ([], [])
        }
    }
}

extension ShardMachine {
    /// The lost Forwards that the record's facets, and the releases it has yet to make, tell of.
    func appendLostForwards(
        at slot: SlotIndex, _ isLost: [Bool], _ groups: GroupTable,
        to forwards: inout [LostForward]
    ) {
        let holder = table.id(slot)
        table.forEachFacet(slot) { facet, leaf in
            guard leaf != holder, isLost[Int(groups.group(of: leaf).rawValue)] else { return }
            let version = table.sealVersion(facet)
            forwards.append(LostForward(leaf: leaf, version: version, holder: holder))
        }
        guard table.hasLedger(slot) else { return }
        for entry in ledger(slot).releases
        where isLost[Int(groups.group(of: entry.leaf).rawValue)] {
            forwards.append(
                LostForward(leaf: entry.leaf, version: entry.version, holder: holder))
        }
    }

    /// Makes a lost record the Forward again that it was. What stands there is of before: all that
    /// it held went along with its seal. A later seal that is known here stays.
    func restore(_ forward: LostForward) -> Outcome {
        guard Rules.wins(forward.holder, over: forward.leaf) else { return .malformed }
        let version = forward.version
        let held = table.find(forward.leaf)
        if let held {
            switch table.state(held) {
            case .forward where table.version(held) >= version,
                .sealed where table.version(held) > version:
                mark(.restoreKnown)
                return .done
            case .root: countProfile(held, by: -1)
            default: break
            }
            mark(.restoreOverOlder)
            table.removeAllFacets(held)
            table.setLedger(held, [])
        } else {
            mark(.restoreMade)
        }
        let slot = held ?? table.insert(forward.leaf)
        table.setState(slot, .forward)
        table.setParent(slot, forward.holder)
        table.setVersion(slot, version)
        return .done
    }
}

extension GroupMachine {
    /// Watches at a time; for a further one the oldest goes.
    static let watchesMax = 64

    /// From here on what comes to the group's roots is noted for that search.
    public mutating func beginWatch(_ search: UInt64, of lost: [GroupID]) {
        watches.removeAll { $0.search == search }
        if watches.count >= Self.watchesMax { watches.removeFirst() }
        watches.append(ForwardWatch(search: search, lost: lost, table))
    }

    /// What was noted for that search, from the one at `start` on, at most `limit`; true where that
    /// is all, and the watch over. Nil where there is no such watch, or it had to give up.
    public mutating func noted(
        for search: UInt64, from start: Int, limit: Int
    ) -> (forwards: [LostForward], isAll: Bool)? {
        guard let place = watches.firstIndex(where: { $0.search == search }) else { return nil }
        let watch = watches[place]
        guard !watch.isFull else {
            watches.remove(at: place)
            return nil
        }
        let forwards = Array(watch.noted.dropFirst(start).prefix(limit))
        let isAll = start + forwards.count >= watch.noted.count
        if isAll { watches.remove(at: place) }
        return (forwards, isAll)
    }

    /// After an absorb: what its winner tells of.
    mutating func noteForWatches(_ winner: LeafID, _ shards: some ShardAccess) {
        let machine = shards.machine(winner.shard)
        guard let slot = machine.table.find(winner) else { return }
        for place in watches.indices where !watches[place].isFull {
            var forwards: [LostForward] = []
            machine.appendLostForwards(at: slot, watches[place].isLost, table, to: &forwards)
            watches[place].note(forwards)
        }
    }

    /// Lost Forwards that the group's records tell of, from `cursor` on (zero to begin), and where
    /// to go on; nil at the end. Stops once it has looked at `slotsMax` records or found `goal`.
    public func lostForwards(
        of lost: [GroupID], from cursor: UInt64, slotsMax: Int, goal: Int,
        on shards: some ShardAccess
    ) -> (forwards: [LostForward], next: UInt64?) {
        let isLost = ForwardWatch.isLost(lost, table)
        let own = table.shards(of: group)
        var forwards: [LostForward] = []
        var looked = 0
        var place = Int(clamping: cursor >> 32)
        var slot = UInt32(truncatingIfNeeded: cursor)
        while place < own.count {
            let machine = shards.machine(own[place])
            while slot < machine.table.slotsUsed {
                guard looked < slotsMax, forwards.count < goal else {
                    return (forwards, UInt64(place) << 32 | UInt64(slot))
                }
                looked += 1
                if let record = machine.table.record(atSlot: slot) {
                    machine.appendLostForwards(at: record, isLost, table, to: &forwards)
                }
                slot += 1
            }
            place += 1
            slot = 0
        }
        return (forwards, nil)
    }

    /// Whether the group needs it told again: its log does not know of that seal, or not of how it
    /// ended.
    public func isLost(_ forward: LostForward, on shards: some ShardAccess) -> Bool {
        guard let lost, table.group(of: forward.leaf) == group else { return false }
        let isKnown = forward.version.entry <= lost.after || forward.version.entry > lost.upTo
        let machine = shards.machine(forward.leaf.shard)
        guard let slot = machine.table.find(forward.leaf) else { return !isKnown }
        let version = machine.table.version(slot)
        return switch machine.table.state(slot) {
        case .forward: !isKnown && version < forward.version
        case .sealed: !isKnown || version == forward.version
        case .root: !isKnown
        }
    }

    /// What is sealed still when a search is over was absorbed nowhere, or has ended since. It is
    /// sealed anew, so that all seals of before the loss are below the group's settled mark: a late
    /// absorb of the lost log is stale, and none of these is.
    mutating func sealAgain(_ step: inout Step, _ shards: some ShardAccess) {
        for place in sealed.indices {
            let version = step.next()
            mark(.restoreSealedAgain)
            shards.machine(sealed[place].leaf.shard).sealAgain(sealed[place].leaf, at: version)
            sealed[place].version = version
        }
        updateOwnMark()
    }
}

extension ShardMachine {
    fileprivate func sealAgain(_ leaf: LeafID, at version: OperationIndex) {
        guard let slot = table.find(leaf), table.state(slot) == .sealed else { return }
        table.setVersion(slot, version)
        if let facet = table.facet(slot, leaf) { table.setSealVersion(facet, version) }
    }
}

extension LostForward {
    public init(decoding reader: inout ByteReader) throws(ByteError) {
        leaf = try reader.leaf()
        version = OperationIndex(rawValue: try reader.u64())
        holder = try reader.leaf()
    }

    public func encode(into writer: inout ByteWriter) {
        writer.leaf(leaf)
        writer.u64(version.rawValue)
        writer.leaf(holder)
    }

    /// Of its encoding.
    public static let byteCount = 40
}
