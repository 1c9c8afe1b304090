import KithBytes
import KithClient
import KithCore
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// C17: a node that starts with its clock behind what its folder has seen moves no event's time and
/// keeps none out, unless somebody says that the clock is right.
@Suite struct BehindClockTests {
    private static let hour: Int64 = 3_600_000
    private static let day: Int64 = 24 * hour

    /// A cluster whose nodes have served, with an event each (but for the event clock), while their
    /// clocks showed 30 days more than they do now. They are down.
    private struct World {
        let cluster: SimulatedCluster
        let settings: ClusterSettings

        init(nodes: Int, isEventClock: Bool = false) throws {
            var settings = ClusterSettings(seed: UInt64(nodes))
            settings.nodeCount = nodes
            settings.groups = nodes
            settings.isEventClock = isEventClock
            self.settings = settings
            cluster = SimulatedCluster(settings)
            move(by: 30 * day)
            try startAll(accepting: true)
            if !isEventClock {
                for node in 1...nodes { #expect(try ingest("first", at: node) == .ok) }
            }
            try cluster.stopAll()
            move(by: -30 * day)
        }

        func move(by millis: Int64) {
            for node in 1...settings.nodeCount {
                cluster.advanceWallTime(ofNode: node, milliseconds: millis)
            }
        }

        /// Until all have heard each other.
        func startAll(accepting: Bool) throws {
            for node in 1...settings.nodeCount {
                cluster.begin(node) { $0.acceptsClock = accepting }
            }
            try cluster.awaitStarts()
            try cluster.simulator.run(nanoseconds: 3_000_000_000, maxSteps: 5_000_000)
        }

        /// A visitor of that node's own.
        func visitor(at node: Int) -> String {
            (0..<1_000).lazy.map { "visitor-\($0)" }.first { [settings] in
                settings.home(of: "anonymous_id", $0) == node
            }!
        }

        func ingest(_ name: String, at node: Int) throws -> IngestResult {
            let event = MergingEvents.event(
                "\(name) at \(node)", ["anonymousId": .text(visitor(at: node))])
            let payload = PeerWorld.payload([event])
            return try cluster.run(at: node) { try await $0.ingest(payload) }.results[0]
        }

        func refusal(at node: Int) throws -> (code: ErrorCode, text: String)? {
            do {
                _ = try ingest("refused", at: node)
                return nil
            } catch ClientError.refused(_, let code, let text, _) {
                return (code, text)
            }
        }

        func profile(at node: Int) throws -> Profile? {
            let get = Get(
                space: "default", namespace: "anonymous_id", value: visitor(at: node))
            let bytes = try cluster.run(at: node) { try await $0.get(get, retries: 5).profile }
            guard let bytes else { return nil }
            var reader = ByteReader(bytes.span.bytes)
            return try Profile(decoding: &reader)
        }

        func status(at node: Int) throws -> CBORValue? {
            let bytes = try cluster.run(at: node) { try await $0.status() }
            guard case .array(let rows)? = try CBORValue(decoding: bytes.span.bytes)["nodes"]
            else { return nil }
            return rows[node - 1]
        }
    }

    @Test(arguments: [1, 3])
    func `a clock behind the log takes no events, and that is shown`(nodes: Int) throws {
        let world = try World(nodes: nodes)
        try world.startAll(accepting: false)

        for node in 1...nodes {
            let refusal = try world.refusal(at: node)
            #expect(refusal?.code == .clock)
            #expect(refusal?.text.contains("30 days behind the last time") ?? false)
            #expect(refusal?.text.contains("--accept-clock") ?? false)
            #expect(world.cluster.said(node).contains { $0.contains("30 days behind the last") })
            let row = try #require(try world.status(at: node))
            #expect(row["refuses"] == .text("events"))
            #expect(row["clockBehindMillis"] == .unsigned(UInt64(30 * Self.day)))
            guard case .text(let problem)? = row["problem"] else {
                Issue.record("no problem is shown")
                continue
            }
            #expect(problem.contains("30 days behind"))
            #expect(try world.profile(at: node)?.events.map(\.count) == [1], "reads go on")
        }
        try world.cluster.shutdown()
    }

