import KithBytes
import KithCore
import Testing

@Suite struct TimestampTests {
    static func parse(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        return Timestamp.parse(bytes.span.bytes)
    }

    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("1970-01-01", 0), ("1970-01-01T00:00:00.001Z", 1),
        ("2000-02-29T00:00:00Z", 951_782_400_000), ("2024-02-29T12:34:56.789Z", 1_709_210_096_789),
        ("2016-09-04T21:15:19.000Z", 1_473_023_719_000), ("2024-03-01", 1_709_251_200_000),
        ("2100-02-28T23:59:59Z", 4_107_542_399_000), ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ("2024-02-29T12:34:56+05:30", 1_709_190_296_000),
        ("2024-02-29T12:34:56+0530", 1_709_190_296_000),
        ("2024-02-29T12:34:56-08", 1_709_238_896_000), ("2024-02-29T12:34Z", 1_709_210_040_000),
        ("2024-02-29t12:34:56z", 1_709_210_096_000), ("2024-02-29 12:34:56", 1_709_210_096_000),
        ("2024-02-29T12:34:56,5Z", 1_709_210_096_500),
        ("2024-02-29T12:34:56.123456789123Z", 1_709_210_096_123),
        ("2024-02-29T12:34:56.9999Z", 1_709_210_096_999),
        ("2024-02-29T12:34:56.05+00:00", 1_709_210_096_050),
        ("2024-02-29T24:00:00Z", 1_709_251_200_000), ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("1969-12-31T23:00:00-01:00", 0), ("1970-01-01T01:00:00+01:00", 0),
        ("2024-02-29T12:34:56-00:00", 1_709_210_096_000), ("20240229", 1_709_164_800_000),
        ("20240229T123456Z", 1_709_210_096_000), ("20240229T1234", 1_709_210_040_000),
        ("20240229T123456.789+0530", 1_709_190_296_789), ("20240229T12:34:56Z", 1_709_210_096_000),
        (" 2024-02-29T12:34:56Z\n", 1_709_210_096_000), ("2024-02-29 ", 1_709_164_800_000),
        ("2024-02-29 12:34:56 UTC", 1_709_210_096_000),
        ("2024-02-29 12:34:56.789 UTC ", 1_709_210_096_789), ("1709210096789", 1_709_210_096_789),
        ("100000000001", 100_000_000_001), ("0001709210096789", 1_709_210_096_789),
    ])
    func `an ISO 8601 time is read`(text: String, milliseconds: Int) {
        #expect(Self.parse(text) == Int64(milliseconds))
    }

    @Test(arguments: [
        "", "now", "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00+00:01", "0000-01-01",
        "9999-12-31T23:59:59-00:01", "10000-01-01", "2023-02-29", "2100-02-29", "1900-02-29",
        "2024-02-30", "2024-04-31", "2024-00-01", "2024-13-01", "2024-01-00", "2024-01-32",
        "2024-1-1", "24-01-01", "20241301", "2024-0101", "2024-01", "2024", "2024-01-01T",
        "2024-01-01T12",
        "2024-01-01T12:", "2024-01-01T12:3", "2024-01-01T25:00:00Z", "2024-01-01T24:00:01Z",
        "2024-01-01T24:00:00.001Z", "2024-01-01T12:60:00Z", "2024-01-01T12:00:61Z",
        "2024-01-01T12:00:00.Z", "2024-01-01T12:00:00+", "2024-01-01T12:00:00+1",
        "2024-01-01T12:00:00+24:00", "2024-01-01T12:00:00+05:60", "2024-01-01T12:00:00+05:3",
        "2024-01-01T12:00:00Zx", "2024-01-01T12:00:00Z UTC", "2024-01-01X12:00:00Z",
        "2024-01-01 UTC", "2024-01-01T12:00:00UTC", "2024-01-01T12:00:00 GMT", "2024-01-01T12:0000",
        "2024/01/01", "1709210096", "253402300800000", "99999999999999999999999", "-2024-01-01",
        "1709210096789.5", "-1709210096789", "20240101T12", "2024-01-01T120",
        "2024-01-01T12:00:00 Z",
        "２０２４-01-01",
    ])
    func `what is no time between 1970 and 9999 is none`(text: String) {
        #expect(Self.parse(text) == nil)
    }

    @Test func `every day of 1970 to 2400 follows the one before`() {
        var expected: Int64 = 0
        for year in 1970...2400 {
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            for (month, length) in lengths.enumerated() {
                for day in 1...length where day == 1 || day == length {
                    func two(_ number: Int) -> String { (number < 10 ? "0" : "") + "\(number)" }
                    let text = "\(year)-\(two(month + 1))-\(two(day))"
                    #expect(
                        Self.parse(text) == expected + Int64(day - 1) * 86_400_000, "\(text)")
                }
                expected += Int64(length) * 86_400_000
            }
        }
    }

    @Test(
        arguments: [
            ("", .isEmpty, 0), ("  ", .isEmpty, 0), ("1709210096", .looksLikeSeconds, 0),
            ("2024", .looksLikeSeconds, 0), ("100000000000", .looksLikeSeconds, 0),
            ("253402300800000", .after9999, 0), ("9999-12-31T23:59:59-00:01", .after9999, 0),
            ("1969-12-31", .before1970, 0), ("soon", .isNoTime, 1), ("2024-13-01", .isNoTime, 6),
            ("  2024-02-30", .isNoTime, 11), ("2026-10-16T16:00:27.029:Z", .isNoTime, 24),
            ("2024-01-01T12:00:00+25:00", .isNoTime, 21),
            ("2024-01-01T12:00:00 GMT", .isNoTime, 20),
            ("2024-01-01T12:00:00Zx", .isNoTime, 21),
        ] as [(String, FieldProblem, Int)])
    func `what is wrong with a text is told with its place`(
        text: String, problem: FieldProblem, place: Int
    ) {
        let bytes = Array(text.utf8)

        #expect(Timestamp.reading(bytes.span.bytes) == .wrong(problem, place: UInt8(place)))
    }

    @Test func `a number counts milliseconds and is none where it looks like seconds`() {
        func reading(_ value: CBORValue) -> Timestamp.Reading {
            let bytes = value.encoded()
            return Timestamp.reading(item: bytes.span.bytes)
        }

        #expect(reading(.integer(Timestamp.max)) == .time(Timestamp.max))
        #expect(reading(.integer(Timestamp.max + 1)) == .wrong(.after9999, place: 0))
        #expect(reading(1_709_210_096_789.9) == .time(1_709_210_096_789))
        #expect(reading(0) == .wrong(.looksLikeSeconds, place: 0))
        #expect(reading(1e11) == .wrong(.looksLikeSeconds, place: 0))
        #expect(reading(-0.5) == .wrong(.before1970, place: 0))
        #expect(reading(.double(.nan)) == .wrong(.isNumber, place: 0))
        #expect(reading(1e300) == .wrong(.after9999, place: 0))
        #expect(reading(.tag(2, .bytes([1]))) == .wrong(.isNumber, place: 0))
    }
}
