internal import KithBytes

/// Stands in until the workloads are merged.
struct WorkloadGenerator {
    var random: Xoshiro256
    let settings: ClusterSettings
    let steps: Int

    init(seed: UInt64, settings: ClusterSettings, steps: Int) {
        random = Xoshiro256(seed: seed, label: "stub")
        self.settings = settings
        self.steps = steps
    }

    mutating func plan() -> PlannedWork {
        var result: [PlannedWork.Step] = []
        var at: UInt64 = 0
        for number in 1...steps {
            at += random.below(UInt64(50_000_000))
            let anonymous = PlannedIdentifier("anonymous_id", "a\(random.below(5))")
            let user = PlannedIdentifier("user_id", "u\(random.below(2))")
            let identifiers = random.oneIn(2) ? [anonymous] : [user, anonymous]
            var members: [CBORMember] = [
                CBORMember("type", "track"), CBORMember("event", .text("e\(number)")),
                CBORMember("messageId", .text("m\(number)")),
                CBORMember("anonymousId", .text(anonymous.value)),
            ]
            if identifiers.count > 1 { members.append(CBORMember("userId", .text(user.value))) }
            let event = PlannedEvent(
                number: number, identifiers: identifiers, time: settings.start.rawValue,
                bytes: CBORValue.map(members).encoded())
            let action: PlannedWork.Action =
                random.oneIn(3)
                ? .get(space: "default", user, isQuarantine: false)
                : .ingest(space: "default", [event])
            result.append(
                PlannedWork.Step(
                    number: number, client: 1 + random.below(4), at: at, action: action))
        }
        return PlannedWork(steps: result)
    }
}

struct Checker {
    init(work: PlannedWork, settings: ClusterSettings) {}
    mutating func check(history: History, final: FinalState) -> [Violation] {
        for (question, answers) in final.profiles
        where !answers.allSatisfy({ $0 == answers[0] }) {
            return [Violation("4 one profile", "\(question)")]
        }
        return []
    }
}
