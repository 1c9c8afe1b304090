internal import KithCore

/// 10. Anonymous profiles end when their time has come, members never, and what has ended does not
/// come back.
///
/// - No answer shows a profile that had ended when it was asked for.
/// - Events of one life end together.
/// - What a get has missed is not seen again (`RetentionRule+Again.swift`).
/// - Where a gap in all that was sent about some anonymous identifiers is longer than retention,
///   nothing of before it is seen after it.
enum RetentionRule: Checker.Rule {
    static let name = "10 what has ended stays ended"

    static func problems(_ run: Checker.Run) -> [String] {
        overdue(run) + tornApart(run) + revived(run) + seenAgain(run)
    }

    private static func overdue(_ run: Checker.Run) -> [String] {
        let evidence = run.evidence
        var problems: [String] = []
        for (place, owner) in run.answers.owners.enumerated() {
            guard let end = owner.profile.expiresAt,
                let identifier = (owner.identifiers + owner.quarantined).first
            else { continue }
            let wall = evidence.clocks.least(
                from: .max, to: .max, of: run.components.of(identifier: identifier).leaders)
            if end <= wall {
                problems.append("\(run.name(owner: place)) ended at \(end), and it is \(wall)")
            }
        }
        for get in evidence.gets {
            guard let end = get.profile?.expiresAt else { continue }
            let wall = evidence.clocks.least(
                from: get.call.invoked, to: get.call.returned,
                of: run.components.of(identifier: get.identifier).leaders)
            if end <= wall {
                problems.append(
                    "the answer to step \(get.call.step) ended at \(end), before \(wall)")
            }
        }
        return problems
    }

    /// An event is gone, so its life has ended; another of the same identifier and certainly of the
    /// same life or an earlier one is still there.
    private static func tornApart(_ run: Checker.Run) -> [String] {
        let (evidence, answers) = (run.evidence, run.answers)
        var problems: [String] = []
        for component in run.components.list where component.isExpiring {
            for gone in component.events {
                let event = evidence.events[gone]
                guard event.isCounted, answers.countedBy[gone].isEmpty,
                    answers.isAsked[event.first], run.isUncontested(event.first)
                else { continue }
                let end = event.time.lowerBound + evidence.retention
                for place in component.events where place != gone {
                    let other = evidence.events[place]
                    guard let acknowledged = other.acknowledged,
                        evidence.clocks.greatest(to: acknowledged, of: component.leaders) < end,
                        // Not counted again in a later life.
                        other.okCount == 1, other.uncertainCount == 0,
                        !run.components.mayRepeat[place]
                    else { continue }
                    if other.first == event.first, !answers.countedBy[place].isEmpty,
                        evidence.identifiers[event.first].isAnonymous
                    {
                        problems.append(
                            "\(evidence.name(event: gone)) has ended, and "
                                + "\(evidence.name(event: place)) of the same life has not")
                    }
                    // Made a member in time, and uncontested: then it cannot have ended.
                    if !evidence.identifiers[other.first].isAnonymous, !component.isLimited,
                        other.identifiers.contains(event.first)
                    {
                        problems.append(
                            "\(evidence.name(event: gone)) has ended, though "
                                + "\(evidence.name(event: place)) made it a member's")
                    }
                }
            }
        }
        return problems
    }

    /// So long after a `pass` is due, in nanoseconds, it has mostly taken effect: its client waits
    /// for nothing but its time.
    private static let lateness: UInt64 = 2_000_000

    private static func revived(_ run: Checker.Run) -> [String] {
        let evidence = run.evidence
        var problems: [String] = []
        for (number, component) in run.components.list.enumerated() where component.isExpiring {
            for pass in evidence.clocks.passes {
                let moment = pass + Self.lateness
                let wall = evidence.clocks.least(
                    from: moment + 1, to: .max, of: component.leaders)
                let before = component.events.filter { evidence.events[$0].sent <= moment }
                // No member, nothing with time left, and no link that was under way then.
                let isGap = before.allSatisfy { place in
                    let event = evidence.events[place]
                    return evidence.identifiers[event.first].isAnonymous
                        && event.time.upperBound + evidence.retention <= wall
                        && (event.identifiers.count == 1
                            || event.acknowledged.map { $0 <= pass } ?? false)
                }
                guard isGap else { continue }
                let ended = before.filter { place in
                    let event = evidence.events[place]
                    return event.isCounted && event.returned <= moment
                }
                for place in ended {
                    if !run.answers.countedBy[place].isEmpty {
                        problems.append("\(evidence.name(event: place)) is back from before a gap")
                    }
                }
                let set = Set(ended)
                for get in evidence.gets
                where get.call.invoked > moment
                    && run.components.ofIdentifier[get.identifier] == number
                {
                    guard let profile = get.profile else { continue }
                    for entry in ProfileFold.counted(profile, evidence)
                    where set.contains(entry.event) {
                        problems.append(
                            "\(evidence.name(event: entry.event)) is back from before a gap in the "
                                + "answer to step \(get.call.step)")
                    }
                }
            }
        }
        return problems
    }
}
