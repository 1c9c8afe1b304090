// Latencies in buckets of fixed memory, after HdrHistogram: linear within an octave, so that the
// error is a part of the value and not a number of nanoseconds.
//
//   value      0 … 127        128 … 255      256 … 511       …   2^36 … 2^37 − 1 ns
//   buckets    128 of 1 ns    128 of 1 ns    128 of 2 ns     …   128 of 2^29 ns
//
// The middle of a bucket is reported, so a percentile is off by 1/256 of its value at most. 2^37 ns
// are 137 s; longer ones count in the last bucket. The greatest value is kept as it is.

/// Counts of latencies. 31 KiB; O(1) to record, O(buckets) to ask.
package struct LatencyHistogram: Sendable {
    private static let bucketsPerOctave = 128
    private static let octaveBits = 7
    private static let valueBits = 37

    private var counts = [UInt64](
        repeating: 0, count: (valueBits - octaveBits + 1) * bucketsPerOctave)
    /// How many were recorded.
    package private(set) var count: UInt64 = 0
    /// The greatest, in nanoseconds; 0 where nothing was recorded.
    package private(set) var greatest: UInt64 = 0
    private var sum = 0.0

    package init() {}

    /// Records one latency, in nanoseconds.
    package mutating func record(_ nanoseconds: UInt64) {
        counts[Self.bucket(of: nanoseconds)] += 1
        count += 1
        greatest = max(greatest, nanoseconds)
        sum += Double(nanoseconds)
    }

    /// The mean in nanoseconds; 0 where nothing was recorded.
    package var mean: Double { count == 0 ? 0 : sum / Double(count) }

    /// The least latency that at least `part` (0 to 1) of all do not exceed, in nanoseconds; 0
    /// where nothing was recorded.
    package func value(at part: Double) -> UInt64 {
        let rank = max(1, UInt64((part * Double(count)).rounded(.up)))
        var seen: UInt64 = 0
        for (bucket, inBucket) in counts.enumerated() where inBucket > 0 {
            seen += inBucket
            if seen >= rank { return min(Self.middle(of: bucket), greatest) }
        }
        return greatest
    }

    static func bucket(of value: UInt64) -> Int {
        let value = min(value, 1 << UInt64(valueBits) - 1)
        guard value >= bucketsPerOctave else { return Int(value) }
        let shift = 63 - value.leadingZeroBitCount - octaveBits
        return shift * bucketsPerOctave + Int(value >> UInt64(shift))
    }

    static func middle(of bucket: Int) -> UInt64 {
        guard bucket >= 2 * bucketsPerOctave else { return UInt64(bucket) }
        let shift = bucket / bucketsPerOctave - 1
        let start = UInt64(bucket - shift * bucketsPerOctave) << UInt64(shift)
        return start + 1 << UInt64(shift) / 2
    }
}
