import KithBytes

extension JSONTranscoder {
    /// A number as JSON has them.
    enum Number {
        case unsigned(UInt64)
        /// The integer −1 − n.
        case negative(UInt64)
        /// An integer beyond 64 bits: where its digits are.
        case large(isNegative: Bool, digits: Range<Int>)
        case double(Double)

        func append(to writer: inout ByteWriter, _ json: RawSpan) {
            switch self {
            case .unsigned(let value): writer.cborUnsigned(value)
            case .negative(let value): writer.cborNegative(value)
            case .large(let isNegative, let digits):
                writer.cborInteger(isNegative: isNegative, digits: json.extracting(digits))
            case .double(let value): writer.cborDouble(value)
            }
        }
    }

    /// A place in a JSON text, and the tokens that begin there.
    struct Cursor: ~Escapable {
        let json: RawSpan
        var offset = 0

        @_lifetime(copy json)
        init(_ json: RawSpan) { self.json = json }

        var isAtEnd: Bool { offset >= json.byteCount }

        /// The byte at the place; nil at the end.
        var peek: UInt8? {
            guard offset < json.byteCount else { return nil }
            return json.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
        }

        func error(_ problem: JSONError.Problem) -> JSONError {
            JSONError(problem, offset: offset)
        }

        @_lifetime(self: copy self)
        mutating func skipBlanks() {
            while let byte = peek, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
                offset += 1
            }
        }

        @_lifetime(self: copy self)
        mutating func take(_ word: String) throws(JSONError) {
            let start = offset
            for expected in word.utf8 {
                guard let byte = peek else { throw error(.endOfText) }
                guard byte == expected else {
                    throw JSONError(
                        .expected(word.count > 1 ? "a value" : "\"\(word)\""), offset: start)
                }
                offset += 1
            }
        }

        /// Passes over a comma and blanks, or over the end of the container.
        @_lifetime(self: copy self)
        mutating func isFollowed(orEndsWith end: Unicode.Scalar) throws(JSONError) -> Bool {
            skipBlanks()
            guard let byte = peek else { throw error(.endOfText) }
            if byte == UInt8(ascii: end) {
                offset += 1
                return false
            }
            guard byte == UInt8(ascii: ",") else { throw error(.expected("\",\" or \"\(end)\"")) }
            offset += 1
            skipBlanks()
            return true
        }

        // MARK: Text

        /// Stops at a quote, a backslash, a control character or the end; whether all was ASCII.
        @_lifetime(self: copy self)
        mutating func skipPlainText() -> Bool {
            let ones: UInt64 = 0x0101_0101_0101_0101
            let highs: UInt64 = 0x8080_8080_8080_8080
            var bits: UInt64 = 0
            while offset &+ 8 <= json.byteCount {
                let word = UInt64(
                    littleEndian: json.unsafeLoadUnaligned(
                        fromByteOffset: offset, as: UInt64.self))
                // A byte's top bit is set where it is 0; a borrow can only mark bytes behind one.
                let quote = word ^ (ones &* 0x22)
                let backslash = word ^ (ones &* 0x5c)
                let stops =
                    ((quote &- ones) & ~quote | (backslash &- ones) & ~backslash
                        | (word &- ones &* 0x20) & ~word) & highs
                if stops != 0 {
                    let count = stops.trailingZeroBitCount / 8
                    if count > 0 { bits |= word << UInt64(64 - 8 * count) }
                    offset += count
                    return bits & highs == 0
                }
                bits |= word
                offset &+= 8
            }
            while let byte = peek, byte >= 0x20, byte != 0x22, byte != 0x5c {
                bits |= UInt64(byte)
                offset += 1
            }
            return bits & highs == 0
        }

