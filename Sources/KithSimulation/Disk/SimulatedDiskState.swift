// What a simulated disk holds: values only, so that a copy is a whole second disk.

internal import KithPorts

struct SimulatedDiskState {
    var files: [FileContent] = []
    var names = FolderNames()
    var locked: Set<String> = []
    var freeBytes: UInt64
    var operations = 0
    /// What is to fail, in the order in which it was planned.
    var failures: [PlannedFailure] = []
    /// What has failed, as planned, since this disk was made.
    var failedKinds: Set<DiskOperation.Kind> = []
    /// The faults whose failures have happened, until somebody asks.
    var fired: [Int] = []
    /// What the sync that failed last leaves on the platter.
    var syncKeeps = KeptPart.nothing

    init(freeBytes: UInt64) { self.freeBytes = freeBytes }

    /// The error that planned failures give to operation `number`, if one does: of several the
    /// first, and each of them has happened.
    mutating func fault(
        of kind: DiskOperation.Kind, at number: Int, path: String
    ) -> DiskError? {
        var error: DiskError?
        for place in failures.indices {
            let failure = failures[place]
            guard number >= failure.operation, failure.kind == nil || failure.kind == kind else {
                continue
            }
            guard failure.skipped == 0 else {
                failures[place].skipped -= 1
                continue
            }
            if error == nil {
                error = .simulated(kind, path, failure.code)
                syncKeeps = failure.syncKeeps
            }
            if !failure.hasFired { fired.append(failure.fault) }
            failures[place].hasFired = true
            failedKinds.insert(kind)
        }
        if error != nil { failures.removeAll { $0.hasFired && !$0.isPersistent } }
        return error
    }

    /// Forgets what was planned to fail, and that anything has.
    mutating func forgetFailures() {
        failures = []
        failedKinds = []
        fired = []
    }

    mutating func open(_ path: String, create: Bool) throws(DiskError) -> Int {
        if let id = names.seen[path] { return id }
        guard create, names.isFolder(FolderNames.folder(of: path)) else {
            throw .simulated(.open, path, SimulatedErrorCode.notFound)
        }
        files.append(FileContent())
        names.change(.create(path, files.count - 1))
        return files.count - 1
    }

    /// Takes the room that a file of at least `size` bytes needs beyond what it has.
    mutating func reserve(_ id: Int, size: Int, path: String) throws(DiskError) {
        let present = files[id].seen.count
        guard size > present else { return }
        guard UInt64(size - present) <= freeBytes else {
            throw .simulated(.write, path, SimulatedErrorCode.noSpace)
        }
        freeBytes -= UInt64(size - present)
    }

    mutating func truncate(_ id: Int, size: Int, path: String) throws(DiskError) {
        try reserve(id, size: size, path: path)
        freeBytes += UInt64(max(0, files[id].seen.count - size))
        files[id].change(.truncate(size))
    }

    /// Gives back the room of a file that lost its name.
    mutating func release(_ id: Int) { freeBytes += UInt64(files[id].seen.count) }

    /// Makes a folder's names certain. Files that no name can bring back lose their bytes.
    mutating func syncFolder(_ folder: String) {
        names.sync(folder)
        let named = names.reachable()
        for id in files.indices where !named.contains(id) { files[id] = FileContent() }
    }
}

/// Which operation fails, and how.
struct PlannedFailure {
    /// The first that may fail.
    let operation: Int
    /// Only operations of this kind fail; nil for any.
    var kind: DiskOperation.Kind?
    /// So many of them that could fail do not.
    var skipped = 0
    let code: Int32
    let isPersistent: Bool
    let syncKeeps: KeptPart
    /// The number of the fault that it is part of; 0 for none.
    var fault = 0
    var hasFired = false
}

/// One file: what reads see, what a power loss leaves for certain, and the changes in between.
struct FileContent {
    enum Change {
        case write(Int, [UInt8])
        case truncate(Int)
    }

    private(set) var seen: [UInt8] = []
    private(set) var synced: [UInt8] = []
    private(set) var unsynced: [Change] = []

    mutating func change(_ change: Change) {
        Self.apply(change, to: &seen)
        unsynced.append(change)
    }

    mutating func sync() {
        for change in unsynced { Self.apply(change, to: &synced) }
        unsynced.removeAll()
    }

    /// After a failed sync: the cache shows the writes, the platter has `part` of each and never
    /// gets the rest.
    mutating func loseUnsynced(keeping part: KeptPart) {
        for change in unsynced.flatMap({ SimulatedDisk.survivors(of: $0, part) }) {
            Self.apply(change, to: &synced)
        }
        unsynced.removeAll()
    }

