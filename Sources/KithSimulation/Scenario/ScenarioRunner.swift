// Runs one scenario once: the story, then the cluster's invariants, then a restart from the disks,
// after which the last expectations and every profile and total must be what they were.
//
// On several nodes connections are spread over them, a power loss takes all or one by turns,
// and every answer must be the same bytes from each.
//
// What a run is, is said by its `ScenarioRun` alone. Expectations come from the file; the runner
// knows no rule of the contract.

internal import KithBytes
internal import KithClient
internal import KithCore
internal import KithServer
internal import KithWire

/// Runs scenarios against simulated clusters of real nodes.
final class ScenarioRunner {
    let scenario: Scenario
    let run: ScenarioRun
    let variant: ScenarioVariant
    let cluster: SimulatedCluster
    private var now = ScenarioScanner.epoch
    /// The greatest event time so far (event clock).
    private var stamp: Int64?
    private var random: Xoshiro256
    /// In every third run the power fails after every second frame or so: what was acknowledged
    /// must be there all the same.
    private let isRestless: Bool
    /// Whether each frame goes to the node after that of the frame before, once that was
    /// acknowledged; else each connection keeps its node.
    private let isSpread: Bool
    /// Whether a power loss takes one node, the next one each time; else all of them.
    private let isByTurns: Bool
    private var framesSent = 0
    private var losses = 0
    /// The line at hand, for failures.
    var line = 0

    /// Rounds in which what is unanswered is sent again.
    static let attemptLimit = 20

    /// Runs the scenario. Throws `ScenarioFailure` where something is not as the file says, also
    /// where the world comes to a halt.
    public static func run(_ scenario: Scenario, _ run: ScenarioRun) throws -> ScenarioReport {
        let runner = ScenarioRunner(scenario, run)
        do {
            let report = try runner.runAll()
            try runner.cluster.shutdown()
            return report
        } catch {
            // The first error says what happened; a world that failed may fail to end as well.
            try? runner.cluster.shutdown()
            if let failure = error as? ScenarioFailure { throw failure }
            throw runner.failure(expected: "no error", found: "\(error)")
        }
    }

    private init(_ scenario: Scenario, _ run: ScenarioRun) {
        self.scenario = scenario
        self.run = run
        variant = ScenarioVariant(run.variant, of: scenario)
        var settings = ClusterSettings(seed: run.seed)
        settings.groups = run.groups
        settings.nodeCount = run.nodes
        settings.identity = scenario.rules
        settings.anonymousDays = scenario.anonymousDays
        settings.tuning.eventNamesMax = scenario.eventNamesMax
        settings.isEventClock = scenario.isEventClock
        settings.start = LogTime(ScenarioScanner.epoch)
        cluster = SimulatedCluster(settings)
        var random = Xoshiro256(seed: run.seed, label: "scenario")
        isRestless = random.oneIn(3)
        isSpread = run.nodes > 1 && random.oneIn(2)
        isByTurns = run.nodes > 1 && random.oneIn(2)
        losses = run.nodes > 1 ? random.below(run.nodes) : 0
        self.random = random
        if scenario.isEventClock { stamp = 0 }
    }

    func failure(expected: String, found: String) -> ScenarioFailure {
        ScenarioFailure(
            file: scenario.file, title: scenario.title, line: line, expected: expected,
            found: found, run: run)
    }

    private func runAll() throws -> ScenarioReport {
        try cluster.startAll()
        try settle()
        for step in scenario.steps {
            line = step.line
            try perform(step.action)
        }
        try cluster.checkInvariants()

        let statistics = try statistics()
        let profiles = try profiles()
        if random.oneIn(2) { try restart() } else { try crash() }
        try settle()
        try cluster.checkInvariants()
        for step in finalExpectations {
            line = step.line
            try perform(step.action)
        }
        let after = try self.profiles()
        guard try self.statistics() == statistics, after == profiles else {
            throw failure(
                expected: "the same profiles and totals after a restart",
                found: try difference(from: statistics, profiles))
        }
        try cluster.checkInvariants()
        let report = ScenarioReport(
            traceHash: cluster.simulator.traceHash, stepCount: cluster.simulator.stepCount,
            profiles: profiles)
        try checkSettled()
        return report
    }

    /// The expectations behind the last thing that happens.
    private var finalExpectations: ArraySlice<Scenario.Step> {
        let last = scenario.steps.lastIndex {
            if case .expect = $0.action { false } else { true }
        }
        return scenario.steps[(last.map { $0 + 1 } ?? 0)...]
    }

    private func perform(_ action: Scenario.Action) throws {
        switch action {
        case .clock(let time):
            now = time
            cluster.setWallTime(LogTime(time))
            // What was on its way says what clocks showed before.
            if run.nodes > 1 {
                try cluster.simulator.run(
                    nanoseconds: Self.heartbeatNanoseconds, maxSteps: 5_000_000)
            }
        case .advance(let time):
            stamp = max(stamp ?? 0, time)
            try cluster.run { try await $0.advanceTime(to: LogTime(time), retries: 5) }
        case .send(let frames):
            for frame in frames { try send(frame) }
        case .together(let frames, let withCrash):
            try sendTogether(frames, withCrash: withCrash)
        case .inEveryOrder(let frames):
            let ordered = variant.order.map { frames[$0] }
            if random.oneIn(2) {
                for frame in ordered { try send(frame) }
            } else {
                // The same order inside one frame must come to the same.
                try send(
                    Scenario.Frame(
                        connection: 1, space: ordered[0].space, events: ordered.flatMap(\.events)))
            }
        case .crash:
            try crash()
            try settle()
        case .restart: try restart()
        case .expect(let expectation): try check(expectation)
        }
    }

