/// A copy of a node's folder, made when the node had stopped, that is to be put back for its own.
struct RestoredFolder {
    let fault: Fault
    /// Nil until the node has stopped.
    var disk: SimulatedDisk?
}
