internal import Glibc

/// An owned file descriptor: closed exactly once, by `close` or at the end of its life.
struct Descriptor: ~Copyable, Sendable {
    /// The kernel's number; -1 once closed.
    private(set) var raw: Int32

    init(owning raw: Int32) {
        precondition(raw >= 0, "a descriptor is never negative, got \(raw)")
        self.raw = raw
    }

    var isOpen: Bool { raw >= 0 }

    /// Closes now; nothing the second time. Never retried on EINTR: Linux has released the number
    /// by then, and it may already belong to somebody else.
    mutating func close() {
        guard isOpen else { return }
        _ = Glibc.close(raw)
        raw = -1
    }

    deinit {
        if raw >= 0 { _ = Glibc.close(raw) }
    }
}
