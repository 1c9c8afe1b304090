// The run of one seed: a whole cluster, clients and faults, from empty disks to the last check.
//
//   start ─▶ chaos ─────────────▶ heal ─────────▶ quiet ─▶ check ─▶ crash all ─▶ check again,
//            clients at work,     all faults over, no record  all      and start     equal to the
//            faults at their      all nodes up,    sealed     rules    from disk     first
//            times                clients finish
//
// What is to happen is laid out before (`RunPlan`), so that parts of it can be left out. Faults are
// events of the world, not calls between its steps: what happens is a function of the seed alone.

internal import KithBytes
internal import KithClient
internal import KithCore
internal import KithWire

/// Runs one seed. Touched on the simulation's thread only.
public final class ClusterRun: PlanWorld, @unchecked Sendable {
    let plan: RunPlan
    let cluster: SimulatedCluster
    var report: RunReport
    package var history = History()
    package var random: Xoshiro256
    /// The virtual time at which clients began.
    var began: UInt64 = 0
    /// The run has failed or is done: nobody tries anything again.
    package var isOver = false
    /// The clients of the steps that are not done, by the steps' numbers.
    package var doing: [Int: Int] = [:]
    /// The leaves of batches, by the numbers of their steps, as far as somebody asked.
    var knownLeaves: [Int: [LeafID]] = [:]
    /// Clients that are not done.
    package var clientsLeft = 0
    /// What waits for a merge to be at a step.
    var watches: [MergeWatch] = []
    /// All faults are over.
    var isHealed = false
    let keepers: [NodeKeeper]
    /// Second processes of nodes.
    var copies: [FolderCopy] = []
    /// What was under way at each crash.
    var crashes = CrashMatrix()
    var injected: [FaultKind: Int] = [:]
    private var notes: [String] = []
    private var nextNote = 0

    /// Virtual time from the end of all faults to the end of all work.
    static let finishNanosecondsMax: UInt64 = 180_000_000_000
    /// Virtual time from the end of all work to no record being sealed.
    static let quietNanosecondsMax: UInt64 = 120_000_000_000
    /// Steps of a phase.
    static let phaseStepsMax = 100_000_000
    /// Notes that a report has.
    static let notesMax = 40

    /// Runs what the options say. `onTrace` is called with each step, and with the lanes' names.
    public static func run(
        _ options: RunOptions, onTrace: ((TraceRecord, String) -> Void)? = nil
    ) -> RunReport {
        let run = ClusterRun(options)
        if let onTrace {
            let simulator = run.cluster.simulator
            simulator.onTrace = { [unowned simulator] record in
                onTrace(record, simulator.name(of: record))
            }
        }
        let board = MarkBoard()
        #if KITH_PLANTED
        if let name = options.planted {
            precondition(PlantedFault.plant(name, on: board), "no planted fault \(name)")
        }
        #endif
        var report = board.record { run.run() }
        report.coverage = Coverage(board, crashes: run.crashes)
        return report
    }

    init(_ options: RunOptions) {
        plan = RunPlan(options)
        cluster = SimulatedCluster(plan.settings)
        report = RunReport(options)
        random = Xoshiro256(seed: options.seed, label: "clients")
        keepers = (1...plan.settings.nodeCount).map { _ in NodeKeeper() }
    }

    /// Runs it; once.
    func run() -> RunReport {
        report.summary = plan.summary
        report.schedule = plan.faults.faults
        report.stepNumbers = plan.work.steps.map(\.number)
        report.nodes = plan.settings.nodeCount
        report.groups = plan.settings.groups
        report.loops = plan.settings.loopCount
        report.hasLanePerActor = plan.settings.world.hasLanePerActor
        report.clients = plan.work.steps.map(\.client).max() ?? 0
        do {
            try runAll()
        } catch SimulationError.timeLimit(let nanoseconds, _) {
            broke("15 liveness", "nothing more within \(nanoseconds / 1_000_000_000) s: \(pending)")
        } catch SimulationError.foreignThread(let operation, let count) {
            broke("0 determinism", "a foreign thread: \(operation), \(count) times")
        } catch {
            broke("15 liveness", "\(error): \(pending)")
        }
        isOver = true
        // What is called back would keep the run alive.
        for place in cluster.nodes {
            place.trouble.onOperation = nil
            place.life?.onServing = nil
            place.life?.onEnd = nil
        }
        endCopies()
        do {
            try cluster.shutdown()
        } catch {
            broke("15 liveness", "the world does not end: \(error)")
        }
        report.hash = cluster.simulator.traceHash
        report.steps = cluster.simulator.stepCount
        report.nanoseconds = cluster.simulator.nanoseconds
        report.calls = history.calls.count
        report.events = history.acknowledged
        report.workNanoseconds = history.calls.last?.returned ?? 0
        report.faults = FaultKind.allCases.compactMap { kind in
            injected[kind].map { (kind, $0) }
        }
        report.notes = Array(notes[nextNote...] + notes[..<nextNote])
        return report
    }

