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
        /// Nil until it serves.
        var node: Node?
        /// How the life ended; nil while it lasts.
        var end: Result<Void, NodeError>?
        /// The process died: what is left of it unwinds, cut off from the world.
        var isCutOff = false
        /// Called in the job in which it begins to serve, unless it was cut off.
        var onServing: (() -> Void)?
        /// Called in the job in which the life ends, unless it was cut off, with what ended it by
        /// itself.
        var onEnd: ((NodeError?) -> Void)?

        /// What ended it by itself.
        var failure: NodeError? {
            if case .failure(let error)? = end { error } else { nil }
        }

        /// Tells that it has ended, and lets go of who was told.
        func finish() {
            let told = onEnd
            onEnd = nil
            onServing = nil
            told?(failure)
        }
    }

    /// What is wrong with a node's disk, over all its lives. Touched on the simulation's thread
    /// only.
    final class DiskTrouble: @unchecked Sendable {
        /// Added to the wait of each operation.
        var extraNanoseconds: UInt64 = 0
        /// Called before an operation of the node's present disk takes effect.
        var onOperation: ((DiskOperation) -> Void)?
        /// The node's present disk.
        weak var disk: SimulatedDisk?
    }

    let number: Int
    /// Of its host.
    let name: String
    /// Where its process is reached.
    let port: UInt16
    let lanes: [Lane]
    let clock: SimulatedClock
    var disk: SimulatedDisk {
        didSet { trouble.disk = disk }
    }
    let trouble: DiskTrouble
    var life: Life?
    /// What the node said, over all lives.
    let said = SaidLines()

    /// `asCopy`: a second process of the node, on another machine and at another port.
    init(
        number: Int, asCopy: Bool = false, lanes: [Lane], clock: SimulatedClock,
        disk: SimulatedDisk, trouble: DiskTrouble
    ) {
        self.number = number
        name = asCopy ? Self.nameOfCopy(number) : "n\(number)"
        port = UInt16((asCopy ? 7200 : 7100) + number)
        self.lanes = lanes
        self.clock = clock
        self.disk = disk
        self.trouble = trouble
        trouble.disk = disk
    }

    /// The host of a second process of that node.
    static func nameOfCopy(_ number: Int) -> String { "n\(number)-copy" }

    /// True from `start` until the life has ended.
    var isUp: Bool { life.map { $0.end == nil } ?? false }
}

/// Lines for people that a node printed. Touched on the simulation's thread only.
final class SaidLines: @unchecked Sendable {
    var lines: [String] = []
}
