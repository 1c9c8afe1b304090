internal import KithBytes
internal import KithCore

/// What a profile must be, given the events that it counts. The oracle's fold: least and greatest
/// times, sums, and for each trait the value of the greatest (time, message id).
///
/// A profile that is not the fold of its own events has lost or made up something, whatever the
/// history was; this holds at every moment and for every profile.
enum ProfileFold {
    /// Events that the profile counts, by their places: a counter of its own for a `track`, for
    /// the others the trait that stands in for one. Names that no event has are left out.
    static func counted(_ profile: Profile, _ evidence: Evidence) -> [(event: Int, count: UInt64)] {
        var counted: [(event: Int, count: UInt64)] = []
        for entry in profile.events {
            guard let event = evidence.event(marked: entry.name),
                evidence.events[event].planned.kind == .track
            else { continue }
            counted.append((event, entry.count))
        }
        for trait in profile.traits {
            guard let event = evidence.event(marked: trait.name),
                evidence.events[event].planned.kind != .track
            else { continue }
            counted.append((event, 1))
        }
        return counted
    }

    /// What is wrong with the profile by itself. `isExact` where no profile of its component can
    /// have ended: then times are those of the events and of nothing else.
    static func problems(
        _ profile: Profile, _ counted: [(event: Int, count: UInt64)], isExact: Bool,
        _ evidence: Evidence, mayRepeat: [Bool]
    ) -> [String] {
        var problems: [String] = []
        var byKind: [String: UInt64] = [:]
        var repeated: [String] = []
        for entry in counted {
            let event = evidence.events[entry.event]
            if event.planned.kind == .track { continue }
            byKind[event.planned.kind.rawValue, default: 0] += 1
            if mayRepeat[entry.event] { repeated.append(event.planned.kind.rawValue) }
        }
        var sum: UInt64 = 0
        for entry in profile.events {
            sum += entry.count
            let event = evidence.event(marked: entry.name)
            if let event, evidence.events[event].planned.kind == .track { continue }
            let expected = byKind.removeValue(forKey: entry.name) ?? 0
            // One trait stands for a kind's event, however often that counted.
            let isRepeated = entry.count > expected && repeated.contains(entry.name)
            if entry.count != expected, !isRepeated {
                problems.append("counts \(entry.name) \(entry.count) times, knows \(expected)")
            }
        }
        for kind in byKind.keys.sorted() {
            problems.append("has events of kind \(kind), and no counter of it")
        }
        if sum != profile.eventsTotal {
            problems.append("counts \(sum) events, and says \(profile.eventsTotal)")
        }
        problems += times(profile, counted, isExact: isExact, evidence)
        problems += traits(profile, counted, evidence)
        return problems
    }

    private static func times(
        _ profile: Profile, _ counted: [(event: Int, count: UInt64)], isExact: Bool,
        _ evidence: Evidence
    ) -> [String] {
        var problems: [String] = []
        let times = counted.map { evidence.events[$0.event].time }
        if let first = times.map(\.lowerBound).min(), let firstMost = times.map(\.upperBound).min()
        {
            if profile.firstSeen > firstMost || (isExact && profile.firstSeen < first) {
                problems.append(
                    "first seen \(profile.firstSeen), events say \(first)...\(firstMost)")
            }
        }
        if let last = times.map(\.lowerBound).max(), let lastMost = times.map(\.upperBound).max() {
            if profile.lastSeen < last || (isExact && profile.lastSeen > lastMost) {
                problems.append("last seen \(profile.lastSeen), events say \(last)...\(lastMost)")
            }
        }
        if times.isEmpty, isExact { problems.append("is of no event") }
        let expires = profile.isMember ? nil : profile.lastSeen + evidence.retention
        if profile.expiresAt != expires {
            problems.append("expires \(describe(profile.expiresAt)), not \(describe(expires))")
        }
        return problems
    }

    private static func describe(_ time: Int64?) -> String { time.map { "at \($0)" } ?? "never" }

    /// Every trait has the value that an event of the profile gave it and no later one took back.
    private static func traits(
        _ profile: Profile, _ counted: [(event: Int, count: UInt64)], _ evidence: Evidence
    ) -> [String] {
        var cells: [(name: String, value: String?, event: Int)] = []
        for entry in counted {
            for trait in evidence.events[entry.event].planned.traits {
                cells.append((trait.name, trait.value, entry.event))
            }
        }
        cells.sort { ($0.name, $0.event) < ($1.name, $1.event) }
        var problems: [String] = []
        var known: [String: [UInt8]] = [:]
        for trait in profile.traits { known[trait.name] = trait.value }
        var start = 0
        while start < cells.count {
            var end = start
            while end < cells.count, cells[end].name == cells[start].name { end += 1 }
            let rivals = cells[start..<end]
            let name = cells[start].name
            start = end
            let ended = rivals.filter { $0.value == nil && mayHaveEnded($0.event, evidence) }
            // What a deletion took back is gone when that has ended, as if it had never been.
            let lasting = rivals.filter { cell in
                !ended.contains {
                    $0.event == cell.event || !wins(cell.event, over: $0.event, evidence)
                }
            }
            let possible = rivals.filter { cell in
                !lasting.contains { wins($0.event, over: cell.event, evidence) }
            }
            let value = known.removeValue(forKey: name)
            let isPossible = possible.contains { cell in
                cell.value.map { CBORValue.text($0).encoded() } == value
            }
            if !isPossible {
                let ones = possible.map {
                    "\(evidence.events[$0.event].planned.mark) (\($0.value ?? "deleted"))"
                }
                problems.append(
                    "trait \(name) is \(describe(value)), not that of "
                        + ones.joined(separator: " or "))
            }
        }
        for name in known.keys.sorted() {
            problems.append("trait \(name) is of no event it counts")
        }
        return problems
    }

    private static func describe(_ value: [UInt8]?) -> String {
        guard let value else { return "not there" }
        guard case .text(let text)? = try? CBORValue(decoding: value.span.bytes) else {
            return "no text"
        }
        return text
    }

    /// A deletion ends after 90 days of log time: what is older may come after it then.
    private static let deletionMillis: Int64 = 90 * 86_400_000

    private static func mayHaveEnded(_ event: Int, _ evidence: Evidence) -> Bool {
        let (end, overflow) = evidence.events[event].time.lowerBound.addingReportingOverflow(
            deletionMillis)
        return !overflow && end <= evidence.clocks.greatest(to: .max)
    }

    /// For certain the greater (time, message id).
    private static func wins(_ first: Int, over second: Int, _ evidence: Evidence) -> Bool {
        let (a, b) = (evidence.events[first], evidence.events[second])
        if a.time.lowerBound > b.time.upperBound { return true }
        guard a.time == b.time, a.time.lowerBound == a.time.upperBound else { return false }
        return b.planned.messageID.utf8.lexicographicallyPrecedes(a.planned.messageID.utf8)
    }
}
