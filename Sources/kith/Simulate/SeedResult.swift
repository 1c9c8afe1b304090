import KithBytes
import KithCore
import KithSimulation

/// One seed's run, as it is printed.
struct SeedResult: Sendable {
    var report: RunReport
    /// The hash of the second run, where there was one.
    var secondHash: UInt64?
    var seconds: Double

    var seed: UInt64 { report.options.seed }
    var isOk: Bool { report.isOk && (secondHash ?? report.hash) == report.hash }

    private var hash: String {
        let text = String(report.hash, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
    private var stepsPerSecond: Double { Double(report.steps) / max(seconds, 1e-6) }
    /// Simulated against real time.
    private var ratio: Double { Double(report.nanoseconds) / 1e9 / max(seconds, 1e-6) }

    /// Rare branches that the run came to.
    private var marks: [Mark] {
        Mark.allCases.filter { report.coverage.marks[Int($0.rawValue)] > 0 }
    }

    /// The line of a seed.
    var line: String {
        let faults = report.faults.map { "\($0.kind.rawValue) \($0.count)" }
        let rate = (stepsPerSecond / 1e4).rounded() / 100
        return "seed \(seed) \(isOk ? "ok" : "FAILED") hash \(hash) steps \(report.steps), "
            + "\(rate) M steps/s, \(Int(ratio))x real time, \(report.summary), "
            + "\(report.calls) calls, \(report.coverage.marksPassed) marks, faults: "
            + (faults.isEmpty ? "none" : faults.joined(separator: ", "))
    }

    /// One JSON object.
    var json: String {
        let faults = report.faults.map { fault in
            CBORMember(.text(fault.kind.rawValue), .unsigned(UInt64(fault.count)))
        }
        let violations = report.violations.map { CBORValue.text($0.description) }
        let members: [CBORMember] = [
            CBORMember("seed", .unsigned(seed)), CBORMember("ok", .bool(isOk)),
            CBORMember("hash", .text(hash)),
            CBORMember("steps", .unsigned(UInt64(report.steps))),
            CBORMember("simulatedMillis", .unsigned(report.nanoseconds / 1_000_000)),
            CBORMember("realMillis", .unsigned(UInt64(seconds * 1_000))),
            CBORMember("stepsPerSecond", .unsigned(UInt64(stepsPerSecond))),
            CBORMember("workMillis", .unsigned(report.workNanoseconds / 1_000_000)),
            CBORMember("calls", .unsigned(UInt64(report.calls))),
            CBORMember("events", .unsigned(UInt64(report.events))),
            CBORMember("faults", .map(faults)),
            CBORMember("marks", .array(marks.map { .text($0.name) })),
            CBORMember("violations", .array(violations)),
            CBORMember("command", .text(report.options.commandLine)),
        ]
        return JSONText.make(.map(members))
    }

    /// What happened in a run that failed.
    var story: String {
        var lines: [String] = []
        if let secondHash, secondHash != report.hash {
            lines.append(
                "  determinism: the second run has hash \(String(secondHash, radix: 16))")
        }
        lines += report.violations.prefix(10).map { "  \(Words.printable($0.description))" }
        if report.violations.count > 10 {
            lines.append("  … and \(report.violations.count - 10) more")
        }
        if !report.schedule.isEmpty {
            lines.append("  faults, as laid out:")
            lines += report.schedule.map { "    \($0)" }
        }
        lines.append("  the last notes:")
        lines += report.notes.map { "    \(Words.printable($0))" }
        lines.append("  \(KithCommand.software), \(Self.build) build; repeat it with")
        lines.append("    \(report.options.commandLine)")
        return lines.joined(separator: "\n")
    }

    /// Hashes differ between the two builds.
    private static var build: String {
        #if DEBUG
        "debug"
        #else
        "release"
        #endif
    }
}
