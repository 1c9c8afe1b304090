import Foundation
import KithBytes
import KithClient
import KithCore
import KithWire
import Testing

@testable import KithSimulation

/// Nodes that die in the middle of merges between groups.
///
/// `KITH_SEED` and `KITH_SEEDS` say from which seed on and how many streams of events are sent.
@Suite struct PeerCrashTests {
    private static let environment = ProcessInfo.processInfo.environment
    static let seeds: [UInt64] = {
        let first = environment["KITH_SEED"].flatMap { UInt64($0) } ?? 1
        let count = environment["KITH_SEEDS"].flatMap { UInt64($0) } ?? 30
        return (0..<count).map { first + $0 }
    }()

    /// Steps from sending the link to its answer.
    private func stepsOfLink(seed: UInt64) throws -> Int {
        let (world, person) = try linking(seed: seed)
        let before = world.cluster.simulator.stepCount
        _ = try world.ingest([person.link], at: 3)
        let count = world.cluster.simulator.stepCount - before
        try world.cluster.shutdown()
        return count
    }

    /// A cluster with a cookie at node 1 and an account at node 2, which wins.
    private func linking(seed: UInt64) throws -> (PeerWorld, PeerWorld.Person) {
        let world = try PeerWorld.started(seed: seed)
        let person = world.person("p", cookieAt: 1, accountAt: 2)
        _ = try world.ingestAll(person.events.prefix(2).map(\.event), at: 3)
        return (world, person)
    }

