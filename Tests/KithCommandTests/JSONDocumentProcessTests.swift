import Foundation
import Glibc
import KithBytes
import Testing
import kith

/// docs/json.md against what the commands print, key by key.
@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct JSONDocumentProcessTests {
    /// A row of the document.
    struct Row {
        let path: String
        let type: String
        let isOptional: Bool
    }

    /// The rows of each `## kith NAME`.
    static let document: [String: [Row]] = {
        let path = SurroundingsProcessTests.root + "/docs/json.md"
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        var rows: [String: [Row]] = [:]
        var name = ""
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## kith ") { name = String(line.dropFirst(8)) }
            let cells = line.split(separator: "|").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            guard line.hasPrefix("| `"), cells.count >= 3 else { continue }
            rows[name, default: []].append(
                Row(
                    path: cells[0].replacingOccurrences(of: "`", with: ""),
                    type: cells[1].replacingOccurrences(of: "?", with: ""),
                    isOptional: cells[1].hasSuffix("?")))
        }
        return rows
    }()

    /// Compares what a command printed with its section; `optional` keys need not be there either.
    private func compare(
        _ command: String, _ printed: [String], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let rows = try #require(Self.document[command], "no section of kith \(command)")
        var seen: Set<String> = []
        for text in printed {
            let tree = try JSONTranscoder.tree(Array(text.utf8))
            check(tree, "", rows, command, &seen, sourceLocation)
        }
        for row in rows where !row.isOptional && !row.path.contains("*") && !row.path.contains("[]")
        {
            #expect(
                seen.contains(row.path), "kith \(command) did not print \(row.path)",
                sourceLocation: sourceLocation)
        }
    }

    private func check(
        _ value: CBORValue, _ path: String, _ rows: [Row], _ command: String,
        _ seen: inout Set<String>, _ location: SourceLocation
    ) {
        if let row = rows.first(where: { $0.path == path }) {
            seen.insert(path)
            #expect(
                Self.isOf(row.type, value), "kith \(command): \(path) is \(value), not \(row.type)",
                sourceLocation: location)
            if row.type == "any" { return }
        }
        func hasRows(below path: String) -> Bool {
            rows.contains {
                $0.path == path || $0.path.hasPrefix(path + ".") || $0.path.hasPrefix(path + "[")
            }
        }
        switch value {
        case .map(let members):
            for member in members {
                guard case .text(let name) = member.key else { continue }
                let own = path.isEmpty ? name : path + "." + name
                let any = path + ".*"
                let isData = !hasRows(below: own) && hasRows(below: any)
                #expect(
                    isData || hasRows(below: own),
                    "kith \(command) prints \(own): not in docs/json.md",
                    sourceLocation: location)
                check(member.value, isData ? any : own, rows, command, &seen, location)
            }
        case .array(let elements):
            #expect(
                hasRows(below: path + "[]"),
                "kith \(command) prints the list \(path): not in docs/json.md",
                sourceLocation: location)
            for element in elements { check(element, path + "[]", rows, command, &seen, location) }
        default:
            #expect(
                rows.contains { $0.path == path },
                "kith \(command) prints \(path): not in docs/json.md",
                sourceLocation: location)
        }
    }

    private static func isOf(_ type: String, _ value: CBORValue) -> Bool {
        if type.hasSuffix(" or null") {
            if case .null = value { return true }
            return isOf(String(type.dropLast(8)), value)
        }
        switch (type, value) {
        case ("any", _), ("text", .text), ("bool", .bool), ("list", .array), ("object", .map),
            ("whole", .unsigned), ("whole", .negative), ("number", .unsigned),
            ("number", .negative),
            ("number", .double):
            return true
        default: return false
        }
    }

    // MARK: -

    @Test func `the document has each command that prints JSON, and types that are known`() {
        let types: Set<String> = ["text", "whole", "number", "bool", "list", "object", "any"]
        #expect(
            Set(Self.document.keys) == [
                "get", "stats", "status", "ingest", "bench", "check-config", "simulate", "chaos",
                "serve",
            ])
        for (command, rows) in Self.document {
            for row in rows {
                let plain = row.type.replacingOccurrences(of: " or null", with: "")
                #expect(types.contains(plain), "kith \(command): \(row.path): \(row.type)")
            }
            #expect(Set(rows.map(\.path)).count == rows.count, "kith \(command): a key twice")
        }
    }

    @Test func `get, stats, status and ingest print what the document says`() throws {
        let node = try TestNode(config: #"{"identity":{"sharedDevice":"quarantine"}}"#)
        let events = """
            {"type":"identify","userId":"u-1","anonymousId":"d","traits":{"city":"Rome","deep":{"a":[1,{"b":2}]}}}
            {"type":"identify","userId":"u-2","anonymousId":"d","messageId":"m"}
            {"type":"identify","userId":"u-2","anonymousId":"d","messageId":"m"}
            {"type":"track","event":"Paid","anonymousId":"d"}
            {"type":"page","userId":"null","anonymousId":"other"}
            {"type":"page"}
            no json
            """
        let ingest = try node.kith("ingest", "-", "--json", input: events)
        try compare("ingest", [ingest.output])
        let missing = try node.kith("ingest", "-", "--json", "--quiet", input: "")
        try compare("ingest", [missing.output])
        let profiles = try [
            ["user_id:u-1"], ["user_id:u-2"], ["anonymous_id:other"],
            ["anonymous_id:d", "--quarantine"],
        ].map { words in
            try Run(["get"] + words + ["--json", "--node", node.address]).end().output
        }
        try compare("get", profiles)
        try compare("stats", [try node.kith("stats", "--json").output])
        try compare("status", [try node.kith("status", "--json").output])
    }

    @Test func `a status with a node that is down prints what the document says`() throws {
        let cluster = try TestCluster(2)
        cluster.crash(2)

        try compare("status", [try cluster.kith(1, "status", "--json").output])
    }

    @Test func `bench prints what the document says`() throws {
        let node = try TestNode()
        let people = ["--visitors", "100", "--seconds", "0.5", "--json", "--node", node.address]

        let ingest = try Run(["bench", "ingest"] + people).end()
        let get = try Run(["bench", "get", "--rate", "100"] + people).end()

        #expect(ingest.code == 0 && get.code == 0, "\(ingest.error) \(get.error)")
        try compare("bench", [ingest.output, get.output])
    }

    @Test func `check-config, simulate and serve print what the document says`() throws {
        let node = try TestNode()
        let path = try node.file(
            "all.json", #"{"memory":{"limitMiB":9},"identity":{"namespaces":{"phone":null}}}"#)
        try compare("check-config", [try Run(["check-config", path, "--json"]).end().output])
        try compare(
            "simulate",
            [try Run(["simulate", "--seed", "2", "--steps", "8", "--json"]).end().output])
        node.crash()
        let run = try Run(node.serveArguments + ["--log", "json"])
        let first = try #require(run.line())
        run.signal(SIGTERM)
        let lines = run.end().error.split(separator: "\n").map(String.init)
        try compare("serve", [first] + lines)
    }

    @Test func `chaos prints what the document says`() throws {
        let result = try Run(["chaos", "--seconds", "2", "--nodes", "1", "--json"]).end()

        #expect(result.code == 0, "\(result.error)")
        try compare("chaos", [result.output])
    }
}
