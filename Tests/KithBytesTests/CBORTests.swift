import KithBytes
import Testing

/// One example of RFC 8949, appendix A.
struct CBORExample: CustomTestStringConvertible, Sendable {
    let hex: String
    let value: CBORValue
    /// Whether the bytes are the preferred form, which is what the writer gives.
    var isPreferred = true

    var testDescription: String { hex }
    var bytes: [UInt8] { unhex(hex) }
}

func unhex(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8)
    return stride(from: 0, to: digits.count, by: 2).map {
        UInt8(String(decoding: digits[$0..<($0 + 2)], as: UTF8.self), radix: 16)!
    }
}

/// SplitMix64: fuzz input that a seed brings back.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

@Suite struct CBORTests {
    @Test(arguments: examples)
    func `an example of the RFC is read, and written back in its preferred form`(
        example: CBORExample
    ) throws {
        let value = try CBORValue(decoding: example.bytes.span.bytes)
        var reader = CBORReader(example.bytes.span.bytes)
        try reader.skip()
        let isAtEnd = reader.isAtEnd

        #expect(value == example.value)
        #expect(isAtEnd)
        #expect((value.encoded() == example.bytes) == example.isPreferred)
    }

    @Test(arguments: ["f97e00", "fa7fc00000", "fb7ff8000000000000"])
    func `every NaN is written alike`(hex: String) throws {
        let value = try CBORValue(decoding: unhex(hex).span.bytes)

        guard case .double(let number) = value else { return #expect(Bool(false)) }
        #expect(number.isNaN)
        #expect(value.encoded() == unhex("f97e00"))
    }

    @Test(arguments: [
        "", "18", "1901", "1a010203", "1b01020304050607", "1c", "1d", "1e", "1f", "3f", "df", "fc",
        "fd", "fe", "ff", "f800", "f814", "f81f", "f8", "f97c", "41", "61", "5f", "5f41",
        "5f6161ff",
        "7f4101ff", "5f5f4100ffff", "81", "8201", "9f", "9f01", "a1", "a101", "bf", "bf01",
        "bf01ff",
        "c0", "61ff", "62c080", "63eda080", "64f4908080", "62c3", "9bffffffffffffffff",
        "bb7fffffffffffffff", "5bffffffffffffffff", "7bffffffffffffff7f", "9b8000000000000000",
        "7f61c361bcff",
    ])
    func `what is not well-formed is an error, whatever it promises`(hex: String) {
        let bytes = unhex(hex)

        #expect(throws: ByteError.self) {
            var reader = CBORReader(bytes.span.bytes)
            try reader.skip()
        }
        #expect(throws: ByteError.self) { _ = try CBORValue(decoding: bytes.span.bytes) }
    }

