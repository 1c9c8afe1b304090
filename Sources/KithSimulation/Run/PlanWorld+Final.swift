// What every node says once all is healed and quiet.

package import KithBytes
internal import KithClient
package import KithCore
internal import KithWire

/// What one node says in the end.
package struct FinalAnswers: Sendable {
    /// One for each of the plan's questions, in their order.
    package var profiles: [Profile?]
    /// The totals; null where the node gave none.
    package var totals: CBORValue
}

extension PlanWorld {
    /// Tries for one final answer.
    private static var answerTriesMax: Int { 40 }
    /// Final questions under way at a node.
    private static var questionsMax: Int { 32 }

    /// Asks the node about every identifier of the plan, and for the totals.
    package func finalAnswers(of node: Int) async -> FinalAnswers {
        let questions = work.questions
        let client = client(at: node)
        var profiles: [Profile?] = []
        for start in stride(from: 0, to: questions.count, by: Self.questionsMax) {
            let some = questions[start..<min(start + Self.questionsMax, questions.count)]
            profiles += await ask(some, client, node)
        }
        let totals = await insist("the totals at node \(node)") {
            try Self.value(try await client.stats())
        }
        return FinalAnswers(profiles: profiles, totals: totals ?? .null)
    }

    /// All that nodes said in the end, `answers` in the order of their numbers.
    package func finalState(
        _ answers: [FinalAnswers], sealed: UInt64, wallTime: Int64
    ) -> FinalState {
        FinalState(
            profiles: work.questions.enumerated().map { place, question in
                (question, answers.map { $0.profiles[place] })
            },
            totals: answers.map(\.totals), sealed: sealed, wallTime: wallTime)
    }

    /// Sealed records of all groups, as a node's status says; one for each node that it does not
    /// reach.
    package static func sealed(in status: [UInt8]) throws(ByteError) -> UInt64 {
        guard case .array(let groups)? = try value(status)["groups"] else { return .max }
        return groups.reduce(0) { sum, group in
            if case .unsigned(let count)? = group["sealed"] { sum + count } else { sum + 1 }
        }
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
            await wait(nanoseconds: 250_000_000, subject: 0)
        }
        broke("15 liveness", "\(what()): \(last)")
        return nil
    }

    /// What was durable must be the same after every node died and started again.
    package func compare(_ before: FinalState, _ after: FinalState) {
        for (first, second) in zip(before.profiles, after.profiles)
        where first.answers != second.answers {
            broke(
                "1 restart",
                "\(first.question), \(FinalState.difference(first.answers, second.answers))")
        }
        if before.totals != after.totals {
            let pairs = zip(before.totals, after.totals).map { FinalState.difference($0, $1) }
            broke("1 restart", pairs.first { !$0.isEmpty } ?? "fewer nodes gave their totals")
        }
    }
}
