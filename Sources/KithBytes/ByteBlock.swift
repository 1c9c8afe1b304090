/// Up to 40 bytes, laid out first and appended at once: for what is written with each event, where
/// a call for each integer would cost more than the bytes. Integers are little-endian; bytes that
/// nobody stores are zero.
public struct ByteBlock: Sendable {
    /// Bytes of a block at most.
    public static let capacity = 40

    @usableFromInline var words: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)
    @usableFromInline let byteCount: Int

    /// A block of so many zeros.
    @inlinable @inline(__always)
    public init(byteCount: Int) {
        precondition(0...Self.capacity ~= byteCount, "a block of \(byteCount) bytes")
        self.byteCount = byteCount
    }

    /// Stores an integer; it must lie within the block.
    @inlinable @inline(__always)
    public mutating func store<T: FixedWidthInteger & BitwiseCopyable>(
        _ value: T, at offset: Int
    ) {
        precondition(offset >= 0 && offset <= byteCount &- MemoryLayout<T>.size, "out of a block")
        unsafe withUnsafeMutableBytes(of: &words) { bytes in
            unsafe bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
        }
    }
}

extension ByteWriter {
    /// Appends the block.
    @inlinable @inline(__always)
    public mutating func raw(_ block: ByteBlock) {
        unsafe withUnsafeBytes(of: block.words) { words in
            unsafe bytes.append(
                contentsOf: UnsafeRawBufferPointer(rebasing: words[0..<block.byteCount]))
        }
    }
}
