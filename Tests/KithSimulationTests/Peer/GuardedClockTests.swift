import KithBytes
import KithClient
import KithCore
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// C14 and C17: a wall clock that is wrong, in a node that runs or starts, ends nobody, moves no
/// time, and is told to whoever it concerns.
@Suite struct GuardedClockTests {
    private static let hour: Int64 = 3_600_000
    private static let day: Int64 = 24 * hour

    /// A visitor at each node, each seen once.
    private func visited(seed: UInt64) throws -> (PeerWorld, cookies: [String]) {
        let world = try PeerWorld.started(seed: seed)
        let cookies = (1...3).map { world.value("anonymous_id", "visitor", at: $0) }
        #expect(
            try world.ingestAll(cookies.map { page($0, "first") }, at: 1) == [.ok, .ok, .ok],
            "seed \(seed)")
        return (world, cookies)
    }

    private func page(_ cookie: String, _ name: String) -> CBORValue {
        MergingEvents.event("\(name) of \(cookie)", ["anonymousId": .text(cookie)])
    }

    private func answers(_ world: PeerWorld, _ cookies: [String]) throws -> [[[UInt8]?]] {
        try cookies.map { try world.profiles("anonymous_id", $0) }
    }

    @Test(arguments: [91 * day, -91 * day, 120 * day, 2 * hour] as [Int64], [1, 3])
    func `a clock that jumps ends nobody, and brings nobody back`(
        jump: Int64, jumper: Int
    ) throws {
        let (world, cookies) = try visited(seed: UInt64(jumper))
        let before = try answers(world, cookies)
        #expect(before.allSatisfy { $0.allSatisfy { $0 != nil } })

        world.cluster.advanceWallTime(ofNode: jumper, milliseconds: jump)
        #expect(try answers(world, cookies) == before, "after the jump")
        try world.pass(milliseconds: 3_000)
        #expect(try answers(world, cookies) == before, "after the others have heard of it")
        world.cluster.advanceWallTime(ofNode: jumper, milliseconds: -jump)
        try world.pass(milliseconds: 3_000)
        #expect(try answers(world, cookies) == before, "after the clock was put right")

        for totals in try world.totals() {
            #expect(totals["profiles", "anonymous"] == .unsigned(3))
            #expect(totals["expired"] == .unsigned(0))
        }
        try world.end()
    }

    @Test(arguments: 1...2 as ClosedRange<UInt64>)
    func `events are refused by a node behind its wall clock, and taken once that is right`(
        seed: UInt64
    ) throws {
        let (world, cookies) = try visited(seed: seed)
        world.cluster.advanceWallTime(ofNode: 2, milliseconds: 120 * Self.day)
        try world.pass(milliseconds: 1_500)

        let refusal = try world.refusal {
            _ = try world.ingest([page(cookies[0], "second")], at: 2)
        }
        #expect(refusal?.code == .clock, "seed \(seed)")
        #expect(refusal?.text.contains("days ahead") ?? false, "\(refusal?.text ?? "")")
        // Through another node: what the wrong one keeps is not stored, and it is named.
        let reply = try world.ingest(cookies.map { page($0, "second") }, at: 1)
        #expect(reply.silentNodes.map(\.node) == [NodeID(2)])
        #expect(reply.silentNodes.first?.conduct == .refuses)
        #expect(reply.silentNodes.first?.reason.contains("days ahead") ?? false)
        #expect(reply.results[0] == .ok)
        #expect(reply.results[1].wantsRetry)
        #expect(reply.results[2] == .ok)

        world.cluster.advanceWallTime(ofNode: 2, milliseconds: -120 * Self.day)
        try world.pass(milliseconds: 1_500)
        let results = try world.ingestAll(cookies.map { page($0, "second") }, at: 2)
        #expect(results == [.duplicate, .ok, .duplicate], "seed \(seed)")
        for totals in try world.totals() {
            #expect(totals["events", "accepted"] == .unsigned(6))
            #expect(totals["events", "expiredOnArrival"] == .unsigned(0))
        }
        try world.end()
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `the first batch after a step of the clock is refused, by whomever it must be taken`(
        seed: UInt64
    ) throws {
        let (world, cookies) = try visited(seed: seed)
        // Nobody looks at the clock between the step and the batch.
        world.cluster.advanceWallTime(ofNode: 2, milliseconds: 2 * Self.hour)
        let reply = try world.ingest(cookies.map { page($0, "second") }, at: 1)
        #expect(reply.results[1].wantsRetry, "seed \(seed): \(reply.results)")
        #expect(reply.silentNodes.map(\.node) == [NodeID(2)])
        world.cluster.advanceWallTime(ofNode: 2, milliseconds: -2 * Self.hour)
        try world.pass(milliseconds: 3_000)

        world.cluster.advanceWallTime(ofNode: 3, milliseconds: 2 * Self.hour)
        let refusal = try world.refusal { _ = try world.ingest([page(cookies[0], "third")], at: 3) }
        #expect(refusal?.code == .clock, "seed \(seed)")
        world.cluster.advanceWallTime(ofNode: 3, milliseconds: -2 * Self.hour)
        try world.pass(milliseconds: 3_000)
        try world.end()
    }

    @Test(arguments: [2 * hour, -2 * hour, 29 * day] as [Int64], 1...2 as ClosedRange<UInt64>)
    func `a node that starts with a wrong clock does not serve, and moves no time`(
        off: Int64, seed: UInt64
    ) throws {
        let (world, cookies) = try visited(seed: seed)
        let before = try answers(world, cookies)
        world.cluster.crash(2)
        world.cluster.advanceWallTime(ofNode: 2, milliseconds: off)
        try world.cluster.start(2)
        try world.pass(milliseconds: 3_000)

        let refusal = try world.refusal {
            _ = try world.profile("anonymous_id", cookies[0], at: 2)
        }
        #expect(refusal?.code == .clock, "seed \(seed): \(refusal?.text ?? "")")
        let reply = try world.ingest([page(cookies[1], "second")], at: 1)
        #expect(reply.results[0].wantsRetry)
        #expect(world.cluster.said(2).contains { $0.contains("does not serve") })
        let status = try world.cluster.run(at: 1) { try await $0.status() }
        guard case .array(let rows)? = try CBORValue(decoding: status.span.bytes)["nodes"] else {
            Issue.record("a status without nodes")
            return
        }
        #expect(rows.map { $0["refuses"] } == [nil, .text("all"), nil])

        world.cluster.advanceWallTime(ofNode: 2, milliseconds: -off)
        try world.pass(milliseconds: 3_000)
        #expect(try answers(world, cookies) == before, "seed \(seed)")
        #expect(try world.ingestAll([page(cookies[1], "third")], at: 2) == [.ok])
        let right = world.settings.start.rawValue
        for bytes in try world.profiles("anonymous_id", cookies[1]) {
            let found = try #require(bytes)
            var reader = ByteReader(found.span.bytes)
            #expect(try Profile(decoding: &reader).lastSeen == right, "seed \(seed)")
        }
        try world.end()
    }

    @Test(arguments: [1, 3])
    func `a start far beyond what the folder has seen must be accepted`(nodes: Int) throws {
        var settings = ClusterSettings(seed: 7)
        settings.nodeCount = nodes
        let cluster = SimulatedCluster(settings)
        try cluster.startAll()
        try cluster.stopAll()
        func start(accepting: Bool) throws -> NodeError? {
            let life = cluster.begin(1) { $0.acceptsClock = accepting }
            try cluster.simulator.run(until: { life.node != nil || life.end != nil })
            defer { if life.node == nil { cluster.bury(1) } }
            guard case .failure(let error)? = life.end else { return nil }
            return error
        }
        let last = settings.start.rawValue
        cluster.advanceWallTime(ofNode: 1, milliseconds: 30 * Self.day + 1)

        #expect(try start(accepting: false) == .clock(wall: last + 30 * Self.day + 1, last: last))
        cluster.advanceWallTime(ofNode: 1, milliseconds: -1)
        #expect(try start(accepting: false) == nil)
        // Noted once the others were asked, whether they answer or not.
        try cluster.simulator.run(nanoseconds: 3_000_000_000, maxSteps: 5_000_000)
        cluster.crash(1)
        // What was started with is what is compared with from then on.
        cluster.advanceWallTime(ofNode: 1, milliseconds: 31 * Self.day)
        #expect(try start(accepting: false) != nil)
        #expect(try start(accepting: true) == nil)
        try cluster.stop(1)
    }

    @Test(arguments: [-60 * day, 29 * day] as [Int64])
    func `what a clock astray shows at a start is not what the next start is judged by`(
        off: Int64
    ) throws {
        var settings = ClusterSettings(seed: 8)
        settings.nodeCount = 3
        settings.groups = 3
        settings.isEventClock = true
        let cluster = SimulatedCluster(settings)
        try cluster.startAll()
        try cluster.simulator.run(nanoseconds: 3_000_000_000, maxSteps: 5_000_000)
        func startAgain(aheadBy millis: Int64) throws -> NodeError? {
            cluster.crash(2)
            cluster.advanceWallTime(ofNode: 2, milliseconds: millis)
            let life = cluster.begin(2) { $0.acceptsClock = false }
            try cluster.simulator.run(until: { life.node != nil || life.end != nil })
            try cluster.simulator.run(nanoseconds: 3_000_000_000, maxSteps: 5_000_000)
            defer { if life.node == nil { cluster.bury(2) } }
            guard case .failure(let error)? = life.end else { return nil }
            return error
        }

        #expect(try startAgain(aheadBy: off) == nil)
        #expect(cluster.said(2).contains { $0.contains("does not serve") })
        if off < 0 {
            // The right time is no surprise.
            #expect(try startAgain(aheadBy: -off) == nil)
            try cluster.shutdown()
        } else {
            // What was wrong once makes nothing more of it right.
            let last = settings.start.rawValue
            #expect(
                try startAgain(aheadBy: off) == .clock(wall: last + 2 * off, last: last))
        }
    }

    @Test func `a node that is alone follows its own clock over a suspension, and no step`() throws
    {
        let cluster = SimulatedCluster(ClusterSettings(seed: 3))
        try cluster.start()
        let payload = PeerWorld.payload([page("a", "first")])
        #expect(try cluster.run(at: 1) { try await $0.ingest(payload) }.results == [.ok])
        func anonymous() throws -> CBORValue? {
            let bytes = try cluster.run(at: 1) { try await $0.stats() }
            return try CBORValue(decoding: bytes.span.bytes)["profiles", "anonymous"]
        }

        cluster.advanceWallTime(ofNode: 1, milliseconds: 120 * Self.day)
        #expect(try anonymous() == .unsigned(1))
        cluster.advanceWallTime(ofNode: 1, milliseconds: -120 * Self.day)
        #expect(try anonymous() == .unsigned(1))
        cluster.setWallTime(LogTime(ClusterSettings(seed: 3).start.rawValue + 90 * Self.day))
        #expect(try anonymous() == .unsigned(0))
        try cluster.shutdown()
    }
}
