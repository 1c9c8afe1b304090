/// What a data folder is taken for at a start.
public enum FolderUse: Sendable, Equatable {
    /// For what it is. One without anything in it is made a new one where `mayMake`; else it may be
    /// the mount point of a disk that is not there.
    case asFound(mayMake: Bool)
    /// For a new one of a node that had another, whose loss is meant. All other nodes are asked.
    case new
    /// For an older state of the folder that the node had, put back. All other nodes are asked.
    case restored
}
