import KithBytes
import KithCore
import KithWire
import Testing
import kith

@Suite struct FileMistakeTests {
    private static func mistake(_ text: String) -> FileMistake? {
        FileMistake(Array(text.utf8).span.bytes)
    }

    static let mistakes: [(String, FileMistake)] = [
        (#"[{"type":"page"}]"#, .array), ("  [\n{\"type\":\"page\"},\n", .array),
        ("\u{feff}[\n  {", .array), ("[]", .array), ("[{\"type\":\"page\"}]\n\n", .array),
        (#"{"batch":[{"type":"page"}],"sentAt":"x"}"#, .batch("batch")),
        (#"{"sentAt":"x","batch":[{"type":"page"}]}"#, .batch("batch")),
        (#"{"sentAt":"a\"{","context":{"type":1,"batch":[]},"batch" : [{"ty"#, .batch("batch")),
        (#"{"n":[1,"type"],"events":[{"type":"page"}]}"# + "\n{}", .batch("events")),
        ("{\n  \"batch\": [\n    {", .batch("batch")),
        ("{\n  \"sentAt\": 1,\n  \"batch\": [\n    {", .batch("batch")),
        (#"{"batch":[{"type":"page"},{"ty"#, .batch("batch")),
        ("{\"type\":\"page\"}\r{\"type\":\"page\"}\r", .carriageReturns),
        ("\u{feff}{}\r\r {\"type\":\"pa", .carriageReturns),
        ("{\n  \"type\": \"page\"\n}", .pretty), ("{\r\n\t\"type\": 1", .pretty),
        ("{ \"type\": \"page\",\n  \"userId\": 1}", .pretty),
        ("type,userId\npage,1\n", .table("comma")), ("type;userId\npage;1\n", .table("semicolon")),
        ("type\tuserId\r\npage\t1\r\n", .table("tab")),
        ("id,event\n1,\"{\"\"a\"\":1}\"\n", .table("comma")), ("\u{0}\u{1}\u{2}\u{3}abc", .binary),
        ("PK\u{3}\u{4}rest", .packed("unzip -p")), ("BZh91AY", .packed("bzip2 -dc")),
    ]

    @Test(arguments: mistakes)
    func `a file in another form is known by its first bytes`(
        _ text: String, _ mistake: FileMistake
    ) {
        #expect(Self.mistake(text) == mistake)
        #expect(!mistake.explanation("events.txt").isEmpty)
    }

    static let foreign: [([UInt8], FileMistake)] = [
        ([0xff, 0xfe, 0x7b, 0], .utf16), ([0xfe, 0xff, 0, 0x7b], .utf16),
        ([0x7b, 0, 0x22, 0, 0x74, 0, 0x79, 0], .utf16),
        ([0, 0x7b, 0, 0x22, 0, 0x74, 0, 0x79], .utf16),
        ([0xff, 0xfe, 0, 0, 0x7b, 0, 0, 0], .utf32), ([0, 0, 0xfe, 0xff, 0, 0, 0, 0x7b], .utf32),
        ([0x7b, 0, 0, 0, 0x22, 0, 0, 0], .utf32), ([0, 0, 0, 0x7b, 0, 0, 0, 0x22], .utf32),
        ([0x28, 0xb5, 0x2f, 0xfd, 1], .packed("zstd -dc")),
        ([0x89, 0x50, 0x4e, 0x47, 0, 0], .binary),
    ]

    @Test func `the way out of a form is a command`() {
        #expect(FileMistake.batch("events").explanation("f").contains("jq -c '.events[]' f | kith"))
        #expect(
            FileMistake.carriageReturns.explanation("f").hasSuffix(
                "tr '\\r' '\\n' < f | kith ingest -"))
        #expect(
            FileMistake.carriageReturns.explanation("-").hasSuffix("tr '\\r' '\\n' | kith ingest -")
        )
        #expect(FileMistake.utf32.explanation("f").contains("iconv -f UTF-32 -t UTF-8 f |"))
    }

    @Test(arguments: foreign)
    func `bytes that are no UTF-8 text are known`(_ bytes: [UInt8], _ mistake: FileMistake) {
        #expect(FileMistake(bytes.span.bytes) == mistake)
    }

    @Test(arguments: [
        "", "\n\n", "{", "{\"type\":\"page\"}", "{\"type\":\"page\"}\n{\"type\":",
        "no json\nno json",
        "{\"type\":\n{\"type\":\"page\"}", "[1]\n{\"type\":\"page\"}\n", "{\"type\":\"pa",
        "{\"type\":\"page\",\"batch\":[1]}", "a, b\n{\"type\":\"page\",\"userId\":1}",
        "// comment\n{}",
        "{\"type\":1,\r\"userId\":2}", "{\"type\":\r{\"a\":1}", "{}\r", "{}\r\n{}\r\n",
        "{\"properties\":{\"batch\":[]}}", "{\"a\":\"batch\",\"b\":[]}",
        "{\"batch\":7}", "{\"events\":[],\"type\":\"page\"}", "5\n6\n",
    ])
    func `what may hold events is read line by line`(_ text: String) {
        #expect(Self.mistake(text) == nil)
    }
}

@Suite struct ToldNoteTests {
    @Test func `a refusal names the field and the kind of its value`() {
        func text(_ field: EventField, _ problem: FieldProblem, _ place: UInt8 = 0) -> String {
            ToldNote.explanation(.invalidType, [.fault(EventFault(field, problem, place: place))])
        }

        #expect(
            text(.type, .isNumber)
                == "\"type\" is a number, not identify, track, page, screen, group or alias")
        #expect(text(.event, .absent) == "\"event\" is missing: the event's name")
        #expect(
            text(.originalTimestamp, .isNoTime, 24)
                == "\"originalTimestamp\" is no ISO 8601 time: it goes wrong at byte 24")
        #expect(
            text(.timestamp, .looksLikeSeconds)
                == "\"timestamp\" looks like seconds: milliseconds since 1970 are expected")
        for field in EventField.allCases {
            for problem in FieldProblem.allCases {
                #expect(text(field, problem).hasPrefix("\"\(field.name)\" "))
            }
        }
    }

    @Test func `an event without identifiers is told which were looked at, and why none is one`() {
        #expect(ToldNote.explanation(.noIdentifier, []) == "no identifier is there")
        #expect(
            ToldNote.explanation(
                .noIdentifier,
                [
                    .ignored(.blocked, namespace: "user_id", place: "userId", count: 1),
                    .isNull(place: "anonymousId"),
                ])
                == "no identifier that can be used: userId is a blocked value, anonymousId is null")
    }
}
