import KithBytes
import Testing

@testable import KithCore

/// The order of a batch with stamps: log time never runs ahead of a link still to be judged.
@Suite struct EventClockTests {
    private struct Shards: ShardAccess {
        let machines = (0..<ShardID.count).map {
            ShardMachine(id: ShardID(UInt8($0)), key: EventFixture.key)
        }
        func machine(_ id: ShardID) -> ShardMachine { machines[Int(id.rawValue)] }
    }

    /// Events of new people, each with a cookie (`a`) or without (`u`): operations of each round.
    private static func rounds(of pattern: String) throws -> (operations: [Int], isDone: Bool) {
        let table = GroupTable(groupCount: 1)
        var group = GroupMachine(group: GroupID(0), table: table)
        let shards = Shards()
        var reader = EventReader(rules: .standard, key: EventFixture.key)
        var batch = EventBatch()
        let space = Array("default".utf8)
        for (place, kind) in pattern.enumerated() {
            var members = [
                CBORMember(.text("type"), .text("page")),
                CBORMember(.text("userId"), .text("u-\(place)")),
                CBORMember(.text("timestamp"), .unsigned(1_700_000_000_000 + UInt64(place))),
            ]
            if kind == "a" { members.append(CBORMember(.text("anonymousId"), .text("a-\(place)"))) }
            try reader.read(
                CBORValue.map(members).encoded().span.bytes, position: UInt32(place),
                space: space.span.bytes, arrival: EventFixture.arrival,
                stamp: 1_700_000_000_000 + Int64(place), into: &batch,
                assignMessageID: { Array("m\(place)".utf8) })
        }
        let policy = LinkPolicy(quarantinesContested: true, aliasJoinsAccounts: true, limits: [])
        var machine = IngestMachine(
            batch: batch, table: table, policy: policy, isStamped: true, hint: { _ in nil })

        var index = LogIndex(1)
        var operations: [Int] = []
        while !machine.isDone {
            var round = machine.nextRound()
            guard !round.isEmpty else { break }
            var outcomes: [Outcome] = []
            _ = group.apply(
                index: index, time: LogTime(EventFixture.arrival), clock: .event,
                operations: round.parts[0].operations.bytes.span.bytes, on: shards,
                outcomes: &outcomes)
            operations.append(outcomes.count)
            round.parts[0].answer = .answered(
                operations: outcomes, finds: [], waits: [], token: index)
            machine.take(round)
            index = index.next
        }
        return (operations, machine.isDone)
    }

    @Test(arguments: [
        ("uuu", [3]), ("aaa", [1, 1, 1]), ("uua", [2, 1]), ("auu", [1, 2]), ("uaua", [1, 1, 1, 1]),
    ]) func `only events that time can decide about hold the later ones back`(
        _ pattern: String, _ expected: [Int]
    ) throws {
        let rounds = try Self.rounds(of: pattern)

        #expect(rounds.isDone)
        #expect(rounds.operations == expected)
    }

    /// The link of the first event is between two groups and takes several rounds.
    @Test func `nothing is logged behind an event whose link is under way`() throws {
        let table = GroupTable(groupCount: 2)
        var groups = table.groups.map { GroupMachine(group: $0, table: table) }
        let shards = Shards()
        var reader = EventReader(rules: .standard, key: EventFixture.key)
        let space = Array("default".utf8)
        var batch = EventBatch()
        func read(_ text: String, _ cookie: String?, _ place: UInt32) throws {
            var members = [
                CBORMember(.text("type"), .text("page")), CBORMember(.text("userId"), .text(text)),
                CBORMember(.text("timestamp"), .unsigned(1_700_000_000_000 + UInt64(place))),
            ]
            if let cookie { members.append(CBORMember(.text("anonymousId"), .text(cookie))) }
            try reader.read(
                CBORValue.map(members).encoded().span.bytes, position: place,
                space: space.span.bytes, arrival: EventFixture.arrival,
                stamp: 1_700_000_000_000 + Int64(place), into: &batch,
                assignMessageID: { Array("m\(place)".utf8) })
        }
        var number = 0
        repeat {
            batch.removeAll()
            try read("u-1", "a-\(number)", 0)
            number += 1
        } while table.group(of: batch.identifier(0, 0).leaf)
            == table.group(of: batch.identifier(0, 1).leaf)
        try read("u-2", nil, 1)
        let policy = LinkPolicy(quarantinesContested: true, aliasJoinsAccounts: true, limits: [])
        var machine = IngestMachine(
            batch: batch, table: table, policy: policy, isStamped: true, hint: { _ in nil })

        var round = machine.nextRound()
        for place in round.parts.indices where !round.parts[place].isEmpty {
            var outcomes: [Outcome] = []
            _ = groups[place].apply(
                index: LogIndex(1), time: LogTime(EventFixture.arrival), clock: .event,
                operations: round.parts[place].operations.bytes.span.bytes, on: shards,
                outcomes: &outcomes)
            round.parts[place].answer = .answered(
                operations: outcomes, finds: [], waits: [], token: LogIndex(1))
        }
        machine.take(round)
        let second = machine.nextRound()

        #expect(second.parts.map(\.finds.count).reduce(0, +) == 2)
        #expect(second.parts.allSatisfy { $0.operations.isEmpty })
    }
}
