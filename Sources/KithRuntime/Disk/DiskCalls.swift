// What the disk's blocking parts share: system calls whose failure is a `DiskError`, and the trip
// to a worker thread and back.

internal import Glibc
internal import KithPorts

extension DiskError {
    /// The error of a system call.
    init(_ operation: String, _ path: String, _ code: Int32) {
        self.init(operation: operation, path: path, code: code, message: errorText(code))
    }
}

/// Runs a system call again while signals interrupt it; throws its failure.
@discardableResult
func diskCall<Value: FixedWidthInteger>(
    _ operation: String, _ path: String, _ call: () -> Value
) throws(DiskError) -> Value {
    switch systemCall(call) {
    case .success(let value): return value
    case .failure(let code): throw DiskError(operation, path, code)
    }
}

/// Opens with `flags`; not inherited by child processes.
func openFile(_ path: String, _ flags: Int32) throws(DiskError) -> Descriptor {
    let raw = try diskCall("open", path) { open(path, flags | O_CLOEXEC, 0o644) }
    return Descriptor(owning: raw)
}

extension WorkerThread {
    /// Runs `work` on the thread and resumes the caller where it was. Not cancellable: what has
    /// been handed to the disk is done.
    func perform<Value: Sendable>(
        _ operation: String, _ path: String,
        _ work: @escaping @Sendable () throws(DiskError) -> Value
    ) async throws(DiskError) -> Value {
        let result: Result<Value, DiskError> = await withUnsafeContinuation { continuation in
            let isTaken = submit {
                do throws(DiskError) {
                    continuation.resume(returning: .success(try work()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            if !isTaken {
                let error = DiskError(
                    operation: operation, path: path, code: ECANCELED,
                    message: "the disk is stopped")
                continuation.resume(returning: .failure(error))
            }
        }
        return try result.get()
    }
}
