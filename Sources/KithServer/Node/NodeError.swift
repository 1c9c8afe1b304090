internal import KithBytes
public import KithPorts
public import KithStorage

/// Why a node does not start, or stopped.
public enum NodeError: Error, Sendable, Equatable {
    /// The cluster file does not list this node.
    case unknownNode(id: UInt16, known: [UInt16])
    /// Somebody else uses the data folder.
    case folderInUse(DiskError)
    /// The data folder was made by a cluster file that differs in what never changes.
    case otherCluster(key: String, folder: String, file: String)
    /// The same of the key, which is a secret and is not told.
    case otherHashKey
    /// What the folder remembers of its cluster cannot be read.
    case identity(CellError)
    /// The folder was there and is empty: perhaps a disk is not mounted.
    case folderEmpty
    /// `--new`, and the folder holds a node's data.
    case folderNotEmpty
    /// `--restored`, and the folder holds no node's data.
    case nothingRestored
    /// The folder has a log with entries, and nothing that says whose it is.
    case identityMissing
    /// That node cannot be asked what it has heard of this one, and every one must be.
    case nodeNotAsked(node: UInt16, why: String)
    /// The node answers at its address while it is to be started at another port.
    case runsAlready(node: UInt16, address: String)
    /// That node and at least as many as have this one's cluster file have another; in its words.
    case fileDiffers(from: UInt16, why: String)
    /// That node has seen this one with another data folder.
    case folderReplaced(seenBy: UInt16, how: FolderDifference)
    /// That node does not take this one's data folder for the one that it has seen; in its words.
    case folderRefused(by: UInt16, why: String)
    case disk(DiskError)
    case log(LogError)
    /// An entry of the log cannot follow those before it; nothing was changed.
    case logOrder(group: UInt16, index: UInt64)
    /// An entry of the log that is committed and that this program does not understand: most likely
    /// a newer one wrote it.
    case entryNotUnderstood(group: UInt16, index: UInt64, what: String)
    case network(NetworkError)
    /// The wall clock is more than 30 days beyond anything that the folder has seen; both in ms
    /// since 1970.
    case clock(wall: Int64, last: Int64)
}

extension NodeError {
    static func entryNotUnderstood(
        of group: GroupID, _ index: LogIndex, _ what: String
    ) -> NodeError {
        .entryNotUnderstood(group: group.rawValue, index: index.rawValue, what: what)
    }
}

extension NodeError: CustomStringConvertible {
    private static let drill =
        "start with the right folder; or, if the loss is meant, an empty one with --new, an older one "
        + "with --restored"

    public var description: String {
        switch self {
        case .unknownNode(let id, let known):
            let list = known.map(String.init).joined(separator: ", ")
            return "the cluster file has no node \(id); it lists \(list)"
        case .folderInUse(let error):
            return "the data folder is in use by another process (\(error.path): \(error.message))"
        case .otherCluster(let key, let folder, let file):
            return "the data folder belongs to another cluster: its \(key) is \(folder), "
                + "the cluster file says \(file); nothing was changed"
        case .otherHashKey:
            return "the data folder belongs to another cluster: its hashKey is not the one of the "
                + "cluster file; nothing was changed"
        case .folderEmpty:
            return "the data folder is there and empty: is its disk mounted? A node that lost its "
                + "data, or begins on an empty volume, is started with --new; else a first start "
                + "makes the folder itself"
        case .folderNotEmpty:
            return "--new is for a folder without data, and this one holds a node's; nothing was "
                + "changed"
        case .nothingRestored:
            return "--restored is for a folder that was put back, and this one holds no node's "
                + "data; nothing was changed"
        case .identityMissing:
            return "the data folder has a log with entries and no file \"identity\" that says "
                + "whose it is; nothing was changed: put the whole folder back from a copy"
        case .nodeNotAsked(let node, let why):
            return "node \(node) must be asked what it has heard of this one, and does not answer: "
                + "\(why); the folder is as it was"
        case .runsAlready(let node, let address):
            return "node \(node) runs already, at \(address): this folder is a copy of its own, or "
                + "that process must end first; nothing was changed"
        case .fileDiffers(let node, let why):
            return "node \(node) runs with another cluster file: \(why); nothing was changed: give "
                + "this node the file of the others, or, to change it on all, stop them all first"
        case .folderReplaced(let node, let how):
            return "node \(node) has seen this node with another data folder: \(how) "
                + "(\(Self.drill))"
        case .folderRefused(let node, let why):
            return "node \(node) refuses this node's data folder: \(why) (\(Self.drill))"
        case .identity(.tooLarge):
            return "the data folder remembers the namespaces of every cluster file so far, at most "
                + "\(FolderNamespaces.namesMax), and the new ones do not fit; nothing was changed"
        case .identity(let error):
            return "the data folder's identity cannot be read (\(error)); nothing was changed"
        case .disk(let error):
            return "\(error.operation) of \(error.path) failed: \(error.message)"
        case .log(let error):
            return "\(error)"
        case .logOrder(let group, let index):
            return "entry \(index) of group \(group) does not follow the log before it; "
                + "nothing was changed"
        case .entryNotUnderstood(let group, let index, let what):
            return "entry \(index) of group \(group) in the log cannot be carried out: \(what); it "
                + "was written by a newer kith, or by none; start with the version that wrote it"
        case .clock(let wall, let last):
            return
                "the wall clock is \((wall - last) / 86_400_000) days beyond the last time that the "
                + "data folder has seen; nothing was changed: set the clock right, or, if it is right, "
                + "start once with --accept-clock"
        case .network(let error):
            switch error {
            case .unreachable(let address, let message), .cannotListen(let address, let message):
                return "\(address): \(message)"
            case .closed: return "the network is closed"
            case .reset(let message): return message
            }
        }
    }
}
