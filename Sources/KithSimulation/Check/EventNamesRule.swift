internal import KithCore
internal import KithServer

/// A profile counts so many event names apart, and all further ones under "(other)"; the types are
/// counted by their names however many names there are, and no event is left out of the sum. Each
/// profile that came together had as many as one may have.
enum EventNamesRule: Checker.Rule {
    static let name = "event names are counted apart up to their limit"

    private static let other = "(other)"
    private static let types: Set<String> = ["identify", "page", "screen", "group", "alias"]

    static func problems(_ run: Checker.Run) -> [String] {
        let evidence = run.evidence
        var problems: [String] = []
        for (place, owner) in run.answers.owners.enumerated() {
            guard let identifier = (owner.identifiers + owner.quarantined).first else { continue }
            problems += excess(owner.profile, identifier, run).map {
                "\(run.name(owner: place)) \($0)"
            }
        }
        for get in evidence.gets {
            guard let profile = get.profile else { continue }
            problems += excess(profile, get.identifier, run).map {
                "the answer to step \(get.call.step) \($0)"
            }
        }
        return problems
    }

    private static func excess(
        _ profile: Profile, _ identifier: Int, _ run: Checker.Run
    ) -> [String] {
        var problems: [String] = []
        let component = run.components.list[run.components.ofIdentifier[identifier]]
        let most = run.evidence.settings.tuning.eventNamesMax
        let names = profile.events.count { $0.name != other && !types.contains($0.name) }
        if names > most * component.identifiers.count {
            problems.append(
                "counts \(names) names apart, not at most \(most) for each of "
                    + "\(component.identifiers.count) identifiers")
        }
        if names < most, profile.events.contains(where: { $0.name == other }) {
            problems.append("counts \(other) with \(names) names of \(most)")
        }
        let sum = profile.events.reduce(0) { $0 + $1.count }
        if sum != profile.eventsTotal {
            problems.append("counts \(sum) events, and says \(profile.eventsTotal)")
        }
        // An event that is no track has a trait of its own beside the counter of its type.
        var known: [String: UInt64] = [:]
        for trait in profile.traits {
            guard let event = run.evidence.event(marked: trait.name) else { continue }
            let kind = run.evidence.events[event].planned.kind
            if kind != .track { known[kind.rawValue, default: 0] += 1 }
        }
        for kind in known.keys.sorted() {
            let count = profile.events.first { $0.name == kind }?.count ?? 0
            if count < known[kind]! {
                problems.append("counts \(kind) \(count) times, knows \(known[kind]!)")
            }
        }
        return problems
    }
}
