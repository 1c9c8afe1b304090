import KithBytes
import KithCore
import KithServer
import KithWire

@testable import KithSimulation

/// The contract in one place, one event after another: what a cluster must look like from outside,
/// with nothing in it that could go wrong. Expires, links, refuses and quarantines; knows no
/// shards.
struct SimpleStore {
    let settings: ClusterSettings
    private(set) var wall: Int64
    private var persons: [Person] = []
    /// Contested identifiers; they stay so.
    private var contested: Set<Key> = []
    private(set) var accepted = 0
    private var totals = Totals()

    struct Key: Hashable {
        var space: String
        var identifier: PlannedIdentifier
        var isQuarantine = false
    }

    /// Counters of `stats`.
    struct Totals {
        var duplicate = 0
        var rejected: [String: Int] = [:]
        var expiredOnArrival = 0
        var quarantined = 0
        var strangers = 0
        var merges = 0
        var refused = 0
        var expired = 0
    }

    private struct Person {
        var space: String
        var identifiers: [Key: Bool] = [:]  // whether listed
        var events: [(event: PlannedEvent, time: Int64, facet: Key)] = []
        var lastSeen: Int64 { events.map(\.time).max() ?? .min }
    }

    init(_ settings: ClusterSettings) {
        self.settings = settings
        wall = settings.start.rawValue
    }

    private var retention: Int64 { Int64(settings.anonymousDays) * 86_400_000 }

    private func identifierClass(_ key: Key) -> IdentifierClass {
        let rules = settings.identity
        let index = rules.namespaceIndex(named: key.identifier.namespace) ?? 0
        return key.isQuarantine ? .anonymous : rules.namespaces[index].identifierClass
    }

    private func isMember(_ person: Person) -> Bool {
        person.identifiers.keys.contains { identifierClass($0) != .anonymous }
    }

    private func accounts(_ person: Person) -> Int {
        person.identifiers.keys.count { identifierClass($0) == .account }
    }

    // MARK: Steps

    mutating func pass(_ milliseconds: Int64) {
        wall += milliseconds
        expire()
    }

    private mutating func expire() {
        let before = persons.count
        let (wall, retention) = (wall, retention)
        persons = persons.filter { isMember($0) || $0.lastSeen + retention > wall }
        totals.expired += before - persons.count
    }

    private func person(_ key: Key) -> Int? {
        persons.firstIndex { $0.identifiers[key] != nil }
    }

    mutating func take(_ event: PlannedEvent, _ space: String) -> IngestResult {
        if let reason = event.refusal {
            totals.rejected[reason.name, default: 0] += 1
            return .rejected(reason)
        }
        let keys = event.identifiers.map { Key(space: space, identifier: $0) }
        let time = min(event.time, wall)
        var ordinal = 0
        var target = keys[0]
        var makesLinks = true
        while identifierClass(target) == .anonymous, contested.contains(target),
            !isKnown(event, target)
        {
            ordinal += 1
            if ordinal < keys.count {
                target = keys[ordinal]
                continue
            }
            makesLinks = false
            target = keys[0]
            if settings.identity.sharedDevice == .quarantine {
                target.isQuarantine = true
                target.identifier = keys[keys.count - 1].identifier
            }
            break
        }
        let isDuplicate = isKnown(event, target)
        if isDuplicate {
            totals.duplicate += 1
        } else {
            if identifierClass(target) == .anonymous, person(target) == nil,
                time + retention <= wall
            {
                totals.expiredOnArrival += 1
                totals.strangers += event.strangers
                return .expiredOnArrival
            }
            accepted += 1
            totals.strangers += event.strangers
            if target.isQuarantine { totals.quarantined += 1 }
            let place = person(target) ?? add(Person(space: space))
            persons[place].identifiers[target] = true
            persons[place].events.append((event, time, target))
        }
        if makesLinks {
            for other in ordinal + 1..<max(keys.count, ordinal + 1) {
                link(keys, ordinal, other, event, time)
            }
        }
        return isDuplicate ? .duplicate : .ok
    }

    private func isKnown(_ event: PlannedEvent, _ facet: Key) -> Bool {
        guard let place = person(facet) else { return false }
        return persons[place].events.contains {
            $0.facet == facet && $0.event.number == event.number
        }
    }

    private mutating func add(_ person: Person) -> Int {
        persons.append(person)
        return persons.count - 1
    }

