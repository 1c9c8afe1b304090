/// What an item is, as its first byte tells.
public enum CBORKind: UInt8, Sendable {
    case unsigned, negative, bytes, text, array, map, tag, bool, null, undefined, simple, float
}

/// The head of an item: its first byte and its argument.
public struct CBORHead: Sendable {
    public let initial: UInt8
    /// The value, length, count, tag number or float bits; 0 for an indefinite length.
    public let argument: UInt64

    @inlinable
    init(initial: UInt8, argument: UInt64) {
        self.initial = initial
        self.argument = argument
    }

    /// The major type, 0 to 7.
    @inlinable public var major: UInt8 { initial &>> 5 }
    @inlinable public var isIndefinite: Bool { initial & 0x1f == 31 }
}

/// How many items of an array, or members of a map, are still to come.
public struct CBORCount: Sendable {
    /// −1 where only a break tells the end.
    @usableFromInline var remaining: Int

    @inlinable
    init(remaining: Int) { self.remaining = remaining }
}

/// A cursor over CBOR (RFC 8949) that somebody else sent: reads in place, allocates nothing.
///
/// An item is a head (major type in 3 bits, argument in 5 bits or in 1, 2, 4 or 8 bytes after)
/// and, for strings and containers, content:
///
///     0 unsigned · 1 negative (−1−n) · 2 bytes · 3 text · 4 array · 5 map · 6 tag · 7 simple, float
///
/// Definite and indefinite lengths and heads of any width are taken. Every item that the cursor
/// passes is checked to be well-formed, and every text to be UTF-8. Containers and tags nest to
/// `depthMax`; the walk recurses one small frame a level, so the bound on depth is the bound on
/// stack. A length or count is compared with the bytes that are left before anything is done
/// with it, so a lie in a head costs nothing.
public struct CBORReader: ~Escapable {
    /// Containers and tags inside one another that are taken; one more is `tooLong`.
    public static let depthMax = 128

    @usableFromInline let bytes: RawSpan
    /// Where the next item starts, counted from the start of the bytes.
    public var offset: Int
    /// Whether a string in chunks (of indefinite length) was passed over. It has no span of its
    /// own, so `text()` and `byteString()` refuse it.
    public var hasChunkedString: Bool

