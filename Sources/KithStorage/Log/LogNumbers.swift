/// A segment of a node's log, and the number in its file's name; the first is 1.
public struct SegmentID: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The segment after this one; wraps, so that a forged number cannot trap.
    @inlinable public var next: SegmentID { SegmentID(rawValue &+ 1) }
}

/// The place of a frame in a node's log, over all its segments; the first frame has 1.
public struct LogSequence: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The sequence after this one; wraps, so that a forged number cannot trap.
    @inlinable public var next: LogSequence { LogSequence(rawValue &+ 1) }
}
