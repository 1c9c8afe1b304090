import KithBytes

@testable import KithCore

/// A few groups and shards driven by hand: what a directed test writes its story with. Nothing is
/// lost or reordered here; drivers run when they are told to.
final class MergeScript {
    let table: GroupTable
    var groups: [GroupMachine]
    let shards = ModelShards()
    private var drivers: [MergeDriver]
    private var reader: EventReader
    private var policy: LinkPolicy
    private let hasher: LeafHasher
    private var messages = 0
    /// Wall time of every group.
    var now: Int64 = 1_700_000_000_000

    init(
        groupCount: Int, sharedDevice: IdentityRules.SharedDevice = .quarantine,
        identifiersMax: Int = ShardMachine.identifiersMax
    ) {
        table = GroupTable(groupCount: groupCount)
        let table = table
        groups = table.groups.map { GroupMachine(group: $0, table: table) }
        drivers = table.groups.map { MergeDriver(group: $0, table: table) }
        let rules = IdentityRules(sharedDevice: sharedDevice)
        let key = HashKey(k0: 1, k1: 2)
        reader = EventReader(rules: rules, key: key)
        hasher = LeafHasher(key: key)
        policy = LinkPolicy(
            quarantinesContested: sharedDevice == .quarantine, aliasJoinsAccounts: true,
            limits: rules.namespaces.map {
                .init(
                    namespace: Array($0.name.utf8), identifierClass: $0.identifierClass,
                    limit: $0.limit)
            })
        for shard in 0..<ShardID.count { shards.use(ShardID(UInt8(shard))) }
        policy.identifiersMax = identifiersMax
        for group in groups.indices { groups[group].identifiersMax = identifiersMax }
    }

    struct Name {
        var namespace: String
        var value: String
        var leaf: LeafID
    }

    private func read(_ bytes: [UInt8], _ space: [UInt8], into batch: inout EventBatch) {
        do {
            try reader.read(
                bytes.span.bytes, position: 0, space: space.span.bytes, arrival: now, stamp: nil,
                into: &batch, assignMessageID: { [] })
        } catch {
            preconditionFailure("a made event is refused: \(error)")
        }
    }

    /// An identifier whose leaf lies in `group` and above `floor`; another one for each `number`.
    func name(
        _ namespace: String, group: Int, above floor: LeafID? = nil, number first: Int = 0
    ) -> Name {
        let rank = IdentityRules.standard.namespaces.first { $0.name == namespace }!.identifierClass
        for number in (first * 1000)... {
            let value = namespace == "email" ? "n\(number)@x" : "n\(number)"
            let space = ModelSetup.space
            let name = Array(namespace.utf8)
            let text = Array(value.utf8)
            let leaf = hasher.leaf(
                class: rank, space: space.span.bytes, namespace: name.span.bytes,
                value: text.span.bytes)
            if table.group(of: leaf).rawValue == UInt16(group), floor.map({ $0 < leaf }) ?? true {
                return Name(namespace: namespace, value: value, leaf: leaf)
            }
        }
        preconditionFailure("no such leaf")
    }

    /// Applies one operation to a group.
    @discardableResult
    func apply(_ group: Int, _ write: (inout OperationWriter) -> Void) -> Outcome {
        var writer = OperationWriter()
        write(&writer)
        return apply(group, writer.bytes)[0]
    }

    private func apply(_ group: Int, _ bytes: [UInt8]) -> [Outcome] {
        var outcomes: [Outcome] = []
        _ = groups[group].apply(
            index: groups[group].applied.next, time: LogTime(now), clock: .wall,
            operations: bytes.span.bytes, on: shards, outcomes: &outcomes)
        return outcomes
    }

    private func answer(_ round: inout Round) {
        for part in round.parts.indices where !round.parts[part].isEmpty {
            let operations = apply(part, round.parts[part].operations.bytes)
            let finds = round.parts[part].finds.map { find in
                shards.machine(find.record.shard).find(
                    find.leaf, other: find.other, at: find.record, proof: find.proof,
                    groups[part].context())
            }
            let waits = round.parts[part].waits.map { leaf in
                let machine = shards.machine(leaf.shard)
                return machine.table.find(leaf).map { machine.table.state($0) != .sealed } ?? true
            }
            round.parts[part].answer = .answered(
                operations: operations, finds: finds, waits: waits, token: groups[part].applied)
        }
    }

