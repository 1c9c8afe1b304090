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
        let real = Set(Self.kinds)
        if let only = arguments["faults"] {
            faults.only = try SimulationRequest.kinds(only).intersection(real)
        }
        faults.without = Set(FaultKind.allCases).subtracting(real)
        if let without = arguments["without"] {
            faults.without.formUnion(try SimulationRequest.kinds(without))
        }
        folder = arguments["data"]
        isKeeping = arguments.has("keep")
        isJSON = arguments.has("json")
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
