// System calls from Swift: one place that knows about -1, the error number and EINTR.

internal import Glibc

/// A system call that failed: the operating system's error number and the call's name.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was tried, e.g. `epoll_create1`.
    public let operation: String
    /// The operating system's error number.
    public let code: Int32

    init(_ operation: String, _ code: Int32) {
        self.operation = operation
        self.code = code
    }

    public var description: String { "\(operation): \(errorText(code))" }
}

/// The system's words for an error number.
func errorText(_ code: Int32) -> String {
    String(cString: strerror(code))
}

/// The outcome of a system call: its result, or the error number.
enum CallResult<Value: FixedWidthInteger> {
    case success(Value)
    case failure(Int32)
}

/// Runs a system call that reports failure as -1, again for as long as a signal interrupts it.
///
/// Never inlined: `errno` lives in thread-local storage whose address the optimiser believes to be
/// constant, so it must be read in a function that cannot contain an `await`.
@inline(never)
func systemCall<Value: FixedWidthInteger>(_ call: () -> Value) -> CallResult<Value> {
    while true {
        let result = call()
        if result != -1 { return .success(result) }
        let code = errno
        if code != EINTR { return .failure(code) }
    }
}

/// `systemCall`, with failure thrown.
@discardableResult
func systemCall<Value: FixedWidthInteger>(
    _ operation: String, _ call: () -> Value
) throws(SystemError) -> Value {
    switch systemCall(call) {
    case .success(let value): return value
    case .failure(let code): throw SystemError(operation, code)
    }
}
