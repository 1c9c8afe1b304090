// What every node says once all is healed and quiet.

internal import KithBytes
internal import KithClient
internal import KithCore
internal import KithWire

extension ClusterRun {
    /// Tries for one final answer.
    private static let answerTriesMax = 40
    /// Final questions under way at a node.
    private static let questionsMax = 32
    /// Virtual time for all final answers.
    private static let answersNanosecondsMax: UInt64 = 600_000_000_000

    /// Waits until every node reaches every other and no record is sealed.
    func settle() throws {
        try cluster.reconnect()
        let limit = simulator.nanoseconds + Self.quietNanosecondsMax
        while true {
            let sealed = try sealed()
            if sealed == 0 { return }
            guard simulator.nanoseconds < limit else {
                return broke("15 liveness", "\(sealed) records stay sealed, or nodes unreachable")
            }
            try simulator.run(nanoseconds: 200_000_000, maxSteps: Self.phaseStepsMax)
        }
    }

    /// Sealed records of all groups, as node 1 says; one for each node that is not reached.
    private func sealed() throws -> UInt64 {
        let bytes = try cluster.run(at: 1) { try await $0.status(retries: 5) }
        let status = try CBORValue(decoding: bytes.span.bytes)
        guard case .array(let groups)? = status["groups"] else { return .max }
        return groups.reduce(0) { sum, group in
            if case .unsigned(let count)? = group["sealed"] { sum + count } else { sum + 1 }
        }
    }

    /// Asks every node about every identifier of the plan, and for the totals.
    func finalState() throws -> FinalState {
        let questions = plan.work.questions
        let answers = FinalAnswers()
        for node in 1...plan.settings.nodeCount {
            let client = cluster.client(at: node)
            cluster.clientLane.start { [self] in
                var profiles: [Profile?] = []
                for start in stride(from: 0, to: questions.count, by: Self.questionsMax) {
                    let some = questions[start..<min(start + Self.questionsMax, questions.count)]
                    profiles += await ask(some, client, node)
                }
                let totals = await insist("the totals at node \(node)") {
                    try Self.value(try await client.stats())
                }
                answers.profiles[node] = profiles
                answers.totals[node] = totals ?? .null
            }
        }
        let nodeCount = plan.settings.nodeCount
        try simulator.run(
            until: { answers.totals.count == nodeCount }, maxSteps: Self.phaseStepsMax,
            maxNanoseconds: Self.answersNanosecondsMax)
        let sealed = try sealed()
        return FinalState(
            profiles: questions.indices.map { place in
                (
                    questions[place],
                    (1...nodeCount).map { answers.profiles[$0]?[place] ?? nil }
                )
            },
            totals: (1...nodeCount).map { answers.totals[$0] ?? .null }, sealed: sealed,
            wallTime: cluster.clientClock.wallTime().rawValue)
    }

    private func ask(
        _ questions: ArraySlice<FinalState.Question>, _ client: Client, _ node: Int
    ) async -> [Profile?] {
        await withTaskGroup(of: (Int, Profile?).self, returning: [Profile?].self) { tasks in
            for place in questions.indices {
                let question = questions[place]
                tasks.addTask { [self] in
                    let get = Get(
                        space: question.space, namespace: question.identifier.namespace,
                        value: question.identifier.value, wantsQuarantine: question.isQuarantine)
                    let answer = await insist("\(question) at node \(node)") {
                        try Self.profile(try await client.get(get).profile)
                    }
                    return (place - questions.startIndex, answer ?? nil)
                }
            }
            var answers = [Profile?](repeating: nil, count: questions.count)
            for await (place, answer) in tasks { answers[place] = answer }
            return answers
        }
    }

    /// Asks until there is an answer; nil, and a violation, where there is none for too long.
    private func insist<Value>(
        _ what: @autoclosure () -> String, _ body: () async throws -> Value
    ) async -> Value? {
        var last = ""
        for _ in 0..<Self.answerTriesMax {
            do {
                return try await body()
            } catch {
                last = "\(error)"
            }
            await simulator.wait(nanoseconds: 250_000_000, subject: 0)
        }
        broke("15 liveness", "\(what()): \(last)")
        return nil
    }

    /// What was durable must be the same after all nodes lost their power.
    func compare(_ before: FinalState, _ after: FinalState) {
        for (first, second) in zip(before.profiles, after.profiles)
        where first.answers != second.answers {
            broke(
                "1 restart",
                "\(first.question): \(first.answers) before, \(second.answers) after")
        }
        if before.totals != after.totals {
            broke("1 restart", "totals: \(before.totals) before, \(after.totals) after")
        }
    }
}

/// What nodes answered, by their numbers. Touched on the simulation's thread only.
private final class FinalAnswers: @unchecked Sendable {
    var profiles: [Int: [Profile?]] = [:]
    var totals: [Int: CBORValue] = [:]
}

extension PlannedWork {
    /// Bytes of all events.
    var byteCount: Int {
        steps.reduce(0) { sum, step in
            guard case .ingest(_, let events) = step.action else { return sum }
            return events.reduce(sum) { $0 + $1.bytes.count }
        }
    }

    /// Each identifier of each space once, with and without quarantine, in the order in which the
    /// plan names them.
    var questions: [FinalState.Question] {
        var seen: Set<FinalState.Question> = []
        var questions: [FinalState.Question] = []
        func add(_ space: String, _ identifier: PlannedIdentifier) {
            for isQuarantine in [false, true] {
                let question = FinalState.Question(
                    space: space, identifier: identifier, isQuarantine: isQuarantine)
                if seen.insert(question).inserted { questions.append(question) }
            }
        }
        for step in steps {
            switch step.action {
            case .ingest(let space, let events):
                for event in events {
                    for identifier in event.identifiers { add(space, identifier) }
                }
            case .get(let space, let identifier, _): add(space, identifier)
            default: break
            }
        }
        return questions
    }
}
