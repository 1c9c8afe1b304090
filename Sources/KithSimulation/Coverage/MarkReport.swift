public import KithBytes

/// What a set of runs came to, and what none of them did.
///
///     var report = MarkReport()
///     report.add(run.coverage, seed: run.options.seed)       for each run
///     print(report.text)
public struct MarkReport: Sendable {
    /// Runs that were added.
    public private(set) var runs = 0
    private var counts = [Int](repeating: 0, count: Mark.allCases.count)
    /// Runs that passed the mark.
    private var hits = [Int](repeating: 0, count: Mark.allCases.count)
    /// The first seed that did.
    private var firsts = [UInt64?](repeating: nil, count: Mark.allCases.count)
    /// All crashes of the runs.
    private(set) var crashes = CrashMatrix()

    /// A set without runs.
    public init() {}

    /// Adds a run. Runs may come in any order; the first seed is the one that was added first.
    public mutating func add(_ coverage: Coverage, seed: UInt64) {
        runs += 1
        crashes.add(coverage.crashes)
        for (place, count) in coverage.marks.enumerated() where count > 0 {
            counts[place] += count
            hits[place] += 1
            if firsts[place] == nil { firsts[place] = seed }
        }
    }

    /// How often the mark was passed, in all runs together.
    public func count(of mark: Mark) -> Int { counts[Int(mark.rawValue)] }

    /// Marks that some run passed.
    public var passed: [Mark] { Mark.allCases.filter { count(of: $0) > 0 } }

    /// Marks that no run passed and that are not declared rare.
    public var missing: [Mark] { Mark.allCases.filter { count(of: $0) == 0 && !$0.isRare } }

    /// Whether nothing that must be reached was missed, neither mark nor crash.
    public var isFull: Bool { missing.isEmpty && crashes.missing.isEmpty }

    /// The report: a line a mark, the least frequent first, then what is missing, then the crashes.
    public var text: String {
        var lines = ["\(passed.count) of \(Mark.allCases.count) marks passed in \(runs) runs:"]
        let order = passed.sorted {
            let (a, b) = (hits[Int($0.rawValue)], hits[Int($1.rawValue)])
            return a == b ? $0.rawValue < $1.rawValue : a < b
        }
        for mark in order {
            let place = Int(mark.rawValue)
            lines.append(
                "  \(mark.name): \(counts[place]) times in \(hits[place]) runs, first in seed "
                    + "\(firsts[place] ?? 0)")
        }
        if !missing.isEmpty {
            lines.append("never passed (\(missing.count)):")
            lines += missing.map { "  \($0.name)" }
        }
        let rare = Mark.allCases.filter { count(of: $0) == 0 && $0.isRare }
        if !rare.isEmpty {
            lines.append("never passed, and need not be:")
            lines += rare.map { "  \($0.name): \($0.rareBecause ?? "")" }
        }
        lines.append("merges under way when a node died:")
        lines += crashes.text.split(separator: "\n").map { "  \($0)" }
        let cells = CrashMatrix.cells.count
        if crashes.missing.isEmpty {
            lines.append("the table is full: each of \(cells) cells in \(runs) runs")
        } else {
            lines.append(
                "the table is not full: \(crashes.missing.count) of \(cells) cells are empty after "
                    + "\(runs) runs:")
            lines += crashes.missing.map { "  \($0)" }
        }
        return lines.joined(separator: "\n")
    }
}
