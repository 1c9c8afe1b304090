internal import KithBytes

/// Times as events carry them, read into milliseconds since 1970.
///
/// Text is ISO 8601 in its extended or basic form, in the proleptic Gregorian calendar, blanks
/// around it allowed:
///
///     2024-02-29   20240229               midnight
///     2024-02-29T12:34Z                   also `t` or one blank for T, `z` or ` UTC` for Z
///     2024-02-29T12:34:56.789012+05:30    also `,`; `+0530`, `+05`; any number of digits, cut to ms
///     20240229T123456Z
///     1709210096789                       9 digits or more: milliseconds, as a number says them
///
/// Without an offset it is UTC. 24:00:00 is the end of a day and second 60 the next minute, as the
/// standard has them. Times before 1970 and after 9999 are none, and neither is a number of 0 to
/// 10¹¹: somebody counts in seconds, and every such time would be one of January 1970 to 1973.
public enum Timestamp {
    /// 9999-12-31T23:59:59.999Z.
    public static let max: Int64 = 253_402_300_799_999
    /// Numbers up to here are taken for seconds.
    static let secondsMax: Int64 = 100_000_000_000

    /// What a value says.
    public enum Reading: Equatable, Sendable {
        case time(Int64)
        /// No time: why, and from which byte on, from 1; 0 where that says nothing.
        case wrong(FieldProblem, place: UInt8)

        public var time: Int64? {
            if case .time(let time) = self { time } else { nil }
        }
    }

    /// The time that one CBOR item means. O(n).
    public static func reading(item: RawSpan) -> Reading {
        var reader = CBORReader(item)
        do throws(ByteError) {
            switch try reader.kind() {
            case .text: return reading(try reader.text())
            case .unsigned:
                let number = try reader.head().argument
                return number > UInt64(max)
                    ? .wrong(.after9999, place: 0) : reading(number: Int64(number))
            case .negative: return .wrong(.before1970, place: 0)
            case .float:
                let number = try reader.float()
                if number.isNaN { return .wrong(.isNumber, place: 0) }
                guard number < Double(max) + 1 else { return .wrong(.after9999, place: 0) }
                guard number >= 0 else { return .wrong(.before1970, place: 0) }
                return reading(number: Int64(number))
            case .null, .undefined: return .wrong(.isNull, place: 0)
            default: return .wrong(EventReader.kindProblem(item), place: 0)
            }
        } catch {
            return .wrong(.isOther, place: 0)
        }
    }

    private static func reading(number: Int64) -> Reading {
        number <= secondsMax ? .wrong(.looksLikeSeconds, place: 0) : .time(number)
    }

    /// The time that `text` means. O(n).
    public static func reading(_ text: RawSpan) -> Reading {
        var start = 0
        var end = text.byteCount
        while start < end, text[start] == 0x20 || 0x09...0x0d ~= text[start] { start += 1 }
        while end > start, text[end - 1] == 0x20 || 0x09...0x0d ~= text[end - 1] { end -= 1 }
        let text = text.extracting(start..<end)
        if text.byteCount == 0 { return .wrong(.isEmpty, place: 0) }
        if text.byteCount > 8, let number = number(text) {
            return number > max ? .wrong(.after9999, place: 0) : reading(number: number)
        }
        var parser = TimestampParser(text)
        guard let time = parser.time() else {
            if let number = number(text) { return reading(number: number) }
            return .wrong(.isNoTime, place: UInt8(min(start + parser.offset + 1, 255)))
        }
        if time < 0 { return .wrong(.before1970, place: 0) }
        return time > max ? .wrong(.after9999, place: 0) : .time(time)
    }

    /// The number that digits and nothing else write; the greatest where they are too many.
    private static func number(_ digits: RawSpan) -> Int64? {
        var value: Int64 = 0
        for place in 0..<digits.byteCount {
            guard 0x30...0x39 ~= digits[place] else { return nil }
            let (product, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, carries) = product.addingReportingOverflow(Int64(digits[place] & 0x0f))
            value = overflows || carries ? .max : sum
        }
        return value
    }

    /// The time that `text` means, nil where it is none. O(n).
    public static func parse(_ text: RawSpan) -> Int64? { reading(text).time }

