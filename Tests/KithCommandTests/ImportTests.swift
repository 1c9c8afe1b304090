// Imports by wall clock, in which old lines stand before those that say who they are about (C16,
// C18).

import Foundation
import KithBytes
import Testing
import kith

@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct ImportTests {
    /// So many days before now, in milliseconds.
    private static func days(_ count: Int) -> Int64 {
        (Int64(Date().timeIntervalSince1970) - Int64(count) * 86_400) * 1_000
    }

    private static func line(
        _ type: String, _ members: String, _ id: String, daysAgo: Int
    ) -> String {
        #"{"type":"\#(type)",\#(members),"messageId":"\#(id)","timestamp":\#(days(daysAgo))}"#
    }

    private static func ingest(
        _ cluster: TestCluster, _ lines: [String], asStream: Bool = false
    ) throws -> CBORValue {
        let text = lines.joined(separator: "\n")
        let node = cluster.count
        let result =
            try asStream
            ? cluster.kith(node, "ingest", "-", "--json", input: text)
            : cluster.kith(node, "ingest", cluster.file("import.ndjson", text), "--json")
        return try JSONTranscoder.tree(Array(result.output.utf8))
    }

    private static func total(_ cluster: TestCluster, _ name: String, _ options: String...) throws
        -> CBORValue?
    {
        let result = try Run(
            ["get", name, "--json", "--node", cluster.address(1)] + options
        ).end()
        guard result.code == 0 else { return nil }
        return try JSONTranscoder.tree(Array(result.output.utf8))["events"]?["total"]
    }

    @Test(arguments: [1, 3], [false, true])
    func `C16: an old line of a visitor who is identified behind it counts`(
        _ nodes: Int, _ asStream: Bool
    ) throws {
        let cluster = try TestCluster(nodes)

        let summary = try Self.ingest(
            cluster,
            [
                Self.line("page", #""anonymousId":"1""#, "m1", daysAgo: 300),
                Self.line("identify", #""userId":"1","anonymousId":"1""#, "m2", daysAgo: 1),
            ], asStream: asStream)

        #expect(summary["accepted"] == 2 && summary["expiredOnArrival"] == 0)
        #expect(try Self.total(cluster, "anonymous_id:1") == 2)
        let stats = try cluster.stats(1)
        #expect(stats["profiles"]?["total"] == 1)
        #expect(stats["events"]?["accepted"] == 2)
        #expect(stats["events"]?["expiredOnArrival"] == 0)
        #expect(stats["events"]?["duplicate"] == 0)
    }

    /// Each line names a device and the next one, the last link of the chain first: every pass
    /// makes one more of them known. There are seven passes behind the first sending.
    @Test(arguments: [1, 3], [4, 9])
    func `C16: what becomes possible by a line sent again is sent again, to a bound`(
        _ nodes: Int, _ length: Int
    ) throws {
        let cluster = try TestCluster(nodes)
        func device(_ number: Int) -> String { #"{"type":"device_id","id":"\#(number)"}"# }
        let chain = (1...length).reversed().map { number in
            Self.line(
                "page",
                #""context":{"externalIds":[\#(device(number)),\#(device(number + 1))]}"#,
                "m\(number)", daysAgo: 300)
        }

        let summary = try Self.ingest(
            cluster,
            chain + [
                Self.line(
                    "identify", #""userId":"1","context":{"device":{"id":"1"}}"#, "m0", daysAgo: 1)
            ])

        let taken = CBORValue.integer(Int64(min(length, 7) + 1))
        let expired = CBORValue.integer(Int64(max(0, length - 7)))
        let stats = try cluster.stats(1)
        #expect(summary["accepted"] == taken && summary["expiredOnArrival"] == expired)
        #expect(stats["events"]?["accepted"] == taken)
        #expect(stats["events"]?["expiredOnArrival"] == expired)
        #expect(stats["events"]?["duplicate"] == 0)
        #expect(try Self.total(cluster, "user_id:1") == taken)
    }

    @Test(arguments: [1, 3])
    func `what stays old is counted once, and told once`(_ nodes: Int) throws {
        let cluster = try TestCluster(nodes)

        let summary = try Self.ingest(
            cluster,
            [
                Self.line("page", #""anonymousId":"1","userId":"null""#, "m1", daysAgo: 300),
                Self.line("page", #""anonymousId":"2""#, "m2", daysAgo: 0),
                Self.line(
                    "page", #""anonymousId":"2","context":{"device":{"id":"d"}}"#, "m3",
                    daysAgo: 300),
            ])

        #expect(summary["expiredOnArrival"] == 1 && summary["accepted"] == 2)
        #expect(summary["linksVoid"] == ["age": 1])
        #expect(summary["ignoredIdentifiers"] == ["user_id": ["blocked": 1]])
        let stats = try cluster.stats(1)
        #expect(stats["events"]?["expiredOnArrival"] == 1)
        #expect(stats["events"]?["accepted"] == 2)
        #expect(stats["events"]?["duplicate"] == 0)
        #expect(stats["ignoredIdentifiers"] == ["blocked": 1])
    }

    @Test(arguments: [1, 3], [false, true])
    func `C18: an old line of a device that two accounts share stays out`(
        _ nodes: Int, _ hasQuarantine: Bool
    ) throws {
        let cluster = try TestCluster(nodes)
        var lines = [
            Self.line("page", #""anonymousId":"1""#, "m1", daysAgo: 300),
            Self.line("identify", #""userId":"1","anonymousId":"1""#, "m2", daysAgo: 200),
            Self.line("identify", #""userId":"2","anonymousId":"1""#, "m3", daysAgo: 100),
        ]
        if hasQuarantine {
            lines.append(Self.line("page", #""anonymousId":"1""#, "m4", daysAgo: 1))
        }

        let summary = try Self.ingest(cluster, lines)

        #expect(summary["expiredOnArrival"] == 1)
        #expect(summary["accepted"] == .integer(Int64(lines.count - 1)))
        #expect(try Self.total(cluster, "user_id:1") == 1)
        #expect(try Self.total(cluster, "user_id:2") == 1)
        #expect(
            try Self.total(cluster, "anonymous_id:1", "--quarantine")
                == (hasQuarantine ? 1 : CBORValue?.none))
        #expect(try cluster.stats(1)["events"]?["expiredOnArrival"] == 1)
    }
}
