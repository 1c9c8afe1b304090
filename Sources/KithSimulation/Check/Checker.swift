/// Looks at one run from outside, by what clients were told and what nodes say at the end, and
/// finds what must not be. Knows the plan, and nothing of how a cluster does it.
public struct Checker {
    private let work: PlannedWork
    private let settings: ClusterSettings
    /// How far clocks of nodes may have been off what the plan says, in milliseconds, either way.
    public var clockError: Int64 = 0

    /// A checker of runs of that plan.
    public init(work: PlannedWork, settings: ClusterSettings) {
        self.work = work
        self.settings = settings
    }

    /// All that is wrong, in a fixed order; nothing where all is well.
    public mutating func check(history: History, final: FinalState) -> [Violation] {
        var violations: [Violation] = []
        for (question, answers) in final.profiles {
            if answers.contains(where: { $0 != answers[0] }) {
                violations.append(Violation("12 same answers", "\(question)"))
            }
        }
        return violations
    }
}
