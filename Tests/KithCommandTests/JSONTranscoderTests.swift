import Foundation
import KithBytes
import Testing
import kith

@Suite struct JSONTranscoderTests {
    static let values: [(String, CBORValue)] = [
        ("null", .null), ("true", .bool(true)), ("false", .bool(false)), ("0", .unsigned(0)),
        ("-0", .unsigned(0)), ("23", .unsigned(23)), ("-1", .negative(0)),
        ("18446744073709551615", .unsigned(.max)),
        ("18446744073709551616", .tag(2, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0]))),
        ("-9223372036854775808", .negative(UInt64(Int64.max))),
        ("-9223372036854775809", .negative(1 << 63)), ("-18446744073709551616", .negative(.max)),
        ("-18446744073709551617", .tag(3, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0]))),
        ("1.0", .double(1)), ("-2.5e3", .double(-2500)), ("1E2", .double(100)),
        ("0.1", .double(0.1)),
        (
            "123456789012345678901234567890",
            .tag(
                2,
                .bytes([
                    0x01, 0x8e, 0xe9, 0x0f, 0xf6, 0xc3, 0x73, 0xe0, 0xee, 0x4e, 0x3f, 0x0a, 0xd2,
                ]))
        ),
        ("9007199254740992.0", .double(0x1p53)), ("9007199254740993.0", .double(0x1p53 + 2)),
        ("-9007199254740993.0", .double(-0x1p53 - 2)),
        ("1705.00000000000000000001", .double(1705.0.nextUp)),
        ("1705.00000000000000000000", .double(1705)),
        ("17050000000000000000000e-19", .double(1705)),
        ("0.000000000000000000001705e24", .double(1705)),
        ("5e-324", .double(.leastNonzeroMagnitude)),
        ("1e-999999999999", .double(0)), ("\"\"", .text("")),
        ("\"a\\u00e9\\n\\/\"", .text("aé\n/")), ("\"\\ud83d\\ude00\"", .text("😀")),
        ("\"a\\ud83d\"", .text("a\u{fffd}")), ("\"\\ude00b\"", .text("\u{fffd}b")),
        ("\"\\ude00\\ud83d\"", .text("\u{fffd}\u{fffd}")),
        ("\"\\ud83d\\ud83d\\ude00\"", .text("\u{fffd}😀")),
        ("\"\\ud83d\\u0041\"", .text("\u{fffd}A")), ("\"\\ud83d\\n\"", .text("\u{fffd}\n")),
        (" [ ] ", .array([])),
        ("[1,[2,{}]]", .array([.unsigned(1), .array([.unsigned(2), .map([])])])),
        (#"{"a":1,"b":{"a":2}}"#, ["a": 1, "b": ["a": 2]]),
    ]

    @Test(arguments: values)
    func `a text becomes the value that it writes`(_ json: String, _ value: CBORValue) throws {
        #expect(try JSONTranscoder.tree(Array(json.utf8)) == value)
    }

    static let broken: [(String, JSONError.Problem, Int)] = [
        ("", .endOfText, 0), ("[1", .endOfText, 2), ("{\"a\"", .endOfText, 4),
        ("\"abc", .endOfText, 0), ("nul", .endOfText, 3), ("not", .expected("a value"), 0),
        ("[1 2]", .expected("\",\" or \"]\""), 3), ("[1,]", .expected("a value"), 3),
        ("{1:2}", .expected("a name in quotes"), 1), ("{\"a\" 1}", .expected("\":\""), 5),
        ("1 2", .textAfterValue, 2), ("01", .badNumber, 0), ("1.", .badNumber, 2),
        ("-", .badNumber, 1), ("1e", .badNumber, 2), ("1e400", .numberTooLarge, 0),
        ("NaN", .expected("a value"), 0), ("\"\\x\"", .badEscape, 1),
        ("\"\\ud800\\u00\"", .badEscape, 11),
        ("\"a\u{1}b\"", .controlCharacter, 2),
    ]

    @Test(arguments: broken)
    func `what is not JSON is refused where it goes wrong`(
        _ json: String, _ problem: JSONError.Problem, _ offset: Int
    ) {
        #expect(throws: JSONError(problem, offset: offset)) {
            try JSONTranscoder.tree(Array(json.utf8))
        }
    }

    @Test func `bytes that are not UTF-8 are refused, with escapes and without`() {
        for bytes: [UInt8] in [[0xc3, 0x28], [0xed, 0xa0, 0x80], [0xff], [0xc3, 0x5c, 0x6e]] {
            let json = [UInt8(ascii: "\"")] + bytes + [UInt8(ascii: "\"")]
            #expect(throws: JSONError(.notUTF8, offset: 1)) { try JSONTranscoder.tree(json) }
        }
    }

    @Test func `128 containers inside one another are taken and 129 are not`() throws {
        func nested(_ depth: Int) -> [UInt8] {
            Array(
                (String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }

        _ = try JSONTranscoder.tree(nested(128))
        #expect(throws: JSONError(.tooDeep, offset: 128)) { try JSONTranscoder.tree(nested(129)) }
    }

    @Test(arguments: [3, 23, 24, 25, 300])
    func `of a name that comes twice the last member counts`(_ count: Int) throws {
        let members = (0..<count).map { #""k\#($0)":\#($0)"# }
        let again = #""k1":"last""#

        let tree = try JSONTranscoder.tree(
            Array(("{" + (members + [again]).joined(separator: ",") + "}").utf8))

        guard case .map(let found) = tree else {
            Issue.record("no map")
            return
        }
        #expect(found.count == count)
        #expect(found.last == CBORMember("k1", "last"))
        #expect(Set(found.map(\.key).map { JSONText.make($0) }).count == count)
    }

    @Test(
        arguments: [
            (#"{"a":1,"b":2}"#, nil), (#"[{"a":1},{"a":2}]"#, nil),
            (#"{"userId":"a","userId":"b"}"#, .init(name: "userId", count: 1)),
            (#"{"a":1,"\u0061":2,"a":3,"b":4,"b":5}"#, .init(name: "a", count: 3)),
            (#"{"p":{"x":1,"x":2},"q":[{"y":1,"y":2}],"p":1}"#, .init(name: "x", count: 3)),
            (
                #"{"ééééééééééééééééééééééééééééééé":1,"ééééééééééééééééééééééééééééééé":2}"#,
                .init(name: String(repeating: "é", count: 30) + "…", count: 1)
            ),
        ] as [(String, JSONTranscoder.RepeatedNames?)])
    func `names that come twice in one object are counted, at any depth`(
        _ json: String, _ repeated: JSONTranscoder.RepeatedNames?
    ) throws {
        var transcoder = JSONTranscoder()
        var writer = ByteWriter()

        try transcoder.append(Array(json.utf8).span.bytes, to: &writer)
        #expect(transcoder.repeated == repeated)

        try transcoder.append(Array("{}".utf8).span.bytes, to: &writer)
        #expect(transcoder.repeated == nil)
    }

    @Test func `a text that is refused leaves the output as it was`() throws {
        var transcoder = JSONTranscoder()
        var writer = ByteWriter()
        try transcoder.append(Array("[1]".utf8).span.bytes, to: &writer)
        let before = writer.bytes

        #expect(throws: JSONError.self) {
            try transcoder.append(Array(#"{"a":[1,2,"#.utf8).span.bytes, to: &writer)
        }

        #expect(writer.bytes == before)
    }

    @Test(arguments: [UInt64(1), 2, 3, 4])
    func `random documents mean the same to Foundation`(_ seed: UInt64) throws {
        var random = RandomJSON(seed: seed)
        for round in 0..<400 {
            let value = random.value(depth: 0)
            let json = random.json(of: value)

            let tree = try JSONTranscoder.tree(Array(json.utf8))
            #expect(tree == value, "seed \(seed), round \(round): \(json)")

            let theirs = try #require(Self.foundation(Array(json.utf8)))
            let ours = try #require(Self.foundation(Array(JSONText.make(tree).utf8)))
            #expect(theirs.isEqual(ours), "seed \(seed), round \(round): \(json)")
        }
    }

    @Test(arguments: [UInt64(11), 12, 13])
    func `broken documents are refused where Foundation refuses them`(_ seed: UInt64) {
        var random = RandomJSON(seed: seed)
        for round in 0..<600 {
            let bytes = random.broken(Array(random.json(of: random.value(depth: 0)).utf8))
            let isOurs = (try? JSONTranscoder.tree(bytes)) != nil
            // Foundation takes numbers and names in ways of its own; what it refuses, we refuse,
            // but for half a surrogate pair.
            let hasHalf = String(decoding: bytes, as: UTF8.self).lowercased().contains(#"\ud"#)
            if Self.foundation(bytes) == nil, !hasHalf {
                #expect(
                    !isOurs,
                    "seed \(seed), round \(round): \(String(decoding: bytes, as: UTF8.self))")
            }
        }
    }

    private static func foundation(_ json: [UInt8]) -> NSObject? {
        let object = try? JSONSerialization.jsonObject(
            with: Data(json), options: .fragmentsAllowed)
        return object as? NSObject
    }
}

/// Documents from a seed, and ways to write them down.
private struct RandomJSON {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// SplitMix64.
    private mutating func next(_ bound: Int) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((word ^ (word >> 31)) % UInt64(bound))
    }

    mutating func value(depth: Int) -> CBORValue {
        switch next(depth > 4 ? 6 : 9) {
        case 0: return .null
        case 1: return .bool(next(2) == 0)
        case 2: return .integer(Int64(next(2_000_000)) - 1_000_000)
        case 3: return .double(Double(next(1_000_000_000)) / 4096 - 100_000 + 0.1)
        case 4, 5: return .text(text())
        case 6, 7:
            var members: [CBORMember] = []
            for place in 0..<next(next(8) == 0 ? 40 : 5) {
                members.append(
                    CBORMember(.text(text() + String(place)), value(depth: depth + 1)))
            }
            return .map(members)
        default:
            return .array((0..<next(next(8) == 0 ? 40 : 5)).map { _ in value(depth: depth + 1) })
        }
    }

    private mutating func text() -> String {
        let pieces = ["a", "é", "😀", "\"", "\\", "\n", "\u{1}", "/", "longer text ", "0", "\u{7f}"]
        return (0..<next(12)).map { _ in pieces[next(pieces.count)] }.joined()
    }

    mutating func json(of value: CBORValue) -> String {
        switch value {
        case .text(let text): return quoted(text)
        case .array(let items):
            return "[" + items.map { blanks() + json(of: $0) + blanks() }.joined(separator: ",")
                + "]"
        case .map(let members):
            let parts = members.map { member in
                blanks() + json(of: member.key) + blanks() + ":" + blanks()
                    + json(of: member.value)
            }
            return "{" + parts.joined(separator: ",") + blanks() + "}"
        default: return JSONText.make(value)
        }
    }

    private mutating func blanks() -> String {
        next(4) == 0 ? ["", " ", "\n", "\t ", "\r"][next(5)] : ""
    }

    private mutating func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            if next(4) == 0 || scalar.value < 0x20 {
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16, uppercase: next(2) == 0)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            } else if scalar == "\"" || scalar == "\\" {
                result += "\\" + String(scalar)
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// `bytes` with a few of them taken out, doubled or changed.
    mutating func broken(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0...next(3) where !bytes.isEmpty {
            let place = next(bytes.count)
            switch next(3) {
            case 0: bytes.remove(at: place)
            case 1: bytes.insert(bytes[next(bytes.count)], at: place)
            default: bytes[place] = UInt8(next(256))
            }
        }
        return bytes
    }
}
