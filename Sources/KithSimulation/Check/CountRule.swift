/// 2. None is counted twice. Each event has a counter of its own, so that a loss and a repetition
/// cannot make up for each other.
enum CountRule: Checker.Rule {
    static let name = "2 none is counted twice"

    static func problems(_ run: Checker.Run) -> [String] {
        let (evidence, answers) = (run.evidence, run.answers)
        var problems: [String] = []
        for place in evidence.events.indices where !run.components.mayRepeat[place] {
            let event = evidence.events[place]
            if answers.countedBy[place].count > 1 {
                let names = answers.countedBy[place].map { run.name(owner: $0) }
                problems.append(
                    "\(evidence.name(event: place)) in \(names.joined(separator: " and "))")
            }
            if event.okCount > 1, run.mustLive(event) {
                problems.append(
                    "\(evidence.name(event: place)) was answered ok \(event.okCount) times")
            }
        }
        for (place, owner) in answers.owners.enumerated() {
            for entry in owner.counted
            where entry.count != 1 && !run.components.mayRepeat[entry.event] {
                problems.append(
                    "\(evidence.name(event: entry.event)) \(entry.count) times in "
                        + run.name(owner: place))
            }
        }
        for get in evidence.gets {
            guard let profile = get.profile else { continue }
            for entry in ProfileFold.counted(profile, evidence)
            where entry.count != 1 && !run.components.mayRepeat[entry.event] {
                problems.append(
                    "\(evidence.name(event: entry.event)) \(entry.count) times in the answer to "
                        + "step \(get.call.step)")
            }
        }
        return problems
    }
}
