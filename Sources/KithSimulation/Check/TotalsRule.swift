internal import KithBytes
internal import KithCore
internal import KithWire

/// The totals are those of what is there: profiles and identifiers as the answers show them, events
/// as they were acknowledged, merges as many as links can have made. At any time they hold what was
/// acknowledged before, nothing that was not sent yet, and what counts never falls.
enum TotalsRule: Checker.Rule {
    static let name = "totals are those of what is there"

    static func problems(_ run: Checker.Run) -> [String] {
        guard let totals = run.final.totals.first else { return [] }
        var problems: [String] = []
        func expect(_ path: String, _ range: ClosedRange<Int64>) {
            guard let value = number(totals, path) else {
                problems.append("\(path) is not told")
                return
            }
            if !range.contains(value) {
                let wanted =
                    range.lowerBound == range.upperBound
                    ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
                problems.append("\(path) is \(value), not \(wanted)")
            }
        }
        profiles(run, expect)
        events(run, expect)
        merges(run, expect)
        return problems + underWay(run)
    }

    /// Of maps that list only what there is an absent entry is 0.
    private static func number(_ totals: CBORValue, _ path: String) -> Int64? {
        var value: CBORValue? = totals
        var isListing = false
        for name in path.split(separator: ".") {
            isListing =
                ["byNamespace", "rejectedByReason", "ignoredIdentifiers"].contains(name)
                && value?[String(name)] != nil
                || isListing
            value = value?[String(name)]
        }
        switch value {
        case .unsigned(let count): return Int64(clamping: count)
        case .negative(let count): return -1 - Int64(clamping: count)
        default: return isListing ? 0 : nil
        }
    }

    /// Counters that never fall.
    private static let counters = [
        "events.accepted", "events.duplicate", "events.expiredOnArrival", "events.quarantined",
        "merges.completed", "merges.refused", "expired",
    ]

    /// Totals that clients asked for while others were at work.
    private static func underWay(_ run: Checker.Run) -> [String] {
        let evidence = run.evidence
        var problems: [String] = []
        for (place, one) in evidence.totals.enumerated() {
            let accepted = number(one.totals, "events.accepted") ?? 0
            let least = evidence.events.count {
                $0.acknowledged.map { $0 < one.call.invoked } ?? false
            }
            let most = evidence.events.reduce(0) {
                let isSent = $1.isPossible && $1.sent <= one.call.returned
                return $0 + (isSent ? max(1, $1.tries - $1.linkTries) : 0)
            }
            if accepted < least || accepted > most {
                problems.append(
                    "step \(one.call.step) was told of \(accepted) accepted events, not of \(least) "
                        + "to \(most)")
            }
            for other in evidence.totals[..<place] where other.call.returned < one.call.invoked {
                for path in counters {
                    let (was, now) = (
                        number(other.totals, path) ?? 0, number(one.totals, path) ?? 0
                    )
                    if now < was {
                        problems.append(
                            "\(path) fell from \(was) to \(now), by the answers to steps "
                                + "\(other.call.step) and \(one.call.step)")
                    }
                }
            }
        }
        return problems
    }

    private static func profiles(
        _ run: Checker.Run, _ expect: (String, ClosedRange<Int64>) -> Void
    ) {
        guard run.answers.isAsked.allSatisfy({ $0 }) else { return }
        let profiles = run.answers.owners.map(\.profile)
        let members = Int64(profiles.count { $0.isMember })
        expect("profiles.members", members...members)
        let anonymous = Int64(profiles.count) - members
        expect("profiles.anonymous", anonymous...anonymous)
        let identifiers = Int64(profiles.reduce(0) { $0 + $1.identifiers.count })
        expect("identifiers.total", identifiers...identifiers)
        for namespace in run.evidence.settings.identity.namespaces {
            let count = Int64(
                profiles.reduce(0) { sum, profile in
                    sum + profile.identifiers.count { $0.namespace == namespace.name }
                })
            expect("identifiers.byNamespace.\(namespace.name)", count...count)
        }
    }

