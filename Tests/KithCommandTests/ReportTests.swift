// Inputs in the manner of public bug reports, through the built program, by wall clock, at one node
// and at three. Each stands for a kind: a copy of ours of the same kind is tried beside the file
// itself, which lies among the real event files.

import Foundation
import KithBytes
import Testing
import kith

/// A cluster, and what became of a file.
private struct Reported {
    let cluster: TestCluster
    let result: (code: Int32, output: String, error: String)
    let summary: CBORValue

    /// Ingests through the last node, and asks at all of them.
    init(_ nodes: Int, path: String? = nil, text: String = "") throws {
        cluster = try TestCluster(nodes)
        let path = try path ?? cluster.file("events.ndjson", text)
        result = try cluster.kith(nodes, "ingest", path, "--json", "--errors", "all")
        summary = try JSONTranscoder.tree(Array(result.output.utf8))
    }

    /// Lines that are stored: also those of which the answer to a first sending was lost.
    var stored: Int64? {
        guard case .unsigned(let accepted)? = summary["accepted"],
            case .unsigned(let duplicate)? = summary["duplicate"]
        else { return nil }
        return Int64(accepted + duplicate)
    }

    /// The profile as every node tells it; nil where there is none.
    func get(_ name: String) throws -> CBORValue? {
        var answers: [CBORValue?] = []
        for node in 1...cluster.count {
            let answer = try cluster.kith(node, "get", name, "--json")
            #expect(answer.code == 0 || answer.code == 3, "\(name): \(answer.error)")
            answers.append(
                answer.code == 0 ? try JSONTranscoder.tree(Array(answer.output.utf8)) : nil)
        }
        #expect(answers.allSatisfy { $0 == answers[0] }, "\(name) differs from node to node")
        return answers[0]
    }

    /// `namespace:value` of all its identifiers.
    func identifiers(_ name: String) throws -> [String] {
        guard case .array(let list)? = try get(name)?["identifiers"] else { return [] }
        return list.map { entry in
            guard case .text(let namespace)? = entry["namespace"],
                case .text(let value)? = entry["value"]
            else { return "?" }
            return namespace + ":" + value
        }
    }

    func stats() throws -> CBORValue { try cluster.stats(1) }
}

/// The rows, whatever the lines that stand for them.
private enum Row {
    static func colonBeforeZ(_ run: Reported) throws {
        #expect(run.result.code == 1)
        #expect(run.summary["rejectedByReason"] == ["invalid_timestamp": 1])
        #expect(run.stored == 0)
    }

    static func loneSurrogates(_ run: Reported, _ id: String) throws {
        #expect(run.stored == 3)
        #expect(run.summary["rejectedByReason"] == ["no_identifier": 1])
        let traits = try run.get(id)?["traits"]
        #expect(traits?["name"] == "\u{fffd} tail")
        #expect(traits?["ok"] == "\u{1f354}")
    }

    static func largeIDs(_ run: Reported, _ ids: [String]) throws {
        #expect(run.stored == Int64(ids.count))
        #expect(try run.stats()["profiles"]?["members"] == .integer(Int64(ids.count)))
        for id in ids { #expect(try run.identifiers("user_id:" + id) == ["user_id:" + id]) }
    }

    static func floatUserID(_ run: Reported, _ id: String, _ a: String, _ b: String) throws {
        let expected = ["user_id:" + id, "anonymous_id:" + a, "anonymous_id:" + b]
        for name in expected { #expect(try run.identifiers(name) == expected) }
        #expect(try run.get("user_id:" + id)?["events"]?["total"] == 2)
        #expect(try run.stats()["profiles"]?["total"] == 1)
    }

    static func emails(_ run: Reported, _ prefix: String, _ ignoredLines: [Int]) throws {
        let own = try run.identifiers("user_id:" + prefix)
        #expect(
            own.filter { $0.hasPrefix("anonymous_id") }
                == ["b", "c", "d"].map {
                    "anonymous_id:" + prefix + $0
                })
        #expect(own.contains("email:\(prefix)@x.test") && own.count == 5)
        for letter in ["f", "g", "i", "j"] {
            let profile = try run.get("anonymous_id:" + prefix + letter)
            #expect(profile?["kind"] == "anonymous", "\(letter)")
        }
        for letter in ["e", "h", "k", "l"] {
            let profile = try run.get("anonymous_id:" + prefix + letter)
            #expect(profile?["kind"] == "member", "\(letter)")
            #expect(try run.identifiers("anonymous_id:" + prefix + letter).count == 2)
        }
        #expect(run.stored == 12)
        #expect(
            try run.stats()["ignoredIdentifiers"] == [
                "invalid": .integer(Int64(ignoredLines.count))
            ])
    }

