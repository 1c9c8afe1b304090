// Every line of a large file is accounted for once: by the sums of `kith ingest`, and by `kith
// stats`.

import Foundation
import KithBytes
import Testing
import kith

/// Lines of every kind, and what must become of each, from a seed.
private struct MixedFile {
    private(set) var text = ""
    private(set) var lines = 0
    private(set) var accepted = 0
    private(set) var duplicate = 0
    private(set) var expired = 0
    private(set) var rejected: [String: Int] = [:]
    private(set) var ignored: [String: Int] = [:]
    private(set) var moved = 0
    private(set) var unnamed = 0
    private(set) var refusedLinks = 0
    private(set) var voidLinks = 0
    private(set) var traitsRefused = 0
    private var state: UInt64
    private let now = Int64(Date().timeIntervalSince1970) * 1_000
    /// Lines that are written at the end: they say who earlier lines were about.
    private var late: [String] = []

    init(seed: UInt64, count: Int) {
        state = seed
        while lines + late.count < count { add(lines) }
        for line in late { take(line) }
    }

    private mutating func random(_ below: Int) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((z ^ (z >> 31)) % UInt64(below))
    }

    private mutating func put(_ line: String) {
        text += line + "\n"
        lines += 1
    }

    private mutating func take(_ line: String) {
        put(line)
        accepted += 1
    }

    private mutating func refuse(_ line: String, _ reason: String) {
        put(line)
        rejected[reason, default: 0] += 1
    }

    private func event(_ members: String, _ id: Int, daysAgo: Int? = nil) -> String {
        let time = daysAgo.map { #","timestamp":\#(now - Int64($0) * 86_400_000)"# } ?? ""
        return #"{"type":"page","messageId":"m\#(id)",\#(members)\#(time)}"#
    }

    private mutating func add(_ n: Int) {
        switch random(40) {
        case 0: refuse("{\"type\":", "invalid_json")
        case 1: refuse(#"{"type":"buy","userId":"1"}"#, "invalid_type")
        case 2: refuse(#"{"type":"track","userId":"1","event":null}"#, "missing_event_name")
        case 3:
            refuse(event(#""anonymousId":"{{id}}""#, n), "no_identifier")
            ignored["blocked", default: 0] += 1
        case 4: refuse(event(#""userId":"1","timestamp":1796028611"#, n), "invalid_timestamp")
        case 5: refuse(#"{"type":"alias","userId":"1"}"#, "missing_previous_id")
        case 6 where random(20) == 0:
            let pad = String(repeating: "x", count: 33_000)
            refuse(event(#""userId":"1","pad":"\#(pad)""#, n), "event_too_large")
        case 7:
            put(event(#""anonymousId":"old\#(n)""#, n, daysAgo: 200 + random(100)))
            expired += 1
        case 8:
            take(event(#""anonymousId":"late\#(n)""#, n, daysAgo: 200 + random(100)))
            late.append(event(#""userId":"late\#(n)","anonymousId":"late\#(n)""#, -n - 1))
        case 9:
            // Of a visitor who is live and stays unknown: the old line counts, its link is void.
            take(event(#""anonymousId":"live\#(n)""#, n))
            let device = #""context":{"device":{"id":"live\#(n)"}}"#
            take(event(#""anonymousId":"live\#(n)",\#(device)"#, -n - 1, daysAgo: 300))
            voidLinks += 1
        case 10:
            take(event(#""userId":"twice\#(n)""#, n))
            put(event(#""userId":"twice\#(n)""#, n))
            duplicate += 1
        case 11:
            take(event(#""userId":"f\#(n)","timestamp":"2999-01-01""#, n))
            moved += 1
        case 12:
            take(#"{"type":"page","userId":"unnamed\#(n)"}"#)
            unnamed += 1
        case 13:
            take(event(#""userId":"m\#(n)","traits":{"email":"m\#(n)@x.test"}"#, n))
            take(
                event(#""userId":"n\#(n)","context":{"traits":{"email":"m\#(n)@x.test"}}"#, -n - 1))
            refusedLinks += 1
        case 14 where random(20) == 0:
            let traits = (0..<300).map { #""t\#($0)":1"# }.joined(separator: ",")
            take(event(#""userId":"t\#(n)","context":{"traits":{\#(traits)}}"#, n))
            traitsRefused += 44
        case 15:
            take(event(#""userId":\#(n + 1).0,"anonymousId":"nil""#, n))
            ignored["blocked", default: 0] += 1
        case 16:
            take(
                event(#""userId":"e\#(n)","context":{"externalIds":[{"id":"1","type":"x"}]}"#, n))
            ignored["unknown_namespace", default: 0] += 1
        case 17: take("\u{feff}" + event(#""userId":"bom\#(n)""#, n))
        case 18: text += "\n"
        default: take(event(#""userId":"u\#(random(5_000))","anonymousId":"a\#(n)""#, n))
        }
    }
}

@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct AccountTests {
    @Test(arguments: [1, 3])
    func `each of 200,000 lines is accounted for once, by one of the answers`(
        _ nodes: Int
    ) throws {
        let file = MixedFile(seed: 2_026_1130 + UInt64(nodes), count: 200_000)
        let cluster = try TestCluster(nodes)
        let path = try cluster.file("mixed.ndjson", file.text)

        let result = try cluster.kith(nodes, "ingest", path, "--json")
        let summary = try JSONTranscoder.tree(Array(result.output.utf8))
        let stats = try cluster.stats(1)

        func number(_ value: CBORValue?) -> Int {
            if case .unsigned(let number)? = value { Int(number) } else { -1 }
        }
        func sum(_ counts: [String: Int]) -> Int { counts.values.reduce(0, +) }
        func numbers(_ value: CBORValue?) -> [String: Int] {
            guard case .map(let members)? = value else { return [:] }
            var counts: [String: Int] = [:]
            for member in members {
                if case .text(let name) = member.key { counts[name] = number(member.value) }
            }
            return counts
        }

        #expect(number(summary["events"]) == file.lines)
        #expect(number(summary["accepted"]) == file.accepted)
        #expect(number(summary["duplicate"]) == file.duplicate)
        #expect(number(summary["expiredOnArrival"]) == file.expired)
        #expect(numbers(summary["rejectedByReason"]) == file.rejected)
        #expect(number(summary["timesMoved"]) == file.moved)
        #expect(number(summary["traitsRefused"]) == file.traitsRefused)
        #expect(numbers(summary["linksRefused"]) == ["two_accounts": file.refusedLinks])
        #expect(numbers(summary["linksVoid"]) == ["age": file.voidLinks])
        #expect(number(summary["withoutMessageId"]) == file.unnamed)

        let events = stats["events"]
        #expect(number(events?["accepted"]) == file.accepted)
        #expect(number(events?["duplicate"]) == file.duplicate)
        #expect(number(events?["expiredOnArrival"]) == file.expired)
        #expect(numbers(events?["rejectedByReason"]) == file.rejected)
        #expect(numbers(stats["ignoredIdentifiers"]) == file.ignored)
        #expect(number(stats["traitsRefused"]) == file.traitsRefused)
        #expect(
            number(events?["accepted"]) + number(events?["duplicate"])
                + number(events?["expiredOnArrival"]) + number(events?["rejected"]) == file.lines)
    }
}
