// A directory of the file system as a node's disk. Blocking calls run on two threads, one for the
// log and one for the rest; the caller waits without holding its loop, and is resumed on it.

internal import CLinux
internal import Glibc
public import KithPorts
internal import Synchronization

/// The disk below one directory. Stop it to end its threads and to release its locks.
public final class LinuxDisk: Disk {
    /// The directory, as it was given.
    public let root: String

    private let log: WorkerThread
    private let other: WorkerThread
    private let locks = Mutex<[HeldLock]>([])

    /// A lock file held open; the lock goes with the descriptor.
    private final class HeldLock: Sendable {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    /// Makes `root` and its parents where they are absent, and starts the threads. Blocks.
    public init(root: String) throws(DiskError) {
        self.root = root
        if root.isEmpty || root.utf8.contains(0) {
            throw DiskError("open", root, ENOENT)
        }
        try makeDirectories(root)
        do throws(SystemError) {
            log = try WorkerThread(name: "kith-log")
            other = try WorkerThread(name: "kith-disk")
        } catch {
            throw DiskError(error.operation, root, error.code)
        }
    }

    /// Finishes what was begun, ends the threads and releases the locks; blocks until then. Later
    /// calls fail.
    public func stop() {
        log.stop()
        other.stop()
        locks.withLock { $0 = [] }
    }

    // MARK: - Disk

    public func open(
        _ path: String, create: Bool, lane: DiskLane
    ) async throws(DiskError) -> any DiskFile {
        let full = try resolve("open", path)
        let worker = worker(lane)
        return try await worker.perform("open", full) { () throws(DiskError) in
            let descriptor = try openFile(full, O_RDWR | (create ? O_CREAT : 0))
            return LinuxFile(descriptor, path: full, worker: worker)
        }
    }

    public func exists(_ path: String) async throws(DiskError) -> Bool {
        let full = try resolve("stat", path)
        return try await other.perform("stat", full) { () throws(DiskError) in
            var status = Glibc.stat()
            switch systemCall({ stat(full, &status) }) {
            case .success: return true
            case .failure(ENOENT), .failure(ENOTDIR): return false
            case .failure(let code): throw DiskError("stat", full, code)
            }
        }
    }

    public func sizes(of paths: [String]) async throws(DiskError) -> [UInt64?] {
        var resolved: [String] = []
        for path in paths { resolved.append(try resolve("stat", path)) }
        return try await other.perform("stat", root) { [resolved] () throws(DiskError) in
            var sizes: [UInt64?] = []
            for full in resolved {
                var status = Glibc.stat()
                switch systemCall({ stat(full, &status) }) {
                case .success: sizes.append(UInt64(clamping: status.st_size))
                case .failure(ENOENT), .failure(ENOTDIR): sizes.append(nil)
                case .failure(let code): throw DiskError("stat", full, code)
                }
            }
            return sizes
        }
    }

    public func list(_ directory: String) async throws(DiskError) -> [String] {
        let full = try resolve("list", directory)
        return try await other.perform("list", full) { () throws(DiskError) in
            try listDirectory(full)
        }
    }

    /// Makes the parents too; a directory that is there already is no error.
    public func makeDirectory(_ path: String) async throws(DiskError) {
        let full = try resolve("mkdir", path)
        try await other.perform("mkdir", full) { () throws(DiskError) in
            try makeDirectories(full)
        }
    }

    /// Removes a file or an empty directory.
    public func remove(_ path: String) async throws(DiskError) {
        let full = try resolve("remove", path)
        try await other.perform("remove", full) { () throws(DiskError) in
            _ = try diskCall("remove", full) { Glibc.remove(full) }
        }
    }

    public func rename(_ from: String, to: String) async throws(DiskError) {
        let source = try resolve("rename", from)
        let target = try resolve("rename", to)
        try await other.perform("rename", source) { () throws(DiskError) in
            _ = try diskCall("rename", source) { Glibc.rename(source, target) }
        }
    }

    public func syncDirectory(_ path: String) async throws(DiskError) {
        let full = try resolve("fsync", path)
        try await other.perform("fsync", full) { () throws(DiskError) in
            let descriptor = try openFile(full, O_RDONLY | O_DIRECTORY)
            let raw = descriptor.raw
            _ = try diskCall("fsync", full) { fsync(raw) }
        }
    }

    public func freeBytes() async throws(DiskError) -> UInt64 {
        let root = root
        return try await other.perform("statvfs", root) { () throws(DiskError) in
            var status = Glibc.statvfs()
            try diskCall("statvfs", root) { statvfs(root, &status) }
            return UInt64(status.f_bavail) * UInt64(status.f_frsize)
        }
    }

    public func lock(_ path: String) async throws(DiskError) {
        let full = try resolve("lock", path)
        let held = try await other.perform("lock", full) { () throws(DiskError) in
            let descriptor = try openFile(full, O_RDWR | O_CREAT)
            let raw = descriptor.raw
            switch systemCall({ flock(raw, LOCK_EX | LOCK_NB) }) {
            case .success: return HeldLock(descriptor)
            case .failure(EWOULDBLOCK):
                throw DiskError(
                    operation: "lock", path: full, code: EWOULDBLOCK,
                    message: "in use by another process")
            case .failure(let code): throw DiskError("lock", full, code)
            }
        }
        locks.withLock { $0.append(held) }
    }

    // MARK: - Paths

    private func worker(_ lane: DiskLane) -> WorkerThread {
        switch lane {
        case .log: log
        case .other: other
        }
    }

    /// The full path of a relative one; a path that could leave the root is refused.
    private func resolve(_ operation: String, _ path: String) throws(DiskError) -> String {
        let leaves =
            path.hasPrefix("/") || path.utf8.contains(0)
            || path.split(separator: "/").contains("..")
        if leaves {
            throw DiskError(
                operation: operation, path: path, code: 0, message: "outside the data folder")
        }
        return path.isEmpty ? root : root + "/" + path
    }
}

private func listDirectory(_ path: String) throws(DiskError) -> [String] {
    guard let directory = opendir(path) else {
        // `opendir` fails the same way each time, so asking `open` tells why.
        do throws(DiskError) {
            _ = try openFile(path, O_RDONLY | O_DIRECTORY)
        } catch {
            if error.code == ENOENT { return [] }
            throw error
        }
        throw DiskError("list", path, ENOMEM)
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}

private func makeDirectories(_ path: String) throws(DiskError) {
    var made = path.hasPrefix("/") ? "/" : ""
    for component in path.split(separator: "/") {
        made += component
        switch systemCall({ mkdir(made, 0o755) }) {
        case .success, .failure(EEXIST): break
        case .failure(let code): throw DiskError("mkdir", made, code)
        }
        made += "/"
    }
    _ = try openFile(path, O_RDONLY | O_DIRECTORY)
}