    @Test func `bytes after the item are an error for the tree, and left for the cursor`() throws {
        let bytes = unhex("0102")

        var reader = CBORReader(bytes.span.bytes)
        try reader.skip()
        let offset = reader.offset

        #expect(offset == 1)
        #expect(throws: ByteError.malformed(offset: 1)) {
            _ = try CBORValue(decoding: bytes.span.bytes)
        }
    }

    @Test(arguments: ["81", "9f", "a100", "bf00", "c1"])
    func `nesting to 128 is taken and 129 refused`(opening: String) throws {
        let closing = opening == "9f" || opening == "bf00" ? "ff" : ""
        func nested(_ depth: Int) -> [UInt8] {
            unhex(
                String(repeating: opening, count: depth) + "00"
                    + String(repeating: closing, count: depth))
        }
        let taken = nested(128)
        let refused = nested(129)
        let hostile = unhex(String(repeating: opening, count: 200_000))

        var reader = CBORReader(taken.span.bytes)
        try reader.skip()
        let isAtEnd = reader.isAtEnd
        #expect(isAtEnd)
        #expect(
            try CBORValue(decoding: taken.span.bytes).encoded().count == taken.count
                - closing.count / 2 * 128)
        for bytes in [refused, hostile] {
            #expect(throws: ByteError.tooLong(length: 129, limit: 128)) {
                var reader = CBORReader(bytes.span.bytes)
                try reader.skip()
            }
            #expect(throws: ByteError.tooLong(length: 129, limit: 128)) {
                _ = try CBORValue(decoding: bytes.span.bytes)
            }
        }
        #expect(throws: ByteError.tooLong(length: 129, limit: 128)) {
            var reader = CBORReader(taken.span.bytes)
            try reader.skip(depth: 1)
        }
    }

    @Test func `the cursor reads values in place`() throws {
        let value: CBORValue = [
            "id": 17, "low": -3, "half": 1.5, "yes": true, "none": nil, "list": ["a", "b"],
        ]
        let bytes = value.encoded()
        var reader = CBORReader(bytes.span.bytes)
        var seen: [String] = []

        var members = try reader.map()
        while try reader.next(in: &members) {
            let key = try reader.text().text()!
            switch try reader.kind() {
            case .unsigned, .negative: seen.append("\(key)=\(try reader.int64())")
            case .float: seen.append("\(key)=\(try reader.float())")
            case .bool: seen.append("\(key)=\(try reader.bool())")
            case .array:
                var items = try reader.array()
                while try reader.next(in: &items) {
                    seen.append("\(key)=\(try reader.text().text()!)")
                }
            default: seen.append("\(key)=\(try reader.item().copied())")
            }
        }

        let isAtEnd = reader.isAtEnd

        #expect(isAtEnd)
        #expect(
            seen == [
                "id=17", "low=-3", "half=1.5", "yes=true", "none=[246]", "list=a", "list=b",
            ])
    }

    @Test func `a text in chunks is passed over and said, but has no span`() throws {
        let bytes = unhex("7f657374726561646d696e67ff")
        var skipping = CBORReader(bytes.span.bytes)
        try skipping.skip()
        let hasChunkedString = skipping.hasChunkedString

        #expect(hasChunkedString)
        #expect(throws: ByteError.malformed(offset: 0)) {
            var reader = CBORReader(bytes.span.bytes)
            _ = try reader.text()
        }
    }

    @Test(arguments: [
        0, -0.0, 1, .leastNonzeroMagnitude, 0x1p-24, 0x1p-25, 0x1.8p-24, 0x1.ffcp-15, 0x1p-14,
        65504, 65505, 65536,
        0.1, 1e10, 16_777_217, -2.5, .infinity, -.infinity, .greatestFiniteMagnitude,
        Double(Float.leastNonzeroMagnitude),
    ])
    func `a float keeps its value and sign`(number: Double) throws {
        let bytes = CBORValue.double(number).encoded()

        guard case .double(let back) = try CBORValue(decoding: bytes.span.bytes) else {
            return #expect(Bool(false))
        }
        #expect(back.bitPattern == number.bitPattern)
    }

    @Test(arguments: [Int64.min, -1, 0, 23, 24, 255, 256, 65535, 65536, 1 << 32, .max])
    func `an integer keeps its value`(number: Int64) throws {
        let bytes = CBORValue.integer(number).encoded()
        var reader = CBORReader(bytes.span.bytes)

        let back = try reader.int64()

        #expect(back == number)
    }

    @Test(arguments: [1, 2] as [UInt64])
    func `whatever comes in, cursor and tree agree and nothing traps`(seed: UInt64) {
        var generator = SeededGenerator(state: seed)
        let wellFormed = Self.examples.map(\.bytes)
        for round in 0..<10_000 {
            var bytes: [UInt8]
            if round % 2 == 0 {
                bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
            } else {
                bytes = wellFormed.randomElement(using: &generator)!
                for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
                    let place = Int.random(in: 0..<bytes.count, using: &generator)
                    switch generator.next() % 3 {
                    case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                    case 1: bytes.remove(at: place)
                    default: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
                    }
                }
            }

            var reader = CBORReader(bytes.span.bytes)
            let isItem: Bool
            do throws(ByteError) {
                try reader.skip()
                isItem = reader.isAtEnd
            } catch { isItem = false }
            let tree = try? CBORValue(decoding: bytes.span.bytes)  // The error is the outcome.

            #expect(isItem == (tree != nil), "seed \(seed) round \(round) \(bytes)")
            if let tree {
                let again = tree.encoded()
                let back = try? CBORValue(decoding: again.span.bytes)
                #expect(back?.encoded() == again, "seed \(seed) round \(round) \(bytes)")
            }
        }
    }

    static let oneTo25 = CBORValue.array((1...25).map { .unsigned($0) })

    static let examples: [CBORExample] = [
        CBORExample(hex: "00", value: 0),
        CBORExample(hex: "01", value: 1),
        CBORExample(hex: "0a", value: 10),
        CBORExample(hex: "17", value: 23),
        CBORExample(hex: "1818", value: 24),
        CBORExample(hex: "1819", value: 25),
        CBORExample(hex: "1864", value: 100),
        CBORExample(hex: "1903e8", value: 1000),
        CBORExample(hex: "1a000f4240", value: 1_000_000),
        CBORExample(hex: "1b000000e8d4a51000", value: 1_000_000_000_000),
        CBORExample(hex: "1bffffffffffffffff", value: .unsigned(.max)),
        CBORExample(
            hex: "c249010000000000000000", value: .tag(2, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0]))),
        CBORExample(hex: "3bffffffffffffffff", value: .negative(.max)),
        CBORExample(
            hex: "c349010000000000000000", value: .tag(3, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0]))),
        CBORExample(hex: "20", value: -1),
        CBORExample(hex: "29", value: -10),
        CBORExample(hex: "3863", value: -100),
        CBORExample(hex: "3903e7", value: -1000),
        CBORExample(hex: "f90000", value: 0.0),
        CBORExample(hex: "f98000", value: .double(-0.0)),
        CBORExample(hex: "f93c00", value: 1.0),
        CBORExample(hex: "fb3ff199999999999a", value: 1.1),
        CBORExample(hex: "f93e00", value: 1.5),
        CBORExample(hex: "f97bff", value: 65504.0),
        CBORExample(hex: "fa47c35000", value: 100000.0),
        CBORExample(hex: "fa7f7fffff", value: 3.4028234663852886e+38),
        CBORExample(hex: "fb7e37e43c8800759c", value: 1.0e+300),
        CBORExample(hex: "f90001", value: 5.960464477539063e-8),
        CBORExample(hex: "f90400", value: 0.00006103515625),
        CBORExample(hex: "f9c400", value: -4.0),
        CBORExample(hex: "fbc010666666666666", value: -4.1),
        CBORExample(hex: "f97c00", value: .double(.infinity)),
        CBORExample(hex: "f9fc00", value: .double(-.infinity)),
        CBORExample(hex: "fa7f800000", value: .double(.infinity), isPreferred: false),
        CBORExample(hex: "faff800000", value: .double(-.infinity), isPreferred: false),
        CBORExample(hex: "fb7ff0000000000000", value: .double(.infinity), isPreferred: false),
        CBORExample(hex: "fbfff0000000000000", value: .double(-.infinity), isPreferred: false),
        CBORExample(hex: "f4", value: false),
        CBORExample(hex: "f5", value: true),
        CBORExample(hex: "f6", value: nil),
        CBORExample(hex: "f7", value: .simple(23)),
        CBORExample(hex: "f0", value: .simple(16)),
        CBORExample(hex: "f8ff", value: .simple(255)),
        CBORExample(
            hex: "c074323031332d30332d32315432303a30343a30305a",
            value: .tag(0, "2013-03-21T20:04:00Z")),
        CBORExample(hex: "c11a514b67b0", value: .tag(1, 1_363_896_240)),
        CBORExample(hex: "c1fb41d452d9ec200000", value: .tag(1, 1_363_896_240.5)),
        CBORExample(hex: "d74401020304", value: .tag(23, .bytes([1, 2, 3, 4]))),
        CBORExample(
            hex: "d818456449455446", value: .tag(24, .bytes([0x64, 0x49, 0x45, 0x54, 0x46]))),
        CBORExample(
            hex: "d82076687474703a2f2f7777772e6578616d706c652e636f6d",
            value: .tag(32, "http://www.example.com")),
        CBORExample(hex: "40", value: .bytes([])),
        CBORExample(hex: "4401020304", value: .bytes([1, 2, 3, 4])),
        CBORExample(hex: "60", value: ""),
        CBORExample(hex: "6161", value: "a"),
        CBORExample(hex: "6449455446", value: "IETF"),
        CBORExample(hex: "62225c", value: "\"\\"),
        CBORExample(hex: "62c3bc", value: "\u{fc}"),
        CBORExample(hex: "63e6b0b4", value: "\u{6c34}"),
        CBORExample(hex: "64f0908591", value: "\u{10151}"),
        CBORExample(hex: "80", value: []),
        CBORExample(hex: "83010203", value: [1, 2, 3]),
        CBORExample(hex: "8301820203820405", value: [1, [2, 3], [4, 5]]),
        CBORExample(
            hex: "98190102030405060708090a0b0c0d0e0f101112131415161718181819", value: oneTo25),
        CBORExample(hex: "a0", value: [:]),
        CBORExample(hex: "a201020304", value: [1: 2, 3: 4]),
        CBORExample(hex: "a26161016162820203", value: ["a": 1, "b": [2, 3]]),
        CBORExample(hex: "826161a161626163", value: ["a", ["b": "c"]]),
        CBORExample(
            hex: "a56161614161626142616361436164614461656145",
            value: ["a": "A", "b": "B", "c": "C", "d": "D", "e": "E"]),
        CBORExample(
            hex: "5f42010243030405ff", value: .bytes([1, 2, 3, 4, 5]), isPreferred: false),
        CBORExample(hex: "7f657374726561646d696e67ff", value: "streaming", isPreferred: false),
        CBORExample(hex: "9fff", value: [], isPreferred: false),
        CBORExample(
            hex: "9f018202039f0405ffff", value: [1, [2, 3], [4, 5]], isPreferred: false),
        CBORExample(hex: "9f01820203820405ff", value: [1, [2, 3], [4, 5]], isPreferred: false),
        CBORExample(hex: "83018202039f0405ff", value: [1, [2, 3], [4, 5]], isPreferred: false),
        CBORExample(hex: "83019f0203ff820405", value: [1, [2, 3], [4, 5]], isPreferred: false),
        CBORExample(
            hex: "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff", value: oneTo25,
            isPreferred: false),
        CBORExample(
            hex: "bf61610161629f0203ffff", value: ["a": 1, "b": [2, 3]], isPreferred: false),
        CBORExample(hex: "826161bf61626163ff", value: ["a", ["b": "c"]], isPreferred: false),
        CBORExample(
            hex: "bf6346756ef563416d7421ff", value: ["Fun": true, "Amt": -2], isPreferred: false),
    ]
}