    /// Sends an event of now. With `driving`, merges go on while it waits.
    @discardableResult
    func send(_ names: Name..., driving: Bool = true) -> EventResult {
        var machine = begin(names)
        return finish(&machine, driving: driving)
    }

    /// Joins the account that was called `previous` to `user`.
    @discardableResult
    func alias(_ user: Name, previous: Name) -> EventResult {
        messages += 1
        var writer = ByteWriter()
        writer.cborMap(count: 5)
        for (key, value) in [
            ("type", "alias"), ("messageId", "m\(messages)"), ("userId", user.value),
            ("previousId", previous.value),
        ] {
            writer.cborText(key)
            writer.cborText(value)
        }
        writer.cborText("timestamp")
        writer.cborInteger(now)
        var machine = ingestMachine(writer.bytes)
        return finish(&machine)
    }

    /// An event of now, to be taken on by `step` and `finish`.
    func begin(_ names: [Name]) -> IngestMachine {
        messages += 1
        var writer = ByteWriter()
        writer.cborMap(count: 5)
        for (key, value) in [("type", "track"), ("event", "e"), ("messageId", "m\(messages)")] {
            writer.cborText(key)
            writer.cborText(value)
        }
        writer.cborText("timestamp")
        writer.cborInteger(now)
        writer.cborText("context")
        writer.cborMap(count: 1)
        writer.cborText("externalIds")
        writer.cborArray(count: names.count)
        for name in names {
            writer.cborMap(count: 2)
            writer.cborText("id")
            writer.cborText(name.value)
            writer.cborText("type")
            writer.cborText(name.namespace)
        }
        return ingestMachine(writer.bytes)
    }

    private func ingestMachine(_ event: [UInt8]) -> IngestMachine {
        var batch = EventBatch()
        read(event, ModelSetup.space, into: &batch)
        return IngestMachine(
            batch: batch, table: table, policy: policy, isStamped: false, hint: { _ in nil })
    }

    /// One round of an event's way.
    func step(_ machine: inout IngestMachine) {
        var round = machine.nextRound()
        answer(&round)
        machine.take(round)
    }

    /// All rounds that are left.
    @discardableResult
    func finish(_ machine: inout IngestMachine, driving: Bool = true) -> EventResult {
        for _ in 0..<200 where !machine.isDone {
            step(&machine)
            if driving { settle() }
        }
        return machine.results[0]
    }

    /// Runs the drivers, of some groups only, until nothing is left for them to do.
    func settle(groups chosen: [Int]? = nil) {
        for _ in 0..<100 {
            var isBusy = false
            for group in drivers.indices where chosen?.contains(group) ?? true {
                var round = drivers[group].nextRound(&groups[group], on: shards)
                if round.isEmpty { continue }
                isBusy = true
                answer(&round)
                for part in round.parts where !part.isEmpty {
                    _ = drivers[group].take(part)
                }
            }
            if !isBusy { return }
        }
    }

    /// Forgets the profile that holds the identifier.
    func forget(_ name: Name, driving: Bool = true) {
        var cursor = Cursor(name.leaf)
        while true {
            let group = Int(table.group(of: cursor.record).rawValue)
            let outcome = apply(group) {
                $0.erase(cursor.leaf, at: cursor.record, proof: cursor.proof)
            }
            if !cursor.take(outcome) { break }
        }
        if driving { settle() }
    }

    /// Lets the profile at this root expire, if it is due.
    func touch(_ name: Name) {
        apply(Int(table.group(of: name.leaf).rawValue)) { $0.touch(name.leaf) }
    }

    /// The flags of the identifier's facet in the record of `root`; nil where that holds none.
    func flags(of name: Name, at root: Name) -> FacetFlags? {
        let machine = shards.machine(root.leaf.shard)
        guard let slot = machine.table.find(root.leaf),
            let facet = machine.table.facet(slot, name.leaf)
        else { return nil }
        return machine.table.flags(facet)
    }

    func absorbOrder(_ name: Name) -> AbsorbOrder? {
        let group = Int(table.group(of: name.leaf).rawValue)
        guard let sealed = groups[group].sealed.first(where: { $0.leaf == name.leaf }) else {
            return nil
        }
        return shards.machine(name.leaf.shard).absorbOrder(
            name.leaf, version: sealed.version, groups[group].context())
    }
}
