internal import KithCore

/// Events of one connection that share an identifier take effect in the order sent, whatever
/// requests they are in, also those that were under way together. So where one client alone has
/// written about some persons, and every event was answered at the first try, it is known who got
/// which device, which events count for whom, what is contested and how many merges there were:
/// `SentOrder` says it, where nothing of it depends on the order of events that share none.
enum OrderRule: Checker.Rule {
    static let name = "what one connection sends keeps its order"

    static func problems(_ run: Checker.Run) -> [String] {
        var problems: [String] = []
        for (component, expected) in zip(run.components.list, run.sent) {
            if let expected { problems += Self.problems(component, expected, run) }
        }
        return problems
    }

    private static func problems(
        _ component: Components.Component, _ expected: SentOrder, _ run: Checker.Run
    ) -> [String] {
        let (evidence, answers) = (run.evidence, run.answers)
        guard component.identifiers.allSatisfy({ answers.isAsked[$0] }) else { return [] }
        var problems: [String] = []
        for one in component.identifiers {
            let name = evidence.name(identifier: one)
            if (expected.person[one] == nil) != (answers.owner[one] == nil) {
                problems.append(
                    "\(name) is \(answers.owner[one] == nil ? "nobody" : "somebody"), "
                        + "by the order of what was sent")
                continue
            }
            for other in component.identifiers where other > one {
                guard let a = expected.person[one], let b = expected.person[other],
                    let c = answers.owner[one], let d = answers.owner[other],
                    (a == b) != (c == d)
                else { continue }
                problems.append(
                    "\(name) and \(evidence.name(identifier: other)) are "
                        + (c == d ? "one" : "two") + ", by the order of what was sent "
                        + (c == d ? "two" : "one"))
            }
            if let isContested = answers.isContested(one, evidence),
                isContested != expected.isContested.contains(one)
            {
                problems.append(
                    "\(name) is \(isContested ? "" : "not ")contested, against the order of what "
                        + "was sent")
            }
        }
        for (place, facet) in expected.facets {
            let owner =
                facet.isQuarantine
                ? answers.quarantine[facet.identifier] : answers.owner[facet.identifier]
            if let owner, answers.countedBy[place] == [owner] { continue }
            problems.append(
                "\(evidence.name(event: place)) does not count for "
                    + (facet.isQuarantine ? "the quarantine of " : "")
                    + evidence.name(identifier: facet.identifier)
                    + ", as the order of what was sent has it")
        }
        return problems
    }
}
