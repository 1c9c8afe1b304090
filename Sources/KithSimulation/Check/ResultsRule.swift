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
                if event.isCounted || event.wasExpired {
                    problems.append("\(name) was taken, and is to be refused as \(reason.name)")
                }
                continue
            }
            for reason in event.refusals {
                problems.append("\(name) was refused as \(reason.name)")
            }
            for result in event.strange { problems.append("\(name) was answered \(result)") }
            guard event.wasExpired else { continue }
            let isOld =
                event.time.lowerBound + evidence.retention
                <= evidence.clocks.greatest(
                    to: event.returned, of: run.components.judges(of: event))
            if !isOld || !evidence.identifiers[event.first].isAnonymous {
                problems.append("\(name) was answered expired")
            } else if let member = membership(before: event, run) {
                problems.append(
                    "\(name) was answered expired, though "
                        + "\(evidence.name(event: member)) had made it a member's")
            }
        }
        return problems
    }

    /// An event that for certain has made the other's first identifier a member's before that was
    /// sent at all; or, of one that comes again where it is expired (C16), for the last time.
    private static func membership(before event: Evidence.Event, _ run: Checker.Run) -> Int? {
        let (evidence, component) = (run.evidence, run.components.of(event))
        guard !component.isLimited, !component.isRacing, run.isUncontested(event.first) else {
            return nil
        }
        let sent = event.provisionalCount > 0 ? event.expiredSent : event.sent
        return component.events.first { place in
            let other = evidence.events[place]
            return other.acknowledged.map { $0 < sent } ?? false
                && !evidence.identifiers[other.first].isAnonymous
                && other.identifiers.contains(event.first)
        }
    }
}
