// What a test or a simulation does to a disk: power loss, failing operations, decay, a full disk.

internal import KithBytes
internal import Synchronization

/// A write that was not synced when the power failed.
public struct UnsyncedWrite: Equatable, Sendable {
    public let path: String
    /// Counts the unsynced changes of this file from 0, in the order they were made.
    public let order: Int
    /// How many bytes; 0 for a truncation.
    public let byteCount: Int
}

/// How much of an unsynced write survives.
public enum KeptPart: Equatable, Sendable {
    case nothing
    case everything
    /// The first bytes; for a truncation all or nothing (more than 0 is all).
    case prefix(Int)
    /// 512-byte sectors, counted from the start of the write, for which the bit is set; the bits
    /// repeat after 64.
    case sectors(UInt64)
}

extension SimulatedDisk {
    /// The disk after a power loss now: synced bytes and names, and of each unsynced write what
    /// `keeping` says, and of each folder's unsynced name changes the first `namesKept`.
    ///
    /// This disk stays as it is. The new one has no planned failure, no lock and no observer unless
    /// one is given.
    public func crash(
        keeping: (UnsyncedWrite) -> KeptPart,
        namesKept: (_ folder: String, _ count: Int) -> Int = { _, count in count },
        pause: (@Sendable () async -> Void)? = nil,
        onOperation: (@Sendable (SimulatedDisk, DiskOperation) -> Void)? = nil
    ) -> SimulatedDisk {
        var after = state.withLock { $0 }
        var paths: [Int: String] = [:]
        for path in after.names.seen.keys.sorted() {
            if let id = after.names.seen[path] { paths[id] = path }
        }
        for id in after.files.indices {
            let path = paths[id] ?? "(removed)"
            var kept: [FileContent.Change] = []
            for (order, change) in after.files[id].unsynced.enumerated() {
                let size = if case .write(_, let bytes) = change { bytes.count } else { 0 }
                let part = keeping(UnsyncedWrite(path: path, order: order, byteCount: size))
                kept += Self.survivors(of: change, part)
            }
            after.files[id].settle(kept)
        }
        var counts: [String: Int] = [:]
        for (folder, count) in after.names.unsyncedCounts() {
            counts[folder] = namesKept(folder, count)
        }
        after.names.settle(counts)
        after.locked = []
        after.forgetFailures()
        after.operations = 0
        return SimulatedDisk(state: after, pause: pause, onOperation: onOperation)
    }

    /// A power loss in which `generator` chooses what survives.
    public func crash(
        using generator: inout some RandomNumberGenerator,
        pause: (@Sendable () async -> Void)? = nil,
        onOperation: (@Sendable (SimulatedDisk, DiskOperation) -> Void)? = nil
    ) -> SimulatedDisk {
        var chosen = generator
        let after = crash(
            keeping: { write in
                switch chosen.next() % 4 {
                case 0: .nothing
                case 1: .everything
                case 2: .prefix(Int(chosen.next() % UInt64(write.byteCount + 1)))
                default: .sectors(chosen.next())
                }
            },
            namesKept: { _, count in Int(chosen.next() % UInt64(count + 1)) },
            pause: pause, onOperation: onOperation)
        generator = chosen
        return after
    }

    static func survivors(
        of change: FileContent.Change, _ part: KeptPart
    ) -> [FileContent.Change] {
        guard case .write(let offset, let bytes) = change else {
            switch part {
            case .nothing, .prefix(0), .sectors(0): return []
            default: return [change]
            }
        }
        switch part {
        case .nothing: return []
        case .everything: return [change]
        case .prefix(let count):
            guard count > 0 else { return [] }
            return [.write(offset, Array(bytes.prefix(count)))]
        case .sectors(let bits):
            return stride(from: 0, to: bytes.count, by: 512).compactMap { start in
                guard bits >> UInt64((start / 512) % 64) & 1 == 1 else { return nil }
                return .write(offset + start, Array(bytes[start..<min(bytes.count, start + 512)]))
            }
        }
    }

