/// Why a run did not reach its condition. A program under test can cause each of these, so they are
/// values: one failing seed never takes the process of the others with it.
public enum SimulationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No job is runnable and nothing is due, ever. One line for each thing that waits.
    case deadlock(step: Int, waiting: [String])
    /// The condition was not met in the steps allowed.
    case stepLimit(steps: Int, nanoseconds: UInt64)
    /// The condition was not met in the virtual time allowed, and nothing was left to do in it. One
    /// line for each thing that waits.
    case timeLimit(nanoseconds: UInt64, waiting: [String])
    /// A thread that is not the simulation's own reached in: a `Task.sleep`, a detached task, a
    /// real thread. The run is not a function of its seed any more; each further run throws this
    /// again. `operation` is what was tried first, `count` how often in all.
    case foreignThread(operation: String, count: Int)
    /// The simulation has been shut down.
    case shutDown

    /// One line for a report.
    public var description: String {
        switch self {
        case .deadlock(let step, let waiting):
            let list = waiting.isEmpty ? "nothing" : waiting.joined(separator: "; ")
            return "deadlock after step \(step): nothing can run; waiting: \(list)"
        case .stepLimit(let steps, let nanoseconds):
            return "condition not met after \(steps) steps, at \(nanoseconds) ns"
        case .timeLimit(let nanoseconds, let waiting):
            let list = waiting.isEmpty ? "nothing" : waiting.joined(separator: "; ")
            return "condition not met within \(nanoseconds) ns; waiting: \(list)"
        case .foreignThread(let operation, let count):
            return
                "a foreign thread reached into the simulation \(count) times, first: \(operation)"
        case .shutDown:
            return "the simulation has been shut down"
        }
    }
}
