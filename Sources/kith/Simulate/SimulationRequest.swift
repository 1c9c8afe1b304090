import KithSimulation

/// What a command line asks of `kith simulate`.
struct SimulationRequest: Sendable {
    var seeds: ClosedRange<UInt64>
    /// The first seed was drawn, and is to be told.
    var isStartDrawn = false
    /// But for the seed.
    var options: RunOptions
    var jobs: Int
    var isKeepingGoing: Bool
    var isTwice: Bool
    var isJSON: Bool
    var isShrinking: Bool
    /// Where the trace of the one seed goes.
    var trace: TraceWriter?
    /// What all runs together must come to.
    var goal: CoverageGoal?

    init(_ arguments: Arguments) throws(UsageError) {
        let seed = try arguments.number("seed", in: UInt64.min...UInt64.max)
        let count = try arguments.number("seeds", in: 1...UInt64(Int.max) / 2)
        let isStartDrawn = arguments["start"] == "random"
        let start =
            isStartDrawn
            ? UInt64.random(in: 1...Self.drawnStartMax)
            : try arguments.number("start", in: 0...UInt64(Int.max) / 2)
        if let seed {
            guard count == nil, start == nil else {
                throw UsageError("--seed is one seed; --seeds and --start are for several")
            }
            seeds = seed...seed
        } else {
            guard let count else { throw UsageError("--seed N or --seeds N is missing") }
            seeds = (start ?? 1)...((start ?? 1) + count - 1)
        }
        self.isStartDrawn = isStartDrawn
        var options = RunOptions(seed: 0)
        options.nodes = try arguments.number("nodes", in: 1...9)
        options.groups = try arguments.number("groups", in: 1...64)
        options.loops = try arguments.number("loops", in: 1...64)
        if arguments.has("lane-per-actor") { options.hasLanePerActor = true }
        if arguments.has("lane-per-loop") {
            guard options.hasLanePerActor == nil else {
                throw UsageError("--lane-per-actor or --lane-per-loop, not both")
            }
            options.hasLanePerActor = false
        }
        if let names = arguments["workloads"] { options.workloads = try Self.workloads(names) }
        options.rate = try arguments.number("rate", in: 1...100_000)
        options.steps = try arguments.number("steps", in: 1...100_000)
        options.clients = try arguments.number("clients", in: 0...1_000)
        options.onlySteps = try Self.numbers("only-steps", arguments)
        options.onlyFaults = try Self.numbers("only-faults", arguments)
        if let only = arguments["faults"] { options.faults.only = try Self.kinds(only) }
        if let without = arguments["without"] { options.faults.without = try Self.kinds(without) }
        options.faults.isBeyond = arguments.has("beyond")
        #if KITH_PLANTED
        options.planted = arguments["planted"]
        if let name = options.planted, !PlantedFault.names.contains(name) {
            throw UsageError(
                "no fault \"\(name)\"; there are \(PlantedFault.names.joined(separator: " "))")
        }
        #endif
        self.options = options
        jobs = try arguments.number("jobs", in: 1...256) ?? SeedPool.cores
        isKeepingGoing = arguments.has("keep-going")
        isTwice = arguments.has("twice")
        isJSON = arguments.has("json")
        isShrinking = arguments.has("shrink")
        goal = try arguments["reach"].map(Self.goal)
        if let path = arguments["trace"] {
            guard seeds.count == 1 else { throw UsageError("--trace is for one seed: --seed N") }
            do throws(TraceWriter.Failure) {
                trace = try TraceWriter(path)
            } catch {
                throw UsageError("--trace \(path): \(error.text)")
            }
        }
    }

    /// The greatest start that `--start random` draws: short enough to be typed again.
    private static let drawnStartMax: UInt64 = 100_000_000_000_000

    /// Bytes of a file of marks and crashes.
    private static let goalBytesMax = 1 << 20

