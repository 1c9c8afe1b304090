internal import KithWire

/// What each event is answered: refused ones with their reason and no others; expired only where it
/// is older than retention and names nobody but anonymous ones; never what no request asked for.
enum ResultsRule: Checker.Rule {
    static let name = "answers are those of the contract"

    static func problems(_ run: Checker.Run) -> [String] {
        let evidence = run.evidence
        var problems: [String] = []
        for (place, event) in evidence.events.enumerated() {
            let name = evidence.name(event: place)
            if let reason = event.planned.refusal {
                for given in event.refusals where given != reason {
                    problems.append("\(name) was refused as \(given.name), not \(reason.name)")
                }
                if event.isCounted || event.expiredCount > 0 {
                    problems.append("\(name) was taken, and is to be refused as \(reason.name)")
                }
                continue
            }
            for reason in event.refusals {
                problems.append("\(name) was refused as \(reason.name)")
            }
            for result in event.strange { problems.append("\(name) was answered \(result)") }
            guard event.expiredCount > 0 else { continue }
            let isOld =
                event.time.lowerBound + evidence.retention
                <= evidence.clock.greatest(event.returned)
            if !isOld || !evidence.identifiers[event.first].isAnonymous {
                problems.append("\(name) was answered expired")
            }
        }
        return problems
    }
}
