// Where the marks of a simulated world are counted.
//
//   thread ── board ──▶ [ one counter a mark | planted builds only: which faults are planted ]
//
// A world is one thread, and worlds run beside each other, so the board is the thread's: nothing
// has to be handed through the program, and nothing is shared. Outside `record` there is no board,
// and a mark costs a load and a branch.

public import CLinux

/// Counts one branch of the program, where somebody counts. For branches that are seldom taken, so
/// that a search can say which it never came to.
@inlinable
public func mark(_ mark: Mark) { kith_mark(UInt32(mark.rawValue)) }

/// What one world came to: how often each mark was passed.
@safe
public final class MarkBoard {
    private let places: UnsafeMutablePointer<UInt32>

    /// Counters of marks; what follows them is for planted builds.
    @usableFromInline static var markPlaces: Int { 512 }
    private static var placeCount: Int { markPlaces + NodeFault.places + 2 }

    /// A board on which nothing is counted yet.
    public init() {
        precondition(Mark.allCases.count <= Self.markPlaces, "\(Mark.allCases.count) marks")
        unsafe places = UnsafeMutablePointer<UInt32>.allocate(capacity: Self.placeCount)
        unsafe places.initialize(repeating: 0, count: Self.placeCount)
    }

    deinit { unsafe places.deallocate() }

    /// Counts what `body` comes to on this thread, and nothing that it leaves to others. Boards
    /// nest: an outer one does not see what an inner one counts.
    public func record<Value, Failure: Error>(
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let before = unsafe kith_exchange_board(places)
        defer { _ = unsafe kith_exchange_board(before) }
        return try body()
    }

    /// How often the mark was passed.
    public func count(of mark: Mark) -> Int { unsafe Int(places[Int(mark.rawValue)]) }

    #if KITH_PLANTED
    /// Plants a fault of the node in all that runs under `record`.
    public func plant(_ fault: NodeFault) {
        unsafe places[Self.markPlaces + Int(fault.number)] = 1
    }

    /// The same, of faults that another module names by the bits of a set.
    public func plant(bits: UInt64) {
        let first = Self.markPlaces + NodeFault.places
        unsafe places[first] = UInt32(truncatingIfNeeded: bits)
        unsafe places[first + 1] = UInt32(truncatingIfNeeded: bits >> 32)
    }

    /// This is the calling thread's board from here on, and must outlive it: for the threads of a
    /// real node.
    public func stay() { _ = unsafe kith_exchange_board(places) }

    /// The set that is planted on this thread.
    public static var plantedBits: UInt64 {
        let first = UInt32(markPlaces + NodeFault.places)
        return UInt64(kith_marked(first)) | UInt64(kith_marked(first + 1)) << 32
    }
    #endif
}
