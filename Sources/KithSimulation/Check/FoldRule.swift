/// 9. Every profile, at every moment, is the fold of the events that it counts.
enum FoldRule: Checker.Rule {
    static let name = "9 a profile is the fold of its events"

    static func problems(_ run: Checker.Run) -> [String] {
        var problems: [String] = []
        for (place, owner) in run.answers.owners.enumerated() {
            let any = owner.identifiers.first ?? owner.quarantined.first
            problems += ProfileFold.problems(
                owner.profile, owner.counted, isExact: any.map { isExact($0, run) } ?? false,
                run.evidence, mayRepeat: run.components.mayRepeat
            ).map { "\(run.name(owner: place)) \($0)" }
        }
        for get in run.evidence.gets {
            guard let profile = get.profile else { continue }
            problems += ProfileFold.problems(
                profile, ProfileFold.counted(profile, run.evidence),
                isExact: isExact(get.identifier, run), run.evidence,
                mayRepeat: run.components.mayRepeat
            ).map { "the answer to step \(get.call.step) \($0)" }
        }
        return problems
    }

    private static func isExact(_ identifier: Int, _ run: Checker.Run) -> Bool {
        let component = run.components.list[run.components.ofIdentifier[identifier]]
        return !component.isExpiring && !component.isUncertain
    }
}
