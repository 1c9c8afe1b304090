import KithBytes
import KithClient
import KithCore
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// Three nodes with a group each: what one that is missing takes away, and what it does not.
@Suite struct PeerTests {
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `while a node is down only what needs it is refused, and names it`(seed: UInt64) throws {
        let world = try PeerWorld.started(seed: seed)
        let persons = world.personsEverywhere()
        let events = persons.flatMap(\.events)
        try world.settle()
        world.cluster.crash(2)

        let reply = try world.ingest(events.map(\.event), at: 1)

        #expect(reply.silentNodes.map(\.node) == [NodeID(2)])
        #expect(reply.silentNodes.first?.conduct == .doesNotAnswer)
        for ((event, nodes), result) in zip(events, reply.results) {
            #expect(
                nodes.contains(2) ? result.wantsRetry : result == .ok,
                "seed \(seed): \(result) for \(event)")
        }
        for node in [1, 3] {
            for person in persons {
                let refusal = try world.refusal {
                    _ = try world.profile("user_id", person.account, at: node)
                }
                #expect(
                    (refusal?.code == .unavailable) == (person.accountNode == 2), "seed \(seed)")
                #expect(refusal?.text.contains("node 2") ?? true, "\(refusal?.text ?? "")")
            }
            let refusal = try world.refusal {
                _ = try world.cluster.run(at: node) { try await $0.stats() }
            }
            #expect(refusal?.code == .unavailable)
            #expect(refusal?.text.contains("node 2") ?? false)
        }

        try world.cluster.start(2)
        try world.settle()
        try world.expectNotStored(events.map(\.event), answered: reply.results, of: persons)
        let again = try world.ingestAll(events.map(\.event), at: 1)

        for (before, after) in zip(reply.results, again) {
            #expect(before == .ok ? after == .duplicate : [.ok, .duplicate].contains(after))
        }
        try world.expectWhole(persons, "seed \(seed)")
        for totals in try world.totals() {
            #expect(totals["events", "accepted"] == .unsigned(27), "seed \(seed)")
            #expect(totals["profiles", "total"] == .unsigned(9))
            #expect(totals["profiles", "members"] == .unsigned(9))
            #expect(totals["identifiers", "total"] == .unsigned(18))
            #expect(totals["merges", "completed"] == .unsigned(9))
        }
        try world.end()
    }

    /// The refusals of a node that leads no group are counted by another, which is down. Found by
    /// `kith simulate --seed 6174310514571`.
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a refusal that cannot be counted is not told as certain`(seed: UInt64) throws {
        var settings = ClusterSettings(seed: seed)
        settings.nodeCount = 2
        settings.groups = 1
        let cluster = SimulatedCluster(settings)
        try cluster.startAll()
        let payload = PeerWorld.payload([["type": .text("alias"), "userId": .text("u-1")]])
        func ingest() throws -> [IngestResult] {
            try cluster.run(at: 2) { try await $0.ingest(payload) }.results
        }
        cluster.crash(1)

        let without = try ingest()

        #expect(without.allSatisfy { $0.wantsRetry }, "seed \(seed): \(without)")
        try cluster.start(1)
        try cluster.reconnect()
        let with = try ingest()
        #expect(with == [.rejected(.missingPreviousID)])
        let bytes = try cluster.run(at: 2) { try await $0.stats(retries: 5) }
        let totals = try CBORValue(decoding: bytes.span.bytes)
        #expect(totals["events", "rejectedByReason", "missing_previous_id"] == .unsigned(1))
        try cluster.shutdown()
    }

    /// A greeting is three round trips, longer here than anybody waits for a node that was silent.
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a far node that was silent once is found again`(seed: UInt64) throws {
        let world = PeerWorld(seed: seed, delay: 25_000_000)
        try world.cluster.startAll()
        let person = world.person("far", cookieAt: 1, accountAt: 2)
        world.cluster.pause(2)
        let reply = try world.ingest(person.events.map(\.event), at: 1)
        #expect(reply.silentNodes.map(\.node) == [NodeID(2)])
        world.cluster.resume(2)

        let results = try world.ingestAll(person.events.map(\.event), at: 1)

        #expect(results.allSatisfy { !$0.wantsRetry }, "seed \(seed): \(results)")
        try world.end()
    }

    @Test(arguments: [1, 2], [false, true])
    func `a node that hangs takes no more than a deadline from who needs it, and others go on`(
        seed: UInt64, isConnected: Bool
    ) throws {
        let world = try PeerWorld.started(seed: seed)
        let near = world.person("near", cookieAt: 1, accountAt: 3)
        let far = world.person("far", cookieAt: 1, accountAt: 2)
        if isConnected { _ = try world.ingestAll(far.events.prefix(2).map(\.event), at: 1) }
        try world.pass(milliseconds: 100)  // their first look at each other is over
        world.cluster.pause(2)
        let began = world.milliseconds
        let waiting = Waiting()
        let client = world.cluster.client(at: 1)
        let payload = PeerWorld.payload(far.events.map(\.event))
        world.cluster.clientLane.start {
            waiting.reply = try? await client.ingest(payload)
            waiting.isDone = true
        }
        let other = world.cluster.client(at: 3)
        var get = Get(space: "default", namespace: "user_id", value: far.account)
        get.deadlineMillis = 3_000
        world.cluster.clientLane.start { [get] in
            do throws(ClientError) {
                _ = try await other.get(get)
            } catch {
                waiting.readError = error
            }
            waiting.isReadDone = true
        }

        for (event, _) in near.events {
            let before = world.milliseconds
            // Connections of their own: the batches of one connection take effect in order.
            for number in [2, 3] {
                let payload = PeerWorld.payload([event])
                let results = try world.cluster.run(as: number) {
                    try await $0.ingest(payload).results
                }
                #expect(results == [.ok] || results == [.duplicate], "seed \(seed)")
            }
            #expect(world.milliseconds - before < 1_000, "seed \(seed)")
        }
        try world.expectNear(near)
        try world.cluster.simulator.run(
            until: { waiting.isDone && waiting.isReadDone }, maxSteps: 5_000_000)

        #expect(world.milliseconds - began <= 10_000, "seed \(seed)")
        let reply = try #require(waiting.reply)
        #expect(reply.silentNodes.map(\.node) == [NodeID(2)])
        #expect(reply.results[2].wantsRetry)
        guard case .refused(_, .unavailable, let text, _)? = waiting.readError else {
            Issue.record("seed \(seed): \(String(describing: waiting.readError))")
            return
        }
        #expect(text.contains("node 2"))

        world.cluster.resume(2)
        try world.settle()
        // The first two were acknowledged before where the nodes were connected.
        let new = isConnected ? 2 : 0
        try world.expectNotStored(
            Array(far.events.map(\.event)[new...]), answered: Array(reply.results[new...]),
            of: [far])
        _ = try world.ingestAll(far.events.map(\.event), at: 1)
        try world.expectWhole([near, far], "seed \(seed)")
        try world.end()
    }

    private static func change(_ key: String, _ settings: inout NodeSettings) {
        switch key {
        case "hashKey": settings.configuration.hashKey = HashKey(k0: 1, k1: 2)
        case "groups": settings.configuration.groups = 6
        case "nodes": settings.configuration.nodes.removeLast()
        case "retention": settings.configuration.retention.anonymousDays = 30
        default: settings.configuration.identity.alias = .refuse
        }
    }

    @Test(arguments: ["hashKey", "groups", "nodes", "retention", "identity"])
    func `a node with another cluster file than the others does not start`(key: String) throws {
        let world = PeerWorld(seed: 4)
        world.cluster.begin(1)
        world.cluster.begin(3)
        let life = world.cluster.begin(2) { Self.change(key, &$0) }
        try world.cluster.simulator.run(until: { life.end != nil || life.node != nil })

        guard case .fileDiffers(let other, let why)? = life.failure else {
            Issue.record("\(key): \(String(describing: life.failure))")
            return
        }
        #expect(other != 2 && why.contains(" \(key)"), "\(why)")
        world.cluster.bury(2)
        try world.cluster.shutdown()
    }

    /// Where nobody could tell it at its start.
    @Test(arguments: ["retention", "identity"])
    func `nodes whose cluster files differ refuse each other and say in what`(key: String) throws {
        let world = try PeerWorld.started(seed: 4)
        let person = world.person("p", cookieAt: 2, accountAt: 1)
        try world.cluster.stop(2)
        let until = UInt64(world.milliseconds + 3_000) * 1_000_000
        for other in ["n1", "n3"] {
            world.cluster.network.weather.refuse(from: "n2", to: other, until: until)
            world.cluster.network.weather.refuse(from: other, to: "n2", until: until)
        }
        world.cluster.begin(2) { Self.change(key, &$0) }
        try world.cluster.awaitStarts()
        try world.pass(milliseconds: 5_000)

        let reply = try world.ingest(person.events.map(\.event), at: 1)
        let refusal = try world.refusal {
            _ = try world.profile("anonymous_id", person.cookie, at: 3)
        }

        #expect(reply.results[0] == .overloaded && reply.results[2].wantsRetry)
        #expect(reply.results[1] == .ok)
        #expect(reply.silentNodes.map(\.node) == [NodeID(2)])
        #expect(refusal?.code == .unavailable)
        #expect(refusal?.text.contains("node 2") ?? false)
        #expect(refusal?.text.contains(" \(key)") ?? false, "\(refusal?.text ?? "")")
        try world.cluster.shutdown()
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `nodes that stop while requests are under way stop, and nobody hangs`(
        seed: UInt64
    ) throws {
        let world = try PeerWorld.started(seed: seed)
        var random = Xoshiro256(seed: seed, label: "stops")
        let persons = world.personsEverywhere()
        let waiting = Waiting()
        for (place, person) in persons.enumerated() {
            let client = world.cluster.client(at: place % 3 + 1)
            for (event, _) in person.events {
                let payload = PeerWorld.payload([event])
                waiting.open += 1
                world.cluster.clientLane.start {
                    _ = try? await client.ingest(payload)
                    waiting.open -= 1
                }
            }
            let get = Get(space: "default", namespace: "user_id", value: person.account)
            waiting.open += 1
            world.cluster.clientLane.start {
                _ = try? await client.get(get, retries: 0)
                waiting.open -= 1
            }
        }
        let order = [[2, 1, 3], [3, 2, 1], [1, 3, 2]][Int(seed % 3)]
        for node in order {
            let end = world.cluster.simulator.stepCount + random.below(1_500)
            try world.cluster.simulator.run(until: {
                world.cluster.simulator.stepCount >= end || waiting.open == 0
            })
            let before = world.milliseconds
            try world.cluster.stop(node)
            #expect(world.milliseconds - before < 6_000, "seed \(seed), node \(node)")
        }
        try world.cluster.simulator.run(until: { waiting.open == 0 }, maxSteps: 5_000_000)

        try world.cluster.startAll()
        for person in persons {
            let results = try world.ingestAll(person.events.map(\.event), at: 1)
            #expect(results.filter(\.wantsRetry).isEmpty, "seed \(seed)")
        }
        try world.expectWhole(persons, "seed \(seed)")
        try world.end()
    }
}

/// What clients wait for. Touched on the simulation's thread only.
private final class Waiting: @unchecked Sendable {
    var reply: IngestReply?
    var isDone = false
    var readError: ClientError?
    var isReadDone = false
    var open = 0
}

extension PeerWorld {
    /// The person is whole as the nodes say that keep all of it.
    fileprivate func expectNear(_ person: Person) throws {
        for node in [1, 3] {
            let bytes = try profile("anonymous_id", person.cookie, at: node)
            #expect(try Self.counts(bytes) == person.counts)
        }
    }
}
