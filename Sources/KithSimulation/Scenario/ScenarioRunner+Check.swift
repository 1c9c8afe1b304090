internal import KithBytes
internal import KithClient
internal import KithCore
internal import KithWire

/// Asking the cluster, and comparing what it answers with what the file says.
extension ScenarioRunner {
    // MARK: Asking

    func profile(
        _ identifier: ScenarioIdentifier, space: String, isQuarantine: Bool
    ) throws -> Profile? {
        let meant = variant(identifier)
        let read = Get(
            space: space, namespace: meant.namespace, value: meant.value,
            wantsQuarantine: isQuarantine)
        let answers = try fromEveryNode { try await $0.get(read, retries: 5).profile }
        guard let bytes = answers[0] else { return nil }
        if let other = answers.firstIndex(where: { $0 != bytes }) {
            throw failure(
                expected: "the same answer about \(meant) from every node",
                found: "\(Self.text(try Self.decoded(bytes))) from node 1, "
                    + "\(Self.text(try answers[other].map { try Self.decoded($0) })) "
                    + "from node \(other + 1)")
        }
        return try Self.decoded(bytes)
    }

    private static func decoded(_ bytes: [UInt8]) throws -> Profile {
        var reader = ByteReader(bytes.span.bytes)
        return try Profile(decoding: &reader)
    }

    /// What each node answers, node 1 first.
    private func fromEveryNode<Answer: Sendable>(
        _ ask: @escaping @Sendable (Client) async throws -> Answer
    ) throws -> [Answer] {
        try (1...run.nodes).map { try cluster.run(at: $0, ask) }
    }

    /// The profiles of everything that the file mentions, encoded, quarantines too.
    func profiles() throws -> [[UInt8]?] {
        var all: [[UInt8]?] = []
        for mention in scenario.mentioned {
            for isQuarantine in [false, true] {
                let profile = try profile(
                    mention.identifier, space: mention.space, isQuarantine: isQuarantine)
                all.append(
                    profile.map { profile in
                        var writer = ByteWriter()
                        profile.encode(into: &writer)
                        return writer.bytes
                    })
            }
        }
        return all
    }

    func statistics() throws -> CBORValue {
        let answers = try fromEveryNode { try await $0.stats(retries: 5) }
        let totals = try answers.map { try CBORValue(decoding: $0.span.bytes) }
        if let other = totals.firstIndex(where: { $0 != totals[0] }) {
            throw failure(
                expected: "the same totals from every node",
                found: "\(Self.text(totals[0])) from node 1, \(Self.text(totals[other])) "
                    + "from node \(other + 1)")
        }
        return totals[0]
    }

    /// No merge may be under way: every event so far was acknowledged, so its links are settled.
    /// Asked last of all.
    func checkSettled() throws {
        let bytes = try cluster.run(at: 1) { try await $0.status(retries: 5) }
        let status = try CBORValue(decoding: bytes.span.bytes)
        guard case .array(let groups)? = status["groups"], groups.count == run.groups,
            groups.allSatisfy({ $0["sealed"] == .unsigned(0) && $0["waiting"] == .unsigned(0) })
        else {
            throw failure(expected: "no sealed record in any group", found: Self.text(status))
        }
    }

    /// What is not as it was.
    func difference(from statistics: CBORValue, _ profiles: [[UInt8]?]) throws -> String {
        let now = try self.statistics()
        if now != statistics {
            return "totals \(Self.text(now)), before \(Self.text(statistics))"
        }
        for (place, pair) in zip(profiles, try self.profiles()).enumerated()
        where pair.0 != pair.1 {
            return "another profile of \(scenario.mentioned[place / 2].identifier)"
        }
        return "a difference that is gone when looked at again"
    }

    // MARK: Checking

    func check(_ expectation: Scenario.Expectation) throws {
        switch expectation {
        case .profile(let identifier, let space, let isQuarantine, let expected):
            let found = try profile(identifier, space: space, isQuarantine: isQuarantine)
            try compare(found, expected)
        case .statistics(let list):
            let totals = try statistics()
            for (path, value) in list {
                let found = try Self.total(path, in: totals) ?? unknown(path, totals)
                guard found == value else {
                    throw failure(expected: "\(path)=\(value)", found: "\(found)")
                }
            }
        case .contested(let identifier, let space, let isContested):
            let meant = variant(identifier)
            let found = try profile(identifier, space: space, isQuarantine: false)
            let held = found?.identifiers.first {
                $0.namespace == meant.namespace && $0.value == meant.value
            }
            guard held?.isContested ?? false == isContested else {
                throw failure(
                    expected: "\(identifier) \(isContested ? "" : "not ")contested",
                    found: Self.text(found))
            }
        case .same(let identifiers, let space):
            let profiles = try identifiers.map {
                try profile($0, space: space, isQuarantine: false)
            }
            guard let first = profiles[0], profiles.allSatisfy({ $0 == first }) else {
                throw failure(
                    expected: "one profile of "
                        + identifiers.map(\.description).joined(separator: ", "),
                    found: profiles.map { Self.text($0) }.joined(separator: " · "))
            }
        case .apart(let identifiers, let space):
            let profiles = try identifiers.map {
                try profile($0, space: space, isQuarantine: false)
            }
            let ids = profiles.compactMap { $0?.id }
            guard Set(ids.map(\.hex)).count == identifiers.count else {
                throw failure(
                    expected: "a profile for each of "
                        + identifiers.map(\.description).joined(separator: ", "),
                    found: profiles.map { Self.text($0) }.joined(separator: " · "))
            }
        }
    }

