internal import KithBytes
internal import KithCore

/// 8. The result does not depend on order: of a component in which nothing can be refused, nothing
/// has ended and everything is acknowledged there is one profile, and it is the fold of everything.
enum ConfluenceRule: Checker.Rule {
    static let name = "8 the same whatever the order"

    static func problems(_ run: Checker.Run) -> [String] {
        let (evidence, answers) = (run.evidence, run.answers)
        var problems: [String] = []
        for component in run.components.list where component.isCalm && !component.events.isEmpty {
            let asked = component.identifiers.filter { answers.isAsked[$0] }
            guard let one = asked.first else { continue }
            let name = evidence.name(identifier: one)
            guard let place = answers.owner[one] else {
                problems.append("\(name) answers nobody")
                continue
            }
            for other in asked where answers.owner[other] != place {
                problems.append(
                    "\(evidence.name(identifier: other)) is not with \(name)")
            }
            for other in asked where answers.quarantine[other] != nil {
                problems.append("\(evidence.name(identifier: other)) has a quarantine")
            }
            let owner = answers.owners[place]
            if owner.profile.id != root(component, evidence) {
                problems.append("the profile of \(name) is not rooted at its lowest leaf")
            }
            let counted = Set(owner.counted.map(\.event))
            for event in component.events where !counted.contains(event) {
                problems.append("\(evidence.name(event: event)) is not counted")
            }
            for identifier in component.identifiers where run.isListed(identifier) {
                let name = evidence.identifiers[identifier].name
                let isThere = owner.profile.identifiers.contains {
                    $0.namespace == name.namespace && $0.value == name.value
                }
                if !isThere {
                    problems.append("\(evidence.name(identifier: identifier)) is not listed")
                }
            }
        }
        return problems
    }

    /// The least leaf of all: lower ids win whatever the order.
    private static func root(
        _ component: Components.Component, _ evidence: Evidence
    ) -> LeafID? {
        component.identifiers.map { evidence.leaf(of: $0) }.min()
    }
}

extension Evidence {
    /// Where the identifier lies in the graph. Only its hash is asked of KithCore.
    func leaf(of identifier: Int) -> LeafID {
        let identifier = identifiers[identifier]
        let space = Array(identifier.space.utf8)
        let namespace = Array(identifier.name.namespace.utf8)
        let value = Array(identifier.name.value.utf8)
        return LeafHasher(key: hashKey).leaf(
            class: identifier.identifierClass, space: space.span.bytes,
            namespace: namespace.span.bytes, value: value.span.bytes)
    }
}
