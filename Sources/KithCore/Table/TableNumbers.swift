/// The number of a record's slot in its table; stable until the record is removed.
public struct SlotIndex: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// What a record is; docs/architecture.md has the picture. Absent is no record at all.
public enum RecordState: UInt8, Sendable {
    case root = 0
    case sealed = 1
    case forward = 2
}

/// A trait or event name, interned in one table. Never leaves it: encodings spell names out.
public struct NameID: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
}