    static func deletions(_ run: Reported, _ id: String) throws {
        #expect(run.result.code == 0)
        #expect(try run.get(id)?["traits"] == ["plan": "pro"])
        #expect(try run.stats()["traitsRefused"] == 0)
    }

    static func seconds(_ run: Reported, _ id: String, _ anonymous: String) throws {
        #expect(run.stored == 1)
        #expect(run.summary["rejectedByReason"] == ["invalid_timestamp": 2])
        #expect(try run.get(id)?["traits"] == ["plan": "free"])
        // Not `== nil`, which a null value is too.
        let profile = try run.get(anonymous)
        #expect(profile?["kind"] == CBORValue?.none)
    }

    static func placeholderPhone(_ run: Reported, _ prefix: String) throws {
        #expect(try run.stats()["ignoredIdentifiers"] == ["invalid": 2])
        #expect(
            try run.identifiers("phone:+11111111111") == [
                "phone:+11111111111", "anonymous_id:\(prefix)c", "anonymous_id:\(prefix)d",
            ])
        #expect(try run.identifiers("user_id:\(prefix)a") == ["user_id:\(prefix)a"])
        #expect(try run.identifiers("anonymous_id:\(prefix)b") == ["anonymous_id:\(prefix)b"])
    }
}

@Suite(
    .enabled(if: Built.isThere, Built.note),
    .enabled(
        if: FileManager.default.fileExists(atPath: Built.data + "/reports"),
        "needs reported inputs: none at KITH_DATA_DIR/reports or ../shared/data/reports"),
    .serialized)
struct ReportTests {
    private static func run(_ nodes: Int, _ name: String) throws -> Reported {
        try Reported(nodes, path: "\(Built.data)/reports/\(name).ndjson")
    }

    @Test(arguments: [1, 3])
    func `a colon before Z is no time`(_ nodes: Int) throws {
        try Row.colonBeforeZ(Self.run(nodes, "02-colon-before-z"))
    }

    @Test(arguments: [1, 3])
    func `half a surrogate pair is lost in a value, and an id is none with it`(_ nodes: Int) throws
    {
        try Row.loneSurrogates(Self.run(nodes, "08-lone-surrogates"), "user_id:r8")
    }

    @Test(arguments: [1, 3])
    func `ids beyond 53 bits are found by their digits`(_ nodes: Int) throws {
        try Row.largeIDs(
            Self.run(nodes, "11-ids-beyond-2-53"),
            [
                "9007199254740993", "9007199254740992", "18446744073709551615",
                "18446744073709551616", "123456789012345678901234567890", "-9223372036854775809",
            ])
    }

    @Test(arguments: [1, 3])
    func `a whole float is the user id that it writes`(_ nodes: Int) throws {
        try Row.floatUserID(
            Self.run(nodes, "17-float-user-id-beside-anonymous-id"), "1705", "r17-a", "r17-b")
    }

    @Test(arguments: [1, 3])
    func `e-mails are found whatever nobody sees around them`(_ nodes: Int) throws {
        try Row.emails(Self.run(nodes, "25-emails-invisible-characters"), "r25", [6, 7, 9, 10])
    }

    @Test(arguments: [1, 3])
    func `what was set and deleted leaves room`(_ nodes: Int) throws {
        try Row.deletions(Self.run(nodes, "40-deletions-give-way"), "user_id:r40")
    }

    @Test(arguments: [1, 3])
    func `times in seconds are refused`(_ nodes: Int) throws {
        try Row.seconds(
            Self.run(nodes, "52-epoch-seconds-lose-a-newer-trait"), "user_id:r52",
            "anonymous_id:r52-a")
    }

    @Test(arguments: [1, 3])
    func `a phone of zeros is nobody's`(_ nodes: Int) throws {
        try Row.placeholderPhone(Self.run(nodes, "60-placeholder-phone"), "r60-")
    }
}

