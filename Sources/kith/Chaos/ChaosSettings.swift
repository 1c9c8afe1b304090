import KithBytes
import KithCore
import KithServer
import KithSimulation

/// What a command line asks of `kith chaos`.
struct ChaosSettings: Sendable {
    var seeds: ClosedRange<UInt64>
    var nodes: Int
    var seconds: Int
    /// Steps of work a second.
    var rate: Int
    var faults = FaultSchedule.Choice()
    /// Kinds that `--without` names.
    private var without: Set<FaultKind> = []
    /// What `--faults` names and so many processes cannot have.
    private(set) var leftOut: [String] = []
    /// Where data and logs lie; nil for a folder that is removed after a run without a failure.
    var folder: String?
    var isKeeping: Bool
    var isJSON: Bool
    /// The fault that is planted in every node, in builds that have such faults.
    var planted: String?

    /// Kinds of faults that can be done to real processes: those of the network, and those that end
    /// or stop a process.
    static let kinds: [FaultKind] = FaultKind.allCases.filter { kind in
        switch kind {
        case .kill, .crashAll, .restartStorm, .pause, .stop: true
        default: kind.group == .network
        }
    }

    init(_ arguments: Arguments) throws(UsageError) {
        let first = try arguments.number("seed", in: 0...UInt64(Int.max)) ?? 1
        let count = try arguments.number("seeds", in: 1...UInt64(1_000_000)) ?? 1
        seeds = first...(first + count - 1)
        nodes = try arguments.number("nodes", in: 1...9) ?? 3
        seconds = try arguments.number("seconds", in: 2...600) ?? 30
        rate = try arguments.number("rate", in: 1...1_000) ?? Self.standardRate
        let steps = seconds * rate
        guard steps <= Self.stepsMax else {
            throw UsageError(
                "\(seconds) seconds at a rate of \(rate) are \(steps) steps, and \(Self.stepsMax) are "
                    + "possible: a rate of \(Self.stepsMax / seconds), or fewer seconds")
        }
        folder = arguments["data"]
        isKeeping = arguments.has("keep")
        isJSON = arguments.has("json")
        try chooseFaults(arguments)
        #if KITH_PLANTED
        planted = arguments["planted"]
        if let planted, !PlantedFault.names.contains(planted) {
            throw UsageError(
                "no fault \"\(planted)\"; there are \(PlantedFault.names.joined(separator: " "))")
        }
        #endif
        if folder != nil, seeds.count > 1 {
            throw UsageError("--data is for one run; leave it out for several")
        }
    }

    static let standardRate = 40
    /// Steps of work of a run: what its checkers judge within a minute.
    static let stepsMax = 24_000

    private mutating func chooseFaults(_ arguments: Arguments) throws(UsageError) {
        let possible = Set(Self.kinds.filter { nodes > 1 || !$0.needsTwoNodes })
        var isNone = false
        if let names = arguments["faults"] {
            isNone = names == "none"
            faults.only = try SimulationRequest.kinds(names).intersection(possible)
            for name in names.split(separator: ",").map(String.init) where name != "none" {
                let kinds = try SimulationRequest.kinds(name)
                if kinds.isDisjoint(with: possible) { leftOut.append(name) }
            }
        }
        if let names = arguments["without"] { without = try SimulationRequest.kinds(names) }
        faults.without = Set(FaultKind.allCases).subtracting(possible).union(without)
        let left = (faults.only ?? possible).subtracting(without)
        guard !left.isEmpty || isNone else {
            throw UsageError(
                "no fault is left; \(nodes == 1 ? "one process" : "processes") can have "
                    + RunOptions.list(possible).replacing(",", with: " ")
                    + ", and --faults none is a run without")
        }
    }

    /// The command that tries the same again.
    func commandLine(seed: UInt64) -> String {
        var words = ["kith chaos --seed \(seed) --seconds \(seconds) --nodes \(nodes)"]
        words.append("--rate \(rate)")
        if let only = faults.only { words.append("--faults \(RunOptions.list(only))") }
        if !without.isEmpty { words.append("--without \(RunOptions.list(without))") }
        if let planted { words.append("--planted \(planted)") }
        return words.joined(separator: " ")
    }
}

/// What one run of `kith chaos` will do, drawn from its seed, but for the times, which are real.
struct ChaosPlan: Sendable {
    var settings: ClusterSettings
    var work: PlannedWork
    var faults: FaultSchedule
    /// Event loops of each node.
    let loops: [Int]

    /// Steps of work for each workload that is mixed in: of few persons, as in simulations.
    private static let workloadSteps = 80
    /// Clients of a run. Where workloads have more, some do the work of several.
    private static let clientsMax = 256

    /// The cluster of the seed. What is done to it `begin` says.
    init(_ chaos: ChaosSettings, seed: UInt64) {
        var random = Xoshiro256(seed: seed, label: "chaos")
        settings = ClusterSettings(seed: seed)
        settings.name = "chaos"
        settings.nodeCount = chaos.nodes
        // Mostly one a node, or more; else some nodes lead none.
        settings.groups =
            random.oneIn(4)
            ? 1 + random.below(chaos.nodes) : chaos.nodes + random.below(chaos.nodes)
        settings.identity.sharedDevice = random.oneIn(4) ? .first : .quarantine
        loops = (1...chaos.nodes).map { _ in 1 + random.below(2) }
        work = PlannedWork(steps: [])
        faults = .none
    }

    /// Lays out work and faults for a run that begins at `time`.
    mutating func begin(_ chaos: ChaosSettings, at time: LogTime) {
        settings.start = time
        let steps = chaos.seconds * chaos.rate
        let end = UInt64(chaos.seconds) * 1_000_000_000
        var generator = WorkloadGenerator(seed: settings.seed, settings: settings, steps: steps)
        generator.hasJumps = false
        generator.end = end
        generator.count = max(3, steps / Self.workloadSteps)
        work = generator.plan()
        // Client 1 is none of a workload.
        for place in work.steps.indices where work.steps[place].client > 1 {
            work.steps[place].client = 2 + (work.steps[place].client - 2) % Self.clientsMax
        }
        var random = Xoshiro256(seed: settings.seed, label: "chaos faults")
        faults = FaultSchedule.drawn(
            seed: settings.seed, nodeCount: chaos.nodes, stepTimes: work.steps.map(\.at),
            choice: chaos.faults, number: 2 + chaos.seconds / 2 + random.below(chaos.seconds))
        // A fault that lasts for most of a run hides the others.
        for place in faults.faults.indices {
            faults.faults[place].nanoseconds = min(faults.faults[place].nanoseconds, end / 4)
        }
    }

    /// The cluster file of a node: the others are where the proxies on the way to them listen. The
    /// node itself is told by `--port` to listen elsewhere.
    func configuration(of node: Int, _ proxy: FaultyProxy) -> ClusterConfiguration {
        var configuration = settings.configuration()
        for place in configuration.nodes.indices where place + 1 != node {
            configuration.nodes[place].port = proxy.port(from: node, to: place + 1)
        }
        configuration.nodes[node - 1].port = proxy.port(from: 0, to: node)
        return configuration
    }
}
