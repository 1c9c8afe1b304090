internal import KithCore

/// 5. The partition of identifiers by profile is that of accepted links: nobody is together whom no
/// link joins, two accounts only by an alias, and every acknowledged link has joined its ends or
/// had a reason not to.
enum PartitionRule: Checker.Rule {
    static let name = "5 together by links, and only by links"

    static func problems(_ run: Checker.Run) -> [String] {
        strangers(run) + apart(run)
    }

    /// Profiles that links of possible events do not hold together.
    private static func strangers(_ run: Checker.Run) -> [String] {
        let evidence = run.evidence
        var problems: [String] = []
        var joined = UnionFind(evidence.identifiers.count)
        var aliased = UnionFind(evidence.identifiers.count)
        let owner = run.answers.owner
        for event in evidence.events where event.isPossible {
            // Where the first is contested the event moves on, and the next is linked to the rest.
            let isMoving =
                evidence.identifiers[event.first].isAnonymous
                && run.components.mayBeContested[event.first]
            let centers = isMoving ? event.identifiers : [event.first]
            for center in centers {
                for other in event.identifiers
                where owner[center] != nil && owner[center] == owner[other] {
                    joined.unite(center, other)
                }
            }
            if event.planned.isAlias, evidence.settings.identity.alias == .merge,
                owner[event.first] != nil, owner[event.first] == owner[event.identifiers[1]]
            {
                aliased.unite(event.first, event.identifiers[1])
            }
        }
        for (place, owner) in run.answers.owners.enumerated() {
            guard let first = owner.identifiers.first else { continue }
            if let stranger = owner.identifiers.first(where: {
                joined.find($0) != joined.find(first)
            }) {
                let names = [stranger, first].map { evidence.name(identifier: $0) }
                problems.append(
                    "no link holds \(names[0]) and \(names[1]) together in "
                        + run.name(owner: place))
            }
            let accounts = owner.identifiers.filter {
                evidence.identifiers[$0].identifierClass == .account
            }
            if let one = accounts.first,
                let other = accounts.first(where: { aliased.find($0) != aliased.find(one) })
            {
                problems.append(
                    "no alias joins the accounts \(evidence.name(identifier: one)) and "
                        + evidence.name(identifier: other))
            }
            let isMember = owner.identifiers.contains { !evidence.identifiers[$0].isAnonymous }
            if owner.quarantined.isEmpty, isMember != owner.profile.isMember {
                problems.append(
                    "\(run.name(owner: place)) is no \(isMember ? "" : "anonymous ")one")
            }
        }
        return problems
    }

    /// Acknowledged links whose ends are apart without a reason.
    private static func apart(_ run: Checker.Run) -> [String] {
        let (evidence, answers) = (run.evidence, run.answers)
        var problems: [String] = []
        for (place, event) in evidence.events.enumerated() {
            guard event.isCounted, !event.isMalformed, event.identifiers.count > 1,
                run.mustLive(event), !run.components.of(event).isLimited,
                run.isUncontested(event.first), answers.isAsked[event.first]
            else { continue }
            for (ordinal, other) in event.identifiers.enumerated().dropFirst()
            where run.isUncontested(other) && answers.isAsked[other] {
                let (a, b) = (answers.owner[event.first], answers.owner[other])
                if a == b, a != nil { continue }
                let joinsAccounts =
                    event.planned.isAlias && ordinal == 1
                    && evidence.settings.identity.alias == .merge
                if !joinsAccounts, let a, let b, hasAccount(a, run), hasAccount(b, run) { continue }
                if event.planned.isAlias, ordinal == 1, !joinsAccounts { continue }
                problems.append(
                    "\(evidence.name(event: place)) was acknowledged, and does not join "
                        + evidence.name(identifier: other))
            }
        }
        return problems
    }

    private static func hasAccount(_ owner: Int, _ run: Checker.Run) -> Bool {
        run.answers.owners[owner].identifiers.contains {
            run.evidence.identifiers[$0].identifierClass == .account
        }
    }
}
