/// Why a file operation failed. `code` is the operating system's error number (0 where there is
/// none), `operation` and `path` say what was tried.
public struct DiskError: Error, Equatable, Sendable {
    public let operation: String
    public let path: String
    public let code: Int32
    public let message: String

    /// Whether somebody else holds the lock that was to be taken: EWOULDBLOCK.
    public var isLockHeld: Bool { code == 11 }

    /// Whether the file was removed, or cut short, by somebody else while it was in use: ESTALE.
    public var isTakenAway: Bool { code == Self.takenAwayCode }
    private static let takenAwayCode: Int32 = 116

    /// Somebody has removed the file, or made it shorter than it was.
    public static func takenAway(_ path: String) -> DiskError {
        DiskError(
            operation: "look", path: path, code: takenAwayCode,
            message: "removed, moved or cut short by somebody else while it was in use")
    }

    public init(operation: String, path: String, code: Int32, message: String) {
        self.operation = operation
        self.path = path
        self.code = code
        self.message = message
    }
}

/// Where blocking work of a disk runs: one thread for the log, one for everything else, so that a
/// directory listing never delays an acknowledgement.
public enum DiskLane: Sendable {
    case log
    case other
}

/// The file system as a node sees it. Every call does its blocking work on a thread of its own and
/// comes back on the caller's executor. Paths are relative to the node's data folder.
public protocol Disk: Sendable {
    /// Opens for reading and writing; with `create` the file is made when it is absent (its
    /// directory entry is durable only after `syncDirectory`).
    func open(_ path: String, create: Bool, lane: DiskLane) async throws(DiskError) -> any DiskFile
    func exists(_ path: String) async throws(DiskError) -> Bool
    /// How long each of the files is; nil for one that is absent. One trip to the disk thread.
    func sizes(of paths: [String]) async throws(DiskError) -> [UInt64?]
    /// Names in a directory, sorted. An absent directory is empty.
    func list(_ directory: String) async throws(DiskError) -> [String]
    func makeDirectory(_ path: String) async throws(DiskError)
    func remove(_ path: String) async throws(DiskError)
    /// Atomic replacement; durable after `syncDirectory`.
    func rename(_ from: String, to: String) async throws(DiskError)
    func syncDirectory(_ path: String) async throws(DiskError)
    /// Bytes that may still be written.
    func freeBytes() async throws(DiskError) -> UInt64
    /// Takes an exclusive lock on the file for the life of the process, so that two nodes never
    /// share a data folder. Throws when somebody else holds it (`DiskError.isLockHeld`).
    func lock(_ path: String) async throws(DiskError)
}

/// One open file. Offsets and counts are bytes. Closed when the last reference goes or by `close`.
public protocol DiskFile: Sendable {
    func size() async throws(DiskError) -> UInt64
    /// Up to `count` bytes; fewer only at the end of the file.
    func read(at offset: UInt64, count: Int) async throws(DiskError) -> [UInt8]
    /// Writes all of `bytes`, and with `sync` returns only after `fdatasync`. One call, one trip to
    /// the disk thread.
    func write(_ bytes: [UInt8], at offset: UInt64, sync: Bool) async throws(DiskError)
    /// The same in a file that somebody may take away meanwhile: once the bytes are written it
    /// must have a name, and at least `size` bytes, which this must lie in. Throws
    /// `DiskError.takenAway` where it has not: what was written is lost when it is closed.
    func overwrite(
        _ bytes: [UInt8], at offset: UInt64, ofSize size: UInt64, sync: Bool
    ) async throws(DiskError)
    func sync() async throws(DiskError)
    /// Makes the file `size` bytes of written zeros from its present end, and syncs it, so that
    /// later writes inside need no change of metadata.
    func extendWithZeros(to size: UInt64) async throws(DiskError)
    func truncate(to size: UInt64) async throws(DiskError)
    func close() async
}
