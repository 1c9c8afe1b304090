import KithBytes

@testable import KithCore

/// Groups with all their shards in memory: entries are applied at once, rounds are answered in
/// full. What a directed test of one rule needs, and nothing else.
final class ReviewWorld: ShardAccess {
    static let day: Int64 = 86_400_000
    static let space = Array("default".utf8)

    let table: GroupTable
    let rules: IdentityRules
    let policy: LinkPolicy
    let key: HashKey
    var groups: [GroupMachine]
    var drivers: [MergeDriver]
    /// Log time of the next entry, for every group.
    var now: Int64 = 20_000 * ReviewWorld.day
    /// Groups that answer `overloaded`.
    var overloaded: Set<Int> = []
    /// Who waits for a sealed record has its merge driven; else it is told at once.
    var drivesWaits = true
    private var machines: [ShardMachine]
    /// The entries of each group.
    private(set) var history: [[(operations: [UInt8], time: Int64)]]

    init(groups count: Int, rules: IdentityRules = .standard, key: HashKey = EventFixture.key) {
        table = GroupTable(groupCount: count)
        self.rules = rules
        self.key = key
        policy = LinkPolicy(
            quarantinesContested: rules.sharedDevice == .quarantine,
            aliasJoinsAccounts: rules.alias == .merge,
            limits: rules.namespaces.map {
                LinkPolicy.Limit(
                    namespace: Array($0.name.utf8), identifierClass: $0.identifierClass,
                    limit: $0.limit)
            })
        let table = table
        groups = table.groups.map { GroupMachine(group: $0, table: table) }
        drivers = table.groups.map { MergeDriver(group: $0, table: table) }
        history = Array(repeating: [], count: count)
        machines = (0..<ShardID.count).map { ShardMachine(id: ShardID(UInt8($0)), key: key) }
    }

    func machine(_ id: ShardID) -> ShardMachine { machines[Int(id.rawValue)] }

    func leaf(_ namespace: String, _ value: String) -> LeafID {
        let rule = rules.namespaces.first { $0.name == namespace }!
        let name = Array(namespace.utf8)
        let text = Array(value.utf8)
        let space = Self.space
        return LeafHasher(key: key).leaf(
            class: rule.identifierClass, space: space.span.bytes,
            namespace: name.span.bytes, value: text.span.bytes)
    }

    func group(of leaf: LeafID) -> Int { Int(table.group(of: leaf).rawValue) }

    /// The first of `x0, x1, …` whose leaf `isWanted`.
    func value(_ namespace: String, _ stem: String, where isWanted: (LeafID) -> Bool) -> String {
        (0...).lazy.map { "\(stem)\($0)" }.first { isWanted(self.leaf(namespace, $0)) }!
    }

    // MARK: Entries

    @discardableResult
    func log(_ group: Int, _ operations: OperationWriter) -> [Outcome] {
        history[group].append((operations.bytes, now))
        return apply(operations.bytes, to: group, at: now)
    }

    private func apply(_ operations: [UInt8], to group: Int, at time: Int64) -> [Outcome] {
        var outcomes: [Outcome] = []
        _ = groups[group].apply(
            index: groups[group].applied.next, time: LogTime(time), clock: .wall,
            operations: operations.span.bytes, on: self, outcomes: &outcomes)
        return outcomes
    }

    func answer(_ round: Round) -> Round {
        var round = round
        for index in round.parts.indices where !round.parts[index].isEmpty {
            let part = round.parts[index]
            if overloaded.contains(index) {
                round.parts[index].answer = .overloaded(retryAfterMillis: 5)
                continue
            }
            let outcomes = part.operations.isEmpty ? [] : log(index, part.operations)
            for request in part.finds
            where machine(request.record.shard).needsTouch(
                request.record, groups[index].context(at: LogTime(now)))
            {
                var touch = OperationWriter()
                touch.touch(request.record)
                log(index, touch)
            }
            let context = groups[index].context(at: LogTime(now))
            let finds = part.finds.map {
                machine($0.record.shard).find(
                    $0.leaf, other: $0.other, at: $0.record, proof: $0.proof, context)
            }
            if drivesWaits { for leaf in part.waits { drive(until: leaf) } }
            round.parts[index].answer = .answered(
                operations: outcomes, finds: finds, waits: part.waits.map { !isSealed($0) },
                token: groups[index].applied)
        }
        return round
    }

    /// Seals an anonymous profile into another one, above it in strength; in one group, merges
    /// them.
    func join(_ high: String, into low: String, of namespace: String = "anonymous_id") {
        let loser = leaf("anonymous_id", high)
        let winner = leaf(namespace, low)
        let text = IdentifierText(
            flags: [], space: Self.space, namespace: Array(namespace.utf8),
            value: Array(low.utf8))
        var seal = OperationWriter()
        seal.seal(
            SealOrder(
                loser: loser, winner: winner, loserEnd: LinkEnd(leaf: loser, isListed: true),
                winnerEnd: LinkEnd(leaf: winner, isListed: true), winnerHolds: true,
                eventTime: now, loserText: text, winnerText: text),
            stamp: OperationWriter.noStamp)
        log(group(of: loser), seal)
    }

    func isSealed(_ leaf: LeafID) -> Bool {
        let machine = machine(leaf.shard)
        return machine.table.find(leaf).map { machine.table.state($0) == .sealed } ?? false
    }

