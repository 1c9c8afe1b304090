import KithBytes
import Testing

@testable import KithCore

/// Events of one sender that share an identifier take effect in the order sent, however they
/// travel: in one round, as runs, and beside an earlier batch that is not settled.
@Suite struct EventOrderTests {
    /// Events of a few clusters of identifiers; each shares one with the event of its cluster
    /// before it, so that the order sent decides everything.
    private struct Story {
        var random: ModelRandom
        let world: ReviewWorld
        private var last: [[String]] = [["a0"], ["a0"]]
        private var number = 0

        init(seed: UInt64, groups: Int, mode: IdentityRules.SharedDevice) {
            random = ModelRandom(seed: seed)
            var rules = IdentityRules.standard
            rules.sharedDevice = mode
            world = ReviewWorld(groups: groups, rules: rules)
        }

        /// The world that is told the same, an event at a time.
        func reference() -> ReviewWorld {
            ReviewWorld(groups: world.groups.count, rules: world.rules)
        }

        static let names = [
            ["u0", "u1", "u2"], ["a0", "a1", "a2"], ["d0", "d1"],
        ]

        mutating func event() -> CBORValue {
            let cluster = random.below(last.count)
            let kept = random.pick(last[cluster])
            var picked: [String?] = [nil, nil, nil]
            for (kind, names) in Self.names.enumerated() where random.chance(0.4) {
                picked[kind] = random.pick(names)
            }
            picked[["u", "a", "d"].firstIndex(of: String(kept.prefix(1)))!] = kept
            last[cluster] = picked.compactMap { $0 }
            number += 1
            let names = picked.map { $0.map { "\($0)-\(cluster)" } }
            return world.event(
                "track", id: "\(number)", user: names[0], anonymous: names[1], device: names[2],
                time: world.now - Int64(random.below(5)), name: "e\(number)",
                traits: random.chance(0.3) ? [("t", .integer(Int64(number)))] : [])
        }

        mutating func batch() -> [CBORValue] {
            let count = 1 + random.below(12)
            return (0..<count).map { _ in event() }
        }

        /// What a hint says of a leaf: nothing, the truth, or any leaf below it.
        mutating func hints() -> [LeafID: LeafID] {
            var hints: [LeafID: LeafID] = [:]
            let leaves = Self.leaves(world)
            for leaf in leaves where random.chance(0.7) {
                let hint = random.chance(0.6) ? root(of: leaf) : random.pick(leaves)
                if hint < leaf { hints[leaf] = hint }
            }
            return hints
        }

        private func root(of leaf: LeafID) -> LeafID {
            var record = leaf
            while case .moved(let parent) = world.machine(record.shard).read(
                leaf, at: record, byHint: false, world.groups[world.group(of: record)].context())
            { record = parent }
            return record
        }

        static var identifiers: [(namespace: String, value: String)] {
            (0..<2).flatMap { cluster in
                zip(["user_id", "anonymous_id", "device_id"], names).flatMap { namespace, names in
                    names.map { (namespace, "\($0)-\(cluster)") }
                }
            }
        }

        static func leaves(_ world: ReviewWorld) -> [LeafID] {
            identifiers.map { world.leaf($0.namespace, $0.value) }
        }

        mutating func machine(_ events: [CBORValue], busy: [LeafID]) -> IngestMachine {
            let hints = hints()
            return IngestMachine(
                batch: world.batch(events), table: world.table, policy: world.policy,
                isStamped: false, busy: busy.sorted(), hint: { hints[$0] })
        }
    }