    /// `milliseconds`, nil before 1970 and after 9999.
    public static func inRange(_ milliseconds: Int64) -> Int64? {
        0...max ~= milliseconds ? milliseconds : nil
    }

    /// Days from 1970-01-01 to a day of the proleptic Gregorian calendar.
    ///
    /// Counts years from March, so that the leap day is a year's last.
    static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let monthFromMarch = (month + 9) % 12
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    static func daysInMonth(year: Int64, month: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

/// Reads one time; each step gives nil where the text does not go on as it must, and `offset` is
/// there.
private struct TimestampParser: ~Escapable {
    let text: RawSpan
    var offset = 0

    @_lifetime(copy text)
    init(_ text: RawSpan) { self.text = text }

    mutating func time() -> Int64? {
        guard let year = number(digits: 4) else { return nil }
        let isExtended = take("-")
        guard let month = number(digits: 2, in: 1...12), !isExtended || take("-"),
            let day = number(
                digits: 2, in: 1...Timestamp.daysInMonth(year: year, month: month))
        else { return nil }
        let midnight = Timestamp.days(year: year, month: month, day: day) * 86_400_000
        if offset == text.byteCount { return midnight }
        guard take("T") || take("t") || take(" "), let clock = clock(), let shift = shift(),
            offset == text.byteCount
        else { return nil }
        return midnight + clock - shift
    }

    /// Milliseconds since midnight.
    private mutating func clock() -> Int64? {
        guard let hour = number(digits: 2, in: 0...24) else { return nil }
        let isExtended = take(":")
        guard let minute = number(digits: 2, in: 0...59) else { return nil }
        var milliseconds = (hour * 60 + minute) * 60_000
        if isExtended ? take(":") : isDigit {
            guard let second = number(digits: 2, in: 0...60) else { return nil }
            milliseconds += second * 1000
            if take(".") || take(",") {
                guard let fraction = fraction() else { return nil }
                milliseconds += fraction
            }
        }
        if hour == 24, milliseconds != 86_400_000 { return nil }
        return milliseconds
    }

    /// The first three digits of one or more.
    private mutating func fraction() -> Int64? {
        var milliseconds: Int64 = 0
        var scale: Int64 = 100
        let start = offset
        while let digit = digit() {
            milliseconds += digit * scale
            scale /= 10
        }
        return offset > start ? milliseconds : nil
    }

    /// Milliseconds that the local clock is ahead of UTC.
    private mutating func shift() -> Int64? {
        if offset == text.byteCount || take("Z") || take("z") || takeUTC() { return 0 }
        let sign: Int64
        if take("+") {
            sign = 1
        } else if take("-") {
            sign = -1
        } else {
            return nil
        }
        guard let hours = number(digits: 2, in: 0...23) else { return nil }
        if offset == text.byteCount { return sign * hours * 3_600_000 }
        _ = take(":")
        guard let minutes = number(digits: 2, in: 0...59) else { return nil }
        return sign * (hours * 60 + minutes) * 60_000
    }

    /// So many digits; where the number is out of `range`, it goes wrong at its first digit.
    @inline(__always)
    private mutating func number(
        digits: Int, in range: ClosedRange<Int64> = 0...9_999
    ) -> Int64? {
        let start = offset
        var value: Int64 = 0
        while offset &- start < digits {
            guard offset < text.byteCount else { return nil }
            let digit = text[offset] &- 0x30
            guard digit <= 9 else { return nil }
            value = value &* 10 &+ Int64(digit)
            offset &+= 1
        }
        if range.contains(value) { return value }
        offset = start
        return nil
    }

    private var isDigit: Bool { offset < text.byteCount && 0x30...0x39 ~= text[offset] }

    /// One blank or more, and UTC.
    private mutating func takeUTC() -> Bool {
        let start = offset
        while take(" ") {}
        if offset > start, take("U"), take("T"), take("C") { return true }
        offset = start
        return false
    }

    private mutating func digit() -> Int64? {
        guard offset < text.byteCount, 0x30...0x39 ~= text[offset] else { return nil }
        defer { offset += 1 }
        return Int64(text[offset] - 0x30)
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard offset < text.byteCount, text[offset] == UInt8(ascii: character) else { return false }
        offset += 1
        return true
    }
}
