// A small cluster that takes operations of four kinds: those of real events on their way, made-up
// ones that are well-formed and name what there is, the same with damage in them, and the same with
// damage to the bytes that frame them. Few identifiers in few shards, so that records meet.

import KithBytes

@testable import KithCore

final class OperationFuzzWorld {
    let world: ReviewWorld
    private let users = ["u0", "u1", "u2"]
    private let emails = ["e0@x.org", "e1@x.org"]
    private let browsers = ["b0", "b1", "b2", "b3"]
    private let devices = ["d0", "d1"]
    private var leaves: [LeafID] = []
    private var texts: [IdentifierText] = []
    private let clock: GroupMachine.EntryClock
    /// Payloads of entries that were real, by group, the latest ones.
    private var entries: [(group: Int, bytes: [UInt8])] = []
    private var messages = 0

    private static let entriesMax = 64

    init(_ fuzzer: inout ByteFuzzer) {
        world = ReviewWorld(groups: fuzzer.pick([1, 2, 3]))
        clock = fuzzer.chance(oneIn: 3) ? .event : .wall
        for (namespace, values) in [
            ("user_id", users), ("email", emails), ("anonymous_id", browsers),
            ("device_id", devices),
        ] {
            for value in values {
                leaves.append(world.leaf(namespace, value))
                texts.append(
                    IdentifierText(
                        flags: [], space: ReviewWorld.space, namespace: Array(namespace.utf8),
                        value: Array(value.utf8)))
            }
        }
    }

    // MARK: One string

    func step(_ fuzzer: inout ByteFuzzer) -> FuzzVerdict {
        if fuzzer.chance(oneIn: 16) {
            world.now += fuzzer.pick([1000, ReviewWorld.day, 91 * ReviewWorld.day])
        }
        if fuzzer.chance(oneIn: 8) {
            ingest(&fuzzer)
            return .taken
        }
        let (group, bytes) = entry(&fuzzer)
        let before = records
        let sealed = world.groups.reduce(0) { $0 + $1.sealed.count }
        var outcomes: [Outcome] = []
        _ = world.groups[group].apply(
            index: world.groups[group].applied.next, time: LogTime(world.now), clock: clock,
            operations: bytes.span.bytes, on: world, outcomes: &outcomes)
        if !bytes.isEmpty, outcomes.isEmpty { return .wrong("an entry without an outcome") }
        if outcomes.allSatisfy({ $0 == .malformed }) {
            guard records <= before, world.groups.reduce(0, { $0 + $1.sealed.count }) <= sealed
            else {
                return .wrong("\(records - before) records of an entry that is malformed")
            }
            return .refused
        }
        read(&fuzzer)
        return .taken
    }

    private var records: Int {
        (0..<ShardID.count).reduce(0) { $0 + world.machine(ShardID(UInt8($1))).table.count }
    }

    /// Reads what there is, in the ways that reads are served.
    private func read(_ fuzzer: inout ByteFuzzer) {
        let leaf = leaf(&fuzzer)
        let record = fuzzer.chance(oneIn: 2) ? leaf : self.leaf(&fuzzer)
        let group = world.groups[world.group(of: record)]
        let context = group.context(at: LogTime(world.now))
        let machine = world.machine(record.shard)
        if case .profile(let bytes) = machine.read(leaf, at: record, byHint: false, context) {
            precondition(Profile.isEncoding(bytes.span.bytes), "a profile that cannot be read")
        }
        _ = machine.find(
            leaf, other: self.leaf(&fuzzer), at: record, proof: version(&fuzzer), context)
        _ = machine.statistics(at: context)
        _ = machine.expiresAt(record, context)
    }

    func checkUsedShards() {
        for shard in 0..<ShardID.count {
            let machine = world.machine(ShardID(UInt8(shard)))
            if machine.table.count > 0 { machine.checkInvariants() }
        }
    }

    // MARK: Real events

    /// Takes one or two events through their rounds, and the merges that follow a step on.
    func ingest(_ fuzzer: inout ByteFuzzer) {
        var machine = world.ingestMachine((0...fuzzer.below(2)).map { _ in event(&fuzzer) })
        for _ in 0..<20 where !machine.isDone {
            let round = machine.nextRound()
            if round.isEmpty { break }
            for (group, part) in round.parts.enumerated() where !part.operations.isEmpty {
                if entries.count >= Self.entriesMax {
                    entries.remove(at: fuzzer.below(entries.count))
                }
                entries.append((group, part.operations.bytes))
            }
            machine.take(world.answer(round))
        }
        if fuzzer.chance(oneIn: 2) { world.drive(rounds: 1 + fuzzer.below(3)) }
    }

