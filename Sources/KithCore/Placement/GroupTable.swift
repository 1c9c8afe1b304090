public import KithBytes

/// Which group each of the 256 shards belongs to. Fixed at a cluster's creation and written into
/// the data folder; shard to group is round robin, so that groups are of one size.
public struct GroupTable: Equatable, Sendable {
    /// How many groups there are, at least 1 and at most 256.
    public let groupCount: Int

    public init(groupCount: Int) {
        precondition((1...ShardID.count).contains(groupCount), "\(groupCount) groups")
        self.groupCount = groupCount
    }

    @inlinable
    public func group(of shard: ShardID) -> GroupID {
        GroupID(UInt16(Int(shard.rawValue) % groupCount))
    }

    @inlinable
    public func group(of leaf: LeafID) -> GroupID { group(of: leaf.shard) }

    /// The shards of a group, ascending.
    public func shards(of group: GroupID) -> [ShardID] {
        guard Int(group.rawValue) < groupCount else { return [] }
        return stride(from: Int(group.rawValue), to: ShardID.count, by: groupCount).map {
            ShardID(UInt8($0))
        }
    }

    public var groups: [GroupID] { (0..<groupCount).map { GroupID(UInt16($0)) } }
}