    /// Drives all merges; false where `leaf` is sealed still after many rounds.
    @discardableResult
    func drive(until leaf: LeafID? = nil, rounds: Int = 50) -> Bool {
        for _ in 0..<rounds {
            if let leaf, !isSealed(leaf) { return true }
            for index in drivers.indices where !overloaded.contains(index) {
                let round = drivers[index].nextRound(&groups[index], on: self)
                guard !round.isEmpty else { continue }
                var answered = round
                for part in answered.parts.indices where !answered.parts[part].isEmpty {
                    let asked = answered.parts[part]
                    if overloaded.contains(part) {
                        answered.parts[part].answer = .overloaded(retryAfterMillis: 5)
                        _ = drivers[index].take(answered.parts[part])
                        continue
                    }
                    let outcomes = asked.operations.isEmpty ? [] : log(part, asked.operations)
                    answered.parts[part].answer = .answered(
                        operations: outcomes, finds: [], waits: asked.waits.map { !isSealed($0) },
                        token: groups[part].applied)
                    _ = drivers[index].take(answered.parts[part])
                }
            }
        }
        return leaf.map { !isSealed($0) } ?? true
    }

    /// Takes the group's log away but for its first entries: it goes on above all that it had in
    /// use.
    func lose(_ group: Int, keeping count: Int = 0) {
        for shard in table.shards(of: GroupID(UInt16(group))) {
            machines[Int(shard.rawValue)] = ShardMachine(id: shard, key: key)
        }
        let end = groups[group].applied
        groups[group] = GroupMachine(group: GroupID(UInt16(group)), table: table)
        history[group].removeSubrange(count...)
        for entry in history[group] { _ = apply(entry.operations, to: group, at: entry.time) }
        groups[group].rebuildWork(on: self)
        groups[group].skip(to: LogIndex(end.rawValue + 1_000))
        drivers[group] = MergeDriver(group: GroupID(UInt16(group)), table: table)
    }

    // MARK: Events

    func batch(_ events: [CBORValue]) -> EventBatch {
        var reader = EventReader(rules: rules, key: key)
        var batch = EventBatch()
        for (place, event) in events.enumerated() {
            read(event.encoded(), Self.space, place, &reader, &batch)
        }
        return batch
    }

    private func read(
        _ bytes: [UInt8], _ space: [UInt8], _ place: Int, _ reader: inout EventReader,
        _ batch: inout EventBatch
    ) {
        do throws(EventRejection) {
            try reader.read(
                bytes.span.bytes, position: UInt32(place), space: space.span.bytes, arrival: now,
                stamp: nil, into: &batch, assignMessageID: { Array("assigned".utf8) })
        } catch {
            preconditionFailure("\(error)")
        }
    }

    func ingestMachine(
        _ events: [CBORValue], rejected: [(name: [UInt8], count: UInt32)] = []
    ) -> IngestMachine {
        ingestMachine(batch(events), rejected: rejected)
    }

    func ingestMachine(
        _ batch: EventBatch, rejected: [(name: [UInt8], count: UInt32)] = []
    ) -> IngestMachine {
        IngestMachine(
            batch: batch, table: table, policy: policy, isStamped: false, rejected: rejected,
            hint: { _ in nil })
    }

    /// Takes events through all their rounds.
    @discardableResult
    func ingest(_ events: CBORValue...) -> [EventResult] { ingest(events) }

    @discardableResult
    func ingest(_ events: [CBORValue]) -> [EventResult] {
        var machine = ingestMachine(events)
        settle(&machine)
        return machine.results
    }

    func settle(_ machine: inout IngestMachine) {
        for _ in 0..<1000 where !machine.isDone {
            let round = machine.nextRound()
            if round.isEmpty { return }
            machine.take(answer(round))
        }
    }

    /// An event of the Segment spec. Identifiers by the names of its fields.
    func event(
        _ type: String, id: String, user: String? = nil, anonymous: String? = nil,
        device: String? = nil, previous: String? = nil, time: Int64? = nil, name: String = "thing",
        traits: [(String, CBORValue)] = []
    ) -> CBORValue {
        var members: [CBORMember] = [
            CBORMember(.text("type"), .text(type)), CBORMember(.text("messageId"), .text(id)),
            CBORMember(.text("timestamp"), .integer(time ?? now)),
        ]
        if type == "track" { members.append(CBORMember(.text("event"), .text(name))) }
        if let user { members.append(CBORMember(.text("userId"), .text(user))) }
        if let anonymous { members.append(CBORMember(.text("anonymousId"), .text(anonymous))) }
        if let previous { members.append(CBORMember(.text("previousId"), .text(previous))) }
        var context: [CBORMember] = []
        if let device {
            context.append(
                CBORMember(.text("device"), .map([CBORMember(.text("id"), .text(device))])))
        }
        if !traits.isEmpty {
            context.append(
                CBORMember(
                    .text("traits"), .map(traits.map { CBORMember(.text($0.0), $0.1) })))
        }
        if !context.isEmpty { members.append(CBORMember(.text("context"), .map(context))) }
        return .map(members)
    }

    // MARK: Looking

    func profile(_ namespace: String, _ value: String) -> Profile? {
        let leaf = leaf(namespace, value)
        var record = leaf
        for _ in 0..<300 {
            let context = groups[group(of: record)].context(at: LogTime(now))
            let outcome = machine(record.shard).read(leaf, at: record, byHint: false, context)
            switch outcome {
            case .profile: return outcome.decoded
            case .moved(let parent): record = parent
            case .none, .sealed, .unknownFacet: return nil
            }
        }
        return nil
    }

    /// Totals judged at `now`, as a group answers them.
    var totals: Statistics {
        var sum = Statistics()
        for group in groups {
            let context = group.context(at: LogTime(now))
            for shard in table.shards(of: group.group) {
                sum.add(machine(shard).statistics(at: context))
            }
        }
        return sum
    }

    func checkInvariants() {
        for group in groups { group.checkInvariants(on: self) }
    }
}
