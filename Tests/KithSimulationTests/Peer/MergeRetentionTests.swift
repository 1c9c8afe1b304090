import KithBytes
import KithClient
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// C12: sealed for merging at 89.999 days, absorbed at 90.002, with or without a crash between.
/// Merged with its history: what is sealed does not expire.
@Suite struct MergeRetentionTests {
    enum Between: String, CaseIterable {
        case winnerHangs, loserCrashes, winnerCrashes, bothCrash
    }

    private static let day: Int64 = 86_400_000

    /// The cookie's record is node 1's, the account's node 2's.
    @Test(arguments: Between.allCases, 1...3 as ClosedRange<UInt64>)
    func `what is sealed just before its end is merged with its history after it`(
        between: Between, seed: UInt64
    ) throws {
        let comment = "seed \(seed), \(between.rawValue)"
        let world = try PeerWorld.started(seed: seed)
        let cluster = world.cluster
        let start = world.settings.start.rawValue
        let person = world.person("p", cookieAt: 1, accountAt: 2)
        let bystander = world.value("anonymous_id", "bystander", at: 1)
        let seen =
            person.events.prefix(2).map(\.event) + [
                MergingEvents.event("bystander", ["anonymousId": .text(bystander)])
            ]
        #expect(try world.ingestAll(seen, at: 3) == [.ok, .ok, .ok], "\(comment)")

        cluster.setWallTime(LogTime(start + 90 * Self.day - 1))
        let client = cluster.client(at: 3)
        let payload = PeerWorld.payload([person.link])
        cluster.clientLane.start { _ = try? await client.ingest(payload) }
        let loser = try #require(cluster.node(1).life?.node)
        try cluster.simulator.run(
            until: { loser.openMerges.contains { $0.unlogged == nil } }, maxSteps: 100_000)
        if between == .winnerCrashes || between == .bothCrash {
            cluster.crash(2)
        } else {
            cluster.pause(2)
        }
        if between == .loserCrashes || between == .bothCrash { cluster.crash(1) }
        cluster.setWallTime(LogTime(start + 90 * Self.day + 2))
        try world.pass(milliseconds: 300)
        if !cluster.isUp(1) { try cluster.start(1) }
        for node in [1, 3] {
            #expect(try world.sealed(at: node) == 1, "\(comment), node \(node)")
            #expect(
                try world.profile("anonymous_id", bystander, at: node) == nil,
                "\(comment): what is not sealed does expire")
        }
        if cluster.isUp(2) { cluster.resume(2) } else { try cluster.start(2) }
        try world.pass(milliseconds: 2_500)
        try world.settle()

        #expect(try world.sealed(at: 3) == 0, "\(comment)")
        _ = try world.ingestAll([person.link], at: 3)
        try world.expectWhole([person], comment)
        for totals in try world.totals() {
            #expect(totals["merges", "completed"] == .unsigned(1), "\(comment)")
            #expect(totals["expired"] == .unsigned(1), "\(comment)")
            #expect(totals["profiles", "total"] == .unsigned(1), "\(comment)")
        }
        cluster.crashAll()
        try cluster.startAll()
        try world.settle()
        try world.expectWhole([person], "\(comment), again after a power loss")
        try world.end()
    }
}
