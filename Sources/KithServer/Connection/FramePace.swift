// Which large frames in parts give way while others wait for room (`FrameBudget`).
//
//   the rest ┤                         ·
//            │          ahead    ·           the pace: whole by the frame's deadline
//            │             ·
//   received ┤────────·─────┤ lag           below it, and past the first second: it gives way
//            └────────┴─────┴──────────┴──▶
//         charged          now       30 s
//
// The pace asks for no more than the deadline does, in equal steps: a client that would get through
// at an even rate gets through whatever others wait for. Who sends nothing behind the first 64 KiB
// holds its room for a second or two; it may come again, behind those that wait. A rate for frames
// of all sizes would be too high for small ones on a slow line, or too low for large ones that
// nobody means to end. Nobody waits: nobody is judged.

/// How a client's large frame in parts comes along.
struct FramePace: Equatable, Sendable {
    /// Bytes of the whole frame, for which it holds room.
    let room: Int
    /// Of these what was owed when it got the room, and what has come since.
    let restBytes: Int
    let receivedBytes: Int
    /// Since when the client owes the rest, in nanoseconds of the monotonic clock.
    let since: UInt64

    /// For which nobody is judged: what is under way arrives, and a loop has its turn.
    static let graceNanoseconds: UInt64 = 1_000_000_000

    /// Nanoseconds that the frame is behind its pace; nil where it is not.
    func lag(at now: UInt64) -> UInt64? {
        let passed = now &- since
        guard now > since, passed > Self.graceNanoseconds, restBytes > 0 else { return nil }
        let perByte = ConnectionDeadlines.frameNanosecondsMax / UInt64(restBytes)
        let due = UInt64(receivedBytes) &* perByte
        return passed > due ? passed - due : nil
    }

    /// The places of those that give way, so that `missingBytes` become free: the slowest first,
    /// and no more than it takes. O(n log n) of those that are behind.
    static func givingWay(
        _ paces: [FramePace?], missingBytes: Int, at now: UInt64
    ) -> [Int] {
        guard missingBytes > 0 else { return [] }
        var behind: [(place: Int, lag: UInt64)] = []
        for (place, pace) in paces.enumerated() {
            if let lag = pace?.lag(at: now) { behind.append((place, lag)) }
        }
        behind.sort { ($1.lag, $0.place) < ($0.lag, $1.place) }
        var freed = 0
        var places: [Int] = []
        for (place, _) in behind where freed < missingBytes {
            freed += paces[place]?.room ?? 0
            places.append(place)
        }
        return places
    }
}
