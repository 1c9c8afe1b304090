// 10, whatever clocks show: what a get has missed since it had ended is seen by nobody any more.
//
//   event e of a:1   ├─ ok ─┤
//   get a:1                    ├─ without e ─┤
//   any get, or the end                           ├─ with e ─┤      broken
//
// Of e nothing may have been under way when the first get began, or it may have been counted anew.
// So a node that judges a read by a clock which is set back later, or whose log time follows such
// a clock, is found out although the checker does not know what clocks showed.

extension RetentionRule {
    static func seenAgain(_ run: Checker.Run) -> [String] {
        let evidence = run.evidence
        // When each event was first missed for certain.
        var missed = [UInt64](repeating: .max, count: evidence.events.count)
        let views = evidence.gets.map { get in
            Set(get.profile.map { ProfileFold.counted($0, evidence).map(\.event) } ?? [])
        }
        for (get, seen) in zip(evidence.gets, views)
        where !get.isQuarantine && evidence.identifiers[get.identifier].isAnonymous
            && !run.components.mayBeContested[get.identifier]
        {
            let number = run.components.ofIdentifier[get.identifier]
            for place in run.components.list[number].events where !seen.contains(place) {
                let event = evidence.events[place]
                guard event.first == get.identifier, event.isCounted, event.uncertainCount == 0,
                    event.returned < get.call.invoked
                else { continue }
                missed[place] = min(missed[place], get.call.returned)
            }
        }
        var problems: [String] = []
        for (get, seen) in zip(evidence.gets, views) {
            for place in seen.sorted() where missed[place] < get.call.invoked {
                problems.append(
                    "\(evidence.name(event: place)) had ended, and is back in the answer to step "
                        + "\(get.call.step)")
            }
        }
        for place in evidence.events.indices
        where missed[place] != .max && !run.answers.countedBy[place].isEmpty {
            problems.append("\(evidence.name(event: place)) had ended, and is back in the end")
        }
        return problems
    }
}
