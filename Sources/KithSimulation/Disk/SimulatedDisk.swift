// A disk in memory that remembers what a power loss could take back.
//
//             write, truncate                    sync (that file)
//   nothing ──────────────────▶ in the cache ──────────────────────▶ on the platter
//             create, remove, rename             syncDirectory (that folder)
//
// Each file has two contents: the one that reads see (cache) and the one that is certain to be
// there after a power loss (platter), and between them the list of its unsynced writes, in order. A
// crash keeps any part of each of them: all, none, a prefix, or chosen sectors. Names have the same
// two states; of a folder's unsynced name changes a crash keeps a prefix, as a journalled file
// system does. `crash` returns a new disk and leaves this one as it was, so one run can be crashed
// at each of its operations.
//
// A sync that fails loses its writes for good although reads go on to show them and the next sync
// succeeds: what Linux does. Every call counts as one operation, a write with sync as two, and the
// n-th operation can be made to fail. Calls complete inline on the caller's executor, after the
// `pause` given at init if there is one, so a seeded loop decides every interleaving.

internal import KithBytes
public import KithPorts
internal import Synchronization

/// A disk in memory that a power loss can take back; the comment above says how.
public final class SimulatedDisk: Disk {
    let state: Mutex<SimulatedDiskState>
    /// Awaited at the start of every call; a scheduling point for a seeded loop.
    let pause: (@Sendable () async -> Void)?
    /// Told the operation's number (from 1) and what it is, before it takes effect.
    let onOperation: (@Sendable (SimulatedDisk, DiskOperation) -> Void)?

    /// An empty disk with `freeBytes` of room.
    public init(
        freeBytes: UInt64 = 1 << 40,
        pause: (@Sendable () async -> Void)? = nil,
        onOperation: (@Sendable (SimulatedDisk, DiskOperation) -> Void)? = nil
    ) {
        self.state = Mutex(SimulatedDiskState(freeBytes: freeBytes))
        self.pause = pause
        self.onOperation = onOperation
    }

    init(
        state: sending SimulatedDiskState, pause: (@Sendable () async -> Void)?,
        onOperation: (@Sendable (SimulatedDisk, DiskOperation) -> Void)?
    ) {
        self.state = Mutex(state)
        self.pause = pause
        self.onOperation = onOperation
    }

    /// Counts one operation, tells the observer, and runs `body`, which gets the error to fail with
    /// if this operation was chosen to fail.
    func operate<T: Sendable>(
        _ kind: DiskOperation.Kind, _ path: String,
        _ body: (inout SimulatedDiskState, DiskError?) throws(DiskError) -> sending T
    ) throws(DiskError) -> T {
        let number = state.withLock { state in
            state.operations += 1
            return state.operations
        }
        onOperation?(self, DiskOperation(number: number, kind: kind, path: path))
        let result: Result<T, DiskError> = state.withLock { state in
            let fault = state.fault(of: kind, at: number, path: path)
            do throws(DiskError) {
                return .success(try body(&state, fault))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    public func open(_ path: String, create: Bool, lane: DiskLane) async throws(DiskError)
        -> any DiskFile
    {
        await pause?()
        let id = try operate(.open, path) { state, fault throws(DiskError) in
            if let fault { throw fault }
            return try state.open(path, create: create)
        }
        return SimulatedFile(disk: self, id: id, path: path)
    }

    public func exists(_ path: String) async throws(DiskError) -> Bool {
        await pause?()
        return try operate(.look, path) { state, fault throws(DiskError) in
            if let fault { throw fault }
            return state.names.seen[path] != nil || state.names.isFolder(path)
        }
    }

    public func sizes(of paths: [String]) async throws(DiskError) -> [UInt64?] {
        await pause?()
        return try operate(.look, paths.first ?? ".") { state, fault throws(DiskError) in
            if let fault { throw fault }
            return paths.map { path in
                state.names.seen[path].map { UInt64(state.files[$0].seen.count) }
            }
        }
    }

    public func list(_ directory: String) async throws(DiskError) -> [String] {
        await pause?()
        return try operate(.look, directory) { state, fault throws(DiskError) in
            if let fault { throw fault }
            return state.names.list(directory)
        }
    }

    public func makeDirectory(_ path: String) async throws(DiskError) {
        await pause?()
        try operate(.name, path) { state, fault throws(DiskError) in
            if let fault { throw fault }
            state.names.change(.makeFolder(path))
        }
    }

    public func remove(_ path: String) async throws(DiskError) {
        await pause?()
        try operate(.name, path) { state, fault throws(DiskError) in
            if let fault { throw fault }
            guard let id = state.names.seen[path] else {
                throw DiskError.simulated(.name, path, SimulatedErrorCode.notFound)
            }
            state.release(id)
            state.names.change(.remove(path))
        }
    }

    public func rename(_ from: String, to: String) async throws(DiskError) {
        await pause?()
        try operate(.name, from) { state, fault throws(DiskError) in
            if let fault { throw fault }
            guard state.names.seen[from] != nil else {
                throw DiskError.simulated(.name, from, SimulatedErrorCode.notFound)
            }
            if let replaced = state.names.seen[to] { state.release(replaced) }
            state.names.change(.rename(from, to))
        }
    }

    public func syncDirectory(_ path: String) async throws(DiskError) {
        await pause?()
        try operate(.syncFolder, path) { state, fault throws(DiskError) in
            if let fault { throw fault }
            state.syncFolder(path)
        }
    }

    public func freeBytes() async throws(DiskError) -> UInt64 {
        await pause?()
        return try operate(.look, ".") { state, fault throws(DiskError) in
            if let fault { throw fault }
            return state.freeBytes
        }
    }

    public func lock(_ path: String) async throws(DiskError) {
        await pause?()
        try operate(.name, path) { state, fault throws(DiskError) in
            if let fault { throw fault }
            guard !state.locked.contains(path) else {
                throw DiskError.simulated(.name, path, SimulatedErrorCode.busy)
            }
            state.locked.insert(path)
        }
    }
}

/// One operation of a simulated disk, as an observer is told of it.
public struct DiskOperation: Equatable, Sendable {
    /// What an operation does.
    public enum Kind: Equatable, Sendable {
        case open, look, read, write, truncate, sync, name, syncFolder
    }
    /// Counts from 1 over the life of the disk.
    public let number: Int
    public let kind: Kind
    public let path: String
}

/// The error numbers of Linux that the simulated disk uses.
enum SimulatedErrorCode {
    public static let notFound: Int32 = 2
    static let inputOutput: Int32 = 5
    public static let busy: Int32 = 11
    static let noSpace: Int32 = 28
}

extension DiskError {
    static func simulated(_ kind: DiskOperation.Kind, _ path: String, _ code: Int32) -> DiskError {
        DiskError(operation: "\(kind)", path: path, code: code, message: "simulated error \(code)")
    }
}
