import Glibc
import KithBytes
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
        case .identity(.disk(let error)), .identity(.failed(let error)): disk(error)
        case .identity(.corrupt(let path)), .log(.end(.corrupt(let path))):
            "the file \(path) of the data folder is damaged; nothing was changed: put the data folder "
                + "back from a copy"
        case .identity(.unsupportedVersion(let version, let path)),
            .log(.end(.unsupportedVersion(let version, let path))):
            "the file \(path) of the data folder has format version \(version), which this version of "
                + "kith does not read; nothing was changed"
        case .log(let error): log(error)
        case .network(.cannotListen(let address, let message)):
            "cannot listen on \(address): \(message)"
                + (message == String(cString: strerror(EADDRINUSE))
                    ? "; end the program that has the port, or give another --port" : "")
        case .folderEmpty, .folderNotEmpty, .nothingRestored, .identityMissing, .nodeNotAsked,
            .runsAlready, .fileDiffers, .folderReplaced, .folderRefused, .identity, .unknownNode,
            .otherCluster, .otherHashKey, .logOrder, .entryNotUnderstood, .network, .clock:
            error.description
        }
    }

    /// What failed, and before it what is wrong with the disk, where the system said so.
    static func disk(_ error: DiskError) -> String {
        let what = "\(error.operation) of \(error.path) failed: \(error.message)"
        return switch error.code {
        case ENOSPC, EDQUOT:
            "the disk is full: \(what); make room and start again, nothing acknowledged is lost"
        case EROFS:
            "the file system of the data folder is read-only: \(what); mount it for writing, or give "
                + "another --data; nothing acknowledged is lost"
        case EACCES, EPERM:
            "the data folder is not this user's to write: \(what); give it to the user that runs "
                + "kith, or give another --data"
        case ENOTDIR, EEXIST, ELOOP:
            "the data folder is no folder: \(what); give another --data"
        case EIO, ENXIO, ENODEV:
            "the disk is failing: \(what); look at the kernel's log (dmesg) before it is started again"
        case ESTALE:
            "\(error.path) was removed, moved or cut short while the node ran, so nothing is "
                + "acknowledged any more: put the data folder back from a copy, or begin anew with --new"
        case EMFILE, ENFILE:
            "no more files can be opened: \(what); raise ulimit -n"
        default: what
        }
    }

    private static func log(_ error: LogError) -> String {
        switch error {
        case .failed(let error), .disk(let error): disk(error)
        case .corrupt(let segment, let offset, let reason):
            "the log is damaged in segment \(segment.rawValue) at offset \(offset): "
                + "\(damage(reason)); nothing was changed: put the data folder back from a copy"
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
        case .overloaded(let waiting, let limit):
            "\(Words.bytes(UInt64(waiting))) wait for the disk, at most \(Words.bytes(UInt64(limit))) may"
        case .tooLarge(let byteCount, let limit):
            "an entry of \(Words.bytes(UInt64(byteCount))) does not go into the log, which takes "
                + Words.bytes(UInt64(limit))
        case .outOfOrder(let fault): order(fault)
        case .closed: "the log is closed"
        case .end(let error): "where the log ends cannot be read (\(error)); nothing was changed"
        case .notEmpty: "the log has entries, and must have none"
        }
    }

    /// What is wrong there, in words.
    static func damage(_ reason: Corruption) -> String {
        switch reason {
        case .header:
            "the segment's header cannot be read, though the log goes on behind it"
        case .frame(let expected, let later):
            "frame \(expected.rawValue) is not there, though frame \(later.rawValue), which was written "
                + "after it, is"
        case .frameBeforeSegment(let expected, let later):
            "frame \(expected.rawValue) is not there, though segment \(later.rawValue), which was made "
                + "after it, is"
        case .frameBeforeEnd(let expected, let closed):
            "frame \(expected.rawValue) is not there, though the log was closed cleanly behind frame "
                + "\(closed.rawValue)"
        case .wrongSegment(let found):
            "what lies there belongs to segment \(found.rawValue)"
        case .wrongSequence(let found, let expected):
            "frame \(found.rawValue) lies where frame \(expected.rawValue) belongs"
        case .otherLog: "the segment belongs to another log: it was copied here"
        case .size(let found, let expected):
            "the file has \(Words.grouped(found)) bytes, its header says \(Words.grouped(expected))"
        case .missingSegment: "the segment's file is not there"
        case .content(let error): content(error)
        case .order(let fault): order(fault)
        }
    }

    private static func content(_ error: ByteError) -> String {
        switch error {
        case .unknownTag(let tag, _):
            "an entry of kind \(tag), which this version of kith does not know: it was written by a "
                + "newer one, or is damaged"
        default: "its checksum is right, but its content makes no sense (\(error))"
        }
    }

    private static func order(_ fault: OrderFault) -> String {
        let before =
            fault.lastIndex.map { "entry \($0.rawValue)" } ?? "the beginning of its log"
        return "entry \(fault.index.rawValue) of group \(fault.group.rawValue) follows \(before)"
    }
}
