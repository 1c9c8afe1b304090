internal import KithBytes

/// How a facet lies in a payload. Offsets from the facet's start; machine byte order, no padding.
///
/// | at | bytes | field |
/// |----|-------|-------|
/// | 0  | 4 | bytes of the whole facet |
/// | 4  | 8 | life: the operation that created it |
/// | 12 | 6 | first seen |
/// | 18 | 6 | last seen |
/// | 24 | 2 | the group of its life |
/// | 26 | 2 | space, by number |
/// | 28 | 2 | namespace, by number |
/// | 30 | 2 | bytes of the value, as stored |
/// | 32 | 2 | counters |
/// | 34 | 2 | trait cells |
/// | 36 | 2 | messages in the window; 4,096 + n: it is full, and its oldest message is at place n |
/// | 38 | 1 | flags (`FacetFlags`) |
/// | 39 | 1 | which of the next parts are there (`FacetParts`) |
/// | 40 | 16 | leaf id, unless it is the record's own |
/// |    | 8  | seal version, unless none |
/// |    | 8  | forget time, where there is one |
/// |    | 2 + 2n | groups that ever held it, sorted, unless only that of its life |
/// |    | 1 + n | the space, then the namespace, each only where its number is `NameTable.other` |
/// |    | n | the value; a canonical UUID as 16 bytes |
/// |    | 8n or 12n | counters, by rising name: u32, and count u32, or u64 where one outgrew 32 bits |
/// |    | … | trait cells (`TraitCell`) |
/// |    | 6 + 12n | window: time of the first message, then hash u64 and milliseconds after it u32 |
///
/// Six-byte times are milliseconds since 1970 in 48 bits, years -2490 to 6429; a time beyond is
/// kept as the end of its side and reads as `Int64.min` or `Int64.max`. The window is last, so that
/// the most frequent change is an append.
enum FacetLayout {
    static let length = 0
    static let life = 4
    static let firstSeen = 12
    static let lastSeen = 18
    static let lifeGroup = 24
    static let space = 26
    static let namespace = 28
    static let valueBytes = 30
    static let counters = 32
    static let traits = 34
    static let window = 36
    static let flags = 38
    static let parts = 39
    static let headerBytes = 40

    static let timeBytes = 6
    static let counterBytes = 8
    static let wideCounterBytes = 12
    static let windowBaseBytes = 6
    static let windowEntryBytes = MemoryRegion.searchedEntryBytes
}

/// Which optional parts a facet has.
struct FacetParts: OptionSet {
    let rawValue: UInt8
    static let leaf = FacetParts(rawValue: 1)
    static let sealVersion = FacetParts(rawValue: 2)
    static let forgetTime = FacetParts(rawValue: 4)
    static let groups = FacetParts(rawValue: 8)
    static let packedValue = FacetParts(rawValue: 16)
    static let wideCounters = FacetParts(rawValue: 32)
}

/// Limits on what a facet holds.
public enum FacetLimits {
    /// Bytes of an identifier's value.
    public static let valueBytesMax = Int(UInt16.max)
    /// Bytes of a space or a namespace.
    static let scopeBytesMax = 255
    /// Bytes of a message id that are kept and compared; what follows them is ignored.
    static let messageIDBytesMax = 255
    /// Bytes of a trait or event name; a longer event name counts under "(other)", a longer trait
    /// is refused.
    public static let nameBytesMax = 4_096
    /// Event names that a profile counts apart, reserved ones (`EventNames`) not among them;
    /// further ones count under "(other)". A merge keeps what both had.
    public static let eventNamesMax = 1_000
    /// Counters of one facet, those of reserved names not among them; further ones under "(other)".
    static let countersMax = 16_384
    /// Bytes of a record's payload from which on no facet gets a further counter: every
    /// facet could have a counter of every name, and come to more than a payload can be.
    static let counterPayloadMax = 16 << 20
    /// Bytes of the answer to a read of one profile, `Profile`'s encoding with all names spelt out.
    /// What would pass it is not written: a link is refused, a trait too, a name counts under
    /// "(other)".
    public static let profileBytesMax = 4 << 20
    /// Groups that ever held one facet: numbers of groups are below it, as there is at most one
    /// group a shard.
    static let groupsMax = ShardID.count
    /// Distinct trait names over all facets of a record.
    static let traitKeysMax = 256
    /// Messages that stay in a window whatever their age.
    static let windowAlways = 64
    /// Messages in a window at most.
    static let windowMax = 4_096
    /// How long a message stays in a window, in milliseconds of log time: a day.
    static let windowMillis: Int64 = 86_400_000
}

/// Times in 48 bits.
enum StoredTime {
    private static let least: Int64 = -(1 << 47)
    private static let greatest: Int64 = 1 << 47 - 1

    /// The time that comes back after storing `time`.
    static func rounded(_ time: Int64) -> Int64 {
        time <= least ? .min : time >= greatest ? .max : time
    }

    /// The 48 bits that stand for `time`.
    static func bits(_ time: Int64) -> UInt64 {
        UInt64(bitPattern: min(max(time, least), greatest)) & 0xFFFF_FFFF_FFFF
    }

    static func time(_ bits: UInt64) -> Int64 {
        rounded(Int64(bitPattern: bits << 16) >> 16)
    }
}

extension MemoryRegion {
    func time(at offset: Int) -> Int64 {
        StoredTime.time(UInt64(u32(at: offset)) | UInt64(u16(at: offset + 4)) << 32)
    }

    mutating func setTime(_ time: Int64, at offset: Int) {
        let bits = StoredTime.bits(time)
        store(UInt32(truncatingIfNeeded: bits), at: offset)
        store(UInt16(truncatingIfNeeded: bits >> 32), at: offset + 4)
    }
}

extension ByteWriter {
    mutating func storedTime(_ time: Int64) {
        let bits = StoredTime.bits(time)
        u32(UInt32(truncatingIfNeeded: bits))
        u16(UInt16(truncatingIfNeeded: bits >> 32))
    }
}

extension RawSpan {
    /// Bytewise order: negative, zero or positive.
    func compare(_ other: RawSpan) -> Int {
        let common = Swift.min(byteCount, other.byteCount)
        for index in 0..<common where self[index] != other[index] {
            return self[index] < other[index] ? -1 : 1
        }
        return byteCount - other.byteCount
    }

    /// Whether a trait's value is a deletion: `null`, or `undefined`, which is taken for it.
    var isDeletion: Bool { byteCount == 1 && (self[0] == 0xf6 || self[0] == 0xf7) }

    /// The text; bytes that are no UTF-8 are replaced, and what then passes 65,535 bytes is cut.
    func repairedText() -> String {
        if let text = text() { return text }
        let repaired = String(decoding: copied(), as: UTF8.self)
        guard repaired.utf8.count > Int(UInt16.max) else { return repaired }
        return String(String.UnicodeScalarView(repaired.unicodeScalars.prefix(Int(UInt16.max) / 4)))
    }
}
