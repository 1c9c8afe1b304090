import KithBytes
import KithWire
import Testing

@testable import KithSimulation

/// Found by `kith simulate` (seeds 3275 and 3475): where the group of a link's winner was a
/// retention ahead of the loser's in log time, what was absorbed expired at once, the link began
/// again, and the event was never acknowledged.
@Suite struct LinkClockTests {
    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `a link between groups whose clocks are a retention apart ends`(seed: UInt64) throws {
        let world = try PeerWorld.started(seed: seed, believesClocks: true)
        let one = world.value("anonymous_id", "x", at: 1)
        let two = world.value("device_id", "y", at: 2)
        world.cluster.advanceWallTime(ofNode: 2, milliseconds: 91 * 86_400_000)
        let link = MergingEvents.event(
            "link", ["anonymousId": .text(one), "context": ["device": ["id": .text(two)]]])
        let results = try world.ingestAll([link], at: 3)
        #expect(results == [.ok] || results == [.expiredOnArrival], "seed \(seed): \(results)")
        try world.end()
    }
}
