internal import KithCore

/// What comes of the events of a component, one after the other: the contract of identity without
/// time, limits and tries. The oracle's own.
///
/// Made of a component that one client alone has written, each event once. There an event takes
/// effect before another where
///
///     it was sent before, and they share an identifier     the promise of a connection
///     it was answered before the other was sent            what an acknowledgement means
///
/// and by what follows from these. Two events in no such order may go either way. That changes
/// nothing where one of them names a single identifier, since all that can change what becomes of
/// it shares that identifier; or where no link that may come before holds the persons of the one
/// and those of the other together. Neighbours that may change places turn any order into any
/// other, so what comes of the order sent then comes of every order there can have been.
struct SentOrder {
    /// Where an event counts.
    struct Facet {
        let identifier: Int
        let isQuarantine: Bool
    }

    /// Who an identifier is; nobody for one of which only refused links speak.
    private(set) var person: [Int: Int] = [:]
    private(set) var isContested: Set<Int> = []
    /// Of each event, in the order sent.
    private(set) var facets: [(event: Int, facet: Facet)] = []
    /// Links that joined two persons.
    private(set) var merges = 0
    private var persons = 0

    /// Events of a component above which nothing is asked; the cost is cubic.
    private static let eventsMax = 120

    /// Nil where other things than order matter, or where order is not known.
    init?(_ component: Components.Component, _ evidence: Evidence) {
        let events = component.events.map { evidence.events[$0] }
        guard let first = events.first, events.count <= Self.eventsMax, first.client != nil,
            !component.isExpiring, !component.isLimited, !component.isUncertain,
            events.allSatisfy({
                $0.tries == 1 && $0.okCount == 1 && $0.client == first.client
            }), Self.hasOneOutcome(events, evidence.identifiers.count)
        else { return nil }
        for place in component.events { take(place, evidence) }
    }

    /// Whether each two events are in order, or may change places.
    private static func hasOneOutcome(_ events: [Evidence.Event], _ identifierCount: Int) -> Bool {
        // follows[b][a]: b takes effect after a.
        var follows: [[Bool]] = []
        for (b, event) in events.enumerated() {
            var after = [Bool](repeating: false, count: events.count)
            for a in stride(from: b - 1, through: 0, by: -1) where !after[a] {
                guard
                    events[a].returned < event.sent
                        || events[a].identifiers.contains(where: event.identifiers.contains)
                else { continue }
                after[a] = true
                for earlier in 0..<a where follows[a][earlier] { after[earlier] = true }
            }
            follows.append(after)
        }
        for b in events.indices where events[b].identifiers.count > 1 {
            for a in 0..<b where events[a].identifiers.count > 1 && !follows[b][a] {
                var joined = UnionFind(identifierCount)
                for (place, event) in events.enumerated()
                where !(place > b && follows[place][a] && follows[place][b]) {
                    for other in event.identifiers.dropFirst() { joined.unite(event.first, other) }
                }
                if joined.find(events[a].first) == joined.find(events[b].first) { return false }
            }
        }
        return true
    }

    private mutating func take(_ place: Int, _ evidence: Evidence) {
        let event = evidence.events[place]
        let identifiers = event.identifiers
        let free = identifiers.firstIndex { !isContested.contains($0) }
        guard let ordinal = free else {
            // Everything that it names is contested: it makes no link.
            let isQuarantine = evidence.settings.identity.sharedDevice == .quarantine
            let identifier = isQuarantine ? identifiers[identifiers.count - 1] : event.first
            facets.append((place, Facet(identifier: identifier, isQuarantine: isQuarantine)))
            return
        }
        let first = identifiers[ordinal]
        facets.append((place, Facet(identifier: first, isQuarantine: false)))
        if person[first] == nil {
            person[first] = persons
            persons += 1
        }
        for next in ordinal + 1..<max(identifiers.count, ordinal + 1) {
            let isJoin =
                event.planned.isAlias && ordinal == 0 && next == 1
                && evidence.settings.identity.alias == .merge
            link(first, identifiers[next], isJoin: isJoin, evidence)
        }
    }

    private mutating func link(_ first: Int, _ other: Int, isJoin: Bool, _ evidence: Evidence) {
        guard let winner = person[first], person[other] != winner else { return }
        if isContested.contains(other) { return }
        let isAccount = hasAccount(other, evidence)
        if hasAccount(first, evidence), isAccount, !isJoin {
            if evidence.identifiers[first].identifierClass == .account,
                evidence.identifiers[other].isAnonymous
            {
                isContested.insert(other)
            }
            return
        }
        guard let loser = person[other] else {
            person[other] = winner
            return
        }
        merges += 1
        person = person.mapValues { $0 == loser ? winner : $0 }
    }

    private func hasAccount(_ identifier: Int, _ evidence: Evidence) -> Bool {
        guard let owner = person[identifier] else {
            return evidence.identifiers[identifier].identifierClass == .account
        }
        return person.contains {
            $0.value == owner && evidence.identifiers[$0.key].identifierClass == .account
        }
    }
}
