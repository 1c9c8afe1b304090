/// Integers of any size, as RFC 8949 (3.4.3) writes those beyond 64 bits:
///
///     tag 2 · bytes of n       the integer n, most significant byte first
///     tag 3 · bytes of n       the integer −1 − n
///
/// Identifiers are integers of any length, so what JSON writes must come out digit by digit. Limbs
/// of 64 bits lie least significant first; a step of conversion takes 19 digits, the most that fit
/// a limb.
public enum CBORInteger {
    static let positiveTag: UInt64 = 2
    static let negativeTag: UInt64 = 3
    private static let stepDigits = 19
    private static let step: UInt64 = 10_000_000_000_000_000_000

    /// The decimal text of the item where it is an integer of whatever size; nil where it is
    /// another. O(n²) for n bytes.
    public static func decimal(_ item: RawSpan) -> [UInt8]? {
        var reader = CBORReader(item)
        do throws(ByteError) {
            let head = try reader.head()
            switch head.major {
            case 0: return Array(String(head.argument).utf8)
            case 1: return Array(negativeText([head.argument]).utf8)
            case 6 where head.argument == positiveTag:
                return Array(text(limbs(try reader.byteString())).utf8)
            case 6 where head.argument == negativeTag:
                return Array(negativeText(limbs(try reader.byteString())).utf8)
            default: return nil
            }
        } catch {
            return nil
        }
    }

    /// The decimal text of a tag's content; nil where the tag is none of the two.
    public static func decimal(tag: UInt64, _ content: [UInt8]) -> String? {
        let limbs = unsafe limbs(content.span.bytes)
        switch tag {
        case positiveTag: return text(limbs)
        case negativeTag: return negativeText(limbs)
        default: return nil
        }
    }

    private static func negativeText(_ limbs: [UInt64]) -> String {
        var limbs = limbs
        var carry = true
        for place in limbs.indices where carry {
            (limbs[place], carry) = limbs[place].addingReportingOverflow(1)
        }
        if carry { limbs.append(1) }
        return "-" + text(limbs)
    }

    private static func limbs(_ bytes: RawSpan) -> [UInt64] {
        var limbs = [UInt64](repeating: 0, count: (bytes.byteCount + 7) / 8)
        for place in 0..<bytes.byteCount {
            let fromEnd = bytes.byteCount - 1 - place
            limbs[fromEnd / 8] |= UInt64(bytes[place]) << UInt64(fromEnd % 8 * 8)
        }
        return limbs
    }

    private static func text(_ limbs: [UInt64]) -> String {
        var limbs = limbs
        var parts: [String] = []
        while let top = limbs.last {
            if top == 0 {
                limbs.removeLast()
                continue
            }
            var rest: UInt64 = 0
            for place in limbs.indices.reversed() {
                (limbs[place], rest) = step.dividingFullWidth((rest, limbs[place]))
            }
            parts.append(String(rest))
        }
        guard var text = parts.popLast() else { return "0" }
        for part in parts.reversed() {
            text += String(repeating: "0", count: stepDigits - part.utf8.count) + part
        }
        return text
    }

    /// The number that decimal digits write. O(n²).
    fileprivate static func limbs(digits: RawSpan) -> [UInt64] {
        var limbs: [UInt64] = []
        var offset = 0
        while offset < digits.byteCount {
            let count = min(stepDigits, digits.byteCount - offset)
            var factor: UInt64 = 1
            var carry: UInt64 = 0
            for place in offset..<(offset + count) {
                carry = carry &* 10 &+ UInt64(digits[place] & 0x0f)
                factor = factor &* 10
            }
            for place in limbs.indices {
                let (high, low) = limbs[place].multipliedFullWidth(by: factor)
                let (sum, overflows) = low.addingReportingOverflow(carry)
                limbs[place] = sum
                carry = high &+ (overflows ? 1 : 0)
            }
            if carry > 0 { limbs.append(carry) }
            offset += count
        }
        return limbs
    }
}

extension ByteWriter {
    /// The integer whose decimal digits the span holds, in its shortest form. O(n²) for n digits.
    public mutating func cborInteger(isNegative: Bool, digits: RawSpan) {
        var limbs = CBORInteger.limbs(digits: digits)
        if isNegative, !limbs.isEmpty {
            // −1 − n stands for the number, so n is one less than its magnitude.
            var borrow = true
            for place in limbs.indices where borrow {
                (limbs[place], borrow) = limbs[place].subtractingReportingOverflow(1)
            }
            while limbs.last == 0 { limbs.removeLast() }
            if limbs.count <= 1 { return cborNegative(limbs.first ?? 0) }
        } else if limbs.count <= 1 {
            return cborUnsigned(limbs.first ?? 0)
        }
        let zeros = limbs[limbs.count - 1].leadingZeroBitCount / 8
        cborTag(isNegative ? CBORInteger.negativeTag : CBORInteger.positiveTag)
        cborHead(major: 2, UInt64(limbs.count * 8 - zeros))
        for place in limbs.indices.reversed() {
            let skipped = place == limbs.count - 1 ? zeros : 0
            for byte in skipped..<8 {
                u8(UInt8(truncatingIfNeeded: limbs[place] >> UInt64(56 - 8 * byte)))
            }
        }
    }
}