    /// Of the crashes some fall between seal and absorb: then the answers name the dead node.
    @Test(arguments: [1, 2, 3], 1...2 as ClosedRange<UInt64>)
    func `a merge that a crash cut in two is completed when the node is back, by itself`(
        victim: Int, seed: UInt64
    ) throws {
        let steps = try stepsOfLink(seed: seed)
        var cutInTwo = 0
        for k in stride(from: 1, through: steps, by: max(1, steps / 50)) {
            let comment = "seed \(seed), node \(victim) after step \(k)"
            let (world, person) = try linking(seed: seed)
            let client = world.cluster.client(at: 3)
            let payload = PeerWorld.payload([person.link])
            let answer = Answer()
            world.cluster.clientLane.start {
                answer.reply = try? await client.ingest(payload)
                answer.isThere = true
            }
            let end = world.cluster.simulator.stepCount + k
            try world.cluster.simulator.run(until: {
                world.cluster.simulator.stepCount >= end
            })
            world.cluster.crash(victim)
            try world.pass(milliseconds: 50)
            let isSealed = try victim == 2 && world.sealed(at: 1) == 1
            if isSealed {
                cutInTwo += 1
                for node in [1, 3] {
                    let refusal = try world.refusal {
                        _ = try world.profile("anonymous_id", person.cookie, at: node)
                    }
                    #expect(refusal?.code == .unavailable, "\(comment)")
                    #expect(refusal?.text.contains("node 2") ?? false, "\(comment)")
                }
            }
            if victim == 1 {
                // What was absorbed is there; the rest is nobody's business yet.
                let counts = try PeerWorld.counts(world.profile("user_id", person.account, at: 2))
                #expect(counts["account of p"] == 1, "\(comment)")
                let isMerged = counts["cookie of p"] == 1
                let wasAcknowledged = answer.reply?.results == [.ok]
                #expect(isMerged || !wasAcknowledged, "\(comment)")
            }

            try world.cluster.start(victim)
            try world.cluster.simulator.run(until: { answer.isThere }, maxSteps: 5_000_000)
            try world.pass(milliseconds: 2_500)
            try world.settle()
            #expect(try world.sealed(at: 3) == 0, "\(comment)")
            if isSealed {
                for bytes in try world.profiles("anonymous_id", person.cookie) {
                    let counts = try PeerWorld.counts(bytes)
                    #expect(counts["cookie of p"] == 1, "\(comment)")
                    #expect(counts["account of p"] == 1, "\(comment)")
                }
            }
            _ = try world.ingestAll([person.link], at: 3)

            try world.expectWhole([person], comment)
            for totals in try world.totals() {
                #expect(totals["merges", "completed"] == .unsigned(1), "\(comment)")
                #expect(totals["events", "accepted"] == .unsigned(3), "\(comment)")
            }
            try world.end()
        }
        if victim == 2 { #expect(cutInTwo > 0, "seed \(seed): no crash fell between the two") }
    }

    /// Of the moments some fall between seal and absorb: then node 1 waits for node 2 with a merge.
    @Test(arguments: 1...2 as ClosedRange<UInt64>)
    func `a merge into a node that hangs keeps no other merge waiting`(
        seed: UInt64
    ) throws {
        let steps = try stepsOfLink(seed: seed)
        var cutInTwo = 0
        for k in stride(from: 1, through: steps, by: max(1, steps / 40)) {
            let comment = "seed \(seed), after step \(k)"
            let (world, person) = try linking(seed: seed)
            let near = world.person("near", cookieAt: 1, accountAt: 3)
            let client = world.cluster.client(at: 3)
            let payload = PeerWorld.payload([person.link])
            let answer = Answer()
            world.cluster.clientLane.start {
                answer.reply = try? await client.ingest(payload)
                answer.isThere = true
            }
            let end = world.cluster.simulator.stepCount + k
            try world.cluster.simulator.run(until: {
                world.cluster.simulator.stepCount >= end
            })
            world.cluster.pause(2)
            let began = world.milliseconds
            var slowest: UInt64 = 0
            for (event, _) in near.events {
                let before = world.milliseconds
                let payload = PeerWorld.payload([event])
                let results = try world.cluster.run(as: 2) {
                    try await $0.ingest(payload).results
                }
                slowest = max(slowest, world.milliseconds - before)
                #expect(results == [.ok], "\(comment): \(results)")
            }
            try world.cluster.simulator.run(until: { answer.isThere }, maxSteps: 5_000_000)
            #expect(world.milliseconds - began <= 10_000, "\(comment)")
            if try world.sealed(at: 1) == 1 { cutInTwo += 1 }
            #expect(slowest < 100, "\(comment): \(slowest) ms")

            world.cluster.resume(2)
            try world.settle()
            try world.pass(milliseconds: 2_500)
            #expect(try world.sealed(at: 3) == 0, "\(comment)")
            _ = try world.ingestAll([person.link], at: 3)
            try world.expectWhole([person, near], comment)
            try world.end()
        }
        #expect(cutInTwo > 0, "seed \(seed): no moment fell between the two")
    }

    @Test(arguments: seeds)
    func `whatever nodes crash, every event counts once and every merge is made once`(
        seed: UInt64
    ) throws {
        let world = try PeerWorld.started(seed: seed)
        var random = Xoshiro256(seed: seed, label: "crashes")
        let crowd = Crowd(seed: seed)

        for round in [crowd.first, crowd.second] {
            let sender = CrowdSender(world.cluster, crowd, round)
            for _ in 0..<3 {
                let end = world.cluster.simulator.stepCount + random.below(4_000)
                try world.cluster.simulator.run(until: {
                    world.cluster.simulator.stepCount >= end || sender.isDone
                })
                let first = random.below(3)
                let victims = (0..<[1, 1, 2, 3][random.below(4)]).map { (first + $0) % 3 + 1 }
                if random.oneIn(4) {
                    for victim in victims { world.cluster.pause(victim) }
                    try world.pass(milliseconds: random.below(UInt64(8_000)))
                    for victim in victims { world.cluster.resume(victim) }
                    continue
                }
                for victim in victims { world.cluster.crash(victim) }
                try world.pass(milliseconds: random.oneIn(2) ? 0 : random.below(UInt64(1_500)))
                for victim in victims { try world.cluster.start(victim) }
            }
            try world.cluster.simulator.run(until: { sender.isDone }, maxSteps: 20_000_000)
            #expect(sender.failures.isEmpty, "seed \(seed): \(sender.failures)")
            #expect(sender.readCount > 0, "seed \(seed)")
        }

        try world.settle()
        for person in 0..<Crowd.personCount {
            var answers: [[UInt8]?] = []
            for (namespace, value) in crowd.identifiers(of: person) {
                answers += try world.profiles(namespace, value)
            }
            #expect(answers.allSatisfy { $0 == answers[0] }, "seed \(seed), person \(person)")
            #expect(
                try PeerWorld.counts(answers[0]) == crowd.counts(of: person),
                "seed \(seed), person \(person)")
        }
        for totals in try world.totals() {
            #expect(totals["events", "accepted"] == .unsigned(UInt64(crowd.eventCount)))
            #expect(totals["profiles", "total"] == .unsigned(UInt64(Crowd.personCount)))
            #expect(
                totals["merges", "completed"] == .unsigned(UInt64(Crowd.personCount * 3)),
                "seed \(seed)")
            #expect(totals["merges", "refused"] == .unsigned(0), "seed \(seed)")
        }
        try world.end()
    }
}

/// Touched on the simulation's thread only.
private final class Answer: @unchecked Sendable {
    var reply: IngestReply?
    var isThere = false
}

