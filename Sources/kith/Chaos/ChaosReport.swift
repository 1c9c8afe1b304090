import KithBytes
import KithSimulation
import KithWire

/// What a run of `kith chaos` came to, as it is printed.
struct ChaosReport {
    private let run: ChaosRun
    /// Requests that were answered, tries counted one by one.
    private var calls = 0
    /// Of these those that nobody answered, or that were refused for now.
    private var failed = 0
    /// Events of which a try was answered as counted, tries counted one by one.
    private var acknowledged = 0
    private var profiles = 0

    init(_ run: ChaosRun) {
        self.run = run
        for call in run.history.calls {
            calls += 1
            switch call.answer {
            case .results(let results):
                acknowledged += results.count { $0.result == .ok || $0.result == .duplicate }
            case .failed: failed += 1
            case .profile: profiles += 1
            case .totals: break
            }
        }
    }

    /// No rule was broken.
    var isOk: Bool { run.violations.isEmpty }

    private var faults: [(name: String, count: Int)] {
        FaultKind.allCases.compactMap { kind in
            run.injected[kind].map { (kind.rawValue, $0) }
        }
    }

    private var command: String { run.chaos.commandLine(seed: run.seed) }

    private var line: String {
        let faults = faults.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
        return "seed \(run.seed) \(isOk ? "ok" : "FAILED") \(run.nodeCount) nodes, "
            + "\(run.plan.settings.groups) groups, \(run.work.steps.count) steps, \(calls) calls "
            + "(\(failed) in vain), \(acknowledged) events acknowledged, \(profiles) profiles read, "
            + "\(run.kills) kills, \(run.starts) starts, faults: "
            + (faults.isEmpty ? "none" : faults)
    }

    /// A line; where a rule was broken, what led to it and where to look.
    var text: String {
        guard !isOk else { return line }
        var lines = [line]
        lines += run.violations.prefix(10).map { "  \(Words.printable($0.description))" }
        if run.violations.count > 10 { lines.append("  … and \(run.violations.count - 10) more") }
        if !run.plan.faults.faults.isEmpty { lines.append("  faults, as laid out:") }
        lines += run.plan.faults.faults.map { "    \($0)" }
        lines.append("  the last notes (all of them: run.log):")
        lines += run.lastNotes(40).map { "    \(Words.printable($0))" }
        lines.append("  data and logs: \(run.folder)")
        lines.append("  \(KithCommand.software); try it again with")
        lines.append("    \(command)")
        return lines.joined(separator: "\n")
    }

    /// One JSON object.
    var json: String {
        let members: [CBORMember] = [
            CBORMember("seed", .unsigned(run.seed)), CBORMember("ok", .bool(isOk)),
            CBORMember("nodes", .unsigned(UInt64(run.nodeCount))),
            CBORMember("groups", .unsigned(UInt64(run.plan.settings.groups))),
            CBORMember("steps", .unsigned(UInt64(run.work.steps.count))),
            CBORMember("calls", .unsigned(UInt64(calls))),
            CBORMember("callsInVain", .unsigned(UInt64(failed))),
            CBORMember("acknowledged", .unsigned(UInt64(acknowledged))),
            CBORMember("kills", .unsigned(UInt64(run.kills))),
            CBORMember("starts", .unsigned(UInt64(run.starts))),
            CBORMember(
                "faults",
                .map(faults.map { CBORMember(.text($0.name), .unsigned(UInt64($0.count))) })),
            CBORMember("violations", .array(run.violations.map { .text($0.description) })),
            CBORMember("folder", .text(run.folder)),
            CBORMember("command", .text(command)),
        ]
        return JSONText.make(.map(members))
    }
}
