// One open file of a simulated disk. A handle names the file, not the path: it goes on working
// after a rename, and after a remove until the folder is synced.

internal import KithPorts
internal import Synchronization

final class SimulatedFile: DiskFile {
    let disk: SimulatedDisk
    let id: Int
    let path: String

    init(disk: SimulatedDisk, id: Int, path: String) {
        self.disk = disk
        self.id = id
        self.path = path
    }

    func size() async throws(DiskError) -> UInt64 {
        await disk.pause?()
        return try disk.operate(.look, path) { [id] state, fault throws(DiskError) in
            if let fault { throw fault }
            return UInt64(state.files[id].seen.count)
        }
    }

    func read(at offset: UInt64, count: Int) async throws(DiskError) -> [UInt8] {
        await disk.pause?()
        return try disk.operate(.read, path) { [id] state, fault throws(DiskError) in
            if let fault { throw fault }
            let seen = state.files[id].seen
            guard count > 0, offset < UInt64(seen.count) else { return [] }
            let start = Int(offset)
            return Array(seen[start..<min(seen.count, start + min(count, seen.count))])
        }
    }

    func write(_ bytes: [UInt8], at offset: UInt64, sync: Bool) async throws(DiskError) {
        await disk.pause?()
        try write(bytes, at: Int(offset))
        if sync {
            await disk.pause?()
            try syncNow()
        }
    }

    func overwrite(
        _ bytes: [UInt8], at offset: UInt64, ofSize size: UInt64, sync: Bool
    ) async throws(DiskError) {
        try await write(bytes, at: offset, sync: sync)
        let isWhole = disk.state.withLock { [id] state in
            state.names.seen.values.contains(id) && state.files[id].seen.count >= Int(size)
        }
        guard isWhole else { throw .takenAway(path) }
    }

    func sync() async throws(DiskError) {
        await disk.pause?()
        try syncNow()
    }

    func extendWithZeros(to size: UInt64) async throws(DiskError) {
        await disk.pause?()
        let present = disk.state.withLock { [id] in $0.files[id].seen.count }
        if present < Int(size) {
            try write([UInt8](repeating: 0, count: Int(size) - present), at: present)
        }
        await disk.pause?()
        try syncNow()
    }

    func truncate(to size: UInt64) async throws(DiskError) {
        await disk.pause?()
        try disk.operate(.truncate, path) { [id, path] state, fault throws(DiskError) in
            if let fault { throw fault }
            try state.truncate(id, size: Int(size), path: path)
        }
    }

    func close() async {}

    /// A write that fails may have happened in part: half of the bytes are in the cache.
    private func write(_ bytes: [UInt8], at offset: Int) throws(DiskError) {
        try disk.operate(.write, path) { [id, path] state, fault throws(DiskError) in
            guard let fault else {
                try state.reserve(id, size: offset + bytes.count, path: path)
                state.files[id].change(.write(offset, bytes))
                return
            }
            let half = Array(bytes.prefix(bytes.count / 2))
            if !half.isEmpty, offset + half.count <= state.files[id].seen.count {
                state.files[id].change(.write(offset, half))
            }
            throw fault
        }
    }

    private func syncNow() throws(DiskError) {
        try disk.operate(.sync, path) { [id] state, fault throws(DiskError) in
            guard let fault else {
                state.files[id].sync()
                return
            }
            state.files[id].loseUnsynced(keeping: state.syncKeeps)
            throw fault
        }
    }
}