/// Persons of four identifiers each. All identifiers are seen alone first, so that each link of the
/// second round joins two live profiles: three merges a person, in whatever order.
private struct Crowd {
    static let personCount = 4
    private(set) var first: [CBORValue] = []
    private(set) var second: [CBORValue] = []

    var eventCount: Int { first.count + second.count }

    init(seed: UInt64) {
        var random = Xoshiro256(seed: seed, label: "crowd")
        for person in 0..<Self.personCount {
            let ids = Self.members(of: person)
            for (place, id) in ids.enumerated() {
                first.append(MergingEvents.event("\(person)-seen-\(place)", .map([id])))
            }
            for place in 1..<ids.count {
                let other = ids[random.below(place)]
                second.append(
                    MergingEvents.event("\(person)-link-\(place)", .map([other, ids[place]])))
            }
            for number in 0..<4 {
                let id = ids[random.below(ids.count)]
                second.append(MergingEvents.event("\(person)-later-\(number)", .map([id])))
            }
        }
        for place in stride(from: second.count - 1, to: 0, by: -1) {
            second.swapAt(place, random.below(place + 1))
        }
    }

    /// Of different members of an event, so that any two of them can stand in one.
    private static func members(of person: Int) -> [CBORMember] {
        [
            CBORMember("userId", .text("u\(person)")),
            CBORMember("anonymousId", .text("a\(person)")),
            CBORMember("traits", ["email": .text("e\(person)@x.com")]),
            CBORMember("context", ["device": ["id": .text("d\(person)")]]),
        ]
    }

    func identifiers(of person: Int) -> [(String, String)] {
        [
            ("user_id", "u\(person)"), ("anonymous_id", "a\(person)"),
            ("email", "e\(person)@x.com"), ("device_id", "d\(person)"),
        ]
    }

    /// Those that the event names.
    func identifiers(in event: CBORValue) -> [(String, String)] {
        guard case .text(let name)? = event["event"], let person = name.first?.wholeNumberValue
        else { return [] }
        let members = ["userId", "anonymousId", "traits", "context"]
        return zip(members, identifiers(of: person)).filter { event[$0.0] != nil }.map(\.1)
    }

    func counts(of person: Int) -> [String: UInt64] {
        var counts: [String: UInt64] = [:]
        for event in first + second {
            guard case .text(let name)? = event["event"], name.hasPrefix("\(person)-") else {
                continue
            }
            counts[name] = 1
        }
        return counts
    }
}

/// Three clients that share a list of events and send each until it is acknowledged. Then any node
/// that answers about the event's identifiers must have counted it. Touched on the
/// simulation's thread only.
private final class CrowdSender: @unchecked Sendable {
    private var open = 0
    private(set) var failures: [String] = []
    /// Questions that were answered.
    private(set) var readCount = 0

    var isDone: Bool { open == 0 }

    init(_ cluster: SimulatedCluster, _ crowd: Crowd, _ events: [CBORValue]) {
        let simulator = cluster.simulator
        let readers = (1...3).map { cluster.client(at: $0) }
        for number in 1...3 {
            let client = cluster.client(number)
            let own = events.indices.filter { $0 % 3 == number - 1 }.map { events[$0] }
            open += 1
            cluster.clientLane.start { [self] in
                for (place, event) in own.enumerated() {
                    let payload = PeerWorld.payload([event])
                    var isSettled = false
                    for _ in 0..<200 where !isSettled {
                        let reply = try? await client.ingest(payload)
                        isSettled = [[.ok], [.duplicate]].contains(reply?.results)
                        if !isSettled { await simulator.wait(nanoseconds: 50_000_000, subject: 0) }
                    }
                    if !isSettled { failures.append("\(event)") }
                    await read(event, crowd, from: readers[(number + place) % 3])
                }
                open -= 1
            }
        }
    }

    private func read(_ event: CBORValue, _ crowd: Crowd, from reader: Client) async {
        guard case .text(let name)? = event["event"] else { return }
        for (namespace, value) in crowd.identifiers(in: event) {
            let get = Get(space: "default", namespace: namespace, value: value)
            // What is refused says nothing; the node is down, or the way to the profile is.
            guard let reply = try? await reader.get(get, retries: 0) else { continue }
            readCount += 1
            let counts = (try? PeerWorld.counts(reply.profile)) ?? [:]
            if counts[name] != 1 {
                failures.append("\(name), acknowledged, is not in \(namespace):\(value): \(counts)")
            }
        }
    }
}