    private static func events(
        _ run: Checker.Run, _ expect: (String, ClosedRange<Int64>) -> Void
    ) {
        let evidence = run.evidence
        let isExact = evidence.isSmooth && !run.hasFaults
        var (accepted, acceptedMost, duplicates, expired): (Int64, Int64, Int64, Int64) =
            (0, 0, 0, 0)
        var (uncertain, quarantinedMost): (Int64, Int64) = (0, 0)
        // What an event names that is no identifier counts where it does, once.
        var (strangers, strangersMost): (Int64, Int64) = (0, 0)
        var rejected: [RejectionReason: Int64] = [:]
        for (place, event) in evidence.events.enumerated() {
            let component = run.components.of(event)
            let own = Int64(event.planned.strangers)
            let ended = Int64(event.expiredCount)
            strangers += own * ((event.isCounted ? 1 : 0) + ended)
            strangersMost += own * (ended + (isExact ? 0 : Int64(event.uncertainCount)))
            if event.isCounted { accepted += 1 }
            if event.isPossible {
                let tries = event.okCount + event.duplicateCount + event.uncertainCount
                let canRepeat =
                    run.components.mayRepeat[place]
                    || component.isExpiring && evidence.identifiers[event.first].isAnonymous
                acceptedMost += canRepeat ? Int64(max(1, tries)) : 1
                strangersMost += own * (canRepeat ? Int64(max(1, tries)) : 1)
            }
            uncertain += Int64(event.uncertainCount)
            if run.components.mayBeContested[event.first] {
                quarantinedMost += Int64(max(1, event.tries - event.linkTries))
            }
            duplicates += Int64(event.duplicateCount)
            expired += Int64(event.expiredCount)
            for reason in event.refusals { rejected[reason, default: 0] += 1 }
        }
        expect("events.accepted", accepted...max(accepted, acceptedMost))
        expect("events.duplicate", duplicates...(isExact ? duplicates : duplicates + uncertain))
        expect("events.expiredOnArrival", expired...(isExact ? expired : expired + uncertain))
        expect("ignoredIdentifiers.unknown_namespace", strangers...max(strangers, strangersMost))
        expect("events.forgotten", 0...0)
        expect("events.suppressed", 0...0)
        expect("traitsRefused", 0...0)
        for reason in RejectionReason.allCases {
            let count = rejected[reason] ?? 0
            expect(
                "events.rejectedByReason.\(reason.name)",
                isExact ? count...count : (evidence.isSmooth ? count : 0)...(.max))
        }
        let quarantined = run.answers.owners.reduce(Int64(0)) { sum, owner in
            owner.quarantined.isEmpty ? sum : sum + Int64(owner.counted.count)
        }
        expect("events.quarantined", quarantined...max(quarantined, quarantinedMost))
    }

    private static func merges(
        _ run: Checker.Run, _ expect: (String, ClosedRange<Int64>) -> Void
    ) {
        let list = run.components.list
        let mayExpire = list.contains(where: \.isExpiring)
        if !mayExpire { expect("expired", 0...0) }
        var (least, most): (Int64, Int64) = (0, 0)
        for (component, sent) in zip(list, run.sent) {
            if let sent {
                least += Int64(sent.merges)
                most += Int64(sent.merges)
            } else {
                least += leastMerges(component, run)
                most += Int64(component.identifiers.count) - 1
            }
        }
        // Who has ended may be merged again.
        expect("merges.completed", least...(mayExpire ? .max : most))
        if list.allSatisfy({ !$0.isRacing && !$0.isLimited && !$0.isExpiring }) {
            expect("merges.refused", 0...0)
        }
    }

    /// Identifiers that had a profile each before the component's first link was sent.
    private static func leastMerges(
        _ component: Components.Component, _ run: Checker.Run
    ) -> Int64 {
        guard component.isCalm else { return 0 }
        let events = component.events.map { run.evidence.events[$0] }
        let link = events.filter { $0.identifiers.count > 1 }.map(\.sent).min() ?? .max
        guard link != .max else { return 0 }
        let alone = Set(
            events.filter { ($0.acknowledged ?? .max) < link }.map(\.first))
        return Int64(max(1, alone.count)) - 1
    }
}
