// Numbers, times and columns as people read them. Nothing depends on a locale.

import KithCore

/// Small pieces of text.
package enum Words {
    /// A whole number with commas between thousands.
    package static func grouped(_ number: some BinaryInteger) -> String {
        let digits = String(number.magnitude)
        var text = ""
        for (place, digit) in digits.enumerated() {
            if place > 0, (digits.count - place) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return number < 0 ? "-" + text : text
    }

    /// A duration: milliseconds below a second, then tenths, then minutes.
    package static func seconds(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e9 else { return "?" }
        if seconds < 1 { return "\(Int((seconds * 1000).rounded())) ms" }
        if seconds < 60 { return "\((seconds * 10).rounded() / 10) s" }
        let whole = Int(seconds.rounded())
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3600) h \(whole % 3600 / 60) min"
    }

    /// A number of bytes.
    package static func bytes(_ count: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(count)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(count) B" : "\((value * 10).rounded() / 10) \(units[unit])"
    }

    /// A time as ISO 8601 in UTC, with milliseconds where there are any, or always.
    package static func time(_ milliseconds: Int64, withMillis: Bool = false) -> String {
        let days = Int64((Double(milliseconds) / 86_400_000).rounded(.down))
        let (year, month, day) = civil(days)
        let rest = milliseconds - days * 86_400_000
        let clock = [rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60]
            .map { digits($0, 2) }.joined(separator: ":")
        let fraction = rest % 1000 == 0 && !withMillis ? "" : "." + digits(rest % 1000, 3)
        return "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))T\(clock)\(fraction)Z"
    }

    private static func digits(_ number: Int64, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }

    /// The day of the proleptic Gregorian calendar that is so many days after 1970-01-01. Counts
    /// years from March, so that the leap day is a year's last.
    private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    /// A time as it lies from `now`: `3 days ago`, `in 2 hours`, `now`. Days up to 99, so that a
    /// retention of 90 is seen to be that.
    package static func relative(_ milliseconds: Int64, now: Int64) -> String {
        let seconds = (milliseconds - now) / 1000
        let magnitude = seconds.magnitude
        let units: [(name: String, seconds: UInt64)] = [
            ("year", 31_557_600), ("month", 2_629_800), ("day", 86_400), ("hour", 3_600),
            ("minute", 60), ("second", 1),
        ]
        guard
            let unit = units.first(where: {
                magnitude >= $0.seconds && ($0.name != "month" || magnitude >= 100 * 86_400)
            })
        else { return "now" }
        let count = magnitude / unit.seconds
        let amount = "\(count) \(unit.name)\(count == 1 ? "" : "s")"
        return seconds < 0 ? "\(amount) ago" : "in \(amount)"
    }

    /// `text` with blanks up to `width`, behind it or, for numbers, before it.
    package static func padded(_ text: String, to width: Int, isRight: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, width - text.count))
        return isRight ? blanks + text : text + blanks
    }

    /// `text` without what a terminal would act on: values come from outside.
    package static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if isControl(scalar) {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate:
            // The joiners of emoji and of several scripts change nothing but shapes.
            scalar != "\u{200d}" && scalar != "\u{200c}"
        default: false
        }
    }
}
