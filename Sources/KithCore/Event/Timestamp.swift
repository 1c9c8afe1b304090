internal import KithBytes

/// Times as events carry them, read into milliseconds since 1970.
///
/// Text is ISO 8601 in its extended form, in the proleptic Gregorian calendar:
///
///     2024-02-29                          midnight
///     2024-02-29T12:34Z                   also `t` or one blank for T, `z` for Z
///     2024-02-29T12:34:56.789012+05:30    also `,`; `+0530`, `+05`; any number of digits, cut to ms
///
/// Without an offset it is UTC. 24:00:00 is the end of a day and second 60 the next minute, as the
/// standard has them. Times before 1970 and after 9999 are nil.
public enum Timestamp {
    /// 9999-12-31T23:59:59.999Z.
    public static let max: Int64 = 253_402_300_799_999

    /// The time that `text` means, nil where it is none. O(n).
    public static func parse(_ text: RawSpan) -> Int64? {
        var parser = TimestampParser(text)
        guard let time = parser.time() else { return nil }
        return inRange(time)
    }

    /// `milliseconds`, nil before 1970 and after 9999.
    public static func inRange(_ milliseconds: Int64) -> Int64? {
        0...max ~= milliseconds ? milliseconds : nil
    }

    /// Whole milliseconds of a time with a fraction, cut.
    public static func inRange(_ milliseconds: Double) -> Int64? {
        guard milliseconds >= 0, milliseconds < Double(max) + 1 else { return nil }
        return Int64(milliseconds)
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

/// Reads one time; each step gives nil where the text does not go on as it must.
private struct TimestampParser: ~Escapable {
    let text: RawSpan
    var offset = 0

    @_lifetime(copy text)
    init(_ text: RawSpan) { self.text = text }

    mutating func time() -> Int64? {
        guard let year = number(digits: 4), take("-"),
            let month = number(digits: 2), 1...12 ~= month, take("-"),
            let day = number(digits: 2), day >= 1,
            day <= Timestamp.daysInMonth(year: year, month: month)
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
        guard let hour = number(digits: 2), hour <= 24, take(":"),
            let minute = number(digits: 2), minute <= 59
        else { return nil }
        var milliseconds = (hour * 60 + minute) * 60_000
        if take(":") {
            guard let second = number(digits: 2), second <= 60 else { return nil }
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
        if offset == text.byteCount || take("Z") || take("z") { return 0 }
        let sign: Int64
        if take("+") {
            sign = 1
        } else if take("-") {
            sign = -1
        } else {
            return nil
        }
        guard let hours = number(digits: 2), hours <= 23 else { return nil }
        if offset == text.byteCount { return sign * hours * 3_600_000 }
        _ = take(":")
        guard let minutes = number(digits: 2), minutes <= 59 else { return nil }
        return sign * (hours * 60 + minutes) * 60_000
    }

    private mutating func number(digits: Int) -> Int64? {
        guard offset + digits <= text.byteCount else { return nil }
        var value: Int64 = 0
        for place in offset..<(offset + digits) {
            let digit = text[place] &- 0x30
            guard digit <= 9 else { return nil }
            value = value &* 10 &+ Int64(digit)
        }
        offset += digits
        return value
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
