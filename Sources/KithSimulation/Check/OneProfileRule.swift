internal import KithCore

/// 4. One live profile an identifier: whoever a profile lists answers that profile, and a profile's
/// id is of one profile only.
enum OneProfileRule: Checker.Rule {
    static let name = "4 one profile an identifier"

    static func problems(_ run: Checker.Run) -> [String] {
        let (evidence, answers) = (run.evidence, run.answers)
        var problems: [String] = []
        for (place, owner) in answers.owners.enumerated() {
            let isQuarantine = !owner.quarantined.isEmpty
            if owner.profile.isQuarantine != isQuarantine
                || isQuarantine && !owner.identifiers.isEmpty
            {
                problems.append("\(run.name(owner: place)) is quarantine and is not")
            }
            if owner.quarantined.count > 1 {
                problems.append("\(run.name(owner: place)) is the quarantine of several")
            }
            if isQuarantine, !owner.profile.identifiers.isEmpty {
                problems.append("\(run.name(owner: place)), a quarantine, lists identifiers")
            }
            for identifier in owner.profile.identifiers {
                let name = PlannedIdentifier(identifier.namespace, identifier.value)
                guard let listed = evidence.place(owner.space, name), answers.isAsked[listed] else {
                    continue
                }
                if answers.owner[listed] != place {
                    problems.append(
                        "\(evidence.name(identifier: listed)) is listed by "
                            + "\(run.name(owner: place)) and answers another")
                }
            }
            for identifier in owner.identifiers where evidence.identifiers[identifier].isCarried {
                let name = evidence.identifiers[identifier].name
                let isListed = owner.profile.identifiers.contains {
                    $0.namespace == name.namespace && $0.value == name.value
                }
                // Of a carried one an event may have been refused or be unknown.
                if !isListed, run.isListed(identifier) {
                    problems.append(
                        "\(evidence.name(identifier: identifier)) answers "
                            + "\(run.name(owner: place)), which does not list it")
                }
            }
        }
        for (place, owner) in answers.owners.enumerated() {
            let others = answers.owners[..<place].filter {
                $0.profile.id == owner.profile.id && $0.space == owner.space
            }
            if !others.isEmpty {
                problems.append("\(run.name(owner: place)) and another are of one id")
            }
        }
        return problems
    }
}

extension Checker.Run {
    /// For certain an event has carried the identifier into its profile as one of its own.
    func isListed(_ identifier: Int) -> Bool {
        let component = components.list[components.ofIdentifier[identifier]]
        guard component.isCalm else { return false }
        return component.events.contains { place in
            let event = evidence.events[place]
            guard let ordinal = event.identifiers.firstIndex(of: identifier) else { return false }
            return !event.planned.isAlias || ordinal == 0
        }
    }
}