    /// An event of some of the identifiers there are.
    func event(_ fuzzer: inout ByteFuzzer) -> CBORValue {
        messages += 1
        let type = fuzzer.pick(["track", "track", "page", "identify", "alias"])
        let user = fuzzer.chance(oneIn: 2) || type == "alias" ? fuzzer.pick(users) : nil
        var traits: [(String, CBORValue)] = []
        for _ in 0..<fuzzer.below(4) {
            traits.append(
                ("t\(fuzzer.below(5))", .bytes(fuzzer.noise(below: fuzzer.pick([2, 30, 900])))))
        }
        if fuzzer.chance(oneIn: 3) { traits.append(("email", .text(fuzzer.pick(emails)))) }
        return world.event(
            type, id: "m\(fuzzer.chance(oneIn: 6) ? 0 : messages)", user: user,
            anonymous: user == nil || fuzzer.chance(oneIn: 2) ? fuzzer.pick(browsers) : nil,
            device: fuzzer.chance(oneIn: 4) ? fuzzer.pick(devices) : nil,
            previous: type == "alias" ? fuzzer.pick(users + browsers) : nil,
            time: world.now - Int64(fuzzer.below(3)) * 60 * ReviewWorld.day,
            name: "n\(fuzzer.below(6))", traits: traits)
    }

    // MARK: Entries

    private func entry(_ fuzzer: inout ByteFuzzer) -> (group: Int, bytes: [UInt8]) {
        var group = fuzzer.below(world.groups.count)
        var bytes: [UInt8]
        if fuzzer.chance(oneIn: 3), !entries.isEmpty {
            (group, bytes) = fuzzer.pick(entries)
        } else {
            var operations = OperationWriter()
            for _ in 0...(fuzzer.chance(oneIn: 4) ? fuzzer.below(4) : 0) {
                let place = append(&operations, &fuzzer)
                if !fuzzer.chance(oneIn: 8) { group = place }
            }
            bytes = operations.bytes
        }
        let samples = entries.isEmpty ? [bytes] : entries.map(\.bytes)
        switch fuzzer.below(5) {
        case 0, 1: break
        case 2, 3: damageOperation(&bytes, samples, &fuzzer)
        default: fuzzer.damage(&bytes, samples: samples)
        }
        return (group, bytes)
    }

    /// Damages the payload of the first operation, and frames it anew.
    private func damageOperation(
        _ bytes: inout [UInt8], _ samples: [[UInt8]], _ fuzzer: inout ByteFuzzer
    ) {
        let head = OperationWriter.headerBytes
        guard bytes.count > head else { return }
        let length =
            Int(bytes[1]) | Int(bytes[2]) << 8 | Int(bytes[3]) << 16 | Int(bytes[4]) << 24
        let end = min(head + length, bytes.count)
        var payload = Array(bytes[head..<end])
        fuzzer.damage(&payload, samples: samples)
        for index in 0..<4 {
            bytes[1 + index] = UInt8(truncatingIfNeeded: payload.count >> (8 * index))
        }
        if fuzzer.chance(oneIn: 8) { bytes[0] = UInt8(fuzzer.below(18)) }
        bytes.replaceSubrange(head..<end, with: payload)
    }

