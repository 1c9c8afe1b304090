import Foundation
import Glibc
import KithBytes
import Testing
import kith

/// Clusters of real processes: three nodes, any of which takes any event and answers any question.
@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct ClusterProcessTests {
    /// A visitor's two devices and a till, which become one member: the same answer everywhere.
    @Test func `every node answers every identifier with the same merged profile`() throws {
        let cluster = try TestCluster(3)
        for person in 0..<6 {
            let lines = [
                #"{"type":"page","anonymousId":"web-\#(person)","messageId":"a\#(person)"}"#,
                #"{"type":"track","event":"Paid","userId":null,"anonymousId":"till-\#(person)","context":{"traits":{"email":"p\#(person)@x.org"}},"messageId":"b\#(person)"}"#,
                #"{"type":"identify","userId":"u-\#(person)","anonymousId":"web-\#(person)","traits":{"email":"p\#(person)@x.org"},"messageId":"c\#(person)"}"#,
                #"{"type":"identify","userId":"u-\#(person)","anonymousId":"app-\#(person)","messageId":"d\#(person)"}"#,
            ]
            for (place, line) in lines.enumerated() {
                let node = (person + place) % 3 + 1
                let result = try cluster.kith(node, "ingest", "-", "--quiet", input: line)
                #expect(result.code == 0, "\(result.error)")
            }
        }

        for person in 0..<6 {
            var answers: Set<String> = []
            for identifier in [
                "user_id:u-\(person)", "email:p\(person)@x.org", "anonymous_id:web-\(person)",
                "anonymous_id:app-\(person)", "anonymous_id:till-\(person)",
            ] {
                for node in 1...3 {
                    answers.insert(try cluster.kith(node, "get", identifier, "--json").output)
                }
            }
            #expect(answers.count == 1)
            let profile = try JSONTranscoder.tree(Array(try #require(answers.first).utf8))
            #expect(profile["events"]?["total"] == .unsigned(4))
        }
        for node in 1...3 {
            let stats = try cluster.stats(node)
            #expect(stats["profiles"]?["members"] == .unsigned(6))
            #expect(stats["profiles"]?["anonymous"] == .unsigned(0))
            #expect(stats["identifiers"]?["total"] == .unsigned(30))
            #expect(stats["events"]?["accepted"] == .unsigned(24))
        }
    }

    @Test func `a node that is down is named by the others, which go on`() throws {
        let cluster = try TestCluster(3)
        let lines = (0..<90).map {
            #"{"type":"identify","userId":"u-\#($0)","messageId":"m-\#($0)"}"#
        }
        let text = lines.joined(separator: "\n")
        #expect(try cluster.kith(1, "ingest", "-", "--quiet", input: text).code == 0)

        cluster.crash(2)
        var codes: [Int32: Int] = [:]
        for person in 0..<90 {
            let result = try cluster.kith(person % 2 == 0 ? 1 : 3, "get", "user_id:u-\(person)")
            codes[result.code, default: 0] += 1
            if result.code != 0 { #expect(result.error.contains("node 2 (127.0.0.1:")) }
        }
        #expect(Set(codes.keys) == [0, 4], "\(codes)")
        let stats = try cluster.kith(3, "stats")
        #expect(stats.code == 4 && stats.error.contains("node 2 "), "\(stats.error)")
        let status = try cluster.kith(1, "status")
        #expect(status.code == 0 && status.output.contains("2 of 3 nodes up"), "\(status.output)")

        try cluster.start(2)
        for person in 0..<90 {
            // The others notice within moments that it is back.
            let deadline = Date().addingTimeInterval(10)
            var code: Int32
            repeat {
                code = try cluster.kith(person % 3 + 1, "get", "user_id:u-\(person)").code
            } while code == 4 && Date() < deadline
            #expect(code == 0)
        }
        for node in 1...3 { #expect(cluster.stop(node) == 0) }
    }

    /// Persons with two devices each, whose events come in through all nodes at once while nodes
    /// are killed one after the other, and then all at once.
    @Test func `kill -9 of each node in turn and of all loses nothing and counts nothing twice`()
        throws
    {
        let cluster = try TestCluster(3)
        let persons = 400
        let count = 30_000
        let names = (1...3).map { "part-\($0)" }
        var parts: [[String]] = [[], [], []]
        var expected = [UInt64](repeating: 0, count: persons)
        for number in 0..<count {
            let person = number * 7919 % persons
            expected[person] += 1
            let device =
                #""anonymousId":"d-\#(person)-\#(number / persons % 2)","messageId":"m-\#(number)""#
            // Every device is seen with its account now and then: links that cross nodes.
            let line =
                number % 9 == 0
                ? #"{"type":"identify","userId":"u-\#(person)",\#(device)}"#
                : #"{"type":"track","event":"e","userId":"u-\#(person)",\#(device)}"#
            parts[number % 3].append(line)
        }
        let ingests = try parts.enumerated().map { place, lines in
            let path = try cluster.file(names[place], lines.joined(separator: "\n"))
            return try Run([
                "ingest", path, "--json", "--node", cluster.addresses(from: place + 1),
            ])
        }

        func wait(until part: UInt64) throws {
            let deadline = Date().addingTimeInterval(120)
            while Date() < deadline {
                // Where the last victim is not heard of yet there are no totals: asked again.
                if case .unsigned(let accepted)? = try? cluster.stats(1)["events"]?["accepted"],
                    accepted >= part
                {
                    return
                }
            }
            Issue.record("only a part of \(part) events came in within 120 s")
        }
        for (victims, part) in [
            ([1], 2_000), ([2], 6_000), ([3], 10_000), ([1, 2, 3], 14_000),
        ] as [([Int], UInt64)] {
            try wait(until: part)
            for victim in victims { cluster.crash(victim) }
            for victim in victims { try cluster.start(victim) }
        }
        for ingest in ingests {
            let result = ingest.end()
            #expect(result.code == 0, "\(result.error)")
        }

        for node in 1...3 {
            let stats = try cluster.stats(node)
            #expect(stats["events"]?["accepted"] == .unsigned(UInt64(count)))
            #expect(stats["profiles"]?["total"] == .unsigned(UInt64(persons)))
            #expect(stats["identifiers"]?["total"] == .unsigned(UInt64(persons * 3)))
        }
        for person in stride(from: 0, to: persons, by: 13) {
            let answer = try cluster.kith(
                person % 3 + 1, "get", "anonymous_id:d-\(person)-\(person / 13 % 2)", "--json")
            let profile = try JSONTranscoder.tree(Array(answer.output.utf8))
            #expect(profile["events"]?["total"] == .unsigned(expected[person]), "person \(person)")
        }
    }

    @Test func `a node that stands still costs others a deadline, and nothing is lost`() throws {
        let cluster = try TestCluster(3)
        let lines = (0..<30).map {
            #"{"type":"page","anonymousId":"v-\#($0)","messageId":"m-\#($0)"}"#
        }
        let text = lines.joined(separator: "\n")
        #expect(try cluster.kith(1, "ingest", "-", "--quiet", input: text).code == 0)

        cluster.signal(2, SIGSTOP)
        defer { cluster.signal(2, SIGCONT) }
        var codes: Set<Int32> = []
        for visitor in 0..<12 {
            codes.insert(try cluster.kith(1, "get", "anonymous_id:v-\(visitor)").code)
        }
        #expect(codes == [0, 4])
        cluster.signal(2, SIGCONT)

        #expect(try cluster.kith(3, "ingest", "-", "--quiet", input: text).code == 0)
        for node in 1...3 {
            #expect(try cluster.stats(node)["events"]?["accepted"] == .unsigned(30))
        }
    }
}