/// The same kinds, in lines of ours.
@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct ReportedKindTests {
    private static func run(_ nodes: Int, _ lines: [String]) throws -> Reported {
        try Reported(nodes, text: lines.joined(separator: "\n"))
    }

    private static func identify(_ id: String, _ traits: String, _ more: String = "") -> String {
        #"{"type":"identify",\#(id)\#(more),"traits":{\#(traits)}}"#
    }

    @Test(arguments: [1, 3])
    func `a time with an hour too many is none`(_ nodes: Int) throws {
        try Row.colonBeforeZ(
            Self.run(
                nodes,
                [
                    #"{"type":"page","userId":"k","originalTimestamp":"2026-10-16T25:00:27Z","#
                        + #""sentAt":"2026-10-16T16:00:27.957:Z","#
                        + #""receivedAt":"2026-10-16T16:00:28.078Z"}"#
                ]))
    }

    @Test(arguments: [1, 3])
    func `cut emoji`(_ nodes: Int) throws {
        try Row.loneSurrogates(
            Self.run(
                nodes,
                [
                    Self.identify(#""userId":"k8""#, #""name":"cut \ud83c""#),
                    Self.identify(#""userId":"k8""#, #""name":"\udf54 tail","half\ud83c":1"#),
                    #"{"type":"page","anonymousId":"\udf54"}"#,
                    Self.identify(#""userId":"k8""#, #""ok":"\ud83c\udf54""#),
                ]), "user_id:k8")
    }

    @Test(arguments: [1, 3])
    func `large ids`(_ nodes: Int) throws {
        let ids = [
            "9007199254740994", "9007199254740995", "-18446744073709551616",
            "-18446744073709551617", "340282366920938463463374607431768211456",
            String(repeating: "7", count: 1_024),
        ]
        try Row.largeIDs(
            Self.run(nodes, ids.map { #"{"type":"page","userId":\#($0)}"# }), ids)
    }

    @Test(arguments: [1, 3])
    func `a float in every form that is whole`(_ nodes: Int) throws {
        try Row.floatUserID(
            Self.run(
                nodes,
                [
                    #"{"type":"page","userId":20000.00,"anonymousId":"x1"}"#,
                    #"{"type":"page","userId":2e4,"anonymousId":"x2"}"#,
                ]), "20000", "x1", "x2")
    }

    @Test(arguments: [1, 3])
    func `e-mails with marks around and inside`(_ nodes: Int) throws {
        func line(_ letter: String, _ email: String) -> String {
            Self.identify(#""anonymousId":"k\#(letter)""#, #""email":"\#(email)""#)
        }
        try Row.emails(
            Self.run(
                nodes,
                [
                    Self.identify(#""userId":"k""#, #""email":"k@x.test""#),
                    line("b", #"\u00adK@x.test"#), line("c", #"k@x.test\u202c\ufeff"#),
                    line("d", #"\u2066 k@x.test\u2069"#), line("e", "+k@x.test"),
                    line("f", "k@x.test;"), line("g", "a@x.test, k@x.test"),
                    line("h", "k@x.test/"), line("i", #"k@x\u200b.test"#),
                    line("j", #"k\u0000@x.test"#), line("k", "'k@x.test'"),
                    line("l", "k@x.tëst"),
                ]), "k", [6, 7, 9, 10])
    }

    @Test(arguments: [1, 3])
    func `traits set and deleted in one event`(_ nodes: Int) throws {
        let names = (0..<200).map { round in (0..<8).map { "c\(round)_\($0)" } }
        let lines = names.enumerated().flatMap { round, names in
            let time = #","timestamp":"2026-11-01T00:\#(10 + round / 60):\#(10 + round % 50)Z""#
            return [
                Self.identify(
                    #""userId":"k40""#, names.map { #""\#($0)":1"# }.joined(separator: ","), time),
                Self.identify(
                    #""userId":"k40""#, names.map { #""\#($0)":null"# }.joined(separator: ",")),
            ]
        }
        try Row.deletions(
            Self.run(nodes, lines + [Self.identify(#""userId":"k40""#, #""plan":"pro""#)]),
            "user_id:k40")
    }

    @Test(arguments: [1, 3])
    func `seconds as a fraction and in quotes`(_ nodes: Int) throws {
        let plan = #","timestamp":"2026-11-01T00:00:00Z""#
        try Row.seconds(
            Self.run(
                nodes,
                [
                    Self.identify(#""userId":"k52""#, #""plan":"free""#, plan),
                    Self.identify(
                        #""userId":"k52""#, #""plan":"pro""#, #","timestamp":1796028611.25"#),
                    #"{"type":"page","anonymousId":"k52-a","timestamp":"1796028611"}"#,
                ]), "user_id:k52", "anonymous_id:k52-a")
    }

    @Test(arguments: [1, 3])
    func `a phone that begins with 0`(_ nodes: Int) throws {
        try Row.placeholderPhone(
            Self.run(
                nodes,
                [
                    Self.identify(#""userId":"ka""#, #""phone":"+0000000000""#),
                    Self.identify(#""anonymousId":"kb""#, #""phone":"+0 (000) 000-00-00""#),
                    Self.identify(#""anonymousId":"kc""#, #""phone":"+1/111/111 1111\u200e""#),
                    Self.identify(#""anonymousId":"kd""#, #""phone":"+11111111111""#),
                ]), "k")
    }
}