    /// Adds a well-formed operation that need not make sense; the group that it is addressed to.
    private func append(_ operations: inout OperationWriter, _ fuzzer: inout ByteFuzzer) -> Int {
        let a = leaf(&fuzzer)
        let b = leaf(&fuzzer)
        let stamp =
            fuzzer.chance(oneIn: 2)
            ? OperationWriter.noStamp
            : fuzzer.pick([0, .max, world.now, world.now + ReviewWorld.day, -5])
        switch fuzzer.below(17) {
        case 0, 1, 2:
            let batch = world.batch([event(&fuzzer)])
            let target = ShardMachine.EventTarget(
                record: a, ordinal: fuzzer.below(batch.heads[0].identifierCount),
                isQuarantine: fuzzer.chance(oneIn: 6), evenIfContested: fuzzer.chance(oneIn: 6),
                aliasJoinsAccounts: fuzzer.chance(oneIn: 2), proof: version(&fuzzer))
            operations.event(
                target, body: batch.bytes.span.bytes.extracting(batch.heads[0].bodyRange),
                stamp: stamp)
        case 3, 4, 5:
            operations.seal(sealOrder(max(a, b), min(a, b), &fuzzer), stamp: stamp)
            return world.group(of: max(a, b))
        case 6, 7:
            let order = absorbOrder(&fuzzer)
            operations.absorb(order)
            return world.group(of: order.target)
        case 8:
            let record = sealedRecord(&fuzzer) ?? (a, version(&fuzzer))
            if fuzzer.chance(oneIn: 3) {
                operations.reopen(record.leaf, version: record.version)
            } else {
                operations.forward(record.leaf, version: record.version, to: b)
            }
            return world.group(of: record.leaf)
        case 9:
            operations.release(
                ReleaseOrder(
                    leaf: a, version: version(&fuzzer), ledger: ledger(&fuzzer),
                    marks: marks(&fuzzer)))
        case 10: operations.contest(b, at: a, first: leaf(&fuzzer), stamp: stamp)
        case 11:
            operations.refuse(
                at: a, first: b, other: leaf(&fuzzer),
                rule: fuzzer.pick(RefusalRule.allCases), isIgnored: fuzzer.chance(oneIn: 2),
                stamp: stamp)
        case 12:
            if fuzzer.chance(oneIn: 3) {
                operations.erase(b, at: a, proof: version(&fuzzer))
            } else {
                operations.touch(a, stamp: stamp)
            }
        case 13:
            operations.reclaim(a.shard, limit: fuzzer.below(20), exact: fuzzer.chance(oneIn: 2))
        case 14:
            operations.count(
                rejected: [(fuzzer.noise(below: 300), UInt32.max)],
                ignored: [(fuzzer.noise(below: 9), 1)])
            if fuzzer.chance(oneIn: 2) { operations.marks(marks(&fuzzer)) }
        case 15:
            operations.settings(
                retentionMillis: fuzzer.pick([90 * ReviewWorld.day, 1, .max, .min, 0]))
        default:
            operations.answered(root: a, Ledger.Release(leaf: b, version: version(&fuzzer)))
        }
        return world.group(of: a)
    }

    // MARK: Parts of operations

    private func leaf(_ fuzzer: inout ByteFuzzer) -> LeafID {
        if fuzzer.chance(oneIn: 30) {
            let shard = fuzzer.pick(leaves).low & 0xff
            return LeafID(high: fuzzer.next(), low: fuzzer.next() << 8 | shard)
        }
        return fuzzer.pick(leaves)
    }

    private func sealedRecord(_ fuzzer: inout ByteFuzzer) -> (
        leaf: LeafID, version: OperationIndex
    )? {
        let sealed = world.groups.flatMap(\.sealed)
        guard !sealed.isEmpty else { return nil }
        let record = fuzzer.pick(sealed)
        return (record.leaf, record.version)
    }

    private func version(_ fuzzer: inout ByteFuzzer) -> OperationIndex {
        let record = leaf(&fuzzer)
        let machine = world.machine(record.shard)
        switch fuzzer.below(5) {
        case 0: return .none
        case 1: return OperationIndex(rawValue: fuzzer.pick([.max, 1, fuzzer.next()]))
        case 2: return OperationIndex(entry: LogIndex(UInt64(fuzzer.below(600))), ordinal: 0)
        default: return machine.table.find(record).map { machine.table.version($0) } ?? .none
        }
    }

    private func text(_ fuzzer: inout ByteFuzzer) -> IdentifierText {
        var text = fuzzer.pick(texts)
        if fuzzer.chance(oneIn: 6) { text.flags = FacetFlags(rawValue: fuzzer.byte()) }
        if fuzzer.chance(oneIn: 12) { text.value = fuzzer.noise(below: 5000) }
        if fuzzer.chance(oneIn: 12) { text.namespace = fuzzer.noise(below: 256) }
        return text
    }

    private func marks(_ fuzzer: inout ByteFuzzer) -> [OperationIndex] {
        guard !fuzzer.chance(oneIn: 40) else {
            return Array(repeating: OperationIndex(rawValue: fuzzer.next()), count: 256)
        }
        return (0..<fuzzer.below(world.groups.count + 1)).map { _ in
            OperationIndex(entry: LogIndex(UInt64(fuzzer.below(400))), ordinal: 0)
        }
    }

