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
    let places: UnsafeMutablePointer<UInt32>

    /// Counters of marks; what follows them is for planted builds.
    @usableFromInline static var markPlaces: Int { 512 }
    /// Places behind them, which only planted builds use.
    static var plantedPlaces: Int { 66 }
    private static var placeCount: Int { markPlaces + plantedPlaces }

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
}
