/// How often something happened lately: counts by whole seconds, the last few of them. Fixed size,
/// a few instructions a call.
struct RateMeter {
    /// Whole seconds that the rate is taken over.
    static let secondsCounted: UInt64 = 5

    /// By second modulo their number; one more than is counted, for the second that runs.
    private var counts = [Int](repeating: 0, count: Int(secondsCounted) + 1)
    private var last: UInt64 = 0

    /// Counts `count` events at a time in nanoseconds of a clock that only goes forward.
    mutating func count(_ count: Int, at nanoseconds: UInt64) {
        advance(to: nanoseconds / 1_000_000_000)
        counts[Int(last % UInt64(counts.count))] += count
    }

    /// Events a second over the last whole seconds.
    mutating func perSecond(at nanoseconds: UInt64) -> Int {
        advance(to: nanoseconds / 1_000_000_000)
        let running = Int(last % UInt64(counts.count))
        let sum = counts.indices.reduce(0) { $1 == running ? $0 : $0 + counts[$1] }
        return sum / Int(Self.secondsCounted)
    }

    private mutating func advance(to second: UInt64) {
        guard second > last else { return }
        for step in 1...min(second - last, UInt64(counts.count)) {
            counts[Int((last + step) % UInt64(counts.count))] = 0
        }
        last = second
    }
}