    @Test(arguments: [1, 3])
    func `once it is accepted, events are taken at their times, at later starts too`(
        nodes: Int
    ) throws {
        let world = try World(nodes: nodes)
        try world.startAll(accepting: true)
        for node in 1...nodes {
            #expect(try world.ingest("second", at: node) == .ok)
            #expect(
                world.cluster.said(node).contains { $0.contains("as was accepted") }, "it is said")
            let profile = try #require(try world.profile(at: node))
            #expect(profile.firstSeen == world.settings.start.rawValue, "no time is moved")
        }
        try world.cluster.stopAll()
        try world.startAll(accepting: false)
        for node in 1...nodes { #expect(try world.ingest("third", at: node) == .ok) }

        // What was accepted is that log time, not any clock.
        try world.cluster.stopAll()
        world.move(by: -2 * Self.hour)
        try world.startAll(accepting: false)
        for node in 1...nodes { #expect(try world.refusal(at: node)?.code == .clock) }
        try world.cluster.stopAll()
        world.move(by: 40 * Self.day)
        try world.startAll(accepting: true)
        for node in 1...nodes {
            #expect(try world.ingest("fourth", at: node) == .ok)
            #expect(try world.status(at: node)?["problem"] == nil)
        }
        try world.cluster.stopAll()
        world.move(by: -2 * Self.hour)
        try world.startAll(accepting: false)
        for node in 1...nodes { #expect(try world.refusal(at: node)?.code == .clock) }
        try world.cluster.shutdown()
    }

    @Test func `up to an hour is warned of, until the clock has come so far`() throws {
        let world = try World(nodes: 1)
        world.move(by: 30 * Self.day - Self.hour)
        try world.startAll(accepting: false)

        #expect(try world.ingest("second", at: 1) == .ok)
        #expect(try world.status(at: 1)?["clockBehindMillis"] == .unsigned(UInt64(Self.hour)))
        #expect(world.cluster.said(1).contains { $0.contains("60 min behind the last time") })
        world.cluster.setWallTime(
            LogTime(world.settings.start.rawValue + 30 * Self.day - 10_000))
        try world.cluster.simulator.run(nanoseconds: 3_000_000_000, maxSteps: 5_000_000)
        #expect(world.cluster.said(1).contains { $0.contains("all is well again") })
        try world.cluster.shutdown()
    }

    @Test func `events are taken when the clock has come to within an hour`() throws {
        let world = try World(nodes: 1)
        world.move(by: 30 * Self.day - 2 * Self.hour)
        try world.startAll(accepting: false)
        #expect(try world.refusal(at: 1)?.code == .clock)

        world.cluster.setWallTime(
            LogTime(world.settings.start.rawValue + 30 * Self.day - Self.hour))
        try world.cluster.simulator.run(nanoseconds: 1_500_000_000, maxSteps: 5_000_000)
        #expect(try world.ingest("second", at: 1) == .ok)
        try world.cluster.shutdown()
    }

    @Test func `with the event clock it is the time noted in the folder that counts`() throws {
        let world = try World(nodes: 1, isEventClock: true)
        try world.startAll(accepting: false)
        #expect(world.cluster.said(1).contains { $0.contains("30 days behind the last time") })
        #expect(try world.refusal(at: 1)?.code == .clock)
        try world.cluster.shutdown()
    }

    /// Its log holds the entries that open its groups, from before the others' clocks were heard:
    /// none of them tells a time.
    @Test(arguments: [1, 3])
    func `a node that is killed soon after its first start comes up again`(nodes: Int) throws {
        for moment in 0..<60 as Range<UInt64> {
            var settings = ClusterSettings(seed: UInt64(nodes))
            (settings.nodeCount, settings.groups) = (nodes, nodes)
            let cluster = SimulatedCluster(settings)
            for node in 1...nodes { cluster.begin(node) }
            while cluster.node(1).life?.node == nil {
                try cluster.simulator.run(nanoseconds: 20_000)
            }
            try cluster.simulator.run(nanoseconds: moment * 100_000)
            cluster.crash(1) { _ in .everything }
            cluster.begin(1) { $0.acceptsClock = false }
            try cluster.awaitStarts()
            #expect((1...nodes).allSatisfy { cluster.isUp($0) }, "\(moment)")
            try cluster.shutdown()
        }
    }
}
