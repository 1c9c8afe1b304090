import Glibc
import KithPorts
import KithServer
import KithStorage

/// Why a node does not start or stopped, in words that say what to do.
enum NodeFailure {
    static func text(_ error: NodeError) -> String {
        switch error {
        case .folderInUse(let error):
            "the data folder is used by another process, which holds \(error.path); stop it first, or "
                + "give another --data"
        case .disk(let error): disk(error)
        case .log(let error): log(error)
        case .identity(.disk(let error)), .identity(.failed(let error)): disk(error)
        case .network(.cannotListen(let address, let message)):
            "cannot listen on \(address): \(message)"
                + (message == String(cString: strerror(EADDRINUSE))
                    ? "; end the program that has the port, or give another --port" : "")
        case .folderEmpty, .folderNotEmpty, .nothingRestored, .identityMissing, .nodeNotAsked,
            .runsAlready, .folderReplaced, .folderRefused, .identity, .unknownNode, .otherCluster,
            .logOrder, .entryNotUnderstood, .network:
            error.description
        }
    }

    private static func disk(_ error: DiskError) -> String {
        let what = "\(error.operation) of \(error.path) failed: \(error.message)"
        guard error.code == ENOSPC || error.code == EDQUOT else { return what }
        return "the disk is full: \(what); make room and start again, nothing acknowledged is lost"
    }

    private static func log(_ error: LogError) -> String {
        switch error {
        case .failed(let error), .disk(let error): disk(error)
        case .corrupt(let segment, let offset, let reason):
            "the log is damaged in segment \(segment.rawValue) at offset \(offset) (\(reason)); nothing "
                + "was changed: put the data folder back from a copy"
        case .missing:
            "the data folder has no log, though it was used before; nothing was changed: put the "
                + "data folder back from a copy"
        case .unsupportedVersion(let version, let segment):
            "segment \(segment.rawValue) of the log has format version \(version), which this version of "
                + "kith does not read; nothing was changed"
        case .otherCluster:
            "the log in the data folder is of another cluster (another name, number of groups or "
                + "hashKey); nothing was changed"
        case .diskNearlyFull(let freeBytes, let reserve):
            "the disk is nearly full: \(Words.bytes(freeBytes)) left, \(Words.bytes(reserve)) are kept "
                + "for the node's own work"
        case .overloaded, .closed, .tooLarge, .outOfOrder, .notEmpty: "\(error)"
        }
    }
}
