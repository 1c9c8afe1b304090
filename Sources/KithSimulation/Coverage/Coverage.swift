public import KithBytes

/// What one run came to: marks passed, and crashes by the step that merges were at.
public struct Coverage: Sendable {
    /// How often each mark was passed, by the mark's number.
    public private(set) var marks: [Int]
    /// What was under way at each crash.
    private(set) var crashes: CrashMatrix

    /// A run that came to nothing.
    public init() {
        marks = [Int](repeating: 0, count: Mark.allCases.count)
        crashes = CrashMatrix()
    }

    /// What a world's board says, and its crashes.
    public init(_ board: MarkBoard, crashes: CrashMatrix = CrashMatrix()) {
        marks = Mark.allCases.map { board.count(of: $0) }
        self.crashes = crashes
    }

    /// Different marks passed.
    public var marksPassed: Int { marks.count { $0 > 0 } }
}
