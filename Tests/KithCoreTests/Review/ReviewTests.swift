import KithBytes
import Testing

@testable import KithCore

@Suite struct ReviewTests {
    static let day = ReviewWorld.day

    // MARK: Size

    /// Many event names make a small payload and a large absorb: 8 bytes in memory, 210 when spelt
    /// out. One profile has a thousand of its own; those of eleven devices come together by merges.
    @Test(arguments: [1, 2])
    func `a profile too large to be absorbed is refused as a limit, not sealed`(groups: Int) {
        let world = ReviewWorld(groups: groups)
        let user = world.value("user_id", "u") { world.group(of: $0) == 0 }
        let visitor = world.value("anonymous_id", "a") { world.group(of: $0) == groups - 1 }
        let pad = String(repeating: "x", count: 190)
        for number in 0..<11 {
            let device = world.value("device_id", "d\(number)-") {
                $0 > world.leaf("anonymous_id", visitor) && world.group(of: $0) == groups - 1
            }
            world.ingest(
                (0..<1_000).map {
                    let name = number * 1_000 + $0
                    return world.event(
                        "track", id: "m\(name)", device: device, name: "\(name)\(pad)")
                })
            world.ingest(
                world.event("page", id: "p\(number)", anonymous: visitor, device: device))
        }
        #expect(world.profile("anonymous_id", visitor)?.events.count == 11_001)
        let results = world.ingest(world.event("identify", id: "i", user: user, anonymous: visitor))
        #expect(results == [.ok])
        #expect(!world.isSealed(world.leaf("anonymous_id", visitor)))
        #expect(world.totals.refusals[Int(RefusalRule.limit.rawValue)] == 1)
        #expect(world.profile("anonymous_id", visitor)?.eventsTotal == 11_011)
        #expect(world.profile("user_id", user)?.eventsTotal == 1)
        world.checkInvariants()
    }

    @Test func `the size of an absorb is computed as it is encoded`() {
        let world = ReviewWorld(groups: 1)
        world.ingest(
            world.event(
                "identify", id: "i1", user: "u", anonymous: "a", device: "d",
                traits: [("plan", .text("pro")), ("email", .text("a@x.com"))]),
            world.event(
                "track", id: "0190b7e2-5a5c-7c6e-9a53-3a1f5b1c0d2e", user: "u", name: "Order",
                traits: [("city", .text("Rome")), ("note", .null)]),
            world.event("track", id: "i2", anonymous: "b", name: "Order"))
        for shard in 0..<ShardID.count {
            let machine = world.machine(ShardID(UInt8(shard)))
            machine.table.forEachSlot { slot in
                var writer = ByteWriter()
                machine.table.exportFacets(slot, into: &writer)
                #expect(machine.table.portableBytes(slot) == writer.count)
            }
        }
    }

    @Test func `traits that would pass the limit of a profile are refused, deletions are not`() {
        let world = ReviewWorld(groups: 1)
        let large = CBORValue.text(String(repeating: "x", count: 30_000))
        for number in 0..<60 {
            world.ingest(
                world.event("track", id: "m\(number)", user: "u", traits: [("t\(number)", large)]))
        }
        let slot = world.machine(world.leaf("user_id", "u").shard).table.find(
            world.leaf("user_id", "u"))!
        let table = world.machine(world.leaf("user_id", "u").shard)
        #expect(table.table.payloadBytes(slot) <= ShardMachine.payloadBytesMax)
        #expect(world.totals.traitsRefused > 0)
        let before = world.profile("user_id", "u")!.traits.count
        world.now += 1
        world.ingest(world.event("track", id: "n", user: "u", traits: [("t0", .null)]))
        #expect(world.profile("user_id", "u")!.traits.count == before - 1)
        world.ingest(world.event("track", id: "o", user: "u", traits: [("fresh", large)]))
        #expect(world.profile("user_id", "u")!.traits.count == before)
        #expect(world.totals.accepted == 62)
    }

