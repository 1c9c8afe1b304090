import KithBytes
import KithCore
import Testing

@Suite struct IdentifierNormaliserTests {
    static func normalise(
        _ text: String, _ namespace: String, rules: IdentityRules = .standard
    ) -> String {
        let normaliser = IdentifierNormaliser(rules)
        let bytes = Array(text.utf8)
        var value = Array("kept".utf8)
        do throws(IgnoredIdentifier) {
            try normaliser.normalise(
                bytes.span.bytes, namespace: rules.namespaceIndex(named: namespace)!,
                into: &value)
        } catch {
            #expect(value == Array("kept".utf8))
            return "!" + error.name
        }
        return String(decoding: value.dropFirst(4), as: UTF8.self)
    }

    @Test(arguments: [
        ("u-17", "u-17"), ("  u-17\t\r\n", "u-17"), ("MixedCase", "MixedCase"), ("a b", "a b"),
        ("\u{a0}\u{2003}\u{3000}x\u{feff}\u{205f}\u{1680}", "x"),
        ("\u{85}x\u{2028}\u{2029}\u{202f}", "x"),
        ("\u{200b}x\u{ad}", "x"), ("\u{200f}\u{202a} x \u{202c}\u{2069}\u{61c}", "x"),
        ("\u{2060}\u{180e}x\u{200d}\u{200c}\u{200e}", "x"), ("a\u{200d}b", "a\u{200d}b"),
        ("0-0x", "0-0x"), ("null1", "null1"), ("idx", "idx"),
        ("\"u-1\"", "\"u-1\""), ("'", "'"), ("10", "10"), ("-2", "-2"),
        ("emails", "emails"), ("Ünïcode", "Ünïcode"),
    ])
    func `a user id is trimmed and otherwise kept`(text: String, value: String) {
        #expect(Self.normalise(text, "user_id") == value)
    }

    @Test(arguments: [
        ("e\u{301}", "\u{e9}"), ("\u{212b}", "\u{c5}"), ("\u{1100}\u{1161}", "\u{ac00}"),
        ("a\u{323}\u{307}", "\u{1ea1}\u{307}"), ("a\u{307}\u{323}", "\u{1ea1}\u{307}"),
        ("\u{f900}", "\u{8c48}"), ("\u{fb01}", "\u{fb01}"), ("\u{1f600}", "\u{1f600}"),
        ("\u{e9}", "\u{e9}"),
    ])
    func `text is brought to NFC`(text: String, value: String) {
        let result = Self.normalise(text, "user_id")

        // String equality would call all canonical forms equal.
        #expect(Array(result.utf8) == Array(value.utf8))
    }

    @Test(arguments: IdentityRules.standardBlockedValues)
    func `a blocked word is none in any case, with blanks and in quotes`(word: String) {
        let reason = "!blocked"
        for form in [
            word, word.uppercased(), " \(word)\n", "\"\(word)\"", "'\(word)'", "\"'\(word)'\"",
            "\" \(word) \"",
        ] {
            #expect(Self.normalise(form, "user_id") == reason, "\(form)")
            #expect(Self.normalise(form, "email") == reason, "\(form)")
        }
    }

    @Test(arguments: [
        "a\nb", "a\u{0}", "\u{1}", "a\u{7f}b", "a\u{80}b", "a\u{9f}", "a\u{fffd}", "\u{fffd}",
    ])
    func `a control character or a lost one makes an id invalid`(text: String) {
        #expect(Self.normalise(text, "user_id") == "!invalid")
        #expect(Self.normalise(text + "@x.com", "email") == "!invalid")
    }

    @Test(arguments: [
        "{{ user.id }}", "${USER_ID}", "%%USER%%", "<%= id %>", "\"{{id}}\"", "' ${x} '",
        "u-{{id}}",
        "{{}}", "11111111-1111-1111-1111-111111111111", "ffffffffffffffffffffffffffffffff",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "\\N", "\\n", "#N/A", "(Not Set)",
        " Optional(nil)\u{a0}",
        "\"\u{feff}null\"", "undefined-undefined", "9774D56D682E549C", "[object Undefined]",
    ])
    func `a template that nobody filled in and what all devices have are blocked`(text: String) {
        #expect(Self.normalise(text, "user_id") == "!blocked")
    }

    @Test(arguments: [
        "{id}", "{{id", "id}}", "100%", "a%%b", "<b>", "$5", "11111111-1111-1111-1111-111111111112",
        "gggggggg-gggg-gggg-gggg-gggggggggggg", "1111", "nulls", "0x0", "n",
        "11111111-1111-1111-1111-1111111111111",
    ])
    func `what only looks a little like a blocked value is kept`(text: String) {
        #expect(Self.normalise(text, "user_id") == text)
    }

    @Test(arguments: [
        ("", "!empty"), ("   ", "!empty"), ("\"\"", "!empty"), ("' '", "!empty"),
        ("\u{3000}", "!empty"), ("\u{200b}", "!empty"), ("\"\u{200b}\"", "!empty"),
        ("0.0", "!zeros"), (".", "!zeros"), ("-0.0", "!zeros"), ("0.0.0.0", "!zeros"),
        ("0", "!zeros"), ("00000000-0000-0000-0000-000000000000", "!zeros"), ("-", "!zeros"),
        ("---", "!zeros"), ("\"0\"", "!zeros"),
    ])
    func `an empty value and one of zeros and dashes are none`(text: String, reason: String) {
        #expect(Self.normalise(text, "user_id") == reason)
    }

