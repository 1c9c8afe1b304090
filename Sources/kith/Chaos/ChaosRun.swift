// One run of `kith chaos`: a cluster of real processes, from empty folders to the last check.
//
//   start ─▶ chaos ────────────▶ heal ─────────▶ quiet ─▶ ask all ─▶ kill -9 all, ─▶ ask all again,
//            clients at work,    all faults over, nothing  and        and start      equal to the
//            faults at their     all nodes up,    sealed   check                     first
//            times               clients finish
//
// These are the phases of a simulated run (`ClusterRun`), with its workloads, its clients, its
// network faults and its checkers; what differs is the world. Time is real, so that no two runs of
// a seed are alike: the seed says what is tried, not what happens.
//
// All of it is touched on one loop only: clients, proxies, and what watches the processes.

import Glibc
import KithBytes
import KithClient
import KithCore
import KithPorts
import KithSimulation

/// A run of one seed.
final class ChaosRun: PlanWorld, @unchecked Sendable {
    let chaos: ChaosSettings
    let seed: UInt64
    /// Where data and logs lie.
    let folder: String
    var plan: ChaosPlan
    let proxy: FaultyProxy
    let network: any Network
    let clock: any Clock
    let loop: any Loop
    let console: Console
    var nodes: [ChaosNode]
    private var clients: [Int: Client] = [:]

    var history = History()
    var random: Xoshiro256
    var clientsLeft = 0
    var doing: [Int: Int] = [:]
    var isOver = false
    /// All faults are over.
    var isHealed = false
    /// Nodes are kept up no more.
    var isEnding = false
    /// When clients began, in nanoseconds of the monotonic clock.
    private var began: UInt64 = 0
    var violations: [Violation] = []
    var injected: [FaultKind: Int] = [:]
    /// Processes that were killed, and that were started.
    var kills = 0
    var starts = 0
    private var notes: [String] = []
    private var lastProgress: UInt64 = 0

    /// Seconds from the start of processes to all of them serving.
    private static let startSeconds: UInt64 = 60
    /// Seconds from the end of all faults to the end of all work.
    private static let finishSeconds: UInt64 = 120
    /// Seconds from then to no record being sealed.
    private static let quietSeconds: UInt64 = 60
    /// Seconds between two lines of progress.
    private static let progressSeconds: UInt64 = 5
    /// How long what is waited for is not looked at.
    static let lookNanoseconds: UInt64 = 20_000_000
    /// How much two readings of the clocks of one machine may differ, in milliseconds: time that
    /// passes between them, and a clock that is set right a little.
    private static let clockSlack: Int64 = 20

    init(
        _ chaos: ChaosSettings, seed: UInt64, folder: String, network: any Network,
        clock: any Clock, loop: any Loop, console: Console
    ) {
        self.chaos = chaos
        self.seed = seed
        self.folder = folder
        self.network = network
        self.clock = clock
        self.loop = loop
        self.console = console
        plan = ChaosPlan(chaos, seed: seed)
        random = Xoshiro256(seed: seed, label: "clients")
        proxy = FaultyProxy(
            nodeCount: chaos.nodes, network: network, clock: clock, loop: loop,
            random: Xoshiro256(seed: seed, label: "proxy"))
        nodes = (1...chaos.nodes).map { ChaosNode(number: $0, folder: folder) }
    }

    /// Runs to the end, and leaves no process behind.
    func run() async {
        do {
            try await runAll()
        } catch let failure as ChaosFailure {
            broke(failure.invariant, failure.text)
        } catch {
            broke("the run itself", "\(error)")
        }
        isOver = true
        isEnding = true
        await endProcesses()
        for number in clients.keys.sorted() { await clients[number]?.close() }
        await proxy.close()
    }

