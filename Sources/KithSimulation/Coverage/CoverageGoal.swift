// What a set of runs must come to, as a file says it:
//
//     # a comment
//     mark absorb.declined
//     crash sealed, nobody told / loser's leader
//
// So that a search which sees less than it did fails, though no run breaks a rule.

public import KithBytes

/// Marks and crashes that a set of runs must come to.
public struct CoverageGoal: Sendable {
    /// Marks that must be passed.
    public private(set) var marks: [Mark] = []
    /// Crashes that must happen.
    private(set) var crashes: [CrashMatrix.Cell] = []

    /// A line that says nothing known.
    public struct Malformed: Error, CustomStringConvertible {
        /// From 1.
        public let line: Int
        /// The line.
        public let text: String

        /// `line 3 names no mark and no crash: "mark x"`.
        public var description: String { "line \(line) names no mark and no crash: \"\(text)\"" }
    }

    /// Reads a file's text. O(lines × marks).
    public init(_ text: String) throws(Malformed) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (place, line) in lines.enumerated() where !line.isEmpty && !line.hasPrefix("#") {
            if line.hasPrefix("mark "), let mark = Mark(name: String(line.dropFirst(5))) {
                marks.append(mark)
            } else if line.hasPrefix("crash "), let cell = Self.cell(line.dropFirst(6)) {
                crashes.append(cell)
            } else {
                throw Malformed(line: place + 1, text: String(line))
            }
        }
    }

    private static func cell(_ text: Substring) -> CrashMatrix.Cell? {
        CrashMatrix.cells.first { $0.description == text }
    }

    /// What the runs of the report did not come to, as lines of such a file.
    public func missing(in report: MarkReport) -> [String] {
        marks.filter { report.count(of: $0) == 0 }.map { "mark \($0.name)" }
            + crashes.filter { report.crashes[$0] == 0 }.map { "crash \($0)" }
    }
}
