// One open file. All its work runs on the one thread of its lane, in order, so a `close` comes
// after everything asked before it, and the lock around the descriptor is never contended.

internal import Glibc
internal import KithPorts
internal import Synchronization

final class LinuxFile: DiskFile {
    /// The most zeros written by one system call.
    static let zeroChunkBytes = 1 << 20

    private let descriptor: Mutex<Descriptor>
    private let path: String
    private let worker: WorkerThread

    init(_ descriptor: consuming Descriptor, path: String, worker: WorkerThread) {
        self.descriptor = Mutex(descriptor)
        self.path = path
        self.worker = worker
    }

    func size() async throws(DiskError) -> UInt64 {
        try await perform("size") { raw throws(DiskError) in try self.size(raw) }
    }

    func read(at offset: UInt64, count: Int) async throws(DiskError) -> [UInt8] {
        precondition(count >= 0, "a count is not negative, got \(count)")
        return try await perform("read") { raw throws(DiskError) in
            try self.read(raw, offset, count)
        }
    }

    func write(_ bytes: [UInt8], at offset: UInt64, sync: Bool) async throws(DiskError) {
        try await perform("write") { raw throws(DiskError) in
            try self.write(raw, bytes, bytes.count, offset)
            if sync { try self.sync(raw) }
        }
    }

    func overwrite(
        _ bytes: [UInt8], at offset: UInt64, ofSize size: UInt64, sync: Bool
    ) async throws(DiskError) {
        try await perform("write") { raw throws(DiskError) in
            try self.write(raw, bytes, bytes.count, offset)
            if sync { try self.sync(raw) }
            // A file without a name, or a hole, takes bytes as well as any; only this tells.
            var status = Glibc.stat()
            try diskCall("stat", self.path) { fstat(raw, &status) }
            guard status.st_nlink > 0, UInt64(clamping: status.st_size) >= size else {
                throw .takenAway(self.path)
            }
        }
    }

    func sync() async throws(DiskError) {
        try await perform("sync") { raw throws(DiskError) in try self.sync(raw) }
    }

    func extendWithZeros(to size: UInt64) async throws(DiskError) {
        try await perform("extend") { raw throws(DiskError) in
            var end = try self.size(raw)
            if end < size {
                let chunk = Int(min(size - end, UInt64(Self.zeroChunkBytes)))
                let zeros = [UInt8](repeating: 0, count: chunk)
                while end < size {
                    let count = Int(min(size - end, UInt64(chunk)))
                    try self.write(raw, zeros, count, end)
                    end += UInt64(count)
                }
            }
            try self.sync(raw)
        }
    }

    func truncate(to size: UInt64) async throws(DiskError) {
        try await perform("truncate") { raw throws(DiskError) in
            let length = try self.offset("truncate", size, 0)
            _ = try diskCall("truncate", self.path) { ftruncate(raw, length) }
        }
    }

    /// Closes after everything asked before. Without it the file is closed with its last reference.
    func close() async {
        await withUnsafeContinuation { continuation in
            let isTaken = worker.submit {
                self.descriptor.withLock { $0.close() }
                continuation.resume()
            }
            if !isTaken {
                descriptor.withLock { $0.close() }
                continuation.resume()
            }
        }
    }

    // MARK: - On the worker thread

    private func perform<Value: Sendable>(
        _ operation: String, _ work: @escaping @Sendable (Int32) throws(DiskError) -> Value
    ) async throws(DiskError) -> Value {
        try await worker.perform(operation, path) { () throws(DiskError) in
            try self.descriptor.withLock { descriptor throws(DiskError) in
                guard descriptor.isOpen else { throw DiskError(operation, self.path, EBADF) }
                return try work(descriptor.raw)
            }
        }
    }

    private func size(_ raw: Int32) throws(DiskError) -> UInt64 {
        var status = Glibc.stat()
        try diskCall("size", path) { fstat(raw, &status) }
        return UInt64(clamping: status.st_size)
    }

    private func read(_ raw: Int32, _ offset: UInt64, _ count: Int) throws(DiskError) -> [UInt8] {
        // The size first, so that asking for more than there is does not allocate for it.
        let size = try size(raw)
        guard offset < size else { return [] }
        let wanted = Int(min(UInt64(count), size - offset))
        let start = try self.offset("read", offset, wanted)
        var failure: Int32?
        let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
            while filled < wanted, failure == nil {
                let place = buffer.baseAddress! + filled
                switch systemCall({
                    pread(raw, place, wanted - filled, start + off_t(filled))
                }) {
                case .success(0): return
                case .success(let got): filled += got
                case .failure(let code): failure = code
                }
            }
        }
        if let failure { throw DiskError("read", path, failure) }
        return bytes
    }

    /// Writes the first `count` of `bytes`.
    private func write(
        _ raw: Int32, _ bytes: [UInt8], _ count: Int, _ offset: UInt64
    ) throws(DiskError) {
        let start = try self.offset("write", offset, count)
        var written = 0
        while written < count {
            let result = bytes.withUnsafeBytes { bytes in
                let rest = UnsafeRawBufferPointer(rebasing: bytes[written..<count])
                let place = start + off_t(written)
                return systemCall { pwrite(raw, rest.baseAddress, rest.count, place) }
            }
            switch result {
            case .success(0):
                // Never seen on a file; a loop without progress would be worse than an error.
                throw DiskError("write", path, EIO)
            case .success(let more): written += more
            case .failure(let code): throw DiskError("write", path, code)
            }
        }
    }

    private func sync(_ raw: Int32) throws(DiskError) {
        try diskCall("sync", path) { fdatasync(raw) }
    }

    /// An offset as the kernel takes it; one beyond its range is refused as too big.
    private func offset(
        _ operation: String, _ offset: UInt64, _ count: Int
    ) throws(DiskError) -> off_t {
        guard let start = off_t(exactly: offset), start <= off_t.max - off_t(count) else {
            throw DiskError(operation, path, EFBIG)
        }
        return start
    }
}
