internal import KithCore

/// 13. Histories of each profile are linearizable.
///
/// The object is a component: a set that only grows, whose elements are its counted events, each
/// with a name of its own. A write adds one element between its first try and its acknowledgement;
/// a get reads the set. For such an object no search is needed. A history is linearizable if, and
/// only if, for each get g that saw S(g):
///
///     a  an element acknowledged before g began is in S(g)
///     b  an element sent after g ended is not in S(g)
///     c  of two gets one saw a subset of what the other saw
///     d  and if one ended before the other began, that one
///     e  if element y is in S(g), so is every x acknowledged before y was sent
///
/// *Only if* is plain. *If*: order the gets by their sets, equal ones by time; by d this does not
/// contradict time. Put each element just before the first get that saw it, those of one place by
/// time, those that no get saw at the end. Then each get reads exactly what lies before it. Time is
/// kept: from get to get by d; from element to get by a; from get to element by b, and by c, since
/// no earlier get saw the element either; from element to element by e.
///
/// Elements of a profile come in heaps when a link joins two. While two identifiers are apart they
/// are two objects, so the rules are asked only of what a get showed to be together, its own
/// identifier and those it listed, which stay together. That is necessary for each history, and
/// sufficient for those whose links came before their gets.
///
/// Asked of identifiers whose profile cannot end; of the others `10` says what may be seen.
enum LinearizabilityRule: Checker.Rule {
    static let name = "13 histories are linearizable"

    /// What one get saw.
    private struct Seen {
        let get: Evidence.Get
        /// Identifiers that it showed, its own included.
        let identifiers: Set<Int>
        let events: Set<Int>
    }

    static func problems(_ run: Checker.Run) -> [String] {
        let evidence = run.evidence
        var problems: [String] = []
        var byComponent: [[Seen]] = Array(repeating: [], count: run.components.list.count)
        for get in evidence.gets {
            let number = run.components.ofIdentifier[get.identifier]
            let seen = self.seen(get, evidence)
            problems += future(seen, evidence)
            if get.isQuarantine { continue }
            problems += missing(seen, run.components.list[number], run)
            byComponent[number].append(seen)
        }
        for (number, list) in byComponent.enumerated() {
            problems += incomparable(list, run.components.list[number], evidence)
        }
        return problems
    }

    private static func seen(_ get: Evidence.Get, _ evidence: Evidence) -> Seen {
        var identifiers: Set<Int> = [get.identifier]
        var events: Set<Int> = []
        if let profile = get.profile {
            let space = evidence.identifiers[get.identifier].space
            for entry in profile.identifiers {
                let name = PlannedIdentifier(entry.namespace, entry.value)
                if let place = evidence.place(space, name) { identifiers.insert(place) }
            }
            for entry in ProfileFold.counted(profile, evidence) { events.insert(entry.event) }
        }
        return Seen(get: get, identifiers: identifiers, events: events)
    }

    /// b
    private static func future(_ seen: Seen, _ evidence: Evidence) -> [String] {
        seen.events.sorted().filter { evidence.events[$0].sent > seen.get.call.returned }.map {
            "step \(seen.get.call.step) saw \(evidence.name(event: $0)) before it was sent"
        }
    }

    /// a and e
    private static func missing(
        _ seen: Seen, _ component: Components.Component, _ run: Checker.Run
    ) -> [String] {
        let evidence = run.evidence
        let wall = evidence.clocks.greatest(
            to: seen.get.call.returned, of: component.leaders)
        var limit = seen.get.call.invoked
        for event in seen.events.sorted() where !component.isExpiring {
            limit = max(limit, evidence.events[event].sent)
        }
        var together = seen.identifiers
        if component.isCalm {
            // What acknowledged links had joined before the get began is together without a sign.
            var joined = UnionFind(evidence.identifiers.count)
            for place in component.events {
                let event = evidence.events[place]
                guard event.acknowledged.map({ $0 < seen.get.call.invoked }) ?? false else {
                    continue
                }
                for other in event.identifiers.dropFirst() { joined.unite(event.first, other) }
            }
            let own = joined.find(seen.get.identifier)
            for other in component.identifiers where joined.find(other) == own {
                together.insert(other)
            }
        }
        var problems: [String] = []
        for place in component.events {
            let event = evidence.events[place]
            guard let acknowledged = event.acknowledged, acknowledged < limit,
                together.contains(event.first), !seen.events.contains(place),
                run.isUncontested(event.first), run.mustLive(event, at: wall)
            else { continue }
            problems.append(
                "step \(seen.get.call.step) did not see \(evidence.name(event: place)), "
                    + "acknowledged before it began or before what it saw was sent")
        }
        return problems
    }

    /// c and d
    private static func incomparable(
        _ list: [Seen], _ component: Components.Component, _ evidence: Evidence
    ) -> [String] {
        var problems: [String] = []
        for (place, one) in list.enumerated() {
            for other in list[..<place] {
                guard isPermanent(one, component, evidence),
                    isPermanent(other, component, evidence),
                    one.identifiers.contains(other.get.identifier)
                        || other.identifiers.contains(one.get.identifier)
                else { continue }
                let (first, second) =
                    other.get.call.returned < one.get.call.invoked ? (other, one) : (one, other)
                let isOrdered = first.get.call.returned < second.get.call.invoked
                let isSubset = first.events.isSubset(of: second.events)
                if isSubset || !isOrdered && second.events.isSubset(of: first.events) { continue }
                let lost = first.events.subtracting(second.events).sorted().prefix(3)
                    .map { evidence.events[$0].planned.mark }
                problems.append(
                    "steps \(first.get.call.step) and \(second.get.call.step) "
                        + (isOrdered ? "go back on " : "disagree on ")
                        + lost.joined(separator: ", "))
            }
        }
        return problems
    }

    private static func isPermanent(
        _ seen: Seen, _ component: Components.Component, _ evidence: Evidence
    ) -> Bool {
        !component.isExpiring || !evidence.identifiers[seen.get.identifier].isAnonymous
    }
}
