// What every node says once all is healed and quiet.

internal import KithBytes
internal import KithClient
internal import KithCore

extension ClusterRun {
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

    /// Sealed records of all groups, as node 1 says.
    private func sealed() throws -> UInt64 {
        try Self.sealed(in: try cluster.run(at: 1) { try await $0.status(retries: 5) })
    }

    /// Asks every node about every identifier of the plan, and for the totals.
    func finalState() throws -> FinalState {
        let nodeCount = nodeCount
        let said = WhatNodesSaid()
        for node in 1...nodeCount {
            // Made in the order of their numbers, before any is used.
            _ = client(at: node)
            start { [self] in said.answers[node] = await finalAnswers(of: node) }
        }
        try simulator.run(
            until: { said.answers.count == nodeCount }, maxSteps: Self.phaseStepsMax,
            maxNanoseconds: Self.answersNanosecondsMax)
        let sealed = try sealed()
        return finalState(
            (1...nodeCount).compactMap { said.answers[$0] }, sealed: sealed,
            wallTime: cluster.clientClock.wallTime().rawValue)
    }
}

/// What nodes answered, by their numbers. Touched on the simulation's thread only.
private final class WhatNodesSaid: @unchecked Sendable {
    var answers: [Int: FinalAnswers] = [:]
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
