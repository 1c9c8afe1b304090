// Memory that the process keeps for the moment when the system gives no more.
//
//   hold ──▶ held ──a growth finds nothing──▶ spent (freed, and so there for that growth) ──▶ hold …
//
// What is in the log must be applied, so the growth of a table cannot be refused any more when an
// entry asks for it. The reserve is what it grows into; from then on whoever looks (`isSpent`)
// takes no more events. Address space only: its pages are never touched.
//
// An array of Swift ends the process where the system gives it no memory. So whoever makes a large
// one of what somebody else sends asks first (`hasRoom`), and refuses where there is none; the
// reserve is given back to the system then, for what is under way.

internal import CLinux

/// The one reserve of the process.
public enum MemoryReserve {
    /// Bytes that a node keeps: many times what one entry can make its tables grow by.
    public static let standardBytes = 64 << 20

    /// Takes a reserve of `bytes`, or takes it again once it is spent; false where the system does
    /// not give it.
    @discardableResult
    public static func hold(_ bytes: Int = standardBytes) -> Bool {
        precondition(bytes > 0, "a reserve of \(bytes) bytes")
        return kith_hold_reserve(bytes) == 0
    }

    /// Whether there was a reserve, and a growth has needed it.
    public static var isSpent: Bool { kith_reserve_is_spent() != 0 }

    /// Takes the reserve again where it is spent.
    public static func refill() {
        let bytes = kith_reserve_size()
        if bytes > 0 { hold(bytes) }
    }

    /// Bytes that must be left for what is under way where anything large is begun.
    static let spareBytes = 24 << 20

    /// Whether the system has room for `bytes` that somebody else would make this process allocate,
    /// and for what is under way beside them. Where it has none the reserve is spent for what is
    /// under way, and whoever asks must do without. About a microsecond, and next to nothing where
    /// no limit is set (`ulimit -v`, `-d`): then it is the kernel that ends whoever takes too much.
    @discardableResult
    public static func hasRoom(for bytes: Int) -> Bool {
        if kith_has_room(bytes + spareBytes) != 0 { return true }
        _ = spend()
        return false
    }

    /// Gives the reserve back to the system; false where there is none.
    static func spend() -> Bool { kith_spend_reserve() == 0 }
}
