internal import KithBytes

/// A canonical lower-case UUID text as 16 bytes. Unsigned order of (high, low) is the bytewise
/// order of the texts, since hyphens stand at fixed places and the digits are in ASCII order.
struct PackedUUID: Equatable {
    let high: UInt64
    let low: UInt64

    static let textBytes = 36
    static let packedBytes = 16

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// `nil` unless `text` is exactly what `text` of the result would be.
    init?(_ text: RawSpan) {
        guard text.byteCount == Self.textBytes else { return nil }
        var halves: (UInt64, UInt64) = (0, 0)
        for place in 0..<Self.textBytes {
            let byte = text[place]
            if Self.isHyphen(place) {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            default: return nil
            }
            if place < 18 {
                halves.0 = halves.0 << 4 | UInt64(digit)
            } else {
                halves.1 = halves.1 << 4 | UInt64(digit)
            }
        }
        high = halves.0
        low = halves.1
    }

    private static func isHyphen(_ place: Int) -> Bool {
        place == 8 || place == 13 || place == 18 || place == 23
    }

    var text: [36 of UInt8] {
        var text = [36 of UInt8](repeating: UInt8(ascii: "-"))
        var left = 32
        for place in 0..<Self.textBytes where !Self.isHyphen(place) {
            left -= 1
            let half = left >= 16 ? high : low
            let digit = UInt8(truncatingIfNeeded: half >> UInt64(4 * (left % 16))) & 15
            text[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
        }
        return text
    }
}