    private func expectSame(_ story: Story, _ reference: ReviewWorld, _ comment: Comment) {
        for (namespace, value) in Story.identifiers {
            #expect(
                story.world.profile(namespace, value) == reference.profile(namespace, value),
                comment)
        }
        let (totals, expected) = (story.world.totals, reference.totals)
        #expect(totals.accepted == expected.accepted, comment)
        #expect(totals.duplicate == expected.duplicate, comment)
        #expect(totals.quarantined == expected.quarantined, comment)
        #expect(totals.mergesCompleted == expected.mergesCompleted, comment)
        #expect(totals.refusals == expected.refusals, comment)
        #expect(totals.members == expected.members, comment)
        #expect(totals.anonymous == expected.anonymous, comment)
        story.world.checkInvariants()
    }

    @Test(arguments: [1, 2, 5], [IdentityRules.SharedDevice.quarantine, .first])
    func `a batch comes to what its events come to one after another`(
        groups: Int, mode: IdentityRules.SharedDevice
    ) {
        for seed in UInt64(0)..<100 {
            var story = Story(seed: seed, groups: groups, mode: mode)
            let reference = story.reference()
            for _ in 0..<6 {
                let events = story.batch()
                for event in events { reference.ingest(event) }
                var machine = story.machine(events, busy: [])
                story.world.settle(&machine)
                #expect(machine.results.allSatisfy { $0 == .ok }, "seed \(seed)")
            }
            expectSame(story, reference, "seed \(seed)")
        }
    }

    /// Batches overlap as they do on a connection: the next begins when the first round of those
    /// before it has ended, and rounds of all go on by turns.
    @Test(arguments: [1, 2, 5])
    func `batches that overlap come to what their events come to one after another`(groups: Int) {
        for seed in UInt64(0)..<100 {
            var story = Story(seed: seed, groups: groups, mode: .quarantine)
            let reference = story.reference()
            var machines: [IngestMachine] = []
            for _ in 0..<8 {
                let events = story.batch()
                for event in events { reference.ingest(event) }
                machines.append(
                    story.machine(events, busy: machines.flatMap { $0.unsettledLeaves() }))
                step(&machines, machines.count - 1, story.world)
                for _ in 0..<story.random.below(4) {
                    step(&machines, story.random.below(machines.count), story.world)
                }
            }
            for _ in 0..<500 where !machines.allSatisfy(\.isDone) {
                for index in machines.indices { step(&machines, index, story.world) }
            }
            for machine in machines {
                #expect(machine.results.allSatisfy { $0 == .ok }, "seed \(seed)")
            }
            expectSame(story, reference, "seed \(seed)")
        }
    }

    private func step(_ machines: inout [IngestMachine], _ index: Int, _ world: ReviewWorld) {
        let busy = machines[..<index].flatMap { $0.unsettledLeaves() }
        machines[index].openGate(busy.sorted())
        let round = machines[index].nextRound()
        if !round.isEmpty { machines[index].take(world.answer(round)) }
    }

    /// A visitor who is known by a hint, a log-in between visits: one group, one round.
    @Test func `events of one person that is known take one round`() {
        let world = ReviewWorld(groups: 2)
        let user = world.value("user_id", "u") { world.group(of: $0) == 0 }
        let visitor = world.value("anonymous_id", "a") { world.group(of: $0) == 1 }
        world.ingest(world.event("page", id: "0", user: user, anonymous: visitor))
        let events = (1...30).map {
            world.event("page", id: "\($0)", user: $0 % 3 == 0 ? user : nil, anonymous: visitor)
        }
        let (leaf, root) = (world.leaf("anonymous_id", visitor), world.leaf("user_id", user))
        var machine = IngestMachine(
            batch: world.batch(events), table: world.table, policy: world.policy,
            isStamped: false, hint: { $0 == leaf ? root : nil })

        machine.take(world.answer(machine.nextRound()))

        #expect(machine.isDone)
        #expect(world.profile("user_id", user)?.eventsTotal == 31)
    }

    /// A log-in behind a visit that a wrong hint sends astray must not be counted before it: it
    /// would take the visitor's cookie first, and the visit be no profile of its own to merge.
    @Test func `what depends on an event that went astray waits for it`() {
        let world = ReviewWorld(groups: 2)
        let user = world.value("user_id", "u") { world.group(of: $0) == 0 }
        let visitor = world.value("anonymous_id", "a") { world.group(of: $0) == 1 }
        world.ingest(world.event("page", id: "0", user: user))
        let (leaf, root) = (world.leaf("anonymous_id", visitor), world.leaf("user_id", user))
        var machine = IngestMachine(
            batch: world.batch([
                world.event("page", id: "1", anonymous: visitor),
                world.event("page", id: "2", user: user, anonymous: visitor),
            ]), table: world.table, policy: world.policy, isStamped: false,
            hint: { $0 == leaf ? root : nil })

        machine.take(world.answer(machine.nextRound()))
        #expect(world.totals.accepted == 1)
        world.settle(&machine)

        #expect(machine.results == [.ok, .ok])
        #expect(world.totals.mergesCompleted == 1)
        #expect(world.profile("anonymous_id", visitor)?.eventsTotal == 3)
    }

    @Test func `operations are cut into pieces between runs only`() {
        let world = ReviewWorld(groups: 1)
        let batch = world.batch([world.event("page", id: "1", user: "u")])
        var operations = OperationWriter()
        let bytes = batch.bytes
        for place: ShardMachine.RunPlace in [.alone, .joins, .depends, .alone, .depends, .alone] {
            operations.event(
                ShardMachine.EventTarget(
                    record: world.leaf("user_id", "u"), ordinal: 0, place: place),
                body: batch.body(0, in: bytes.span.bytes), stamp: OperationWriter.noStamp)
        }
        #expect(operations.pieces(goal: 1).map(\.count) == [3, 2, 1])
        // But a run that is too long is cut, at any goal.
        let most = operations.byteCount / 3
        #expect(operations.pieces(goal: 1, runBytesMax: most).map(\.count) == [2, 1, 2, 1])
        #expect(operations.pieces(goal: 1, runBytesMax: 1).map(\.count) == [1, 1, 1, 1, 1, 1])
    }
}
