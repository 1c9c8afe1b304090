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
    /// What the folder remembers of its cluster cannot be read.
    case identity(CellError)
    case disk(DiskError)
    case log(LogError)
    /// An entry of the log cannot follow those before it; nothing was changed.
    case logOrder(group: UInt16, index: UInt64)
    case network(NetworkError)
    /// The wall clock is more than 30 days beyond anything that the folder has seen; both in ms
    /// since 1970.
    case clock(wall: Int64, last: Int64)
}

extension NodeError: CustomStringConvertible {
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