    @inlinable
    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) {
        self.bytes = bytes
        self.offset = 0
        self.hasChunkedString = false
    }

    /// Bytes not read yet.
    @inlinable public var remaining: Int { bytes.byteCount &- offset }
    @inlinable public var isAtEnd: Bool { offset >= bytes.byteCount }

    // MARK: Heads

    @inlinable
    func need(_ count: Int) throws(ByteError) {
        guard remaining >= count else {
            throw .truncated(needed: count, available: remaining)
        }
    }

    /// The first byte of the next item, left unread.
    @inlinable
    func peek() throws(ByteError) -> UInt8 {
        try need(1)
        return unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// What the next item is. A stray break is `malformed`.
    @inlinable
    public func kind() throws(ByteError) -> CBORKind {
        let initial = try peek()
        switch initial &>> 5 {
        case 0: return .unsigned
        case 1: return .negative
        case 2: return .bytes
        case 3: return .text
        case 4: return .array
        case 5: return .map
        case 6: return .tag
        default:
            switch initial & 0x1f {
            case 20, 21: return .bool
            case 22: return .null
            case 23: return .undefined
            case 25, 26, 27: return .float
            case 0...24: return .simple
            default: throw .malformed(offset: offset)
            }
        }
    }

    /// Reads the head of the next item and stops before its content.
    @inlinable @inline(__always)
    public mutating func head() throws(ByteError) -> CBORHead {
        let initial = try peek()
        let info = initial & 0x1f
        guard info >= 24 else {
            offset &+= 1
            return CBORHead(initial: initial, argument: UInt64(info))
        }
        return try wideHead(initial)
    }

    @inlinable
    mutating func wideHead(_ initial: UInt8) throws(ByteError) -> CBORHead {
        let argument: UInt64
        let width: Int
        switch initial & 0x1f {
        case 24:
            width = 1
            try need(2)
            argument = UInt64(bytes[offset &+ 1])
            // Simple values below 32 have a one-byte form, and only that.
            if initial == 0xf8, argument < 32 { throw .malformed(offset: offset) }
        case 25:
            width = 2
            try need(3)
            argument = UInt64(
                UInt16(
                    bigEndian: unsafe bytes.unsafeLoadUnaligned(
                        fromByteOffset: offset &+ 1, as: UInt16.self)))
        case 26:
            width = 4
            try need(5)
            argument = UInt64(
                UInt32(
                    bigEndian: unsafe bytes.unsafeLoadUnaligned(
                        fromByteOffset: offset &+ 1, as: UInt32.self)))
        case 27:
            width = 8
            try need(9)
            argument = UInt64(
                bigEndian: unsafe bytes.unsafeLoadUnaligned(
                    fromByteOffset: offset &+ 1, as: UInt64.self))
        case 31 where initial &>> 5 >= 2 && initial &>> 5 <= 5:
            width = 0
            argument = 0
        default:
            throw .malformed(offset: offset)
        }
        offset &+= 1 &+ width
        return CBORHead(initial: initial, argument: argument)
    }

    // MARK: Skipping

    /// Passes over one item and checks all of it. O(bytes of the item).
    ///
    /// `depth` says how many containers enclose the item already.
    @inlinable
    public mutating func skip(depth: Int = 0) throws(ByteError) {
        let start = offset
        let head = try head()
        switch head.major {
        case 0, 1, 7: return
        case 2:
            if head.isIndefinite { return try skipChunks(major: 2) }
            _ = try content(head)
        case 3:
            if head.isIndefinite { return try skipChunks(major: 3) }
            guard try content(head).isUTF8() else { throw .malformed(offset: start) }
        default:
            try skipContent(of: head, depth: depth)
        }
    }

    /// Passes over one item; its bytes, head and all.
    @inlinable
    @_lifetime(copy self)
    public mutating func item(depth: Int = 0) throws(ByteError) -> RawSpan {
        let start = offset
        try skip(depth: depth)
        return bytes.extracting(start..<offset)
    }

    @usableFromInline
    mutating func skipContent(of head: CBORHead, depth: Int) throws(ByteError) {
        guard depth < Self.depthMax else {
            throw .tooLong(length: depth + 1, limit: Self.depthMax)
        }
        if head.major == 6 { return try skip(depth: depth + 1) }
        let isMap = head.major == 5
        var items = try count(head, bytesPerItem: isMap ? 2 : 1)
        while try next(in: &items) {
            try skip(depth: depth + 1)
            if isMap { try skip(depth: depth + 1) }
        }
    }

    @usableFromInline
    mutating func skipChunks(major: UInt8) throws(ByteError) {
        hasChunkedString = true
        while try peek() != 0xff {
            let start = offset
            let head = try head()
            guard head.major == major, !head.isIndefinite else { throw .malformed(offset: start) }
            let chunk = try content(head)
            if major == 3, !chunk.isUTF8() { throw .malformed(offset: start) }
        }
        offset &+= 1
    }

    // MARK: Containers

    /// Enters a map; `next(in:)` then tells before each member whether there is one.
    @inlinable
    public mutating func map() throws(ByteError) -> CBORCount {
        let start = offset
        let head = try head()
        guard head.major == 5 else { throw .malformed(offset: start) }
        return try count(head, bytesPerItem: 2)
    }

    /// Enters an array; `next(in:)` then tells before each item whether there is one.
    @inlinable
    public mutating func array() throws(ByteError) -> CBORCount {
        let start = offset
        let head = try head()
        guard head.major == 4 else { throw .malformed(offset: start) }
        return try count(head, bytesPerItem: 1)
    }

    /// Whether one more item or member follows; passes over the break of an indefinite length.
    @inlinable
    public mutating func next(in count: inout CBORCount) throws(ByteError) -> Bool {
        if count.remaining > 0 {
            count.remaining &-= 1
            return true
        }
        if count.remaining == 0 { return false }
        if try peek() == 0xff {
            offset &+= 1
            count.remaining = 0
            return false
        }
        return true
    }

    /// The count of a container, refused where so many items cannot be in the bytes left.
    @inlinable
    func count(_ head: CBORHead, bytesPerItem: Int) throws(ByteError) -> CBORCount {
        if head.isIndefinite { return CBORCount(remaining: -1) }
        guard head.argument <= UInt64(remaining / bytesPerItem) else {
            throw .truncated(needed: Int(clamping: head.argument), available: remaining)
        }
        return CBORCount(remaining: Int(truncatingIfNeeded: head.argument))
    }

    // MARK: Values

    @inlinable
    @_lifetime(copy self)
    mutating func content(_ head: CBORHead) throws(ByteError) -> RawSpan {
        guard head.argument <= UInt64(remaining) else {
            throw .truncated(needed: Int(clamping: head.argument), available: remaining)
        }
        let start = offset
        offset &+= Int(truncatingIfNeeded: head.argument)
        return bytes.extracting(start..<offset)
    }

    /// A text in one piece: its UTF-8 bytes. Other items and texts in chunks are `malformed`.
    @inlinable
    @_lifetime(copy self)
    public mutating func text() throws(ByteError) -> RawSpan {
        let start = offset
        let head = try head()
        guard head.major == 3, !head.isIndefinite else {
            if head.major == 3 { hasChunkedString = true }
            throw .malformed(offset: start)
        }
        let text = try content(head)
        guard text.isUTF8() else { throw .malformed(offset: start) }
        return text
    }

    /// A byte string in one piece. Other items and byte strings in chunks are `malformed`.
    @inlinable
    @_lifetime(copy self)
    public mutating func byteString() throws(ByteError) -> RawSpan {
        let start = offset
        let head = try head()
        guard head.major == 2, !head.isIndefinite else {
            if head.major == 2 { hasChunkedString = true }
            throw .malformed(offset: start)
        }
        return try content(head)
    }

    /// An integer that fits 64 bits with sign; other items and integers are `malformed`.
    @inlinable
    public mutating func int64() throws(ByteError) -> Int64 {
        let start = offset
        let head = try head()
        guard head.major <= 1, head.argument <= UInt64(Int64.max) else {
            throw .malformed(offset: start)
        }
        let value = Int64(truncatingIfNeeded: head.argument)
        return head.major == 0 ? value : -1 - value
    }

    /// A float of 16, 32 or 64 bits.
    @inlinable
    public mutating func float() throws(ByteError) -> Double {
        let start = offset
        let head = try head()
        switch head.initial {
        case 0xf9: return Self.half(UInt16(truncatingIfNeeded: head.argument))
        case 0xfa: return Double(Float(bitPattern: UInt32(truncatingIfNeeded: head.argument)))
        case 0xfb: return Double(bitPattern: head.argument)
        default: throw .malformed(offset: start)
        }
    }

    /// `true` or `false`.
    @inlinable
    public mutating func bool() throws(ByteError) -> Bool {
        let initial = try peek()
        guard initial == 0xf4 || initial == 0xf5 else { throw .malformed(offset: offset) }
        offset &+= 1
        return initial == 0xf5
    }

    /// A simple value of any number (20 false, 21 true, 22 null, 23 undefined); not a float.
    @inlinable
    public mutating func simple() throws(ByteError) -> UInt8 {
        let start = offset
        let head = try head()
        guard head.initial >= 0xe0, head.initial <= 0xf8 else { throw .malformed(offset: start) }
        return UInt8(truncatingIfNeeded: head.argument)
    }

    /// A tag's number; the item that it marks is next.
    @inlinable
    public mutating func tag() throws(ByteError) -> UInt64 {
        let start = offset
        let head = try head()
        guard head.major == 6 else { throw .malformed(offset: start) }
        return head.argument
    }

    /// The value of IEEE 754 half-precision bits.
    @inlinable
    static func half(_ bits: UInt16) -> Double {
        let sign: Double = bits & 0x8000 == 0 ? 1 : -1
        let exponent = Int(bits &>> 10 & 0x1f)
        let fraction = Double(bits & 0x3ff)
        switch exponent {
        case 0: return sign * fraction * 0x1p-24
        case 31: return fraction == 0 ? sign * .infinity : .nan
        default:
            let scale = Double(
                sign: .plus, exponent: exponent - 25, significand: 1)
            return sign * (fraction + 1024) * scale
        }
    }
}