    /// Above two heartbeats, of which the second was sent after the first was answered.
    private static let heartbeatNanoseconds: UInt64 = 2_200_000_000

    private func crash() throws {
        if isByTurns {
            let number = losses % run.nodes + 1
            losses += 1
            cluster.crash(number)
            try cluster.start(number)
        } else {
            cluster.crashAll()
            try cluster.startAll()
        }
        try settle()
    }

    private func restart() throws {
        if isByTurns {
            for number in 1...run.nodes {
                try cluster.stop(number)
                try cluster.start(number)
            }
        } else {
            try cluster.stopAll()
            try cluster.startAll()
        }
        try settle()
    }

    /// Lets nodes that were spoken to in vain be spoken to again. What is asked before that is
    /// refused, which is right, but the story goes on with what is answered.
    private func settle() throws {
        if run.nodes > 1 { try cluster.reconnect() }
    }

    // MARK: Sending

    private func payload(_ frame: Scenario.Frame) -> [UInt8] {
        var batch = IngestBatchWriter(space: frame.space, hasStamps: scenario.isEventClock)
        for event in frame.events {
            event.append(to: &batch, as: variant, now: now, stamp: &stamp)
        }
        return batch.payload
    }

    private func send(_ frame: Scenario.Frame) throws {
        let payload = self.payload(frame)
        framesSent += 1
        let connection = isSpread ? framesSent : frame.connection
        let reply = try cluster.run(as: connection) { try await $0.ingest(payload) }
        try check(reply.results, of: frame)
        if isRestless, random.oneIn(2) {
            try crash()
            try settle()
        }
    }

    /// Sends everything at once; what stays unanswered is sent again, the very same bytes.
    private func sendTogether(_ frames: [Scenario.Frame], withCrash: Bool) throws {
        let payloads = frames.map { self.payload($0) }
        let answers = Answers(count: frames.count)
        for attempt in 0..<Self.attemptLimit {
            let open = frames.indices.filter { !answers.isSettled[$0] }
            if open.isEmpty { break }
            guard attempt < Self.attemptLimit - 1 else {
                throw failure(
                    expected: "an answer", found: "none after \(attempt) attempts")
            }
            if attempt > 0 { try settle() }
            start(open, frames, payloads, answers, isRetry: attempt > 0)
            if withCrash, attempt == 0 {
                let limit = cluster.simulator.stepCount + random.below(400)
                try cluster.simulator.run(until: {
                    cluster.simulator.stepCount >= limit || answers.isRoundOver
                })
                try crash()
            }
            try cluster.simulator.run(
                until: { answers.isRoundOver }, maxSteps: 20_000_000,
                maxNanoseconds: SimulatedCluster.answerNanoseconds)
        }
        for (frame, results) in zip(frames, answers.results) { try check(results, of: frame) }
    }

    /// Begins a task a connection; frames of one connection go out in order.
    private func start(
        _ open: [Int], _ frames: [Scenario.Frame], _ payloads: [[UInt8]], _ answers: Answers,
        isRetry: Bool
    ) {
        answers.inFlight = open.count
        for index in open {
            let client = cluster.client(frames[index].connection)
            let payload = payloads[index]
            cluster.clientLane.start {
                if let reply = try? await client.ingest(payload) {
                    answers.take(reply.results, index, isRetry: isRetry)
                }
                answers.inFlight -= 1
            }
        }
    }

    private func check(_ results: [IngestResult], of frame: Scenario.Frame) throws {
        guard results.count == frame.events.count else {
            throw failure(
                expected: "\(frame.events.count) answers", found: "\(results.count)")
        }
        for (event, result) in zip(frame.events, results)
        where !event.results.contains(where: { $0.matches(result) }) {
            line = event.line
            throw failure(
                expected: event.results.map(\.text).joined(separator: " or "), found: "\(result)")
        }
    }

    /// Answers of frames sent at once. Touched on the simulation's thread only.
    private final class Answers: @unchecked Sendable {
        var results: [[IngestResult]]
        var isSettled: [Bool]
        var inFlight = 0

        init(count: Int) {
            results = Array(repeating: [], count: count)
            isSettled = Array(repeating: false, count: count)
        }

        var isRoundOver: Bool { inFlight == 0 }

        /// Keeps the first answer that settles an event. Counted before a crash and asked again,
        /// it is a duplicate to the node and taken to its sender.
        func take(_ answer: [IngestResult], _ index: Int, isRetry: Bool) {
            let earlier =
                results[index].isEmpty
                ? Array(repeating: .unknown, count: answer.count) : results[index]
            results[index] = zip(earlier, answer).map { earlier, later in
                guard earlier.wantsRetry else { return earlier }
                return isRetry && later == .duplicate ? .ok : later
            }
            isSettled[index] = !results[index].contains(where: \.wantsRetry)
        }
    }
}
