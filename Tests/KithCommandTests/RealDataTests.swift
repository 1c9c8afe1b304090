import Foundation
import KithBytes
import Testing
import kith

/// Real event files, whose answers an independent program computed from the rules alone.
@Suite(
    .enabled(if: Built.isThere, Built.note), .enabled(if: Built.hasData, Built.dataNote),
    .serialized)
struct RealDataTests {
    static let sets = [
        "diginetica", "olist", "snowplow-web", "snowplow-mobile", "linkage-fake1000",
        "completejourney",
    ]

    @Test(arguments: sets, ["first", "quarantine"])
    func `the totals and the busiest persons of a real file are the expected ones`(
        _ set: String, _ sharedDevice: String
    ) throws {
        let folder = Built.data + "/" + set
        let text = try Data(contentsOf: URL(fileURLWithPath: folder + "/expected-kith.json"))
        let expected = try #require(
            try JSONTranscoder.tree(Array(text))["sharedDevice=\(sharedDevice)"])
        let node = try TestNode(
            config: """
                {"name": "real", "retention": {"clock": "event"},
                 "identity": {"sharedDevice": "\(sharedDevice)"}}
                """)

        let ingest = try node.kith("ingest", folder + "/events.ndjson.gz", "--json")

        #expect(ingest.code == (expected["rejected_by_reason"] == .map([]) ? 0 : 1))
        let stats = try node.stats()
        #expect(stats["profiles"]?["members"] == expected["members"])
        #expect(stats["profiles"]?["anonymous"] == expected["anonymous_live_at_end"])
        #expect(stats["events"]?["accepted"] == expected["accepted"])
        #expect(stats["events"]?["duplicate"] == expected["duplicates"])
        #expect(stats["events"]?["rejectedByReason"] == expected["rejected_by_reason"])
        #expect(stats["events"]?["expiredOnArrival"] == expected["expired_on_arrival"])
        guard case .array(let persons)? = expected["top_persons_by_events"] else {
            Issue.record("no persons in \(set)")
            return
        }
        for person in persons {
            guard case .array(let pair) = person, pair.count == 2, case .text(let name) = pair[0]
            else {
                Issue.record("\(person) is no person")
                continue
            }
            let get = try node.kith("get", name, "--json")
            try #require(get.code == 0, "\(name): \(get.error)")
            let profile = try JSONTranscoder.tree(Array(get.output.utf8))
            #expect(profile["events"]?["total"] == pair[1], "\(name)")
        }
    }
}