    /// Makes the `count`-th operation from now fail (1 is the next), and with `isPersistent` every
    /// later one. A sync that fails leaves `syncKeeps` of each of its writes on the platter. Takes
    /// the place of all that was planned before.
    func failAt(
        operation count: Int, code: Int32 = SimulatedErrorCode.inputOutput,
        isPersistent: Bool = false, syncKeeps: KeptPart = .nothing
    ) {
        state.withLock {
            $0.forgetFailures()
            $0.failures.append(
                PlannedFailure(
                    operation: $0.operations + count, code: code, isPersistent: isPersistent,
                    syncKeeps: syncKeeps))
        }
    }

    /// Makes the `count`-th operation of that kind from now fail (1 is the next), and with
    /// `isPersistent` every later one of the kind. What was planned before stays planned. `fault`
    /// is the number of the fault that it is part of; 0 for none.
    func failAt(
        _ kind: DiskOperation.Kind, count: Int, isPersistent: Bool = false,
        syncKeeps: KeptPart = .nothing, fault: Int = 0
    ) {
        state.withLock {
            $0.failures.append(
                PlannedFailure(
                    operation: $0.operations + 1, kind: kind, skipped: count - 1,
                    code: SimulatedErrorCode.inputOutput, isPersistent: isPersistent,
                    syncKeeps: syncKeeps, fault: fault))
        }
    }

    /// No operation fails from now on, and none has.
    func stopFailing() { state.withLock { $0.forgetFailures() } }

    /// What the fault with that number has planned does not happen any more.
    func stopFailing(fault: Int) {
        state.withLock { $0.failures.removeAll { $0.fault == fault } }
    }

    /// Whether a planned failure has happened since this disk was made.
    var hasFailed: Bool { state.withLock { !$0.failedKinds.isEmpty } }

    /// Whether an operation of that kind has failed as planned since this disk was made.
    func hasFailed(_ kind: DiskOperation.Kind) -> Bool {
        state.withLock { $0.failedKinds.contains(kind) }
    }

    /// The numbers of the faults whose failures have happened since this was asked last.
    func takeFired() -> [Int] {
        state.withLock { state in
            defer { state.fired = [] }
            return state.fired
        }
    }

    /// Operations so far.
    public var operationCount: Int { state.withLock { $0.operations } }

    /// Sets the room that is left.
    func setFreeBytes(_ bytes: UInt64) { state.withLock { $0.freeBytes = bytes } }

    /// What reads of the file see; `nil` where there is none.
    public func bytes(of path: String) -> [UInt8]? {
        state.withLock { state in state.names.seen[path].map { state.files[$0].seen } }
    }

    /// Changes a file's bytes below the file system, as decay or a stray write would; they are
    /// certain at once. The file must exist.
    func decay(_ path: String, _ body: @Sendable (inout [UInt8]) -> Void) {
        state.withLock { state in
            guard let id = state.names.seen[path] else { preconditionFailure("no file \(path)") }
            state.files[id].decay(body)
        }
    }

    /// Removes a name below the file system, for certain and at once.
    func lose(_ path: String) {
        state.withLock { state in
            let folder = FolderNames.folder(of: path)
            state.names.change(.remove(path))
            state.names.sync(folder)
        }
    }

    /// A second disk in exactly the state of this one, unsynced writes too; shares nothing.
    public func copy(
        pause: (@Sendable () async -> Void)? = nil,
        onOperation: (@Sendable (SimulatedDisk, DiskOperation) -> Void)? = nil
    ) -> SimulatedDisk {
        let copied = state.withLock { $0 }
        return SimulatedDisk(state: copied, pause: pause, onOperation: onOperation)
    }

    /// The paths of all files, sorted.
    public var paths: [String] { state.withLock { $0.names.seen.keys.sorted() } }
}