    /// Changes the bytes below the file system, as decay would.
    mutating func decay(_ body: (inout [UInt8]) -> Void) {
        body(&seen)
        body(&synced)
    }

    /// Makes `kept` the certain content, with nothing unsynced.
    mutating func settle(_ kept: [Change]) {
        for change in kept { Self.apply(change, to: &synced) }
        unsynced.removeAll()
        seen = synced
    }

    static func apply(_ change: Change, to bytes: inout [UInt8]) {
        switch change {
        case .write(let offset, let data):
            grow(&bytes, to: offset)
            let overlap = min(data.count, bytes.count - offset)
            // One block copy: `replaceSubrange` goes byte by byte where nothing is optimised.
            bytes.withUnsafeMutableBytes {
                $0[offset..<(offset + overlap)].copyBytes(from: data[..<overlap])
            }
            bytes += data[overlap...]
        case .truncate(let size):
            if size < bytes.count { bytes.removeLast(bytes.count - size) }
            grow(&bytes, to: size)
        }
    }

    private static func grow(_ bytes: inout [UInt8], to size: Int) {
        if bytes.count < size { bytes += [UInt8](repeating: 0, count: size - bytes.count) }
    }
}

/// The names of all folders, as seen and as certain, and the unsynced changes in order.
struct FolderNames {
    enum Change {
        case makeFolder(String)
        case create(String, Int)
        case remove(String)
        case rename(String, String)

        /// The folder whose sync makes this change certain.
        var folder: String {
            switch self {
            case .makeFolder(let path), .create(let path, _), .remove(let path): Self.folder(path)
            case .rename(_, let to): Self.folder(to)
            }
        }
        private static func folder(_ path: String) -> String { FolderNames.folder(of: path) }
    }

    private(set) var seen: [String: Int] = [:]
    private(set) var synced: [String: Int] = [:]
    private(set) var unsynced: [Change] = []
    private var seenFolders: Set<String> = ["."]
    private var syncedFolders: Set<String> = ["."]

    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return String(path[..<slash])
    }

    static func plain(_ folder: String) -> String { folder.isEmpty ? "." : folder }

    func isFolder(_ path: String) -> Bool { seenFolders.contains(Self.plain(path)) }

    /// Sorted names of files and folders directly in `folder`.
    func list(_ folder: String) -> [String] {
        let folder = Self.plain(folder)
        let paths = Array(seen.keys) + seenFolders.filter { $0 != "." }
        return paths.filter { Self.folder(of: $0) == folder }
            .map { $0.split(separator: "/").last.map(String.init) ?? $0 }.sorted()
    }

    mutating func change(_ change: Change) {
        if case .makeFolder(let path) = change, seenFolders.contains(path) { return }
        Self.apply(change, &seen, &seenFolders)
        unsynced.append(change)
    }

    mutating func sync(_ folder: String) {
        let folder = Self.plain(folder)
        for change in unsynced where change.folder == folder {
            Self.apply(change, &synced, &syncedFolders)
        }
        unsynced.removeAll { $0.folder == folder }
    }

    /// Every file that a name leads to, or would after a crash.
    func reachable() -> Set<Int> {
        let created = unsynced.compactMap { if case .create(_, let id) = $0 { id } else { nil } }
        return Set(seen.values).union(synced.values).union(created)
    }

    /// Folders with unsynced changes, sorted, each with their number.
    func unsyncedCounts() -> [(folder: String, count: Int)] {
        Set(unsynced.map(\.folder)).sorted().map { folder in
            (folder, unsynced.filter { $0.folder == folder }.count)
        }
    }

    /// Keeps the first `kept[folder]` unsynced changes of each folder and forgets the others. Files
    /// in a folder that did not survive are gone.
    mutating func settle(_ kept: [String: Int]) {
        var taken: [String: Int] = [:]
        for change in unsynced where taken[change.folder, default: 0] < kept[change.folder] ?? 0 {
            taken[change.folder, default: 0] += 1
            Self.apply(change, &synced, &syncedFolders)
        }
        unsynced.removeAll()
        let folders = syncedFolders
        synced = synced.filter { folders.contains(Self.folder(of: $0.key)) }
        seen = synced
        seenFolders = syncedFolders
    }

    private static func apply(
        _ change: Change, _ names: inout [String: Int], _ folders: inout Set<String>
    ) {
        switch change {
        case .makeFolder(let path): folders.insert(path)
        case .create(let path, let id): names[path] = id
        case .remove(let path): names[path] = nil
        case .rename(let from, let to):
            names[to] = names[from]
            names[from] = nil
        }
    }
}
