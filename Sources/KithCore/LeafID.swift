public import KithBytes

/// How strongly a namespace names a person; the two top bits of a leaf id. Lower is stronger.
public enum IdentifierClass: UInt8, Comparable, Sendable, CaseIterable {
    /// A user account. Two accounts never merge by themselves.
    case account = 0
    /// Email, phone.
    case contact = 1
    /// Known, but weaker: a loyalty card, say.
    case known = 2
    /// A cookie or a device. A profile of only these expires.
    case anonymous = 3

    @inlinable
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// An identifier as a point of the identity graph: 2 class bits and 126 bits of keyed SipHash-2-4
/// with 128-bit output over (space, namespace, normalised value).
///
/// Unsigned order; *the lower id wins* a merge. The order is total and never changes, so pointers
/// between records only fall. The low byte picks the shard.
public struct LeafID: Hashable, Comparable, Sendable {
    public let high: UInt64
    public let low: UInt64

    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    @inlinable
    public init(class identifierClass: IdentifierClass, hash: (high: UInt64, low: UInt64)) {
        high = UInt64(identifierClass.rawValue) << 62 | hash.high & (UInt64.max >> 2)
        low = hash.low
    }

    @inlinable
    public var identifierClass: IdentifierClass {
        switch high >> 62 {
        case 0: .account
        case 1: .contact
        case 2: .known
        default: .anonymous
        }
    }

    @inlinable public var shard: ShardID { ShardID(UInt8(truncatingIfNeeded: low)) }

    @inlinable
    public static func < (a: Self, b: Self) -> Bool {
        a.high != b.high ? a.high < b.high : a.low < b.low
    }

    /// 32 hex digits, high half first: the `profileId` that people see.
    public var hex: String {
        func digits(_ value: UInt64) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return digits(high) + digits(low)
    }
}

/// The place of one operation in a group's log: the entry's index and the operation's ordinal
/// within the entry. Orders everything that a group ever did; names lives and seal versions.
public struct OperationIndex: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Bits of the ordinal: an entry holds at most 2^20 operations.
    public static let ordinalBits: UInt64 = 20

    @inlinable
    public init(entry: LogIndex, ordinal: UInt32) {
        precondition(UInt64(ordinal) < 1 << Self.ordinalBits, "operation \(ordinal) of an entry")
        rawValue = entry.rawValue << Self.ordinalBits | UInt64(ordinal)
    }

    @inlinable public var entry: LogIndex { LogIndex(rawValue >> Self.ordinalBits) }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// Below every operation: "none".
    @inlinable public static var none: OperationIndex { OperationIndex(rawValue: 0) }
}

extension [LeafID] {
    /// Whether the leaf is among these, which ascend. O(log n).
    func containsSorted(_ leaf: LeafID) -> Bool {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < leaf { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low] == leaf
    }
}