    private func compare(_ found: Profile?, _ expected: Scenario.ProfileExpectation?) throws {
        func require(_ isSo: Bool, _ text: @autoclosure () -> String) throws {
            guard !isSo else { return }
            throw failure(expected: text(), found: Self.text(found))
        }
        guard let expected else { return try require(found == nil, "none") }
        try require(found != nil, "a profile")
        guard let found else { return }
        if let list = expected.identifiers {
            let names = found.identifiers.map { "\($0.namespace):\($0.value)" }.sorted()
            let wanted = list.map { variant($0.identifier).description }.sorted()
            try require(names == wanted, "P{\(wanted.joined(separator: ", "))}")
            for (identifier, isContested) in list where isContested {
                let name = variant(identifier)
                try require(
                    found.identifiers.contains {
                        $0.isContested && $0.namespace == name.namespace && $0.value == name.value
                    }, "\(name) contested")
            }
        }
        if let isMember = expected.isMember {
            try require(found.isMember == isMember, isMember ? "member" : "anonymous")
        }
        if let isQuarantine = expected.isQuarantine {
            try require(found.isQuarantine == isQuarantine, "quarantine")
        }
        if let events = expected.events {
            try require(found.eventsTotal == UInt64(events), "events=\(events)")
        }
        if let byName = expected.byName {
            let counts = found.events.map { "\($0.name): \($0.count)" }.sorted()
            let wanted = byName.map { "\($0.name): \($0.count)" }.sorted()
            try require(counts == wanted, "events{\(wanted.joined(separator: ", "))}")
        }
        try compareTraits(found, expected, require)
        if let time = expected.firstSeen {
            try require(found.firstSeen == time, "first=\(Self.day(time))")
        }
        if let time = expected.lastSeen {
            try require(found.lastSeen == time, "last=\(Self.day(time))")
        }
        switch expected.expiresAt {
        case .at(let time)?:
            try require(found.expiresAt == time, "expires=\(Self.day(time))")
        case .never?: try require(found.expiresAt == nil, "expires=never")
        case nil: break
        }
    }

    private func compareTraits(
        _ found: Profile, _ expected: Scenario.ProfileExpectation,
        _ require: (Bool, @autoclosure () -> String) throws -> Void
    ) throws {
        if let traits = expected.traits {
            try require(
                found.traits.count == traits.count,
                "traits{\(traits.map(\.name).joined(separator: ", "))}")
        }
        let wanted = (expected.traits ?? []).map { ($0.name, Optional($0.value)) } + expected.has
        for (name, value) in wanted {
            let trait = found.traits.first { $0.name == name }
            try require(
                trait?.value == value?.encoded(),
                "\(name): \(value.map { Self.text($0) } ?? "absent")")
        }
    }

    // MARK: Totals

    /// The number at a dotted path; 0 for a name that a map of counts does not have.
    private static func total(_ path: String, in totals: CBORValue) throws -> Int64? {
        var value = totals
        let steps = path.split(separator: ".").map(String.init)
        for (place, step) in steps.enumerated() {
            guard let next = value[step] else {
                let isCount = ["byNamespace", "rejectedByReason", "refusedByReason"]
                    .contains(place > 0 ? steps[place - 1] : "")
                return isCount || place == 1 && steps[0] == "ignoredIdentifiers" ? 0 : nil
            }
            value = next
        }
        switch value {
        case .unsigned(let number): return Int64(clamping: number)
        case .negative(let number): return -1 - Int64(clamping: number)
        default: return nil
        }
    }

    private func unknown(_ path: String, _ totals: CBORValue) throws -> Int64 {
        throw failure(expected: "a number at \(path)", found: Self.text(totals))
    }

    // MARK: Texts

    static func day(_ time: Int64) -> String {
        let millis = time - ScenarioScanner.epoch
        let days = Double(millis) / Double(ScenarioScanner.dayMillis)
        return days == days.rounded() ? "\(Int64(days))" : "\(days)"
    }

    static func text(_ profile: Profile?) -> String {
        guard let profile else { return "none" }
        let identifiers = profile.identifiers.map {
            "\($0.namespace):\($0.value)\($0.isContested ? "!" : "")"
        }
        let traits = profile.traits.map { trait in
            let value = try? CBORValue(decoding: trait.value.span.bytes)
            return "\(trait.name): \(value.map { text($0) } ?? "?")"
        }
        let events = profile.events.map { "\($0.name): \($0.count)" }
        return "P{\(identifiers.joined(separator: ", "))} "
            + (profile.isMember ? "member" : "anonymous")
            + (profile.isQuarantine ? " quarantine" : "")
            + " events=\(profile.eventsTotal) events{\(events.joined(separator: ", "))}"
            + " traits{\(traits.joined(separator: ", "))}"
            + " first=\(day(profile.firstSeen)) last=\(day(profile.lastSeen))"
            + " expires=\(profile.expiresAt.map { day($0) } ?? "never")"
    }

    static func text(_ value: CBORValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .unsigned(let value): "\(value)"
        case .negative(let value): "-\(value + 1)"
        case .double(let value): "\(value)"
        case .text(let text): "\"\(text)\""
        case .array(let items): "[\(items.map { text($0) }.joined(separator: ", "))]"
        case .map(let members):
            "{\(members.map { "\(text($0.key)): \(text($0.value))" }.joined(separator: ", "))}"
        case .bytes(let bytes): "\(bytes.count) bytes"
        case .tag(let tag, let value): "tag \(tag) \(text(value))"
        case .simple(let number): "simple \(number)"
        }
    }
}
