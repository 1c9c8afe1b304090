import KithBytes
import Testing

@testable import KithCore

/// SplitMix64: the same numbers from the same seed, on every machine.
struct SeededGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number below `bound`.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }
}

/// What a facet should hold, kept the plain way.
struct ModelFacet {
    struct Cell {
        var time: Int64
        var messageID: [UInt8]
        var value: [UInt8]

        func isBelow(_ other: Cell) -> Bool {
            if time != other.time { return time < other.time }
            if messageID != other.messageID {
                return messageID.lexicographicallyPrecedes(other.messageID)
            }
            return value.lexicographicallyPrecedes(other.value)
        }
    }

    var life: OperationIndex
    var groups: [GroupID]
    var lifeGroup: GroupID
    var flags: FacetFlags
    var forgetTime: Int64?
    var sealVersion = OperationIndex.none
    var firstSeen: Int64
    var lastSeen: Int64
    var space: String
    var namespace: String
    var value: String
    var counters: [String: UInt64] = [:]
    var traits: [String: Cell] = [:]
    var window: [(hash: UInt64, time: Int64)] = []

    mutating func addToWindow(_ hash: UInt64, at time: Int64) {
        let time = max(time, window.last?.time ?? 0)
        window.append((hash, time))
        while window.count > 64,
            window.count > 4_096 || time - window[0].time > 24 * 3_600_000
        {
            window.removeFirst()
        }
    }

    mutating func setTrait(_ name: String, _ cell: Cell) -> TraitOutcome {
        if let held = traits[name], !held.isBelow(cell) { return .older }
        traits[name] = cell
        return .set
    }
}

struct ModelRecord {
    var state = RecordState.root
    var parent = LeafID(high: 0, low: 0)
    var version = OperationIndex.none
    var ledger: [UInt8] = []
    var facets: [LeafID: ModelFacet] = [:]
    var day: Int32?

    var lastSeen: Int64 { facets.values.map(\.lastSeen).max() ?? Int64.min }

    /// The fold, written as the definition reads.
    func fold(_ id: LeafID, retentionMillis: Int64) -> Profile {
        var profile = Profile(id: id)
        let leaves = facets.keys.sorted()
        guard let first = leaves.first else { return profile }
        profile.space = facets[first]!.space
        profile.firstSeen = facets.values.map(\.firstSeen).min()!
        profile.lastSeen = lastSeen
        if !profile.isMember { profile.expiresAt = lastSeen + retentionMillis }
        profile.isQuarantine = facets.values.contains { $0.flags.contains(.quarantine) }
        var counters: [String: UInt64] = [:]
        var traits: [String: ModelFacet.Cell] = [:]
        for leaf in leaves {
            let facet = facets[leaf]!
            for (name, count) in facet.counters { counters[name, default: 0] += count }
            for (name, cell) in facet.traits where traits[name].map({ $0.isBelow(cell) }) ?? true {
                traits[name] = cell
            }
            guard !facet.flags.contains(.unlisted), !facet.flags.contains(.quarantine) else {
                continue
            }
            profile.identifiers.append(
                Profile.Identifier(
                    identifierClass: leaf.identifierClass, namespace: facet.namespace,
                    value: facet.value, isContested: facet.flags.contains(.contested)))
        }
        profile.identifiers.sort {
            ($0.identifierClass.rawValue, $0.namespace, $0.value)
                < ($1.identifierClass.rawValue, $1.namespace, $1.value)
        }
        profile.eventsTotal = counters.values.reduce(0, +)
        profile.events = counters.sorted { $0.key < $1.key }
            .map { Profile.EventCount(name: $0.key, count: $0.value) }
        profile.traits = traits.sorted { $0.key < $1.key }.filter { $0.value.value != [0xF6] }
            .map { Profile.Trait(name: $0.key, value: $0.value.value) }
        return profile
    }
}

/// What tables of the tests hash names with.
let tableKey = HashKey(k0: 1, k1: 2)

extension RecordTable {
    /// A table with a key of the tests.
    init(namesMax: Int = RecordTable.namesMax) {
        self.init(key: tableKey, namesMax: namesMax)
    }

    @discardableResult
    mutating func addFacet(
        _ slot: SlotIndex, _ leaf: LeafID, life: UInt64 = 1, group: UInt16 = 0, seen: Int64 = 0,
        flags: FacetFlags = [], forgetTime: Int64? = nil, space: String = "default",
        namespace: String = "anonymous_id", value: String = "v"
    ) -> FacetRef {
        unsafe addFacet(
            slot, leaf: leaf, life: OperationIndex(rawValue: life), group: GroupID(group),
            seen: seen, flags: flags, forgetTime: forgetTime, space: Array(space.utf8).span.bytes,
            namespace: Array(namespace.utf8).span.bytes, value: Array(value.utf8).span.bytes)
    }

    mutating func count(
        _ facet: inout FacetRef, _ name: String, namesMax: Int = FacetLimits.eventNamesMax
    ) {
        unsafe count(&facet, name: Array(name.utf8).span.bytes, namesMax: namesMax)
    }

    @discardableResult
    mutating func setTrait(
        _ facet: inout FacetRef, _ name: String, time: Int64, messageID: String, value: [UInt8]
    ) -> TraitOutcome {
        var known = TraitNames()
        return setTrait(
            &facet, name, time: time, messageID: messageID, value: value, known: &known)
    }

    mutating func setTrait(
        _ facet: inout FacetRef, _ name: String, time: Int64, messageID: String, value: [UInt8],
        known: inout TraitNames
    ) -> TraitOutcome {
        unsafe setTrait(
            &facet, name: Array(name.utf8).span.bytes, time: time,
            messageID: Array(messageID.utf8).span.bytes, value: value.span.bytes, known: &known)
    }

    func namespaceCount(_ slot: SlotIndex, _ namespace: String) -> Int {
        unsafe namespaceCount(slot, namespace: Array(namespace.utf8).span.bytes)
    }

    func exported(_ slot: SlotIndex) -> [UInt8] {
        var writer = ByteWriter()
        exportFacets(slot, into: &writer)
        return writer.bytes
    }

    mutating func importFacets(_ slot: SlotIndex, _ bytes: [UInt8]) throws(ByteError) {
        var reader = unsafe ByteReader(bytes.span.bytes)
        try importFacets(slot, &reader)
    }

    /// The hashes in a facet's window among `candidates`.
    func remembered(_ facet: FacetRef, among candidates: [UInt64]) -> [UInt64] {
        candidates.filter { windowContains(facet, messageHash: $0) }
    }
}

/// A leaf id of class anonymous or account, by number.
func testLeaf(_ number: UInt64, _ identifierClass: IdentifierClass = .anonymous) -> LeafID {
    var generator = SeededGenerator(seed: number)
    return LeafID(class: identifierClass, hash: (generator.next(), generator.next()))
}

func testUUID(_ number: UInt64) -> String {
    let text = PackedUUID(high: number &* 0x9E37_79B9_7F4A_7C15, low: ~number).text
    return String(decoding: (0..<36).map { text[$0] }, as: UTF8.self)
}
