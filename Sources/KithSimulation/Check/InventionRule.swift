internal import KithCore

/// 3. No invention: what a profile counts was sent, in this space, and not refused; what it lists,
/// some event of it carries; and nobody is shown with whom no links connect, at no time.
enum InventionRule: Checker.Rule {
    static let name = "3 no invention"

    static func problems(_ run: Checker.Run) -> [String] {
        var problems: [String] = []
        for (place, owner) in run.answers.owners.enumerated() {
            problems += Self.problems(owner.profile, owner.space, run).map {
                "\(run.name(owner: place)) \($0)"
            }
        }
        for get in run.evidence.gets {
            guard let profile = get.profile else { continue }
            let space = run.evidence.identifiers[get.identifier].space
            problems += (Self.problems(profile, space, run) + strangers(get, profile, run)).map {
                "the answer to step \(get.call.step) \($0)"
            }
        }
        return problems
    }

    /// What an answer shows though nothing that was sent connects it with who was asked for.
    private static func strangers(
        _ get: Evidence.Get, _ profile: Profile, _ run: Checker.Run
    ) -> [String] {
        let (evidence, components) = (run.evidence, run.components)
        let space = evidence.identifiers[get.identifier].space
        let own = components.ofIdentifier[get.identifier]
        var problems: [String] = []
        var accounts: [Int] = []
        for entry in profile.identifiers {
            let name = PlannedIdentifier(entry.namespace, entry.value)
            guard let place = evidence.place(space, name) else { continue }
            if components.ofIdentifier[place] != own {
                problems.append("lists \(evidence.name(identifier: place)), a stranger")
            }
            if evidence.identifiers[place].identifierClass == .account { accounts.append(place) }
        }
        for entry in ProfileFold.counted(profile, evidence)
        where components.ofIdentifier[evidence.events[entry.event].first] != own {
            problems.append("counts \(evidence.name(event: entry.event)), a stranger's")
        }
        for other in accounts.dropFirst()
        where !components.mayBeOneAccount(accounts[0], other) {
            let names = [accounts[0], other].map { evidence.name(identifier: $0) }
            problems.append("shows \(names[0]) and \(names[1]), which no alias joins")
        }
        return problems
    }

    private static func problems(
        _ profile: Profile, _ space: String, _ run: Checker.Run
    ) -> [String] {
        let evidence = run.evidence
        var problems: [String] = []
        if profile.space != space { problems.append("is of space \(profile.space)") }
        for identifier in profile.identifiers {
            let name = PlannedIdentifier(identifier.namespace, identifier.value)
            guard let place = evidence.place(space, name), evidence.identifiers[place].isCarried
            else {
                problems.append("lists \(name.namespace):\(name.value), which no event carries")
                continue
            }
            if identifier.isContested, !run.components.mayBeContested[place] {
                problems.append("calls \(evidence.name(identifier: place)) contested")
            }
        }
        for entry in ProfileFold.counted(profile, evidence) {
            let event = evidence.events[entry.event]
            let name = evidence.name(event: entry.event)
            if event.isMalformed { problems.append("counts \(name), which is to be refused") }
            if event.space != space { problems.append("counts \(name) of space \(event.space)") }
            if event.sent == .max { problems.append("counts \(name), which nobody sent") }
            if !event.isPossible, !event.isMalformed {
                problems.append("counts \(name), which was answered expired")
            }
        }
        let kinds = ["identify", "page", "screen", "group", "alias"]
        for counter in profile.events where !kinds.contains(counter.name) {
            if evidence.event(marked: counter.name) == nil {
                problems.append("counts \(counter.name)")
            }
        }
        return problems
    }
}
