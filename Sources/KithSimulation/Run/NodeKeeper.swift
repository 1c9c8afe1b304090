internal import KithServer

/// What a run knows of one node: whether it is to be up, what excuses it from being so, and which
/// faults last. What lasts is kept by the number of its fault, so that a fault ends its own effect
/// only. Touched on the simulation's thread only.
final class NodeKeeper {
    /// What a node's next lives are made with.
    typealias Adjustment = (inout NodeSettings) -> Void

    /// A power failure right before an operation of the disk.
    struct PowerCut {
        /// The fault that it is part of; nil where that happens anyway.
        let fault: Fault?
        /// Only operations of this kind count; nil for any.
        let kind: DiskOperation.Kind?
        /// The operation before which it fails, from now; 1 is the next.
        var left: Int
        /// How long the node is down then.
        let down: UInt64
    }

    /// Not to be started before this time, in nanoseconds from the begin of the run.
    var downUntil: UInt64 = 0
    /// Its present life serves.
    var isServing = false
    /// Its present life may end by itself: its disk was full, or is not what it was. What else
    /// excuses it is a failure of its present disk.
    var isExcused = false
    /// Its present life is being stopped.
    var isStopping = false
    /// Its present life does not serve yet and is to be stopped once it does, for so long.
    var stopsWhenServing: UInt64?
    /// What changes the settings of its next lives; the last one counts.
    var adjusts: [(fault: Int, body: Adjustment)] = []
    /// The fault that adjusted its present life.
    var adjustedBy: Int?
    /// Its next life has its clock accepted: the last one was refused for it.
    var acceptsClock = false
    /// Its present life was started so.
    var hasAcceptedClock = false
    /// So many operations of the disk of its next lives, then the power fails.
    var storm: [Int] = []
    /// Power failures that wait for an operation.
    var cuts: [PowerCut] = []
    /// Its disk before what must keep it from starting; put back when all is healed.
    var backup: SimulatedDisk?
    /// The folder that it has instead of its own.
    var wrongFolder: WrongFolder?
    /// How it is started until it serves, where its present folder is meant to be its own.
    var use: FolderUse?
    /// The copy of its folder that is put back for its own.
    var restoring: RestoredFolder?
    /// The reads that fail, one at each of its next starts.
    var failingReads: [(fault: Int, count: Int)] = []
    /// The faults that have it stand still.
    var pauses: Set<Int> = []
    /// The faults that leave its disk no room.
    var fulls: Set<Int> = []
    /// The faults for which its disk does not say how much room it has.
    var unknownRooms: Set<Int> = []
    /// How long each operation of its disk takes besides, by faults.
    var slows: [Int: UInt64] = [:]
    /// How fast its clock goes too fast; the last one counts.
    var drifts: [(fault: Int, partsPerMillion: Int64)] = []
    /// The faults that have taken effect here.
    var counted: Set<Int> = []

    /// A node that was never started.
    init() {}

    /// What each operation of its disk takes besides: of several faults the most.
    var extraNanoseconds: UInt64 { slows.values.max() ?? 0 }

    /// Whether its folder is its own, and whole.
    var hasOwnFolder: Bool { backup == nil && wrongFolder == nil }

    /// Ends all that lasts, but for what needs a start.
    func forgetFaults() {
        storm = []
        cuts = []
        failingReads = []
        pauses = []
        fulls = []
        unknownRooms = []
        slows = [:]
        drifts = []
        stopsWhenServing = nil
        downUntil = 0
    }
}
