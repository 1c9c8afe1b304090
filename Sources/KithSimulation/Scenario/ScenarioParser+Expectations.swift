internal import KithBytes

extension ScenarioParser {
    /// Reads the line if it says what must be so.
    mutating func expectation(
        _ scanner: inout ScenarioScanner, line: Int
    ) throws(ScenarioError) -> Bool {
        if scanner.takeWord("get") {
            let identifier = try scanner.identifier()
            mention(identifier)
            let isQuarantine = scanner.takeWord("quarantine")
            try scanner.expect("=>")
            let profile = try profile(&scanner)
            expect(
                .profile(identifier, space: space, isQuarantine: isQuarantine, profile), line: line)
        } else if scanner.takeWord("stats") {
            var list: [(path: String, value: Int64)] = []
            while let path = scanner.key() { list.append((path, try scanner.integer())) }
            guard !list.isEmpty else { throw scanner.error("expected: stats events.accepted=3 …") }
            expect(.statistics(list), line: line)
        } else if scanner.takeWord("contested") {
            let identifier = try scanner.identifier()
            expect(.contested(identifier, space: space, true), line: line)
        } else if scanner.takeWord("uncontested") {
            let identifier = try scanner.identifier()
            expect(.contested(identifier, space: space, false), line: line)
        } else if scanner.takeWord("same") {
            expect(.same(try identifiers(&scanner), space: space), line: line)
        } else if scanner.takeWord("apart") {
            expect(.apart(try identifiers(&scanner), space: space), line: line)
        } else {
            return false
        }
        try scanner.expectEnd()
        return true
    }

    private mutating func identifiers(
        _ scanner: inout ScenarioScanner
    ) throws(ScenarioError) -> [ScenarioIdentifier] {
        var list: [ScenarioIdentifier] = []
        while !scanner.isAtEnd { list.append(try scanner.identifier()) }
        guard list.count >= 2 else { throw scanner.error("two identifiers or more") }
        for identifier in list { mention(identifier) }
        return list
    }

    private mutating func profile(
        _ scanner: inout ScenarioScanner
    ) throws(ScenarioError) -> Scenario.ProfileExpectation? {
        if scanner.takeWord("none") { return nil }
        var profile = Scenario.ProfileExpectation()
        while !scanner.isAtEnd {
            if scanner.takeWord("P") {
                profile.identifiers = try held(&scanner)
            } else if scanner.takeWord("member") {
                profile.isMember = true
            } else if scanner.takeWord("anonymous") {
                profile.isMember = false
            } else if scanner.takeWord("quarantine") {
                profile.isQuarantine = true
            } else if scanner.takeWord("traits") {
                profile.traits = try scanner.members().map { Self.trait($0) }
            } else if scanner.takeWord("has") {
                profile.has = try facts(&scanner)
            } else if scanner.takeWord("events") {
                profile.byName = try counts(&scanner)
            } else {
                try number(&profile, &scanner)
            }
        }
        return profile
    }

    private func number(
        _ profile: inout Scenario.ProfileExpectation, _ scanner: inout ScenarioScanner
    ) throws(ScenarioError) {
        switch scanner.key() {
        case "events": profile.events = try scanner.integer()
        case "first": profile.firstSeen = try scanner.time()
        case "last": profile.lastSeen = try scanner.time()
        case "expires":
            profile.expiresAt = scanner.takeWord("never") ? .never : .at(try scanner.time())
        default:
            throw scanner.error(
                "expected P{…}, member, anonymous, quarantine, traits{…}, has{…}, events=, first=, "
                    + "last= or expires= before: \(scanner.rest)")
        }
    }

    /// `{a:1, u:1!}`
    private mutating func held(
        _ scanner: inout ScenarioScanner
    ) throws(ScenarioError) -> [(identifier: ScenarioIdentifier, isContested: Bool)] {
        try scanner.expect("{")
        var list: [(identifier: ScenarioIdentifier, isContested: Bool)] = []
        while !scanner.take("}") {
            if !list.isEmpty { try scanner.expect(",") }
            let identifier = try scanner.identifier()
            mention(identifier)
            list.append((identifier, scanner.take("!")))
        }
        return list
    }

    /// `{city: absent, plan: "pro"}`
    private func facts(
        _ scanner: inout ScenarioScanner
    ) throws(ScenarioError) -> [(name: String, value: CBORValue?)] {
        try scanner.expect("{")
        var facts: [(name: String, value: CBORValue?)] = []
        while !scanner.take("}") {
            if !facts.isEmpty { try scanner.expect(",") }
            let name = try scanner.memberName()
            // A bare nil would be the value null here.
            let isAbsent = scanner.takeWord("absent")
            facts.append((name, isAbsent ? CBORValue?.none : try scanner.value()))
        }
        return facts
    }

    private func counts(
        _ scanner: inout ScenarioScanner
    ) throws(ScenarioError) -> [(name: String, count: Int64)] {
        var counts: [(name: String, count: Int64)] = []
        for member in try scanner.members() {
            guard case .text(let name) = member.key, case .unsigned(let count) = member.value else {
                throw scanner.error("expected: events{page: 2, …}")
            }
            counts.append((name, Int64(clamping: count)))
        }
        return counts
    }

    private static func trait(_ member: CBORMember) -> (name: String, value: CBORValue) {
        guard case .text(let name) = member.key else { return ("", member.value) }
        return (name, member.value)
    }
}