    private func runAll() throws {
        try startAll()
        began = simulator.nanoseconds
        if plan.hasRunningClocks { setClocks(partsPerMillion: 0) }
        startClients()
        for fault in plan.faults.faults where fault.kind != .roughStart {
            simulator.schedule(after: fault.at, subject: UInt64(fault.number)) { [self] in
                inject(fault)
            }
        }
        try pass(until: plan.end)

        heal()
        try simulator.run(
            until: { clientsLeft == 0 && keepers.allSatisfy(\.isServing) },
            maxSteps: Self.phaseStepsMax, maxNanoseconds: Self.finishNanosecondsMax)
        try settle()
        checkConnections()
        let final = try finalState()
        try cluster.checkInvariants()
        check(final)
        guard report.isOk else { return }

        note("power loss at all nodes, for the last check")
        for number in 1...plan.settings.nodeCount { crash(number, down: 0, isSilent: false) }
        try simulator.run(
            until: { keepers.allSatisfy(\.isServing) },
            maxSteps: Self.phaseStepsMax, maxNanoseconds: Self.finishNanosecondsMax)
        try settle()
        let again = try finalState()
        try cluster.checkInvariants()
        compare(final, again)
        check(again)
    }

    private func check(_ final: FinalState) {
        var checker = Checker(work: plan.work, settings: plan.settings)
        checker.clocks = cluster.nodes.map { $0.clock.wall.counted(from: began) }
        checker.hasFaults = !plan.faults.faults.isEmpty
        for violation in checker.check(history: history, final: final) {
            broke(violation.invariant, violation.text)
        }
    }

    /// Lets time go on to `end`, counted from the begin of the clients' work.
    private func pass(until end: UInt64) throws {
        let now = simulator.nanoseconds - began
        guard now < end else { return }
        let due = simulator.nanoseconds + (end - now)
        // So that there is something at that time.
        simulator.schedule(after: end - now, subject: 0) {}
        try simulator.run(
            until: {
                if !watches.isEmpty { watchMerges() }
                return simulator.nanoseconds >= due
            }, maxSteps: Self.phaseStepsMax)
    }

    // MARK: What the run says

    var simulator: Simulator { cluster.simulator }

    /// Nanoseconds since the clients began.
    package var now: UInt64 { simulator.nanoseconds - min(began, simulator.nanoseconds) }

    /// A rule was broken.
    package func broke(_ invariant: String, _ text: String) {
        report.violations.append(Violation(invariant, text))
        note("VIOLATION \(invariant): \(text)")
    }

    /// What is not done.
    private var pending: String {
        let steps = doing.sorted { $0.key < $1.key }.map { "step \($0.key) of client \($0.value)" }
        let down = (1...plan.settings.nodeCount).filter { !keepers[$0 - 1].isServing }
        return (steps + down.map { "n\($0) does not serve" }).joined(separator: ", ")
    }

    /// Writes a line into the trace, and into the notes of the report.
    package func note(_ text: String) {
        if isOver { return }
        simulator.trace(text)
        let line = "\(Fault.seconds(now))  \(text)"
        if notes.count < Self.notesMax {
            notes.append(line)
        } else {
            notes[nextNote] = line
            nextNote = (nextNote + 1) % Self.notesMax
        }
    }
}

extension Simulator {
    /// The name of the lane that a line of the trace is about; empty where it is about none.
    func name(of record: TraceRecord) -> String {
        guard record.kind == .lane, record.subject < UInt64(lanes.count) else { return "" }
        return lanes[Int(record.subject)].name
    }
}
