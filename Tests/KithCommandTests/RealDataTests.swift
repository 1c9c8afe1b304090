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
        "linkage-febrl3", "completejourney",
    ]

    /// How a file goes in: how many nodes, and whether batches go to them in turn.
    struct Way: Sendable, CustomTestStringConvertible {
        var nodes: Int
        /// The node that is fed; nil for all in turn.
        var fed: Int?

        var testDescription: String {
            "\(nodes) nodes, fed through \(fed.map { "node \($0)" } ?? "all in turn")"
        }
    }

    @Test(arguments: sets, ["first", "quarantine"])
    func `the totals and the busiest persons of a real file are the expected ones`(
        _ set: String, _ sharedDevice: String
    ) throws {
        try check(set, sharedDevice, Way(nodes: 1, fed: 1))
    }

    static let threeNodes = [Way(nodes: 3, fed: 2), Way(nodes: 3, fed: nil)]

    /// Every file takes a while at three nodes: without KITH_TESTS=all one way each is taken.
    static let threeNodeCases: [(String, String, Way)] = {
        let isAll = ProcessInfo.processInfo.environment["KITH_TESTS"] == "all"
        var cases: [(String, String, Way)] = []
        for (number, set) in sets.enumerated() {
            for (place, mode) in ["first", "quarantine"].enumerated() {
                for (choice, way) in threeNodes.enumerated()
                where isAll || (place == number % 2 && choice == number / 2 % 2) {
                    cases.append((set, mode, way))
                }
            }
        }
        return cases
    }()

    @Test(arguments: threeNodeCases)
    func `three nodes give the same answers, every one of them`(
        _ set: String, _ sharedDevice: String, _ way: Way
    ) throws {
        try check(set, sharedDevice, way)
    }

    private func check(_ set: String, _ sharedDevice: String, _ way: Way) throws {
        let folder = Built.data + "/" + set
        let text = try Data(contentsOf: URL(fileURLWithPath: folder + "/expected-kith.json"))
        let expected = try #require(
            try JSONTranscoder.tree(Array(text))["sharedDevice=\(sharedDevice)"])
        let cluster = try TestCluster(
            way.nodes,
            settings: """
                "replicas": 1, "retention": {"clock": "event"},
                "identity": {"sharedDevice": "\(sharedDevice)"}
                """)

        let place =
            way.fed.map { ["--node", cluster.address($0)] }
            ?? ["--node", cluster.addresses(), "--spread"]
        let ingest = try Run(["ingest", folder + "/events.ndjson.gz", "--json"] + place).end()

        #expect(ingest.code == (expected["rejected_by_reason"] == .map([]) ? 0 : 1))
        for node in 1...way.nodes {
            let stats = try cluster.stats(node)
            #expect(stats["profiles"]?["members"] == expected["members"])
            #expect(stats["profiles"]?["anonymous"] == expected["anonymous_live_at_end"])
            #expect(stats["events"]?["accepted"] == expected["accepted"])
            #expect(stats["events"]?["duplicate"] == expected["duplicates"])
            #expect(stats["events"]?["rejectedByReason"] == expected["rejected_by_reason"])
            #expect(stats["events"]?["expiredOnArrival"] == expected["expired_on_arrival"])
        }
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
            for node in 1...way.nodes {
                let get = try cluster.kith(node, "get", name, "--json")
                try #require(get.code == 0, "\(name): \(get.error)")
                let profile = try JSONTranscoder.tree(Array(get.output.utf8))
                #expect(profile["events"]?["total"] == pair[1], "\(name) at node \(node)")
            }
        }
    }
}