    private static func goal(_ path: String) throws(UsageError) -> CoverageGoal {
        do {
            let bytes = try InputFile.contents(path, byteCountMax: goalBytesMax)
            return try CoverageGoal(String(decoding: bytes, as: UTF8.self))
        } catch {
            throw UsageError("--reach \(path): \(error)")
        }
    }

    /// Names of kinds and of groups of kinds; `none` is no kind.
    static func kinds(_ text: String) throws(UsageError) -> Set<FaultKind> {
        var kinds: Set<FaultKind> = []
        for name in text.split(separator: ",") where name != "none" {
            if let kind = FaultKind(rawValue: String(name)) {
                kinds.insert(kind)
            } else if let group = FaultKind.Group(rawValue: String(name)) {
                kinds.formUnion(FaultKind.allCases.filter { $0.group == group })
            } else {
                let known = FaultKind.allCases.map(\.rawValue).joined(separator: " ")
                throw UsageError("no fault \"\(name)\"; there are \(known)")
            }
        }
        return kinds
    }

    private static func workloads(_ text: String) throws(UsageError) -> [String] {
        let known = WorkloadGenerator.list.map(\.name)
        let names = text.split(separator: ",").map(String.init)
        if let wrong = names.first(where: { !known.contains($0) }) ?? (names.isEmpty ? "" : nil) {
            throw UsageError(
                "no workload \"\(wrong)\"; there are \(known.joined(separator: " "))")
        }
        return names
    }

    /// `3,5-9`; `none` is no number.
    private static func numbers(
        _ option: String, _ arguments: Arguments
    ) throws(UsageError) -> Set<Int>? {
        guard let text = arguments[option] else { return nil }
        var numbers: Set<Int> = []
        for part in text.split(separator: ",") where part != "none" {
            let ends = part.split(separator: "-").map { Int($0) }
            guard let low = ends.first ?? nil, let high = ends.last ?? nil, ends.count <= 2,
                0 <= low, low <= high, high <= 1_000_000
            else {
                throw UsageError("--\(option) must be numbers as 3,5-9, not \"\(text)\"")
            }
            numbers.formUnion(low...high)
        }
        return numbers
    }
}

extension RunOptions {
    /// The command that repeats the run.
    var commandLine: String {
        var words = ["kith simulate --seed \(seed)"]
        if let nodes { words.append("--nodes \(nodes)") }
        if let groups { words.append("--groups \(groups)") }
        if let loops { words.append("--loops \(loops)") }
        if let hasLanePerActor {
            words.append(hasLanePerActor ? "--lane-per-actor" : "--lane-per-loop")
        }
        if let workloads { words.append("--workloads \(workloads.joined(separator: ","))") }
        if let rate { words.append("--rate \(rate)") }
        if let steps { words.append("--steps \(steps)") }
        if let clients { words.append("--clients \(clients)") }
        if let only = faults.only { words.append("--faults \(Self.list(only))") }
        if !faults.without.isEmpty { words.append("--without \(Self.list(faults.without))") }
        if faults.isBeyond { words.append("--beyond") }
        if let onlySteps { words.append("--only-steps \(Self.list(onlySteps))") }
        if let onlyFaults { words.append("--only-faults \(Self.list(onlyFaults))") }
        #if KITH_PLANTED
        if let planted { words.append("--planted \(planted)") }
        #endif
        return words.joined(separator: " ")
    }

    /// Names of kinds, in the order of the list; `none` for none.
    static func list(_ kinds: Set<FaultKind>) -> String {
        let names = FaultKind.allCases.filter { kinds.contains($0) }.map(\.rawValue)
        return names.isEmpty ? "none" : names.joined(separator: ",")
    }

    private static func list(_ numbers: Set<Int>) -> String {
        var ranges: [ClosedRange<Int>] = []
        for number in numbers.sorted() {
            if let last = ranges.last, last.upperBound == number - 1 {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        if ranges.isEmpty { return "none" }
        return ranges.map {
            $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)"
        }.joined(separator: ",")
    }
}