    private func runAll() async throws {
        try await proxy.open()
        for number in 1...nodeCount {
            try writeFile(
                node(number).configPath,
                ClusterFile.json(plan.configuration(of: number, proxy)))
            keep(number)
        }
        try await until("all nodes serve", seconds: Self.startSeconds) { self.allServe }

        plan.begin(chaos, at: clock.wallTime())
        began = clock.monotonicNanoseconds()
        note(
            "\(work.steps.count) steps of work, \(plan.faults.faults.count) faults in "
                + "\(chaos.seconds) s")
        startClients()
        for fault in plan.faults.faults {
            start { [self] in
                if now < fault.at { await wait(nanoseconds: fault.at - now, subject: 0) }
                await inject(fault)
            }
        }
        await pass(until: UInt64(chaos.seconds) * 1_000_000_000)

        heal()
        try await until("clients finish", seconds: Self.finishSeconds) {
            self.clientsLeft == 0 && self.allServe
        }
        let first = try await settled("asks every node about everything")
        check(first)
        guard violations.isEmpty else { return }

        note("kills all nodes, for the last check")
        for number in 1...nodeCount { kill(number, down: 0) }
        try await until("all nodes serve again", seconds: Self.startSeconds) { self.allServe }
        let second = try await settled("asks every node about everything again")
        if isTimeless(first, second) { compare(first.state, second.state) }
        check(second)
    }

    // MARK: Asking in the end

    /// What nodes say, and how long they took.
    private struct Said {
        var state: FinalState
        /// Milliseconds from the first question to the last answer.
        var millis: Int64
    }

    /// Waits until no node knows of a sealed record or of another node that is silent, and asks.
    private func settled(_ what: String) async throws -> Said {
        for number in 1...nodeCount {
            try await until("node \(number) is quiet", seconds: Self.quietSeconds) {
                // Not reached just now: asked again.
                guard let status = try? await self.client(at: number).status() else { return false }
                return (try? Self.sealed(in: status)) == 0
            }
        }
        note(what)
        let begin = clock.wallTime().rawValue
        let answers = await withTaskGroup(of: (Int, FinalAnswers).self) { group in
            for number in 1...nodeCount {
                group.addTask { (number, await self.finalAnswers(of: number)) }
            }
            var answers: [(Int, FinalAnswers)] = []
            for await answer in group { answers.append(answer) }
            return answers.sorted { $0.0 < $1.0 }.map(\.1)
        }
        let end = clock.wallTime().rawValue
        let sealed = try Self.sealed(in: try await client(at: 1).status())
        return Said(
            state: finalState(answers, sealed: sealed, wallTime: begin), millis: end - begin)
    }

    /// Whether nothing has ended by itself from the first answer to the last.
    private func isTimeless(_ first: Said, _ second: Said) -> Bool {
        let (begin, end) = (first.state.wallTime, second.state.wallTime + second.millis)
        let isSo = first.state.profiles.allSatisfy { _, answers in
            answers.allSatisfy { answer in
                guard let expiry = answer?.expiresAt else { return true }
                return expiry < begin - Self.clockSlack || expiry > end + Self.clockSlack
            }
        }
        if !isSo { note("a profile ended meanwhile: the two sets of answers are not compared") }
        return isSo
    }

    private func check(_ said: Said) {
        var checker = Checker(work: plan.work, settings: plan.settings)
        let passed = Int64((clock.monotonicNanoseconds() - began) / 1_000_000)
        let drift = clock.wallTime().rawValue - plan.settings.start.rawValue - passed
        // What was asked last may have been judged so much later than what was asked first.
        checker.clockAhead = Self.clockSlack + max(0, drift) + said.millis
        checker.clockBehind = Self.clockSlack + max(0, -drift)
        for violation in checker.check(history: history, final: said.state) {
            broke(violation.invariant, violation.text)
        }
        note(violations.isEmpty ? "no rule is broken" : "\(violations.count) violations")
    }

    // MARK: Waiting

    private var allServe: Bool { nodes.allSatisfy { $0.isServing } }

