internal import KithCore
internal import KithServer

/// Profiles keep to their limits (A14). That of all identifiers is exact at every moment. That of a
/// namespace is demanded where links came one after another, since links under way together do
/// not see each other; an alias may pass it.
enum LimitRule: Checker.Rule {
    static let name = "profiles keep to their limits"

    static func problems(_ run: Checker.Run) -> [String] {
        let evidence = run.evidence
        var problems: [String] = []
        let isExact = run.components.list.map { isOneByOne($0, evidence) }
        for (place, owner) in run.answers.owners.enumerated() {
            guard let identifier = (owner.identifiers + owner.quarantined).first else { continue }
            let component = run.components.ofIdentifier[identifier]
            problems += excess(owner.profile, isExact[component], evidence).map {
                "\(run.name(owner: place)) \($0)"
            }
        }
        for get in evidence.gets {
            guard let profile = get.profile else { continue }
            let component = run.components.ofIdentifier[get.identifier]
            problems += excess(profile, isExact[component], evidence).map {
                "the answer to step \(get.call.step) \($0)"
            }
        }
        return problems
    }

    /// Each event was sent once, when the one before it was answered, and none is an alias.
    private static func isOneByOne(
        _ component: Components.Component, _ evidence: Evidence
    ) -> Bool {
        var last: UInt64 = 0
        let events = component.events.map { evidence.events[$0] }
        for event in events.sorted(by: { $0.sent < $1.sent }) {
            guard event.tries == 1, event.sent >= last, !event.planned.isAlias else { return false }
            last = event.returned
        }
        return true
    }

    private static func excess(
        _ profile: Profile, _ isExact: Bool, _ evidence: Evidence
    ) -> [String] {
        var problems: [String] = []
        let most = evidence.settings.tuning.identifiersMax
        if profile.identifiers.count > most {
            problems.append("holds \(profile.identifiers.count) identifiers, not at most \(most)")
        }
        guard isExact else { return problems }
        for namespace in evidence.settings.identity.namespaces {
            let count = profile.identifiers.count { $0.namespace == namespace.name }
            if count > namespace.limit {
                problems.append(
                    "holds \(count) of \(namespace.name), not at most \(namespace.limit)")
            }
        }
        return problems
    }
}