    private func sealOrder(
        _ loser: LeafID, _ winner: LeafID, _ fuzzer: inout ByteFuzzer
    ) -> SealOrder {
        SealOrder(
            loser: loser, winner: winner,
            loserEnd: LinkEnd(
                leaf: fuzzer.chance(oneIn: 3) ? leaf(&fuzzer) : loser,
                isListed: fuzzer.chance(oneIn: 2)),
            winnerEnd: LinkEnd(
                leaf: fuzzer.chance(oneIn: 3) ? leaf(&fuzzer) : winner,
                isListed: fuzzer.chance(oneIn: 2)),
            winnerHolds: fuzzer.chance(oneIn: 2),
            eventTime: fuzzer.pick([world.now, world.now, .max, .min, 0]), loserText: text(&fuzzer),
            winnerText: text(&fuzzer))
    }

    /// A ledger of any parts, encoded.
    func ledger(_ fuzzer: inout ByteFuzzer) -> [UInt8] {
        var ledger = Ledger()
        for _ in 0..<fuzzer.below(3) {
            ledger.absorbed.append(
                Ledger.Absorbed(
                    leaf: leaf(&fuzzer), version: version(&fuzzer),
                    group: GroupID(UInt16(fuzzer.pick([0, 1, 2, 255, 65_535]))),
                    isDeclined: fuzzer.chance(oneIn: 3)))
            ledger.remembered.append(
                Ledger.Remembered(
                    leaf: leaf(&fuzzer), forgetTime: fuzzer.pick([world.now, 0, .max, .min]),
                    isContested: fuzzer.chance(oneIn: 2)))
            ledger.releases.append(
                Ledger.Release(leaf: leaf(&fuzzer), version: version(&fuzzer)))
            ledger.refusals.append(
                Ledger.Refusal(
                    first: leaf(&fuzzer), other: leaf(&fuzzer), rule: .limit,
                    time: LogTime(fuzzer.pick([world.now, .min, .max]))))
        }
        if !fuzzer.chance(oneIn: 4) {
            ledger.seal = KithCore.SealNote(
                into: leaf(&fuzzer), eventTime: fuzzer.pick([world.now, .min, .max]),
                wasLive: fuzzer.chance(oneIn: 2), winnerEnd: leaf(&fuzzer),
                winnerEndIsListed: fuzzer.chance(oneIn: 2), intoText: text(&fuzzer))
        }
        var writer = ByteWriter()
        ledger.encode(into: &writer)
        return writer.bytes
    }

    /// The absorb of a sealed record, often with something in it changed, or one of nobody.
    func absorbOrder(_ fuzzer: inout ByteFuzzer) -> AbsorbOrder {
        if let record = sealedRecord(&fuzzer), !fuzzer.chance(oneIn: 3) {
            let group = world.groups[world.group(of: record.leaf)]
            if var order = world.machine(record.leaf.shard).absorbOrder(
                record.leaf, version: record.version, group.context())
            {
                if fuzzer.chance(oneIn: 4) { order.target = leaf(&fuzzer) }
                if fuzzer.chance(oneIn: 4) { order.proof = version(&fuzzer) }
                if fuzzer.chance(oneIn: 8) { fuzzer.damage(&order.ledger, samples: [order.facets]) }
                if fuzzer.chance(oneIn: 8) { fuzzer.damage(&order.facets, samples: [order.ledger]) }
                return order
            }
        }
        return AbsorbOrder(
            target: leaf(&fuzzer), loser: leaf(&fuzzer),
            loserGroup: GroupID(UInt16(fuzzer.pick([0, 1, 2, 65_535]))), version: version(&fuzzer),
            proof: version(&fuzzer), marks: marks(&fuzzer), ledger: ledger(&fuzzer),
            facets: facets(&fuzzer))
    }

    /// What some record holds, or nothing, or bytes without meaning.
    private func facets(_ fuzzer: inout ByteFuzzer) -> [UInt8] {
        let leaf = leaf(&fuzzer)
        let machine = world.machine(leaf.shard)
        guard let slot = machine.table.find(leaf), !fuzzer.chance(oneIn: 6) else {
            return fuzzer.chance(oneIn: 2) ? [0, 0, 0, 0] : fuzzer.noise(below: 50)
        }
        return machine.table.exported(slot)
    }
}
