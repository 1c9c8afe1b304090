import Foundation
import KithSimulation

/// `kith simulate`: whole clusters in one thread each, from seeds.
enum SimulateCommand: Command {
    static let syntax = CommandSyntax(
        name: "simulate", summary: "Run whole clusters from seeds, with faults, and check them",
        options: plantedOptions + [
            CommandSyntax.Option("seed", value: "N", help: "run this seed"),
            CommandSyntax.Option("seeds", value: "N", help: "run so many seeds"),
            CommandSyntax.Option(
                "start", value: "S", standard: "1",
                help: "the first of several seeds; random draws one and prints it"),
            CommandSyntax.Option(
                "jobs", value: "N", standard: "as many as cores", help: "worlds at a time"),
            CommandSyntax.Option("keep-going", help: "run all seeds, though one fails"),
            CommandSyntax.Option("twice", help: "run each seed twice and compare the hashes"),
            CommandSyntax.Option(
                "faults", value: "A,B…", help: "only these kinds of faults, or groups, or none"),
            CommandSyntax.Option("without", value: "A,B…", help: "not these kinds of faults"),
            CommandSyntax.Option(
                "beyond", help: "also faults that one copy of the data cannot survive"),
            CommandSyntax.Option("nodes", value: "N", help: "so many nodes"),
            CommandSyntax.Option("groups", value: "N", help: "so many groups"),
            CommandSyntax.Option("loops", value: "N", help: "so many event loops a node"),
            CommandSyntax.Option(
                "lane-per-actor", help: "the actors of a loop take turns as the seed says"),
            CommandSyntax.Option(
                "lane-per-loop", help: "the actors of a loop take turns as in production"),
            CommandSyntax.Option(
                "workloads", value: "A,B…", help: "only these kinds of work, mixed by the seed"),
            CommandSyntax.Option(
                "rate", value: "N", help: "so many steps of work a simulated second, evenly"),
            CommandSyntax.Option("steps", value: "N", help: "about so many steps of work"),
            CommandSyntax.Option("clients", value: "N", help: "only the first clients"),
            CommandSyntax.Option(
                "only-steps", value: "3,5-9", help: "only these steps of the work"),
            CommandSyntax.Option("only-faults", value: "2,4", help: "only these faults"),
            CommandSyntax.Option("trace", value: "FILE", help: "write a line a step"),
            CommandSyntax.Option("shrink", help: "make a failing seed as small as it gets"),
            CommandSyntax.Option(
                "reach", value: "FILE", help: "fail where the runs do not come to what FILE lists"),
            CommandSyntax.Option("json", help: "print one JSON object a seed"),
        ],
        notes: [
            "A run is a function of its seed and the build: the same seed gives the same hash. A seed "
                + "that fails prints the rule that was broken, the last things that happened, and the "
                + "command that repeats it. docs/simulation.md says how to read it.",
            "Faults: "
                + FaultKind.Group.allCases.map { group in
                    let kinds = FaultKind.allCases.filter { $0.group == group }
                    return "\(group.rawValue): " + kinds.map(\.rawValue).joined(separator: " ")
                }.joined(separator: "; ") + ".",
            "Workloads: " + WorkloadGenerator.list.map(\.name).joined(separator: " ") + ".",
        ],
        examples: [
            "kith simulate --seed 7", "kith simulate --seeds 1000 --start 1",
            "kith simulate --seeds 5000 --start random --keep-going",
            "kith simulate --seed 7 --faults crash,partition --trace trace.txt",
        ],
        exitCodes: [.done, .failed, .usage],
        exitMeanings: [
            .done: "every seed passed", .failed: "a rule was broken, or a file cannot be written",
        ])

    /// What only a build with planted faults has.
    private static var plantedOptions: [CommandSyntax.Option] {
        #if KITH_PLANTED
        [CommandSyntax.Option("planted", value: "NAME", help: "with this fault in the program")]
        #else
        []
        #endif
    }

    static func run(_ arguments: Arguments, _ console: Console) throws(UsageError) -> ExitCode {
        let request = try SimulationRequest(arguments)
        SeedAlarm.install()
        if request.isStartDrawn, !request.isJSON {
            console.print("drawn: --start \(request.seeds.lowerBound)")
        }
        let pool = SeedPool(request)
        var isOk = true
        // What is shrunk: the first run that broke a rule.
        var broken: SeedResult?
        var coverage = MarkReport()
        var totals = SeedTotals()
        pool.run { result in
            totals.add(result)
            coverage.add(result.report.coverage, seed: result.seed)
            if request.isJSON {
                console.print(result.json)
            } else {
                console.print(result.line)
                if !result.isOk { console.print(result.story) }
            }
            if !result.isOk { isOk = false }
            if broken == nil, !result.report.isOk { broken = result }
        }
        if !isOk, request.isShrinking { shrink(broken, request, console) }
        if let failure = request.trace?.failure {
            console.complain(
                "kith simulate: the trace is not whole: \(arguments["trace"] ?? ""): \(failure.text)"
            )
            isOk = false
        }
        if !request.isJSON, coverage.runs > 1 {
            console.print(totals.line)
            console.print(coverage.text)
        }
        let missed = request.goal?.missing(in: coverage) ?? []
        if !missed.isEmpty {
            let file = arguments["reach"] ?? ""
            console.complain("not reached, \(missed.count) of what \(file) lists:")
            for line in missed { console.complain("  \(line)") }
            isOk = false
        }
        return isOk ? .done : .failed
    }

    /// Prints the smallest run that breaks the same rule.
    private static func shrink(
        _ broken: SeedResult?, _ request: SimulationRequest, _ console: Console
    ) {
        guard let broken, var shrinker = Shrinker(broken, console) else {
            console.complain(
                "kith simulate: no rule was broken, so there is nothing to shrink: the hashes of two "
                    + "runs differ; write --trace of one seed twice, and compare the two files")
            return
        }
        let smallest = shrinker.run()
        console.print("the smallest run found that breaks the same rule:")
        console.print(request.isJSON ? smallest.json : smallest.line)
        console.print(smallest.story)
    }
}
