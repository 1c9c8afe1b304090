internal import KithServer

/// What a run knows of one node: whether it is to be up, and what excuses it from being so. Touched
/// on the simulation's thread only.
final class NodeKeeper {
    /// Not to be started before this time, in nanoseconds from the begin of the run.
    var downUntil: UInt64 = 0
    /// Its present life serves.
    var isServing = false
    /// Its present life may end by itself: its disk was made to fail or filled up.
    var isExcused = false
    /// Its present life is being stopped.
    var isStopping = false
    /// Changes the settings of its next lives.
    var adjust: ((inout NodeSettings) -> Void)?
    /// Its present life has such settings.
    var isAdjusted = false
    /// So many operations of the disk of its next lives, then the power fails.
    var storm: [Int] = []
    /// Its disk before what must keep it from starting; put back when all is healed.
    var backup: SimulatedDisk?
    /// The read that fails when it starts next.
    var failingRead: Int?

    /// A node that was never started.
    init() {}
}
