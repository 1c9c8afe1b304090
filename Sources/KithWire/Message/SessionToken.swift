public import KithBytes

/// How far a session has seen each group's log: what makes a session's later reads, at any node,
/// include what it was told before.
///
/// Encoded as a 16-bit count and, for each group in ascending order, group u16 and index u64.
public struct SessionToken: Hashable, Sendable {
    /// One group's part.
    public struct Entry: Hashable, Sendable {
        /// Which log.
        public var group: GroupID
        /// The highest index seen of it.
        public var index: LogIndex

        /// A group's part.
        public init(group: GroupID, index: LogIndex) {
            self.group = group
            self.index = index
        }
    }

    /// At most one a group, by ascending group.
    public private(set) var entries: [Entry] = []

    /// The token of a session that has seen nothing.
    public init() {}

    /// A token of these entries in any order; of two for one group the higher index counts.
    public init(_ entries: some Sequence<Entry>) {
        for entry in entries { raise(entry.group, to: entry.index) }
    }

    /// The index seen of `group`; `nil` where nothing was seen.
    public func index(of group: GroupID) -> LogIndex? {
        entries.first { $0.group == group }?.index
    }

    /// Records that `group` was seen up to `index`; a lower index than before changes nothing.
    /// O(groups). At most `WireLimits.tokenGroupsMax` groups, which bounds the cluster as well.
    public mutating func raise(_ group: GroupID, to index: LogIndex) {
        let place = entries.firstIndex { $0.group >= group } ?? entries.count
        if place < entries.count, entries[place].group == group {
            entries[place].index = max(entries[place].index, index)
        } else {
            precondition(
                entries.count < WireLimits.tokenGroupsMax, "a token of \(entries.count) groups")
            entries.insert(Entry(group: group, index: index), at: place)
        }
    }

    /// Records everything that `other` has seen.
    public mutating func merge(_ other: SessionToken) {
        for entry in other.entries { raise(entry.group, to: entry.index) }
    }

    static let entryByteCount = 10

    init(reading reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        let count = Int(try reader.u16())
        guard count <= WireLimits.tokenGroupsMax else {
            throw .tooLong(length: count, limit: WireLimits.tokenGroupsMax)
        }
        guard reader.remaining >= count * Self.entryByteCount else {
            throw .truncated(needed: count * Self.entryByteCount, available: reader.remaining)
        }
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let entry = Entry(
                group: GroupID(try reader.u16()), index: LogIndex(try reader.u64()))
            if let last = entries.last, last.group >= entry.group {
                throw .malformed(offset: start)
            }
            entries.append(entry)
        }
    }

    func encode(into writer: inout ByteWriter) {
        writer.u16(UInt16(entries.count))
        for entry in entries {
            writer.u16(entry.group.rawValue)
            writer.u64(entry.index.rawValue)
        }
    }
}