    /// Waits until that is so; throws where it is not for too long, or where a node ended by
    /// itself.
    private func until(
        _ what: String, seconds: UInt64, _ condition: () async -> Bool
    ) async throws {
        let limit = clock.monotonicNanoseconds() + seconds * 1_000_000_000
        while !(await condition()) {
            if let violation = violations.first {
                throw ChaosFailure(violation.invariant, "not waited any longer until \(what)")
            }
            guard clock.monotonicNanoseconds() < limit else {
                throw ChaosFailure("15 liveness", "not so within \(seconds) s: \(what); \(pending)")
            }
            showProgress()
            await wait(nanoseconds: Self.lookNanoseconds, subject: 0)
        }
    }

    /// Waits until that time, or until a rule is broken.
    private func pass(until end: UInt64) async {
        while now < end, violations.isEmpty {
            showProgress()
            await wait(nanoseconds: Self.lookNanoseconds, subject: 0)
        }
    }

    /// What is not done.
    private var pending: String {
        let steps = doing.sorted { $0.key < $1.key }.map { "step \($0.key) of client \($0.value)" }
        let down = nodes.filter { !$0.isServing }.map { "n\($0.number) does not serve" }
        return (steps.prefix(8) + down).joined(separator: ", ")
    }

    // MARK: The world of the plan

    var work: PlannedWork { plan.work }
    var nodeCount: Int { chaos.nodes }
    var now: UInt64 { began == 0 ? 0 : clock.monotonicNanoseconds() - began }

    func start(_ body: @escaping @Sendable () async -> Void) { loop.start(body) }

    func wait(nanoseconds: UInt64, subject: UInt64) async {
        // A sleep that throws means that the loop stops, and the program with it.
        try? await clock.sleep(nanoseconds: nanoseconds, on: loop)
    }

    /// Nobody follows the steps of real processes.
    func trace(_ text: @autoclosure () -> String) {}

    func client(of number: Int) -> Client {
        let nodes = (0..<nodeCount).map { (number + $0) % nodeCount + 1 }
        return client(number, nodes)
    }

    func client(at node: Int) -> Client { client(-node, [node]) }

    private func client(_ key: Int, _ nodes: [Int]) -> Client {
        if let client = clients[key] { return client }
        var options = ClientOptions()
        options.clusterName = plan.settings.name
        options.software = KithCommand.software
        let client = Client(
            addresses: nodes.map {
                NodeAddress(host: "127.0.0.1", port: proxy.port(from: 0, to: $0))
            }, options: options, network: network, clock: clock, loop: loop)
        clients[key] = client
        start { await client.run() }
        return client
    }

    func connect(to node: Int) async throws(NetworkError) -> any ByteStream {
        try await network.connect(
            host: "127.0.0.1", port: proxy.port(from: 0, to: node), loop: loop)
    }

    func passTime(milliseconds: Int64) {
        preconditionFailure("a plan for real clocks has them jump by \(milliseconds) ms")
    }

    // MARK: What the run says

    func broke(_ invariant: String, _ text: String) {
        violations.append(Violation(invariant, text))
        note("VIOLATION \(invariant): \(text)")
    }

    /// Writes a line into the run's log.
    func note(_ text: String) {
        if isOver { return }
        notes.append("\(Fault.seconds(now))  \(text)")
        appendFile(folder + "/run.log", notes[notes.count - 1] + "\n")
    }

    /// The last lines of the log.
    func lastNotes(_ count: Int) -> ArraySlice<String> { notes.suffix(count) }

    private func showProgress() {
        let time = clock.monotonicNanoseconds()
        guard time - lastProgress >= Self.progressSeconds * 1_000_000_000 else { return }
        lastProgress = time
        console.complain("kith chaos: seed \(seed): \(progress)")
    }

    private var progress: String {
        let up = nodes.count { $0.isServing }
        return "\(Fault.seconds(now)), \(history.calls.count) calls answered, "
            + "\(injected.values.reduce(0, +)) faults, \(up) of \(nodeCount) nodes serve, "
            + "\(clientsLeft) clients at work"
    }
}

/// What ends a run before its time.
struct ChaosFailure: Error {
    let invariant: String
    let text: String

    init(_ invariant: String, _ text: String) {
        self.invariant = invariant
        self.text = text
    }
}
