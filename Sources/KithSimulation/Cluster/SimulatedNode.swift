internal import KithBytes
internal import KithPorts
internal import KithServer

/// One node of a simulated cluster over all its lives: the real `Node`, and what outlives it.
///
///             start                     stop
///     down ──────────▶ up (a `Life`) ──────────▶ down
///      ▲                │ crash: the life is cut off from network and disk, and unwinds unseen
///      └────────────────┘
final class SimulatedNode {
    /// One life: from open to the return of `run`. Touched on the simulation's thread only.
    final class Life: @unchecked Sendable {
        var node: Node?
        /// How the life ended; nil while it lasts.
        var end: Result<Void, NodeError>?
    }

    let number: Int
    let name: String
    let lanes: [Lane]
    let clock: SimulatedClock
    var disk: SimulatedDisk
    var life: Life?
    /// What the node said, over all lives.
    let said = SaidLines()

    init(number: Int, lanes: [Lane], clock: SimulatedClock, disk: SimulatedDisk) {
        self.number = number
        name = "n\(number)"
        self.lanes = lanes
        self.clock = clock
        self.disk = disk
    }

    /// True from `start` until the life has ended.
    var isUp: Bool { life.map { $0.end == nil } ?? false }
}

/// Lines for people that a node printed. Touched on the simulation's thread only.
final class SaidLines: @unchecked Sendable {
    var lines: [String] = []
}
