internal import KithBytes

/// The names that events are counted under, of all records of one shard.
///
/// A profile has a bound of its own, `FacetLimits.eventNamesMax`, and its names take no room from
/// those of another: numbers have 32 bits, more than memory holds texts for.
enum EventNames {
    /// Counted under their own name by every profile, however many names it has: those of the types
    /// that are counted by their type, and "(other)", which stands for all names without room.
    static let reserved: [StaticString] = [
        "identify", "page", "screen", "group", "alias", "(other)",
    ]
    /// The number of "(other)".
    static let other = UInt32(reserved.count - 1)
    static let reservedCount = reserved.count

    static func table(key: HashKey) -> TextTable { TextTable(key: key, reserved: reserved) }

    /// Whether the name is a reserved one.
    static func isReserved(_ name: RawSpan) -> Bool {
        guard name.byteCount <= 8 else { return false }
        for text in reserved where name.isEqual(to: .constant(text)) { return true }
        return false
    }
}
