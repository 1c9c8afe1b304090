/// What is wrong with bytes that somebody else sent or stored.
public enum ByteError: Error, Equatable, Sendable {
    /// The value needs more bytes than are left.
    case truncated(needed: Int, available: Int)
    /// A length or count is above its named limit; nothing was allocated for it.
    case tooLong(length: Int, limit: Int)
    /// A tag, type or flag that this version does not know, at that offset.
    case unknownTag(UInt8, offset: Int)
    /// Bytes that break the rule of the format that reads them, at that offset.
    case malformed(offset: Int)
}

extension ByteError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated(let needed, let available):
            "it ends too early: \(needed) bytes are needed, \(available) are left"
        case .tooLong(let length, let limit): "\(length) is above the limit of \(limit)"
        case .unknownTag(let tag, let offset): "tag \(tag) at byte \(offset) is not known"
        case .malformed(let offset): "it is malformed at byte \(offset)"
        }
    }
}

/// A cursor over borrowed bytes: the only way that Kith reads what came from outside.
///
/// Integers are little-endian. Every read checks its bounds once and throws; none traps. The
/// reader cannot outlive the bytes it reads (`~Escapable`).
public struct ByteReader: ~Escapable {
    @usableFromInline let bytes: RawSpan
    /// Where the next read starts, counted from the start of the bytes.
    public var offset: Int

    @inlinable
    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) {
        self.bytes = bytes
        self.offset = 0
    }

    /// Bytes not read yet.
    @inlinable public var remaining: Int { bytes.byteCount &- offset }
    @inlinable public var isAtEnd: Bool { offset >= bytes.byteCount }

    @inlinable
    func need(_ count: Int) throws(ByteError) {
        guard count >= 0, remaining >= count else {
            throw .truncated(needed: count, available: remaining)
        }
    }

    @inlinable
    public mutating func u8() throws(ByteError) -> UInt8 {
        try need(1)
        defer { offset &+= 1 }
        return unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    @inlinable
    public mutating func u16() throws(ByteError) -> UInt16 {
        try need(2)
        defer { offset &+= 2 }
        return UInt16(
            littleEndian: unsafe bytes.unsafeLoadUnaligned(
                fromByteOffset: offset, as: UInt16.self))
    }

    @inlinable
    public mutating func u32() throws(ByteError) -> UInt32 {
        try need(4)
        defer { offset &+= 4 }
        return UInt32(
            littleEndian: unsafe bytes.unsafeLoadUnaligned(
                fromByteOffset: offset, as: UInt32.self))
    }

    @inlinable
    public mutating func u64() throws(ByteError) -> UInt64 {
        try need(8)
        defer { offset &+= 8 }
        return UInt64(
            littleEndian: unsafe bytes.unsafeLoadUnaligned(
                fromByteOffset: offset, as: UInt64.self))
    }

    @inlinable
    public mutating func i64() throws(ByteError) -> Int64 {
        Int64(bitPattern: try u64())
    }

    /// The next `count` bytes as a span, without a copy.
    @inlinable
    @_lifetime(copy self)
    public mutating func take(_ count: Int) throws(ByteError) -> RawSpan {
        try need(count)
        let span = bytes.extracting(offset..<(offset &+ count))
        offset &+= count
        return span
    }

    /// A 16-bit length and as many bytes, refused above `limit`.
    @inlinable
    @_lifetime(copy self)
    public mutating func bytes16(limit: Int = Int(UInt16.max)) throws(ByteError) -> RawSpan {
        let count = Int(try u16())
        guard count <= limit else { throw .tooLong(length: count, limit: limit) }
        return try take(count)
    }

    /// A 32-bit length and as many bytes, refused above `limit`.
    @inlinable
    @_lifetime(copy self)
    public mutating func bytes32(limit: Int) throws(ByteError) -> RawSpan {
        let count = Int(try u32())
        guard count <= limit else { throw .tooLong(length: count, limit: limit) }
        return try take(count)
    }

    @inlinable
    public mutating func skip(_ count: Int) throws(ByteError) {
        try need(count)
        offset &+= count
    }
}

extension RawSpan {
    /// A copy on the heap: for bytes that must outlive what they were read from.
    @inlinable
    public func copied() -> [UInt8] {
        unsafe withUnsafeBytes { unsafe [UInt8]($0) }
    }

    /// Byte for byte equality. O(n).
    @inlinable
    public func isEqual(to other: RawSpan) -> Bool {
        let count = byteCount
        guard count == other.byteCount else { return false }
        var offset = 0
        while offset &+ 8 <= count {
            let left = unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let right = unsafe other.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
            if left != right { return false }
            offset &+= 8
        }
        while offset < count {
            if self[offset] != other[offset] { return false }
            offset &+= 1
        }
        return true
    }

    @inlinable
    public subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < byteCount)
        return unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self)
    }

    /// The text, where the bytes are valid UTF-8.
    @inlinable
    public func text() -> String? {
        unsafe withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) }
    }
}
