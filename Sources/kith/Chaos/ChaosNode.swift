import KithSimulation

/// A node of a run as a process that is kept up: what of it is there, and what is to become of it.
package struct ChaosNode: Sendable {
    let number: Int
    /// The node's cluster file, data folder and log.
    let configPath: String
    let dataPath: String
    let logPath: String

    /// The process; nil while there is none.
    var process: ChildProcess?
    /// It says that it listens.
    var isServing = false
    /// Bytes of the log before the process wrote anything.
    var logStart = 0
    /// Not to be started before this time, in nanoseconds of the monotonic clock.
    var downUntil: UInt64 = 0
    /// It was told to end, or killed.
    var isEndExpected = false
    /// When the last of the pauses that hold the process ends; nil while it is not held.
    private(set) var pausedUntil: UInt64?
    /// When it must have stopped, where it was told to.
    var stopDeadline: UInt64?
    /// So long after its next starts it is killed, in nanoseconds.
    var storm: [UInt64] = []
    /// When the present process is to be killed.
    var killAt: UInt64?

    /// A node that was never started.
    package init(number: Int, folder: String) {
        self.number = number
        configPath = "\(folder)/node-\(number).json"
        dataPath = "\(folder)/node-\(number)"
        logPath = "\(folder)/node-\(number).log"
    }

    /// The process is held until then at least, in nanoseconds of the monotonic clock.
    package mutating func pause(until end: UInt64) {
        pausedUntil = max(pausedUntil ?? 0, end)
    }

    /// Whether the process is to go on, since no pause holds it at `time` any more.
    package mutating func endPause(at time: UInt64) -> Bool {
        guard let end = pausedUntil, end <= time else { return false }
        pausedUntil = nil
        return true
    }

    /// The process is not held any more, whatever held it.
    mutating func forgetPause() { pausedUntil = nil }
}
