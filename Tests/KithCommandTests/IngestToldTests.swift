// What `kith ingest` tells of lines, of files in another form, and of being stopped, through the
// built program.

import Foundation
import Glibc
import KithBytes
import KithWire
import Testing
import kith

@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct IngestToldTests {
    private static func ingest(
        _ cluster: TestCluster, _ lines: [String], _ options: String...
    ) throws -> (code: Int32, summary: CBORValue, error: String) {
        let path = try cluster.file("events.ndjson", lines.joined(separator: "\n"))
        let result = try Run(
            ["ingest", path, "--json", "--node", cluster.address(cluster.count)] + options
        ).end()
        return (result.code, try JSONTranscoder.tree(Array(result.output.utf8)), result.error)
    }

    /// On a cluster of its own, in which no node is held up for so long by the machine that others
    /// take it for gone: what was sent again would be told too.
    private static func ingest(
        _ nodes: Int, _ lines: [String]
    ) throws -> (code: Int32, summary: CBORValue, error: String) {
        var result = try ingest(try TestCluster(nodes), lines)
        for _ in 0..<4 where result.error.contains("does not answer") {
            result = try ingest(try TestCluster(nodes), lines)
        }
        return result
    }

    @Test(arguments: [1, 3])
    func `what of taken lines was not taken is told by line and in sums`(_ nodes: Int) throws {
        let old = (Int64(Date().timeIntervalSince1970) - 300 * 86_400) * 1_000
        let traits = (0..<300).map { #""t\#($0)":1"# }.joined(separator: ",")

        let result = try Self.ingest(
            nodes,
            [
                #"{"type":"identify","userId":"1","messageId":"m1","traits":{"email":"j@x.test"}}"#,
                #"{"type":"identify","userId":"2","messageId":"m2","traits":{"email":"j@x.test"}}"#,
                #"{"type":"identify","userId":"2","messageId":"m3","traits":{"email":"j@x.test"}}"#,
                #"{"type":"page","userId":"3","messageId":"m4","anonymousId":"null"}"#,
                #"{"type":"page","userId":"3","messageId":"m5","timestamp":"2999-01-01"}"#,
                #"{"type":"page","userId":"3"}"#,
                #"{"type":"page","userId":"3","messageId":"m7","context":{"externalIds":[{"id":"1"}]}}"#,
                #"{"type":"page","anonymousId":"4","messageId":"m8"}"#,
                #"{"type":"page","anonymousId":"4","messageId":"m9","timestamp":\#(old),"context":{"device":{"id":"d"}}}"#,
                #"{"type":"identify","userId":"5","messageId":"m10","traits":{\#(traits)}}"#,
            ])

        #expect(result.code == 0)
        #expect(result.summary["accepted"] == 10)
        #expect(
            result.summary["ignoredIdentifiers"] == [
                "(unknown)": ["unknown_namespace": 1], "anonymous_id": ["blocked": 1],
            ])
        #expect(result.summary["linksRefused"] == ["two_accounts": 2])
        #expect(result.summary["linksVoid"] == ["age": 1])
        #expect(result.summary["traitsRefused"] == 44)
        #expect(result.summary["timesMoved"] == 1)
        #expect(result.summary["withoutMessageId"] == 1)
        #expect(result.summary["stoppedAt"] == CBORValue.null)
        let lines = Set(
            result.error.split(separator: "\n").map {
                $0.split(separator: "/").last.map(String.init)
            })
        #expect(
            lines == [
                "events.ndjson:2: link to email refused: two_accounts",
                "events.ndjson:3: link to email refused: two_accounts",
                "events.ndjson:4: anonymous_id ignored: blocked (anonymousId)",
                "events.ndjson:7: identifier ignored: unknown_namespace (context.externalIds)",
                "events.ndjson:9: link to device_id void: age",
                "events.ndjson:10: 44 traits over the limit",
            ], "\(result.error)")
    }

    @Test(arguments: [1, 3])
    func `what is no object where one belongs is told by place and kind`(_ nodes: Int) throws {
        let result = try Self.ingest(
            nodes,
            [
                #"{"type":"identify","userId":"1","messageId":"1","traits":"{\"email\":\"a@b.test\"}"}"#,
                #"{"type":"identify","userId":"2","messageId":"2","traits":[{"email":"a@b.test"}]}"#,
                #"{"type":"identify","userId":"3","messageId":"3","context":"{}","traits":"x"}"#,
                #"{"type":"page","userId":"4","messageId":"4","context":{"device":"idfa-1"}}"#,
                #"{"type":"page","messageId":"5","traits":"{}"}"#,
                #"{"type":"identify","userId":"6","messageId":"6","traits":[],"context":null}"#,
            ])

        #expect(result.code == 1)
        #expect(result.summary["accepted"] == 5)
        #expect(
            result.summary["wrongKinds"] == [
                "context": ["text": 1], "context.device": ["text": 1],
                "traits": ["array": 1, "text": 3],
            ])
        let lines = result.error.split(separator: "\n").compactMap {
            $0.split(separator: "/").last.map(String.init)
        }
        #expect(
            Set(lines) == [
                "events.ndjson:1: traits ignored: a text, not an object",
                "events.ndjson:2: traits ignored: an array, not an object",
                "events.ndjson:3: context ignored: a text, not an object; "
                    + "traits ignored: a text, not an object",
                "events.ndjson:4: context.device ignored: a text, not an object",
                "events.ndjson:5: no_identifier: no identifier that can be used: traits is a text",
            ], "\(result.error)")
    }

    @Test(arguments: [1, 3])
    func `names given twice are told, and the last counts`(_ nodes: Int) throws {
        let old = (Int64(Date().timeIntervalSince1970) - 300 * 86_400) * 1_000

        let cluster = try TestCluster(nodes)
        let result = try Self.ingest(
            cluster,
            [
                #"{"type":"page","userId":"a","messageId":"1","userId":"b"}"#,
                #"{"type":"buy","messageId":"2","userId":"a","userId":"b"}"#,
                #"{"type":"track","event":"e","messageId":"3","userId":"c","properties":{"x":1,"x":2,"y":1,"y":2}}"#,
                #"{"type":"page","anonymousId":"d","messageId":"4","messageId":"5","timestamp":\#(old)}"#,
            ])

        #expect(result.summary["accepted"] == 2 && result.summary["expiredOnArrival"] == 1)
        #expect(result.summary["repeatedNames"] == 5)
        let lines = Set(
            result.error.split(separator: "\n").compactMap {
                $0.split(separator: "/").last.map(String.init)
            })
        #expect(
            lines == [
                #"events.ndjson:1: "userId" is given twice: the last counts"#,
                #"events.ndjson:2: invalid_type: "type" is a text, but not identify, track, page, "#
                    + #"screen, group or alias; "userId" is given twice: the last counts"#,
                #"events.ndjson:3: 2 names are given again, "x" among them: the last of each counts"#,
                #"events.ndjson:4: "messageId" is given twice: the last counts"#,
            ], "\(result.error)")
        #expect(try cluster.kith(nodes, "get", "user_id:a").code != 0)
        #expect(try cluster.kith(1, "get", "user_id:b").code == 0)
    }

    @Test(arguments: [1, 3])
    func `a time that the log moves is told as one that the reader moves`(_ nodes: Int) throws {
        let future = (Int64(Date().timeIntervalSince1970) + 7_200) * 1_000

        let result = try Self.ingest(
            nodes,
            [
                // Only the log's clock can tell: by its own account it has arrived.
                #"{"type":"page","userId":"1","messageId":"1","receivedAt":\#(future),"timestamp":\#(future)}"#,
                #"{"type":"page","userId":"2","messageId":"2","receivedAt":\#(future)}"#,
                #"{"type":"page","userId":"3","messageId":"3","timestamp":\#(future)}"#,
                #"{"type":"page","userId":"4","messageId":"4"}"#,
                #"{"type":"page","userId":"5","messageId":"5","timestamp":\#(future - 86_400_000)}"#,
            ])

        #expect(result.summary["accepted"] == 5)
        #expect(result.summary["timesMoved"] == 3)
    }

    @Test(arguments: [1, 3])
    func `refused lines are told by field and kind`(_ nodes: Int) throws {
        let result = try Self.ingest(
            nodes,
            [
                #"{"type":"page","userId":"3"}"#, #"{"type":7,"userId":"3"}"#,
                #"{"type":"page","userId":"null","anonymousId":null}"#,
                #"{"type":"page","userId":"1","originalTimestamp":"2026-10-16T16:00:27.029:Z"}"#,
            ])

        #expect(result.code == 1)
        guard case .array(let lines)? = result.summary["lines"] else {
            Issue.record("no lines")
            return
        }
        #expect(lines.map { $0["line"] } == [2, 3, 4])
        #expect(
            lines.map { $0["message"] } == [
                "\"type\" is a number, not identify, track, page, screen, group or alias",
                "no identifier that can be used: userId is a blocked value, anonymousId is null",
                "\"originalTimestamp\" is no ISO 8601 time: it goes wrong at byte 24",
            ])
        #expect(
            lines.map { $0["rejected"] } == ["invalid_type", "no_identifier", "invalid_timestamp"])
    }

    private static let page = #"{"type":"page","userId":"u"}"#

    @Test func `a file in another form is told of once and not sent`() throws {
        let cluster = try TestCluster(1)
        let array = try cluster.file("array.json", "[\(Self.page),\n\(Self.page)]")
        let table = try cluster.file("table.csv", "type,userId\npage,u\n")
        let good = try cluster.file("good.ndjson", Self.page)

        let result = try cluster.kith(1, "ingest", array, table, good, "--json")
        let summary = try JSONTranscoder.tree(Array(result.output.utf8))

        #expect(result.code == 1)
        #expect(summary["events"] == 1 && summary["accepted"] == 1)
        #expect(result.error.contains("array.json: one JSON array"), "\(result.error)")
        #expect(result.error.contains("jq -c '.[]' \(array)"), "\(result.error)")
        #expect(result.error.contains("table.csv: a table with a comma"), "\(result.error)")
        #expect(try cluster.stats(1)["events"]?["rejected"] == 0)
    }

    @Test func `after 100 bad lines without a good one it stops`() throws {
        let cluster = try TestCluster(1)
        let bad = Array(repeating: "nonsense", count: 150)

        let result = try Self.ingest(cluster, bad + [Self.page])
        let later = try Self.ingest(cluster, bad[..<99] + [Self.page] + bad)

        #expect(result.code == 1)
        #expect(result.summary["rejected"] == 100 && result.summary["accepted"] == 0)
        #expect(result.error.contains("stopped: of the first 100 lines not one is an event"))
        #expect(later.summary["rejected"] == 249 && later.summary["accepted"] == 1)
    }

    @Test func `a byte-order mark is passed over wherever a line begins`() throws {
        let cluster = try TestCluster(1)

        let result = try Self.ingest(cluster, ["\u{feff}" + Self.page, "\u{feff}" + Self.page])

        #expect(result.code == 0)
        #expect(result.summary["accepted"] == 2)
    }

    @Test func `what gzip packed is unpacked, whatever its name`() throws {
        let cluster = try TestCluster(1)
        let plain = try cluster.file("plain", Self.page + "\n")
        let folder = cluster.folder.path
        _ = try ChildProcess.shell(
            "gzip -c \(plain) > \(folder)/named.GZ; cp \(folder)/named.GZ \(folder)/bare")
        let pipe = Pipe()
        pipe.fileHandleForWriting.write(
            try Data(contentsOf: URL(fileURLWithPath: folder + "/bare")))
        try pipe.fileHandleForWriting.close()

        let files = try cluster.kith(1, "ingest", folder + "/named.GZ", folder + "/bare", "--json")
        let piped = try Run(
            ["ingest", "-", "--json", "--node", cluster.address(1)], openInput: pipe
        ).end()

        #expect(files.code == 0, "\(files.error)")
        #expect(try JSONTranscoder.tree(Array(files.output.utf8))["accepted"] == 2)
        #expect(piped.code == 0, "\(piped.error)")
        #expect(try JSONTranscoder.tree(Array(piped.output.utf8))["accepted"] == 1)
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func `a signal ends the sending, and the sums say where`(_ signal: Int32) throws {
        let cluster = try TestCluster(1)
        let pipe = Pipe()
        let ingest = try Run(
            ["ingest", "-", "--json", "--node", cluster.address(1)], openInput: pipe)
        pipe.fileHandleForWriting.write(Data((Self.page + "\n" + Self.page + "\n").utf8))
        while try cluster.stats(1)["events"]?["accepted"] != 2 {}

        ingest.signal(signal)
        let result = ingest.end()

        #expect(result.code == 130)
        let summary = try JSONTranscoder.tree(Array(result.output.utf8))
        #expect(summary["accepted"] == 2)
        #expect(summary["stoppedAt"] == "(standard input):3")
        #expect(result.error.contains("stopped at (standard input):3"), "\(result.error)")
        try pipe.fileHandleForWriting.close()
    }

    @Test func `patience is a total over all batches`() throws {
        let node = try FakeNode(Array(repeating: .answer(.overloaded), count: 1_000))
        let lines = Array(repeating: Self.page, count: 150)

        let result = try Run(
            ["ingest", "-", "--json", "--patience", "1", "--node", node.address],
            input: lines.joined(separator: "\n")
        ).end()

        let summary = try JSONTranscoder.tree(Array(result.output.utf8))
        #expect(summary["overloaded"] == 150)
        #expect(node.batches.filter { $0.count == 100 }.count > 1)
        #expect(node.batches.filter { $0.count == 50 }.count == 1)
    }
}
