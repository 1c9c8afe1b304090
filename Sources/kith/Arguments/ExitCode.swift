/// How the command ends: a contract, since scripts depend on it.
package enum ExitCode: Int32, Sendable, CaseIterable {
    case done = 0
    /// Some lines were refused, or something failed.
    case failed = 1
    /// Wrong usage; an unknown namespace too.
    case usage = 2
    case notFound = 3
    /// Unreachable or unavailable.
    case unavailable = 4
    /// Stopped by control-C or SIGTERM, after telling how far it came.
    case interrupted = 130

    /// What it means, for help texts.
    package var meaning: String {
        switch self {
        case .done: "done"
        case .failed: "some lines were refused, or something failed"
        case .usage: "wrong usage"
        case .notFound: "no such profile"
        case .interrupted: "stopped by a signal"
        case .unavailable: "no node could be reached, or the cluster is unavailable"
        }
    }
}

/// What the command line got wrong: one line that says what is right.
package struct UsageError: Error, Equatable, Sendable {
    package var message: String

    package init(_ message: String) {
        self.message = message
    }
}
