/// Appends to one growing buffer; the mirror of `ByteReader`. Integers are little-endian.
///
/// Keep a writer and `removeAll(keepingCapacity:)` it to encode without allocating.
public struct ByteWriter: Sendable {
    public var bytes: [UInt8]

    @inlinable
    public init(capacity: Int = 0) {
        bytes = []
        if capacity > 0 { bytes.reserveCapacity(capacity) }
    }

    @inlinable public var count: Int { bytes.count }

    @inlinable
    public mutating func removeAll(keepingCapacity: Bool = true) {
        bytes.removeAll(keepingCapacity: keepingCapacity)
    }

    @inlinable
    public mutating func u8(_ value: UInt8) { bytes.append(value) }

    @inlinable
    public mutating func u16(_ value: UInt16) { integer(value) }

    @inlinable
    public mutating func u32(_ value: UInt32) { integer(value) }

    @inlinable
    public mutating func u64(_ value: UInt64) { integer(value) }

    @inlinable
    public mutating func i64(_ value: Int64) { integer(UInt64(bitPattern: value)) }

    @inlinable
    mutating func integer<T: FixedWidthInteger>(_ value: T) {
        unsafe withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    @inlinable
    public mutating func raw(_ span: RawSpan) {
        unsafe span.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    }

    @inlinable
    public mutating func raw(_ array: [UInt8]) { bytes.append(contentsOf: array) }

    /// A 16-bit length and the bytes.
    @inlinable
    public mutating func bytes16(_ span: RawSpan) {
        precondition(span.byteCount <= Int(UInt16.max), "\(span.byteCount) bytes in a 16-bit field")
        u16(UInt16(span.byteCount))
        raw(span)
    }

    @inlinable
    public mutating func bytes16(_ array: [UInt8]) {
        precondition(array.count <= Int(UInt16.max), "\(array.count) bytes in a 16-bit field")
        u16(UInt16(array.count))
        raw(array)
    }

    /// A 32-bit length and the bytes.
    @inlinable
    public mutating func bytes32(_ span: RawSpan) {
        precondition(span.byteCount <= Int(UInt32.max))
        u32(UInt32(span.byteCount))
        raw(span)
    }

    @inlinable
    public mutating func bytes32(_ array: [UInt8]) {
        precondition(array.count <= Int(UInt32.max))
        u32(UInt32(array.count))
        raw(array)
    }

    /// A 16-bit length and the text as UTF-8.
    @inlinable
    public mutating func text16(_ text: String) {
        let start = count
        u16(0)
        bytes.append(contentsOf: text.utf8)
        let length = count - start - 2
        precondition(length <= Int(UInt16.max), "\(length) bytes in a 16-bit field")
        patchU16(UInt16(length), at: start)
    }

    @inlinable
    public mutating func patchU16(_ value: UInt16, at offset: Int) {
        precondition(offset >= 0 && offset + 2 <= bytes.count)
        bytes[offset] = UInt8(truncatingIfNeeded: value)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: value >> 8)
    }

    @inlinable
    public mutating func patchU32(_ value: UInt32, at offset: Int) {
        precondition(offset >= 0 && offset + 4 <= bytes.count)
        for index in 0..<4 {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index))
        }
    }

    @inlinable
    public mutating func patchU64(_ value: UInt64, at offset: Int) {
        precondition(offset >= 0 && offset + 8 <= bytes.count)
        for index in 0..<8 {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
        }
    }
}
