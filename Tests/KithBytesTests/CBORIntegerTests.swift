import KithBytes
import Testing

@Suite struct CBORIntegerTests {
    static let numbers: [(digits: String, item: CBORValue)] = [
        ("0", 0), ("23", 23), ("-1", -1), ("18446744073709551615", .unsigned(.max)),
        ("-18446744073709551616", .negative(.max)),
        ("18446744073709551616", .tag(2, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0]))),
        ("-18446744073709551617", .tag(3, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0]))),
        (
            "340282366920938463463374607431768211456",
            .tag(2, .bytes([1] + [UInt8](repeating: 0, count: 16)))
        ),
        (
            "340282366920938463463374607431768211455",
            .tag(2, .bytes([UInt8](repeating: 0xff, count: 16)))
        ),
        (
            "-340282366920938463463374607431768211456",
            .tag(3, .bytes([UInt8](repeating: 0xff, count: 16)))
        ),
    ]

    private static func item(_ digits: String) throws -> CBORValue {
        let isNegative = digits.hasPrefix("-")
        let magnitude = Array(digits.utf8.drop { $0 == UInt8(ascii: "-") })
        var writer = ByteWriter()
        writer.cborInteger(isNegative: isNegative, digits: magnitude.span.bytes)
        return try CBORValue(decoding: writer.bytes.span.bytes)
    }

    private static func decimal(_ item: CBORValue) -> String? {
        let bytes = item.encoded()
        return CBORInteger.decimal(bytes.span.bytes).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test(arguments: numbers)
    func `digits become the shortest item and come back`(_ digits: String, _ item: CBORValue) throws
    {
        #expect(try Self.item(digits) == item)
        #expect(Self.decimal(item) == digits)
    }

    @Test(arguments: 1...90)
    func `a power of ten and its neighbours come back at every length`(_ zeros: Int) throws {
        for digits in [
            "1" + String(repeating: "0", count: zeros), String(repeating: "9", count: zeros),
            "1" + String(repeating: "0", count: zeros - 1) + "1",
        ] {
            #expect(Self.decimal(try Self.item(digits)) == digits)
            #expect(Self.decimal(try Self.item("-" + digits)) == "-" + digits)
        }
    }

    @Test func `zeros before a number are no digits of it`() throws {
        #expect(try Self.item("000000000000000000000000007") == 7)
        #expect(try Self.item("-000") == 0)
        #expect(Self.decimal(.tag(2, .bytes([0, 0, 9]))) == "9")
        #expect(Self.decimal(.tag(2, .bytes([]))) == "0")
        #expect(Self.decimal(.tag(3, .bytes([]))) == "-1")
    }

    @Test(
        arguments: ["x", 1.0, nil, true, .bytes([1]), .tag(4, .bytes([1])), .tag(2, 1)]
            as [CBORValue])
    func `what is no integer has no digits`(_ item: CBORValue) {
        #expect(Self.decimal(item) == nil)
    }
}