    @Test func `a driver's round to one group stays within its bytes`() {
        let world = ReviewWorld(groups: 2)
        let user = world.value("user_id", "u") { world.group(of: $0) == 0 }
        let large = CBORValue.text(String(repeating: "x", count: 30_000))
        var visitors: [String] = []
        for number in 0..<90 {
            let visitor = world.value("anonymous_id", "a\(number)-") { world.group(of: $0) == 1 }
            visitors.append(visitor)
            world.ingest(
                world.event(
                    "track", id: "m\(number)", anonymous: visitor, traits: [("t\(number)", large)]))
        }
        // Seals only: the winners are not asked yet.
        let winner = world.leaf("user_id", user)
        let text = IdentifierText(
            flags: [], space: ReviewWorld.space, namespace: Array("user_id".utf8),
            value: Array(user.utf8))
        var seals = OperationWriter()
        for visitor in visitors {
            let loser = world.leaf("anonymous_id", visitor)
            seals.seal(
                SealOrder(
                    loser: loser, winner: winner, loserEnd: LinkEnd(leaf: loser, isListed: true),
                    winnerEnd: LinkEnd(leaf: winner, isListed: true), winnerHolds: true,
                    eventTime: world.now, loserText: text, winnerText: text),
                stamp: OperationWriter.noStamp)
        }
        world.log(1, seals)
        var driver = MergeDriver(group: GroupID(1), table: world.table)
        let round = driver.nextRound(&world.groups[1], on: world)
        #expect(round.parts[0].operations.count > 1)
        #expect(
            round.parts[0].operations.byteCount
                <= MergeDriver.roundBytesGoal + 64 << 10)
        #expect(world.drive(rounds: 20))
        #expect(world.groups[1].sealed.isEmpty)
        #expect(world.profile("user_id", user)?.identifiers.count == 91)
        world.checkInvariants()
    }

    // MARK: Retention

    @Test func `totals and reclaiming follow a shorter retention at once`() {
        let world = ReviewWorld(groups: 1)
        world.ingest(
            world.event("page", id: "1", anonymous: "a"), world.event("page", id: "2", user: "u"))
        world.now += 31 * Self.day
        #expect(world.totals.anonymous == 1)
        var settings = OperationWriter()
        settings.settings(retentionMillis: 30 * Self.day)
        world.log(0, settings)
        #expect(world.profile("anonymous_id", "a") == nil)
        #expect(world.totals.anonymous == 0)
        #expect(world.totals.members == 1)
        let shard = world.leaf("anonymous_id", "a").shard
        #expect(world.machine(shard).hasReclaimable(world.groups[0].context()))
    }

    @Test func `a new life beside a ledger is filed for its own end`() {
        let world = ReviewWorld(groups: 1)
        let high = world.value("anonymous_id", "a") { $0 > world.leaf("anonymous_id", "low") }
        world.ingest(world.event("page", id: "1", anonymous: "low"))
        world.ingest(world.event("page", id: "2", anonymous: high))
        world.join(high, into: "low")
        // Expired, with a leaf to release: the record stays and is looked at again tomorrow.
        world.now += 91 * Self.day
        var touch = OperationWriter()
        touch.touch(world.leaf("anonymous_id", "low"))
        world.log(0, touch)
        #expect(world.totals.anonymous == 0)
        let time = world.now - 90 * Self.day + 3_600_000
        #expect(world.ingest(world.event("page", id: "3", anonymous: "low", time: time)) == [.ok])
        #expect(world.totals.anonymous == 1)
        world.now += 3_600_000
        #expect(world.profile("anonymous_id", "low") == nil)
        #expect(world.totals.anonymous == 0)
        #expect(world.totals.identifiers.allSatisfy { $0.count == 0 })
    }

    @Test func `a profile that a refusal finds expired releases its leaves`() {
        let world = ReviewWorld(groups: 1)
        let high = world.value("anonymous_id", "a") { $0 > world.leaf("anonymous_id", "low") }
        world.ingest(world.event("page", id: "1", anonymous: "low"))
        world.ingest(world.event("page", id: "2", anonymous: high))
        let low = world.leaf("anonymous_id", "low")
        world.join(high, into: "low")
        #expect(world.profile("anonymous_id", "low")?.identifiers.count == 2)
        world.now += 91 * Self.day
        var refuse = OperationWriter()
        refuse.refuse(
            at: low, first: low, other: world.leaf("user_id", "u"), rule: .contested,
            isIgnored: false, stamp: OperationWriter.noStamp)
        #expect(world.log(0, refuse) == [.again])
        #expect(world.groups[0].releasing == [low])
    }

    // MARK: Policy

    /// Whatever groups the two accounts lie in, and whether or not the previous one was ever seen.
    @Test(arguments: [1, 2, 4], [true, false])
    func `an alias joins no accounts where the cluster file says so`(groups: Int, isSeen: Bool) {
        let world = ReviewWorld(groups: groups, rules: IdentityRules(alias: .refuse))
        for number in 0..<8 {
            if isSeen { world.ingest(world.event("page", id: "p\(number)", user: "old\(number)")) }
            world.ingest(
                world.event(
                    "alias", id: "a\(number)", user: "new\(number)", previous: "old\(number)"))
            let joined = world.profile("user_id", "new\(number)")!
            #expect(
                joined.identifiers.allSatisfy {
                    $0.value != "old\(number)" || $0.namespace != "user_id"
                })
            #expect(world.profile("user_id", "old\(number)")?.id != joined.id || !isSeen)
        }
        #expect(world.totals.refusals[Int(RefusalRule.twoAccounts.rawValue)] == 8)
        #expect(world.totals.members == (isSeen ? 16 : 8))
        world.checkInvariants()
    }

    // MARK: The batch

    @Test func `refusals are counted although the group that counts was overloaded`() {
        let world = ReviewWorld(groups: 2)
        let user = world.value("user_id", "u") { world.group(of: $0) == 1 }
        var machine = world.ingestMachine(
            [world.event("page", id: "1", user: user)],
            rejected: [(name: Array("no_identifier".utf8), count: 3)])
        world.overloaded = [0]
        let first = machine.nextRound()
        machine.take(world.answer(first))
        #expect(!machine.isDone)
        world.overloaded = []
        world.settle(&machine)
        #expect(machine.isDone)
        #expect(machine.results == [.ok])
        #expect(world.totals.rejected.map(\.count) == [3])
    }

    @Test func `counting gives up on a group that stays overloaded`() {
        let world = ReviewWorld(groups: 1)
        var machine = world.ingestMachine(
            [], rejected: [(name: Array("invalid_json".utf8), count: 1)])
        world.overloaded = [0]
        world.settle(&machine)
        #expect(machine.isDone)
    }

    /// B travels with A and ends first; C, which shares one of their identifiers, waits for both.
    @Test func `an event waits for every earlier one that travels together`() {
        let world = ReviewWorld(groups: 2)
        let user = world.value("user_id", "u") { world.group(of: $0) == 0 }
        let visitor = world.value("anonymous_id", "a") { world.group(of: $0) == 1 }
        world.ingest(world.event("page", id: "0", user: user))
        var erase = OperationWriter()
        let leaf = world.leaf("user_id", user)
        erase.erase(leaf, at: leaf, proof: .none)
        world.now += 10
        let forgotten = world.now
        world.log(0, erase)
        world.now += 10
        var machine = world.ingestMachine([
            world.event("page", id: "1", user: user, anonymous: visitor),
            world.event("page", id: "2", user: user, anonymous: visitor, time: forgotten),
            world.event("page", id: "3", anonymous: visitor),
        ])
        machine.take(world.answer(machine.nextRound()))
        #expect(machine.results[1] == .forgotten)
        // The link of the first is under way; the third must not be counted before it.
        while machine.results[0] == .unknown {
            let round = machine.nextRound()
            if round.isEmpty { break }
            machine.take(world.answer(round))
            if machine.results[0] == .unknown {
                #expect(world.totals.accepted == 2)
            }
        }
        world.settle(&machine)
        #expect(machine.results == [.ok, .forgotten, .ok])
        #expect(world.profile("user_id", user)?.eventsTotal == 2)
    }

    /// A visit, then a log-in and what follows it: all of that goes with the log-in.
    @Test func `events with the identifiers of one held back start with it`() {
        let world = ReviewWorld(groups: 2)
        let user = world.value("user_id", "u") { world.group(of: $0) == 0 }
        let visitor = world.value("anonymous_id", "a") { world.group(of: $0) == 1 }
        var events = [world.event("page", id: "0", anonymous: visitor)]
        for number in 1...200 {
            events.append(
                world.event(
                    "track", id: "\(number)", user: user, anonymous: visitor,
                    traits: [("last", .integer(Int64(number)))]))
        }
        events.append(world.event("page", id: "201", anonymous: visitor))
        var machine = world.ingestMachine(events)
        var rounds = 0
        while !machine.isDone, rounds < 1000 {
            let round = machine.nextRound()
            if round.isEmpty { break }
            rounds += 1
            machine.take(world.answer(round))
        }
        #expect(rounds < 12)
        #expect(machine.results.allSatisfy { $0 == .ok })
        #expect(world.profile("anonymous_id", visitor)?.eventsTotal == 202)
        #expect(world.totals.mergesCompleted == 1)
        world.checkInvariants()
    }

    @Test func `a merge that cannot get on is not logged again and again`() {
        let world = ReviewWorld(groups: 2)
        let user = world.value("user_id", "u") { world.group(of: $0) == 0 }
        let visitor = world.value("anonymous_id", "a") { world.group(of: $0) == 1 }
        world.ingest(world.event("page", id: "1", user: user))
        world.ingest(world.event("page", id: "2", anonymous: visitor))
        // The winner holds the loser's facet: an absorb that no rule allows.
        let machine = world.machine(world.leaf("user_id", user).shard)
        let text = Array(visitor.utf8)
        let namespace = Array("anonymous_id".utf8)
        let space = ReviewWorld.space
        _ = machine.table.addFacet(
            machine.table.find(world.leaf("user_id", user))!,
            leaf: world.leaf("anonymous_id", visitor), life: OperationIndex(rawValue: 7),
            group: GroupID(0), seen: world.now, flags: [], forgetTime: nil,
            space: space.span.bytes, namespace: namespace.span.bytes, value: text.span.bytes)
        world.join(visitor, into: user, of: "user_id")
        let before = world.groups[0].applied.rawValue
        #expect(!world.drive(until: world.leaf("anonymous_id", visitor), rounds: 1000))
        #expect(world.groups[0].applied.rawValue - before < 12)
        #expect(world.drivers[1].isBusy)
    }
}
