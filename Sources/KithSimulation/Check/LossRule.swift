/// 1. No acknowledged event is lost: each is counted in a profile of one of its own identifiers.
///
/// Of its first identifier, unless that is contested: then of another, or in the quarantine of one.
/// An anonymous profile may have ended with all it counted, once its time has come.
enum LossRule: Checker.Rule {
    static let name = "1 no acknowledged event is lost"

    static func problems(_ run: Checker.Run) -> [String] {
        let (evidence, answers) = (run.evidence, run.answers)
        var problems: [String] = []
        for (place, event) in evidence.events.enumerated() {
            guard event.isCounted, !event.isMalformed, answers.isAsked[event.first] else {
                continue
            }
            if run.mustLive(event), answers.countedBy[place].isEmpty {
                problems.append("\(evidence.name(event: place)) was acknowledged and is nowhere")
            }
        }
        for (place, event) in evidence.events.enumerated() {
            for owner in answers.countedBy[place] where !isOwn(owner, event, run) {
                problems.append(
                    "\(evidence.name(event: place)) is counted in \(run.name(owner: owner))")
            }
        }
        return problems
    }

    private static func isOwn(_ owner: Int, _ event: Evidence.Event, _ run: Checker.Run) -> Bool {
        if run.answers.owner[event.first] == owner { return true }
        guard run.evidence.identifiers[event.first].isAnonymous,
            run.components.mayBeContested[event.first]
        else { return false }
        return event.identifiers.contains {
            run.answers.owner[$0] == owner || run.answers.quarantine[$0] == owner
        }
    }
}
