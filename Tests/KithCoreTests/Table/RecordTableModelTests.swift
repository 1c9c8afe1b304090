import KithBytes
import Testing

@testable import KithCore

/// One random walk: the table and the plain model take the same steps and must look the same.
private struct Walk: ~Copyable {
    var table = RecordTable()
    var model: [LeafID: ModelRecord] = [:]
    var random: SeededGenerator
    var logTime: Int64 = 1_700_000_000_000
    let universe: [LeafID]
    let seed: UInt64

    static let names = ["page", "Order Completed", "identify", "a", "ab", "zoë", "(other)"]
    static let namespaces = ["user_id", "email", "anonymous_id"]
    static let ids = [
        "m-1", "m-2", "", "550e8400-e29b-41d4-a716-446655440000",
        "550e8400-e29b-41d4-a716-44665544000f", "550E8400-E29B-41D4-A716-446655440000",
        "550e8400-e29b-41d4-a716-4466554400", "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ]
    static let values: [[UInt8]] = [[0xF6], [0x01], [0x02], [0x63, 97, 98, 99], [0x60]]

    init(seed: UInt64) {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        universe = (0..<24).map { testLeaf($0, $0 % 3 == 0 ? .account : .anonymous) }
    }

    mutating func step() {
        let leaf = random.pick(universe)
        guard let slot = table.find(leaf) else {
            #expect(model[leaf] == nil, "seed \(seed)")
            let slot = table.insert(leaf)
            model[leaf] = ModelRecord()
            verify(slot, leaf)
            return
        }
        switch random.below(20) {
        case 0:
            table.remove(slot)
            model[leaf] = nil
        case 1:
            if random.chance(30) {
                table.removeAllFacets(slot)
                model[leaf]!.facets = [:]
            }
        case 2:
            let bytes = (0..<random.below(60)).map { UInt8(truncatingIfNeeded: $0) }
            table.setLedger(slot, bytes)
            model[leaf]!.ledger = bytes
        case 3: seal(slot, leaf)
        case 4: file(slot, leaf)
        case 5: move(slot, leaf)
        case 6, 7: addFacet(slot, leaf)
        default: changeFacet(slot, leaf)
        }
        if model[leaf] != nil { verify(slot, leaf) }
    }

    private mutating func seal(_ slot: SlotIndex, _ leaf: LeafID) {
        let state: RecordState = random.pick([.root, .sealed, .forward])
        table.setState(slot, state)
        model[leaf]!.state = state
        if state != .root {
            model[leaf]!.day = nil
            model[leaf]!.parent = random.pick(universe)
            table.setParent(slot, model[leaf]!.parent)
        }
        let number = random.next()
        table.setVersion(slot, OperationIndex(rawValue: number))
        model[leaf]!.version = OperationIndex(rawValue: number)
    }

    private mutating func file(_ slot: SlotIndex, _ leaf: LeafID) {
        guard model[leaf]!.state == .root else { return }
        if random.chance(20) {
            table.unfile(slot)
            model[leaf]!.day = nil
        } else {
            let day = Int32(random.below(5)) - 2
            table.file(slot, day: day)
            model[leaf]!.day = day
        }
    }

    /// Moves all facets to another record by way of their encoding.
    private mutating func move(_ slot: SlotIndex, _ leaf: LeafID) {
        let target = random.pick(universe)
        guard target != leaf, let targetSlot = table.find(target) else { return }
        let bytes = table.exported(slot)
        let moved = model[leaf]!.facets
        let overlap = moved.keys.contains { model[target]!.facets[$0] != nil }
        do {
            try table.importFacets(targetSlot, bytes)
            #expect(!overlap, "seed \(seed)")
            table.removeAllFacets(slot)
            model[leaf]!.facets = [:]
            model[target]!.facets.merge(moved) { old, _ in old }
        } catch {
            #expect(overlap, "seed \(seed): \(error)")
        }
        verify(targetSlot, target)
    }

    private mutating func addFacet(_ slot: SlotIndex, _ leaf: LeafID) {
        let facetLeaf = random.chance(50) ? leaf : random.pick(universe)
        guard model[leaf]!.facets[facetLeaf] == nil else { return }
        let number = random.next()
        let facet = ModelFacet(
            life: OperationIndex(rawValue: number), groups: [GroupID(UInt16(number % 4))],
            lifeGroup: GroupID(UInt16(number % 4)),
            flags: FacetFlags(rawValue: UInt8(random.below(16))),
            forgetTime: random.chance(30) ? Int64(bitPattern: random.next()) : nil,
            firstSeen: Int64(number % 1_000), lastSeen: Int64(number % 1_000), space: "default",
            namespace: random.pick(Self.namespaces),
            value: random.chance(50) ? testUUID(number) : "value-\(number % 977)")
        table.addFacet(
            slot, facetLeaf, life: number, group: UInt16(number % 4), seen: facet.firstSeen,
            flags: facet.flags, forgetTime: facet.forgetTime, space: facet.space,
            namespace: facet.namespace, value: facet.value)
        model[leaf]!.facets[facetLeaf] = facet
    }

    private mutating func changeFacet(_ slot: SlotIndex, _ leaf: LeafID) {
        guard let facetLeaf = model[leaf]!.facets.keys.sorted().first(where: { _ in true }),
            !model[leaf]!.facets.isEmpty
        else { return addFacet(slot, leaf) }
        let leaves = model[leaf]!.facets.keys.sorted()
        let chosen = random.chance(30) ? facetLeaf : random.pick(leaves)
        guard var facet = table.facet(slot, chosen), var model = model[leaf]!.facets[chosen] else {
            Issue.record("seed \(seed): facet not found")
            return
        }
        switch random.below(10) {
        case 0:
            let time = random.chance(50) ? Int64(random.below(1_000)) : nil
            table.setForgetTime(facet, time)
            model.forgetTime = time
        case 1:
            let version = OperationIndex(rawValue: random.chance(50) ? random.next() : 0)
            table.setSealVersion(facet, version)
            model.sealVersion = version
        case 2:
            let flags = FacetFlags(rawValue: UInt8(random.below(16)))
            table.setFlags(facet, flags)
            model.flags = flags
        case 3:
            let group = GroupID(UInt16(random.below(6)))
            table.addGroup(&facet, group)
            if !model.groups.contains(group) { model.groups = (model.groups + [group]).sorted() }
        case 4:
            let time = Int64(random.below(3_000)) - 1_000
            table.touch(facet, eventTime: time)
            model.firstSeen = min(model.firstSeen, time)
            model.lastSeen = max(model.lastSeen, time)
        case 5, 6:
            let name = random.pick(Self.names)
            table.count(&facet, name)
            model.counters[name, default: 0] += 1
        case 7:
            logTime += Int64(random.below(6_000_000))
            let hash = random.next()
            table.addToWindow(&facet, messageHash: hash, at: LogTime(logTime))
            model.addToWindow(hash, at: logTime)
        default:
            let name = random.pick(Self.names)
            let cell = ModelFacet.Cell(
                time: Int64(random.below(4)), messageID: Array(random.pick(Self.ids).utf8),
                value: random.pick(Self.values))
            let outcome = table.setTrait(
                &facet, name, time: cell.time,
                messageID: String(decoding: cell.messageID, as: UTF8.self), value: cell.value)
            #expect(outcome == model.setTrait(name, cell), "seed \(seed)")
        }
        self.model[leaf]!.facets[chosen] = model
    }

    func verify(_ slot: SlotIndex, _ leaf: LeafID) {
        let record = model[leaf]!
        #expect(table.id(slot) == leaf, "seed \(seed)")
        #expect(table.state(slot) == record.state, "seed \(seed)")
        if record.state != .root { #expect(table.parent(slot) == record.parent, "seed \(seed)") }
        #expect(table.version(slot) == record.version, "seed \(seed)")
        #expect(table.ledger(slot) == record.ledger, "seed \(seed)")
        #expect(table.hasLedger(slot) == !record.ledger.isEmpty, "seed \(seed)")
        #expect(table.filedDay(slot) == record.day, "seed \(seed)")
        #expect(table.facetCount(slot) == record.facets.count, "seed \(seed)")
        #expect(table.lastSeen(slot) == record.lastSeen, "seed \(seed)")
        let profile = table.fold(slot, retentionMillis: 90)
        #expect(profile == record.fold(leaf, retentionMillis: 90), "seed \(seed)")
        for namespace in Self.namespaces {
            let expected = record.facets.values.count { $0.namespace == namespace }
            #expect(table.namespaceCount(slot, namespace) == expected, "seed \(seed)")
            let listed = table.identifiers(slot).first { $0.namespace == Array(namespace.utf8) }
            #expect(listed?.count ?? 0 == expected, "seed \(seed)")
        }
        for (facetLeaf, model) in record.facets { verify(slot, facetLeaf, model) }
    }

    private func verify(_ slot: SlotIndex, _ leaf: LeafID, _ model: ModelFacet) {
        guard let facet = table.facet(slot, leaf) else {
            Issue.record("seed \(seed): facet not found")
            return
        }
        #expect(table.leaf(facet) == leaf, "seed \(seed)")
        #expect(table.life(facet) == model.life, "seed \(seed)")
        #expect(table.lifeGroup(facet) == model.lifeGroup, "seed \(seed)")
        #expect(table.groups(facet) == model.groups, "seed \(seed)")
        #expect(table.flags(facet) == model.flags, "seed \(seed)")
        #expect(table.forgetTime(facet) == model.forgetTime, "seed \(seed)")
        #expect(table.sealVersion(facet) == model.sealVersion, "seed \(seed)")
        #expect(table.firstSeen(facet) == model.firstSeen, "seed \(seed)")
        #expect(table.lastSeen(facet) == model.lastSeen, "seed \(seed)")
        #expect(table.space(facet) == Array(model.space.utf8), "seed \(seed)")
        #expect(table.value(facet) == Array(model.value.utf8), "seed \(seed)")
        #expect(table.namespace(facet) == Array(model.namespace.utf8), "seed \(seed)")
        #expect(table.eventCount(facet) == model.counters.values.reduce(0, +), "seed \(seed)")
        #expect(table.shape(facet).windowCount == model.window.count, "seed \(seed)")
        for entry in model.window {
            #expect(table.windowContains(facet, messageHash: entry.hash) == true, "seed \(seed)")
        }
    }
}

@Suite struct RecordTableModelTests {
    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func `a random walk agrees with a dictionary of plain values`(seed: UInt64) {
        var walk = Walk(seed: seed)

        for step in 0..<1_500 {
            walk.step()
            if step % 100 == 0 { walk.table.checkInvariants() }
        }

        walk.table.checkInvariants()
        #expect(walk.table.count == walk.model.count, "seed \(seed)")
        for leaf in walk.model.keys {
            walk.verify(walk.table.find(leaf)!, leaf)
        }
    }
}