    private mutating func link(
        _ keys: [Key], _ first: Int, _ other: Int, _ event: PlannedEvent, _ time: Int64
    ) {
        guard let winner = person(keys[first]) else { return }
        let isListed = !event.isAlias || other == 0
        let found = person(keys[other])
        if found == winner {
            if isListed { persons[winner].identifiers[keys[other]] = true }
            return
        }
        if contested.contains(keys[first]) || contested.contains(keys[other]) {
            totals.refused += 1
            return
        }
        let isJoin = event.isAlias && other == 1 && settings.identity.alias == .merge
        let others =
            found.map { accounts(persons[$0]) }
            ?? (identifierClass(keys[other]) == .account ? 1 : 0)
        if accounts(persons[winner]) > 0, others > 0, !isJoin {
            totals.refused += 1
            if identifierClass(keys[first]) == .account,
                identifierClass(keys[other]) == .anonymous
            {
                contested.insert(keys[other])
            }
            return
        }
        guard let found else {
            let isAnonymous =
                !isMember(persons[winner]) && identifierClass(keys[other]) == .anonymous
            if isAnonymous, time + retention <= wall { return }
            persons[winner].identifiers[keys[other]] = isListed
            return
        }
        totals.merges += 1
        for (key, isListed) in persons[found].identifiers {
            persons[winner].identifiers[key] = isListed
        }
        if isListed { persons[winner].identifiers[keys[other]] = true }
        persons[winner].events += persons[found].events
        persons.remove(at: found)
    }

    // MARK: Answers

    func get(_ question: FinalState.Question) -> Profile? {
        let key = Key(
            space: question.space, identifier: question.identifier,
            isQuarantine: question.isQuarantine)
        return person(key).map { profile(persons[$0]) }
    }

    private func leaf(_ key: Key) -> LeafID {
        let hasher = LeafHasher(key: settings.configuration().hashKey)
        let space = Array(key.space.utf8)
        let namespace = Array(key.identifier.namespace.utf8)
        let value = Array(key.identifier.value.utf8)
        if key.isQuarantine {
            return hasher.quarantineLeaf(
                space: space.span.bytes, namespace: namespace.span.bytes, value: value.span.bytes)
        }
        return hasher.leaf(
            class: identifierClass(key), space: space.span.bytes, namespace: namespace.span.bytes,
            value: value.span.bytes)
    }

    private func profile(_ person: Person) -> Profile {
        let keys = person.identifiers.keys
        var profile = Profile(id: keys.map { leaf($0) }.min() ?? LeafID(high: 0, low: 0))
        profile.space = person.space
        profile.isMember = isMember(person)
        profile.isQuarantine = keys.contains { $0.isQuarantine }
        for (key, isListed) in person.identifiers where isListed && !key.isQuarantine {
            profile.identifiers.append(
                Profile.Identifier(
                    identifierClass: identifierClass(key), namespace: key.identifier.namespace,
                    value: key.identifier.value, isContested: contested.contains(key)))
        }
        profile.identifiers.sort()
        profile.firstSeen = person.events.map(\.time).min() ?? .max
        profile.lastSeen = person.lastSeen
        profile.expiresAt = profile.isMember ? nil : person.lastSeen + retention
        profile.eventsTotal = UInt64(person.events.count)
        var counts: [String: UInt64] = [:]
        var traits: [String: (time: Int64, id: String, value: String?)] = [:]
        for entry in person.events {
            counts[entry.event.counter, default: 0] += 1
            for trait in entry.event.traits {
                let id = entry.event.messageID
                if let known = traits[trait.name], (known.time, known.id) > (entry.time, id) {
                    continue
                }
                traits[trait.name] = (entry.time, id, trait.value)
            }
        }
        profile.events = counts.keys.sorted().map {
            Profile.EventCount(name: $0, count: counts[$0] ?? 0)
        }
        for name in traits.keys.sorted() {
            guard let value = traits[name]?.value else { continue }
            profile.traits.append(
                Profile.Trait(name: name, value: CBORValue.text(value).encoded()))
        }
        return profile
    }

    func stats() -> CBORValue {
        let profiles = persons.map { profile($0) }
        var namespaces: [String: Int64] = [:]
        for identifier in profiles.flatMap(\.identifiers) {
            namespaces[identifier.namespace, default: 0] += 1
        }
        func map(_ counts: [String: Int64]) -> CBORValue {
            .map(counts.keys.sorted().map { CBORMember(.text($0), .integer(counts[$0] ?? 0)) })
        }
        let members = Int64(profiles.count { $0.isMember })
        return [
            "profiles": map(["members": members, "anonymous": Int64(profiles.count) - members]),
            "identifiers": [
                "total": .integer(namespaces.values.reduce(0, +)), "byNamespace": map(namespaces),
            ],
            "events": [
                "accepted": .integer(Int64(accepted)),
                "duplicate": .integer(Int64(totals.duplicate)),
                "expiredOnArrival": .integer(Int64(totals.expiredOnArrival)),
                "forgotten": .unsigned(0), "suppressed": .unsigned(0),
                "quarantined": .integer(Int64(totals.quarantined)),
                "rejectedByReason": map(totals.rejected.mapValues { Int64($0) }),
            ],
            "ignoredIdentifiers": map(["unknown_namespace": Int64(totals.strangers)]),
            "merges": map([
                "completed": Int64(totals.merges), "refused": Int64(totals.refused),
            ]),
            "expired": .integer(Int64(totals.expired)), "traitsRefused": .unsigned(0),
        ]
    }
}
