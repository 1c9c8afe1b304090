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
