internal import KithBytes

/// Names interned as 16-bit numbers: trait names, and the names of spaces and namespaces.
///
/// A table that is full takes no new name; then the name is spelt out where it is used. So no
/// record's names can take room from another's. Two replicas at one log index agree on when it is
/// full, whatever each of them has seen or restored before.
struct NameTable: ~Copyable, Sendable {
    /// Names at most; with `other` 65,535.
    static let namesMax = 65_534
    /// In place of a number: the name is spelt out. Never counted, never given back.
    static let other: UInt16 = .max
    /// Longer texts are never interned.
    static let nameBytesMax = 4_096

    private var texts: TextTable

    init(key: HashKey, limit: Int = NameTable.namesMax) {
        texts = TextTable(key: key, limit: limit)
    }

    /// Names in use.
    var count: Int { texts.count }
    /// Numbers ever used.
    var entryCount: Int { texts.entryCount }
    var memoryBytes: Int { texts.memoryBytes }

    /// The text of a name in use.
    @_lifetime(borrow self)
    func text(_ id: UInt16) -> RawSpan { texts.text(UInt32(id)) }

    func find(_ text: RawSpan) -> UInt16? {
        texts.find(text).map { UInt16(truncatingIfNeeded: $0) }
    }

    /// The number of `text` with one more use; `nil` when the table is full or the text too long.
    mutating func retain(_ text: RawSpan) -> UInt16? {
        guard text.byteCount <= Self.nameBytesMax else { return nil }
        return texts.retain(text).map { UInt16(truncatingIfNeeded: $0) }
    }

    /// One more use of a name.
    mutating func retain(_ id: UInt16) {
        if id != Self.other { texts.retain(UInt32(id)) }
    }

    /// One use less; the last one takes the name out.
    mutating func release(_ id: UInt16) {
        if id != Self.other { texts.release(UInt32(id)) }
    }

    /// Traps unless every name in use is found again and counted as by the caller.
    func checkInvariants(counted: [UInt32]) { texts.checkInvariants(counted: counted) }
}