    @Test func `1,024 bytes are taken and one more is too long`() {
        let most = String(repeating: "x", count: 1024)
        let accented = String(repeating: "e\u{301}", count: 512)

        #expect(Self.normalise(" \(most) ", "user_id") == most)
        #expect(Self.normalise(most + "x", "user_id") == "!too_long")
        #expect(Self.normalise(accented, "user_id").utf8.count == 1024)
        #expect(Self.normalise(accented + "x", "user_id") == "!too_long")
        #expect(Self.normalise(most + "@x.com", "email") == "!too_long")
        // 512 letters of 2 bytes whose lower case has 3.
        #expect(
            Self.normalise("@" + String(repeating: "\u{23a}", count: 511), "email") == "!too_long")
    }

    @Test(arguments: [
        ("A@X.com", "a@x.com"), (" a@x.com ", "a@x.com"), ("Ü@X.com", "ü@x.com"),
        ("E\u{301}@x.com", "\u{e9}@x.com"), ("a@b", "a@b"), ("a.x.com", "!invalid"),
        ("@x.com", "!invalid"), ("a@", "!invalid"), ("a@@x", "!invalid"), ("a@b@c", "!invalid"),
        ("a b@x.com", "!invalid"), ("a@x\u{a0}.com", "!invalid"), ("<a@x.com>", "!invalid"),
        ("a@x.com>", "!invalid"), ("a@x.com,b", "!invalid"), ("a@x.com;", "!invalid"),
        ("a@x\u{200b}.com", "!invalid"), ("a\u{ad}@x.com", "!invalid"),
        ("\u{200b}a@x.com\u{200f}", "a@x.com"), ("mailto:a@x.com", "mailto:a@x.com"),
        ("a\u{ff20}x.com", "!invalid"), ("\u{ff52}@x.com", "\u{ff52}@x.com"),
        ("@", "!invalid"), ("\"a@x.com\"", "\"a@x.com\""),
    ])
    func `an e-mail is lower-cased and has one sign with text on both sides`(
        text: String, value: String
    ) {
        #expect(Array(Self.normalise(text, "email").utf8) == Array(value.utf8))
    }

    @Test(arguments: [
        ("+393331234567", "+393331234567"), (" +39 (333) 123.45-67 ", "+393331234567"),
        ("(+39)[333]\u{a0}123\u{2011}4567", "+393331234567"), ("+12345678", "+12345678"),
        ("+123456789012345", "+123456789012345"), ("+1234567", "!invalid"),
        ("+1234567890123456", "!invalid"), ("3331234567", "!invalid"),
        ("00393331234567", "!invalid"),
        ("+39333123456a", "!invalid"), ("++39333123456", "!invalid"), ("+39+333123456", "!invalid"),
        ("+", "!invalid"), ("()", "!invalid"), ("+\u{661}23456789", "!invalid"),
        ("+39\u{2212}3331234567", "+393331234567"), ("+39/333 1234567", "+393331234567"),
        ("\u{202a}+39 333\u{200e}1234567\u{202c}", "+393331234567"),
        ("+39\t3331234567", "+393331234567"),
        ("+00000000", "!invalid"), ("+0000 0000", "!invalid"), ("+03331234567", "!invalid"),
        ("+11111111111", "+11111111111"), ("+39\u{200b}3331234567", "!invalid"),
        ("\u{ff0b}393331234567", "!invalid"),
    ])
    func `a phone number is a plus and 8 to 15 digits, the first of them not 0`(
        text: String, value: String
    ) {
        #expect(Self.normalise(text, "phone") == value)
    }

    @Test func `the blocked words are the configuration's`() {
        var rules = IdentityRules.standard
        rules.blockedValues = ["TEST", "Ünbekannt", String(repeating: "long", count: 30)]

        #expect(Self.normalise("null", "user_id", rules: rules) == "null")
        #expect(Self.normalise("Test", "user_id", rules: rules) == "!blocked")
        #expect(Self.normalise("ÜNBEKANNT", "user_id", rules: rules) == "!blocked")
        #expect(Self.normalise("U\u{308}nbekannt", "user_id", rules: rules) == "!blocked")
        #expect(
            Self.normalise(String(repeating: "LONG", count: 30), "user_id", rules: rules)
                == "!blocked")
        #expect(Self.normalise(" 0 ", "user_id", rules: rules) == "!zeros")
        #expect(Self.normalise("", "user_id", rules: rules) == "!empty")
    }

    @Test func `bytes that are not UTF-8 are invalid`() {
        let normaliser = IdentifierNormaliser(.standard)
        for bytes: [UInt8] in [[0xff], [0x61, 0xc3], [0xed, 0xa0, 0x80], [0xe2, 0x80], [0xc2]] {
            var value: [UInt8] = []
            #expect(throws: IgnoredIdentifier.invalid) {
                try normaliser.normalise(bytes.span.bytes, namespace: 0, into: &value)
            }
        }
    }
}