        /// Resolves the escape whose backslash is at the place.
        @_lifetime(self: copy self)
        mutating func escape(to text: inout [UInt8]) throws(JSONError) {
            let start = offset
            offset += 1
            guard let byte = peek else { throw error(.endOfText) }
            offset += 1
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0c)
            case UInt8(ascii: "n"): text.append(0x0a)
            case UInt8(ascii: "r"): text.append(0x0d)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "u"):
                let scalar = try scalar()
                text.append(contentsOf: Character(scalar).utf8)
            default: throw JSONError(.badEscape, offset: start)
            }
        }

        /// The scalar whose digits are at the place; U+FFFD for half a surrogate pair.
        @_lifetime(self: copy self)
        private mutating func scalar() throws(JSONError) -> Unicode.Scalar {
            let first = try hexDigits()
            if let scalar = Unicode.Scalar(first) { return scalar }
            guard first < 0xdc00, peek == UInt8(ascii: "\\"), offset + 1 < json.byteCount,
                json[offset + 1] == UInt8(ascii: "u")
            else { return "\u{fffd}" }
            let escape = offset
            offset += 2
            let second = try hexDigits()
            guard 0xdc00...0xdfff ~= second,
                let scalar = Unicode.Scalar(
                    0x1_0000 + (UInt32(first) - 0xd800) << 10 + (UInt32(second) - 0xdc00))
            else {
                // No other half: what follows speaks for itself.
                offset = escape
                return "\u{fffd}"
            }
            return scalar
        }

        @_lifetime(self: copy self)
        private mutating func hexDigits() throws(JSONError) -> UInt16 {
            var value: UInt16 = 0
            for _ in 0..<4 {
                guard let byte = peek else { throw error(.endOfText) }
                guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                    throw error(.badEscape)
                }
                value = value << 4 | UInt16(digit)
                offset += 1
            }
            return value
        }

        // MARK: Numbers

        /// Reads a number whose first byte is at the place.
        @_lifetime(self: copy self)
        mutating func number() throws(JSONError) -> Number {
            let start = offset
            let isNegative = peek == UInt8(ascii: "-")
            if isNegative { offset += 1 }
            // The digits so far as an integer, as long as that is exact.
            var digits: UInt64 = 0
            var isExact = true
            let integerStart = offset
            try skipDigits(&digits, &isExact)
            let integerEnd = offset
            let hasLeadingZero =
                offset > integerStart + 1 && json[integerStart] == UInt8(ascii: "0")
            guard !hasLeadingZero else { throw JSONError(.badNumber, offset: start) }
            var exponent = 0
            var isInteger = true
            if peek == UInt8(ascii: ".") {
                isInteger = false
                offset += 1
                let fractionStart = offset
                try skipDigits(&digits, &isExact)
                exponent = fractionStart - offset
            }
            if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
                isInteger = false
                exponent += try skipExponent()
            }
            if isInteger, isExact {
                if !isNegative { return .unsigned(digits) }
                return digits == 0 ? .unsigned(0) : .negative(digits - 1)
            }
            if isInteger {
                guard integerEnd - integerStart <= JSONTranscoder.integerDigitsMax else {
                    throw JSONError(.numberTooLarge, offset: start)
                }
                return .large(isNegative: isNegative, digits: integerStart..<integerEnd)
            }
            let value: Double
            if isExact, digits <= 1 << 53, -22...22 ~= exponent {
                // Both numbers are exact as doubles, so one operation rounds once.
                let magnitude =
                    exponent < 0
                    ? Double(digits) / Self.powersOfTen[-exponent]
                    : Double(digits) * Self.powersOfTen[exponent]
                value = isNegative ? -magnitude : magnitude
            } else {
                value = try double(start..<offset)
            }
            return .double(value)
        }

        private static let powersOfTen: [Double] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
            1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
        ]

        private func double(_ place: Range<Int>) throws(JSONError) -> Double {
            let text = json.extracting(place).text() ?? ""
            guard let value = Double(text) else {
                throw JSONError(.badNumber, offset: place.lowerBound)
            }
            guard value.isFinite else {
                throw JSONError(.numberTooLarge, offset: place.lowerBound)
            }
            return Self.isMistakable(value, for: text) ? value.awayFromZero : value
        }

        /// Whether a number reads as an integer that its text does not write. Zero, which is never
        /// an identifier, may stand for what is too small.
        private static func isMistakable(_ value: Double, for text: String) -> Bool {
            guard value != 0, value.magnitude <= 0x1p53, value == value.rounded() else {
                return false
            }
            let parts = text.utf8.split(
                omittingEmptySubsequences: false,
                whereSeparator: { $0 | 0x20 == UInt8(ascii: "e") })
            let mantissa = parts[0].split(
                separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            let integer = mantissa[0].drop { $0 == UInt8(ascii: "-") }
            let exponent = parts.count > 1 ? Int(String(parts[1]) ?? "") ?? 0 : 0
            var digits = Array(integer) + (mantissa.count > 1 ? Array(mantissa[1]) : [])
            let point = integer.count + exponent
            while digits.last == UInt8(ascii: "0") { digits.removeLast() }
            guard point >= digits.count, point <= digits.count + 16 else { return true }
            digits += [UInt8](repeating: UInt8(ascii: "0"), count: point - digits.count)
            return !digits.drop { $0 == UInt8(ascii: "0") }.elementsEqual(
                String(Int64(value.magnitude)).utf8)
        }

        /// Passes over one digit or more.
        @_lifetime(self: copy self)
        private mutating func skipDigits(
            _ digits: inout UInt64, _ isExact: inout Bool
        ) throws(JSONError) {
            let start = offset
            while let byte = peek, 0x30...0x39 ~= byte {
                let (product, overflows) = digits.multipliedReportingOverflow(by: 10)
                let (sum, carries) = product.addingReportingOverflow(UInt64(byte - 0x30))
                if overflows || carries { isExact = false }
                digits = sum
                offset += 1
            }
            guard offset > start else { throw error(.badNumber) }
        }

        /// The exponent behind an `e`, held to a bound that no finite number passes.
        @_lifetime(self: copy self)
        private mutating func skipExponent() throws(JSONError) -> Int {
            offset += 1
            let isNegative = peek == UInt8(ascii: "-")
            if isNegative || peek == UInt8(ascii: "+") { offset += 1 }
            var digits: UInt64 = 0
            var isExact = true
            try skipDigits(&digits, &isExact)
            let magnitude = isExact ? Int(min(digits, 1 << 32)) : 1 << 32
            return isNegative ? -magnitude : magnitude
        }
    }
}

extension Double {
    /// The next number with a greater magnitude.
    fileprivate var awayFromZero: Double { self < 0 ? nextDown : nextUp }
}
