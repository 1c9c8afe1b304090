internal import Synchronization

/// Keeps a large struct where it lies: put into a struct as a stored property, it has the struct
/// handed to a function by its address.
///
/// Without it the compiler copies all bytes of a struct to the stack for each call of a function
/// that only reads it, even of one that nobody may copy: for a `RecordTable` that was 1,600 of
/// 39,300 instructions an event of ingest. What is atomic may not be moved while it is borrowed, so
/// with such a field it cannot.
public struct InPlace: ~Copyable, Sendable {
    private let anchor = Atomic<UInt8>(0)

    public init() {}
}
