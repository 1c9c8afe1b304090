/// Writing CBOR in the deterministic forms of RFC 8949, section 4.2.1, as far as one item goes:
/// heads and floats as short as they can be without loss, lengths always definite. The order of a
/// map's members is the caller's.
extension ByteWriter {
    /// A head: major type (0 to 7) and argument, in the fewest bytes.
    @inlinable
    public mutating func cborHead(major: UInt8, _ argument: UInt64) {
        let type = major &<< 5
        switch argument {
        case 0..<24:
            u8(type | UInt8(truncatingIfNeeded: argument))
        case 24...0xff:
            u8(type | 24)
            u8(UInt8(truncatingIfNeeded: argument))
        case 0x100...0xffff:
            u8(type | 25)
            integer(UInt16(truncatingIfNeeded: argument).byteSwapped)
        case 0x1_0000...0xffff_ffff:
            u8(type | 26)
            integer(UInt32(truncatingIfNeeded: argument).byteSwapped)
        default:
            u8(type | 27)
            integer(argument.byteSwapped)
        }
    }

    /// A non-negative integer.
    @inlinable
    public mutating func cborUnsigned(_ value: UInt64) { cborHead(major: 0, value) }

    /// The integer −1 − `value`.
    @inlinable
    public mutating func cborNegative(_ value: UInt64) { cborHead(major: 1, value) }

    /// An integer of either sign.
    @inlinable
    public mutating func cborInteger(_ value: Int64) {
        // The complement of a negative number is −1 − value.
        cborHead(major: value < 0 ? 1 : 0, UInt64(bitPattern: value < 0 ? ~value : value))
    }

    /// The head of a text of so many UTF-8 bytes, which the caller writes next.
    @inlinable
    public mutating func cborTextHead(byteCount: Int) {
        cborHead(major: 3, UInt64(byteCount))
    }

    /// A text.
    @inlinable
    public mutating func cborText(_ text: String) {
        cborTextHead(byteCount: text.utf8.count)
        bytes.append(contentsOf: text.utf8)
    }

    /// A text whose UTF-8 bytes the span holds.
    @inlinable
    public mutating func cborText(_ utf8: RawSpan) {
        cborTextHead(byteCount: utf8.byteCount)
        raw(utf8)
    }

    /// A byte string.
    @inlinable
    public mutating func cborBytes(_ span: RawSpan) {
        cborHead(major: 2, UInt64(span.byteCount))
        raw(span)
    }

    /// The head of an array; its `count` items are written next.
    @inlinable
    public mutating func cborArray(count: Int) { cborHead(major: 4, UInt64(count)) }

    /// The head of a map; its `count` members, key then value, are written next.
    @inlinable
    public mutating func cborMap(count: Int) { cborHead(major: 5, UInt64(count)) }

    /// A tag; the item that it marks is written next.
    @inlinable
    public mutating func cborTag(_ number: UInt64) { cborHead(major: 6, number) }

    @inlinable
    public mutating func cborBool(_ value: Bool) { u8(value ? 0xf5 : 0xf4) }

    @inlinable
    public mutating func cborNull() { u8(0xf6) }

    /// A simple value: 0 to 23 or 32 to 255; 24 to 31 do not exist.
    @inlinable
    public mutating func cborSimple(_ number: UInt8) {
        precondition(number < 24 || number > 31, "simple value \(number)")
        cborHead(major: 7, UInt64(number))
    }

    /// A float in the shortest of 16, 32 and 64 bits that keeps its value; every NaN alike.
    public mutating func cborDouble(_ value: Double) {
        let single = Float(value)
        if let half = Self.half(value) {
            u8(0xf9)
            integer(half.byteSwapped)
        } else if Double(single) == value {
            u8(0xfa)
            integer(single.bitPattern.byteSwapped)
        } else {
            u8(0xfb)
            integer(value.bitPattern.byteSwapped)
        }
    }

    /// The half-precision bits of `value`, where they keep it.
    static func half(_ value: Double) -> UInt16? {
        if value.isNaN { return 0x7e00 }
        let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
        if value.isZero { return sign }
        if value.isInfinite { return sign | 0x7c00 }
        let magnitude = value.magnitude
        guard magnitude <= 65504, magnitude >= 0x1p-24 else { return nil }
        let exponent = Int(magnitude.exponent)
        // Units of the last place: 2^(e−10), never below 2^−24.
        let place = max(exponent - 10, -24)
        let units = magnitude / Double(sign: .plus, exponent: place, significand: 1)
        let fraction = UInt16(units)  // Below 2,048, by the choice of place.
        guard Double(fraction) == units else { return nil }
        return fraction < 1024
            ? sign | fraction
            : sign | UInt16(exponent + 15) << 10 | (fraction - 1024)
    }
}
