import KithBytes
import KithCore
import KithServer
import KithWire

@testable import KithSimulation

/// A run of a plan on the simple store: what a right cluster might have answered.
struct SimpleRun {
    let settings: ClusterSettings
    var work: PlannedWork
    var calls: [History.Call] = []
    var final: FinalState
    /// What nodes' clocks showed; where none is named, what the plan says.
    var clocks: [WallClock] = []

    /// Steps one after another, each answered within some time, so that calls overlap.
    init(_ work: PlannedWork, _ settings: ClusterSettings, seed: UInt64) {
        self.settings = settings
        self.work = work
        var store = SimpleStore(settings)
        var random = Xoshiro256(seed: seed, label: "answers")
        var questions: [FinalState.Question] = []
        var seen: Set<FinalState.Question> = []
        func note(_ space: String, _ identifier: PlannedIdentifier) {
            for isQuarantine in [false, true] {
                let question = FinalState.Question(
                    space: space, identifier: identifier, isQuarantine: isQuarantine)
                if seen.insert(question).inserted { questions.append(question) }
            }
        }
        for step in work.steps {
            let answer: History.Answer
            switch step.action {
            case .ingest(let space, let events):
                answer = .results(events.map { ($0.number, store.take($0, space)) })
                for identifier in events.flatMap(\.identifiers) { note(space, identifier) }
            case .get(let space, let identifier, let isQuarantine):
                note(space, identifier)
                answer = .profile(
                    store.get(
                        FinalState.Question(
                            space: space, identifier: identifier, isQuarantine: isQuarantine)))
            case .stats: answer = .totals(store.stats())
            case .pass(let milliseconds):
                store.pass(milliseconds)
                continue
            case .bytes, .stall: continue
            }
            calls.append(
                History.Call(
                    step: step.number, client: step.client, invoked: step.at,
                    returned: step.at + 1 + random.below(UInt64(1_000_000)), answer: answer))
        }
        let totals = store.stats()
        final = FinalState(
            profiles: questions.map { question in
                let profile = store.get(question)
                return (question, [profile, profile, profile])
            }, totals: [totals, totals, totals], sealed: 0, wallTime: store.wall)
    }

    /// What the checker says of it.
    func violations() -> [Violation] {
        var checker = Checker(work: work, settings: settings)
        checker.hasFaults = false
        checker.clocks = clocks
        var history = History()
        for call in calls { history.add(call) }
        return checker.check(history: history, final: final)
    }

    /// Changes what all nodes say of a profile, wherever it answers.
    mutating func change(_ id: LeafID, _ body: (inout Profile) -> Void) {
        for place in final.profiles.indices {
            for node in final.profiles[place].answers.indices {
                guard var profile = final.profiles[place].answers[node], profile.id == id else {
                    continue
                }
                body(&profile)
                final.profiles[place].answers[node] = profile
            }
        }
    }

    /// All that answers, each once.
    var profiles: [Profile] {
        var seen: [LeafID] = []
        var profiles: [Profile] = []
        for (_, answers) in final.profiles {
            guard let profile = answers[0], !seen.contains(profile.id) else { continue }
            seen.append(profile.id)
            profiles.append(profile)
        }
        return profiles
    }
}

extension PlanWriter {
    /// A plan of a second, begun, whose clocks show what `settings` say.
    static func ofStory(_ settings: ClusterSettings = ClusterSettings(seed: 1)) -> PlanWriter {
        var random = Xoshiro256(seed: 1)
        let times = WorkloadTimes(
            .anything, end: 1_000_000_000, start: settings.start.rawValue,
            retention: 90 * 86_400_000, &random)
        var plan = PlanWriter(settings: settings, times: times, random: random)
        plan.begin("p")
        return plan
    }
}
