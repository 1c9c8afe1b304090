internal import Glibc

/// One growable block of raw memory: the single owner of raw pointers below the runtime.
///
/// Slabs, arenas and indexes are regions with a layout; this file knows no layout. It keeps three
/// promises, in release builds too: every access lies inside the block, fresh bytes are zero, and
/// the block is freed exactly once. Integers are in the machine's byte order, at any alignment:
/// a region never leaves the process, encodings do. An empty region owns no memory.
@safe
public struct MemoryRegion: ~Copyable, @unchecked Sendable {
    @usableFromInline var base: UnsafeMutableRawPointer
    /// Bytes that may be read and written.
    public private(set) var byteCount: Int

    /// An empty region. Allocates nothing.
    public init() {
        unsafe base = Self.nowhere
        byteCount = 0
    }

    /// A region of `byteCount` zero bytes.
    public init(byteCount: Int) {
        self.init()
        resize(to: byteCount)
    }

    deinit {
        if byteCount > 0 { unsafe free(base) }
    }

    /// Never read or written: stands for the address of an empty region.
    private static var nowhere: UnsafeMutableRawPointer {
        unsafe UnsafeMutableRawPointer(bitPattern: 16).unsafelyUnwrapped
    }

    /// Keeps the first `newCount` bytes; new ones are zero. O(n) at worst; large blocks are moved
    /// by the kernel without a copy. Where the system gives no memory the reserve is spent for it
    /// (`MemoryReserve`); beyond that, out of memory is a trap.
    public mutating func resize(to newCount: Int) {
        if tryResize(to: newCount) { return }
        guard MemoryReserve.spend(), tryResize(to: newCount) else {
            preconditionFailure("out of memory: \(newCount) bytes")
        }
    }

    /// Has room for `needed` bytes: of what `grownSize` says where the system gives so much, else
    /// of little more than is needed.
    public mutating func grow(toHold needed: Int, smallest: Int) {
        let goal = Self.grownSize(from: byteCount, toHold: needed, smallest: smallest)
        if tryResize(to: goal) { return }
        resize(to: min(goal, max(smallest, needed + Self.scarceStep)))
    }

    /// What a region grows by, beyond what is needed, while memory is scarce.
    private static let scarceStep = 64 << 10

    /// False, and nothing has changed, where the system does not give the memory.
    private mutating func tryResize(to newCount: Int) -> Bool {
        precondition(newCount >= 0, "a region of \(newCount) bytes")
        guard newCount != byteCount else { return true }
        guard newCount > 0 else {
            unsafe free(base)
            unsafe base = Self.nowhere
            byteCount = 0
            return true
        }
        let old = unsafe byteCount > 0 ? base : nil
        guard let grown = unsafe realloc(old, newCount) else { return false }
        if newCount > byteCount {
            unsafe memset(grown + byteCount, 0, newCount - byteCount)
        }
        unsafe base = grown
        byteCount = newCount
        return true
    }

    /// The size to grow to when `needed` bytes do not fit: double while small, then by an eighth,
    /// from a megabyte on by a sixteenth, so that a large region is little too big.
    public static func grownSize(from byteCount: Int, toHold needed: Int, smallest: Int) -> Int {
        let step =
            byteCount < 1 << 16 ? byteCount : byteCount < 1 << 20 ? byteCount / 8 : byteCount / 16
        return max(smallest, byteCount + step, needed)
    }

    @inlinable @inline(__always)
    func check(_ offset: Int, _ count: Int) {
        precondition(
            offset >= 0 && count >= 0 && offset <= byteCount &- count,
            "bytes outside of a memory region")
    }

    @inlinable @inline(__always)
    public func load<T: BitwiseCopyable>(_ type: T.Type, at offset: Int) -> T {
        check(offset, MemoryLayout<T>.size)
        return unsafe base.loadUnaligned(fromByteOffset: offset, as: T.self)
    }

    @inlinable @inline(__always)
    public mutating func store<T: BitwiseCopyable>(_ value: T, at offset: Int) {
        check(offset, MemoryLayout<T>.size)
        unsafe base.storeBytes(of: value, toByteOffset: offset, as: T.self)
    }

    @inlinable public func u8(at offset: Int) -> UInt8 { load(UInt8.self, at: offset) }
    @inlinable public func u16(at offset: Int) -> UInt16 { load(UInt16.self, at: offset) }
    @inlinable public func u32(at offset: Int) -> UInt32 { load(UInt32.self, at: offset) }
    @inlinable public func u64(at offset: Int) -> UInt64 { load(UInt64.self, at: offset) }

    /// The bytes at `offset`, borrowed: valid until the region changes.
    @inlinable
    @_lifetime(borrow self)
    public func bytes(at offset: Int, count: Int) -> RawSpan {
        check(offset, count)
        let span = unsafe RawSpan(
            _unsafeStart: UnsafeRawPointer(base + offset), byteCount: count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Copies `span` to `offset`.
    @inlinable
    public mutating func store(bytes span: RawSpan, at offset: Int) {
        check(offset, span.byteCount)
        let target = unsafe base + offset
        unsafe span.withUnsafeBytes { source in
            if let start = source.baseAddress {
                unsafe target.copyMemory(from: start, byteCount: source.count)
            }
        }
    }

    /// Copies `count` bytes inside the region; the two ranges may overlap.
    @inlinable
    public mutating func move(from source: Int, to target: Int, count: Int) {
        check(source, count)
        check(target, count)
        unsafe (base + target).copyMemory(from: base + source, byteCount: count)
    }

    /// Copies `count` bytes out of another region.
    @inlinable
    public mutating func copy(
        from other: borrowing MemoryRegion, at source: Int, to target: Int, count: Int
    ) {
        other.check(source, count)
        check(target, count)
        unsafe (base + target).copyMemory(from: other.base + source, byteCount: count)
    }
}

extension RawSpan {
    /// The UTF-8 bytes of a literal, which live as long as the process.
    @_lifetime(immortal)
    public static func constant(_ text: StaticString) -> RawSpan {
        precondition(text.hasPointerRepresentation, "a literal of one scalar")
        let span = unsafe RawSpan(
            _unsafeStart: UnsafeRawPointer(text.utf8Start), byteCount: text.utf8CodeUnitCount)
        return unsafe _overrideLifetime(span, copying: ())
    }
}
