import KithClient
import Testing

@testable import KithSimulation

/// A node ends whatever is under way in it. Found by `kith simulate --seed 2922`: what was on its
/// way from one loop to a group on another when the group stopped was never answered, and the node
/// never ended, neither by a signal nor after its disk had failed. The first test holds that a node
/// ends; the second has a search come upon the mistake, planted, and pass the same run without.
@Suite struct NodeEndTests {
    /// Totals are asked of every group, most of them on other loops than the connection's.
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a node ends between any two steps of answering`(seed: UInt64) throws {
        for step in stride(from: 1, through: 600, by: 9) {
            var settings = ClusterSettings(seed: seed)
            settings.loopCount = 8
            let cluster = SimulatedCluster(settings)
            try cluster.start()
            let client = cluster.client()
            for _ in 0..<8 {
                cluster.clientLane.start { _ = try? await client.stats(retries: 0) }
            }
            let end = cluster.simulator.stepCount + step
            try cluster.simulator.run(until: { cluster.simulator.stepCount >= end })

            #expect(throws: Never.self, "seed \(seed), after step \(step)") {
                try cluster.stop()
            }
            try? cluster.shutdown()  // fails where the node hangs, which is told above
        }
    }

    #if KITH_PLANTED
    /// A log that fails ends a group while others are at work. Where no seed notices any more,
    /// others are to be looked for: `kith simulate --faults write-error,sync-error --loops 8
    /// --lane-per-loop --planted unheard --seeds 1000`.
    @Test func `what comes to a group after it has stopped is answered`() throws {
        func run(_ seed: UInt64, planted: String?) -> RunReport {
            var options = RunOptions(seed: seed)
            options.faults.only = [.writeError, .syncError]
            options.loops = 8
            options.hasLanePerActor = false
            options.planted = planted
            return ClusterRun.run(options)
        }
        let noticed = (590...2_000 as ClosedRange<UInt64>).first {
            !run($0, planted: "unheard").isOk
        }
        let seed = try #require(noticed)

        #expect(run(seed, planted: nil).isOk, "seed \(seed)")
    }
    #endif
}
