/// SipHash-2-4 (Aumasson and Bernstein, 2012): the keyed hash that places identifiers and
/// recognises messages.
///
/// Keyed, so that nobody who does not hold the cluster's key can aim values at one shard or make
/// two identifiers meet. The same in every process and for ever, unlike Swift's `Hasher`.
///
/// Input is fed in pieces; the pieces' borders make no difference to the result, so framing is
/// the caller's task. Output words are read little-endian from the reference's output bytes.

/// The cluster's 16-byte hash key, fixed at creation.
public struct HashKey: Hashable, Sendable {
    @usableFromInline let k0: UInt64
    @usableFromInline let k1: UInt64

    /// Length of a key in bytes.
    public static let byteCount = 16

    /// Bytes 0–7 and 8–15 of the key, each read little-endian.
    @inlinable
    public init(k0: UInt64, k1: UInt64) {
        self.k0 = k0
        self.k1 = k1
    }

    /// The key's 16 bytes.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.u64(k0)
        writer.u64(k1)
        return writer.bytes
    }

    /// A key from exactly 32 hex digits, either case; nil otherwise.
    public init?(hex: String) {
        var words: (UInt64, UInt64) = (0, 0)
        var digits = 0
        for byte in hex.utf8 {
            let digit: UInt64
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = UInt64(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                digit = UInt64(byte - UInt8(ascii: "a")) + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"):
                digit = UInt64(byte - UInt8(ascii: "A")) + 10
            default: return nil
            }
            guard digits < 2 * Self.byteCount else { return nil }
            // The first digit of a pair is the high half of its byte; bytes fill a word upwards.
            let place = UInt64(digits % 16)
            let shift = (place / 2) * 8 + (place % 2 == 0 ? 4 : 0)
            if digits < 16 { words.0 |= digit << shift } else { words.1 |= digit << shift }
            digits += 1
        }
        guard digits == 2 * Self.byteCount else { return nil }
        self.init(k0: words.0, k1: words.1)
    }

    /// 32 lower-case hex digits.
    public var hex: String {
        var text = ""
        for word in [k0, k1] {
            for place in 0..<8 {
                let byte = UInt8(truncatingIfNeeded: word >> UInt64(8 * place))
                text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text
    }
}

/// The four state words and the bytes that do not fill a word yet.
@usableFromInline
struct SipState: Sendable {
    @usableFromInline var v0: UInt64
    @usableFromInline var v1: UInt64
    @usableFromInline var v2: UInt64
    @usableFromInline var v3: UInt64
    /// The pending low bytes; the others are zero.
    @usableFromInline var tail: UInt64 = 0
    @usableFromInline var tailCount = 0
    /// All bytes fed; only its low byte enters the hash.
    @usableFromInline var byteCount = 0

    @inlinable
    init(_ key: HashKey) {
        v0 = key.k0 ^ 0x736f_6d65_7073_6575
        v1 = key.k1 ^ 0x646f_7261_6e64_6f6d
        v2 = key.k0 ^ 0x6c79_6765_6e65_7261
        v3 = key.k1 ^ 0x7465_6462_7974_6573
    }

    @inlinable @inline(__always)
    mutating func round() {
        v0 = v0 &+ v1
        v1 = (v1 &<< 13 | v1 &>> 51) ^ v0
        v0 = v0 &<< 32 | v0 &>> 32
        v2 = v2 &+ v3
        v3 = (v3 &<< 16 | v3 &>> 48) ^ v2
        v0 = v0 &+ v3
        v3 = (v3 &<< 21 | v3 &>> 43) ^ v0
        v2 = v2 &+ v1
        v1 = (v1 &<< 17 | v1 &>> 47) ^ v2
        v2 = v2 &<< 32 | v2 &>> 32
    }

    @inlinable @inline(__always)
    mutating func compress(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    /// Feeds the `count` (1 to 8) low bytes of `word`; its other bytes must be zero.
    @inlinable @inline(__always)
    mutating func feed(_ word: UInt64, count: Int) {
        let shift = UInt64(truncatingIfNeeded: tailCount &* 8)
        tail |= word &<< shift
        tailCount &+= count
        byteCount &+= count
        guard tailCount >= 8 else { return }
        compress(tail)
        tail = shift == 0 ? 0 : word &>> (64 &- shift)
        tailCount &-= 8
    }

    @inlinable
    mutating func feed(_ span: RawSpan) {
        var offset = 0
        let count = span.byteCount
        while offset &+ 8 <= count {
            let word = unsafe span.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
            feed(UInt64(littleEndian: word), count: 8)
            offset &+= 8
        }
        if offset &+ 4 <= count {
            let word = unsafe span.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self)
            feed(UInt64(UInt32(littleEndian: word)), count: 4)
            offset &+= 4
        }
        while offset < count {
            feed(UInt64(span[offset]), count: 1)
            offset &+= 1
        }
    }

    @inlinable
    mutating func finish(_ marker: UInt64) -> UInt64 {
        compress(tail | UInt64(truncatingIfNeeded: byteCount) &<< 56)
        v2 ^= marker
        round()
        round()
        round()
        round()
        return v0 ^ v1 ^ v2 ^ v3
    }
}

/// SipHash-2-4 with 128 bits of output, fed in pieces. A copy taken midway hashes a common prefix
/// only once.
public struct SipHash128: Sendable {
    @usableFromInline var state: SipState

    @inlinable
    public init(_ key: HashKey) {
        state = SipState(key)
        state.v1 ^= 0xee
    }

    /// Feeds the bytes of `span`. O(n).
    @inlinable
    public mutating func update(_ span: RawSpan) { state.feed(span) }

    /// Feeds one byte.
    @inlinable
    public mutating func update(_ byte: UInt8) { state.feed(UInt64(byte), count: 1) }

    /// Feeds two bytes, little-endian.
    @inlinable
    public mutating func update(_ value: UInt16) { state.feed(UInt64(value), count: 2) }

    /// The hash: bytes 0–7 of the reference's output as `high`, bytes 8–15 as `low`.
    @inlinable
    public consuming func finish() -> (high: UInt64, low: UInt64) {
        let first = state.finish(0xee)
        state.v1 ^= 0xdd
        state.round()
        state.round()
        state.round()
        state.round()
        return (first, state.v0 ^ state.v1 ^ state.v2 ^ state.v3)
    }

    /// The hash of one piece.
    @inlinable
    public static func hash(_ span: RawSpan, key: HashKey) -> (high: UInt64, low: UInt64) {
        var hasher = SipHash128(key)
        hasher.update(span)
        return hasher.finish()
    }
}

/// SipHash-2-4 with 64 bits of output: what a message id is remembered by.
public enum SipHash64 {
    /// The hash of `span`. O(n).
    @inlinable
    public static func hash(_ span: RawSpan, key: HashKey) -> UInt64 {
        var state = SipState(key)
        state.feed(span)
        return state.finish(0xff)
    }
}
