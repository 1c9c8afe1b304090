/// The generator under every simulated choice: xoshiro256** of Blackman and Vigna, its state filled
/// from one 64-bit seed by SplitMix64, as its authors advise.
///
/// A value: copying it copies the future. The standard library's own generator is no choice here,
/// since it cannot be seeded.
public struct Xoshiro256: RandomNumberGenerator, Sendable {
    private var s0, s1, s2, s3: UInt64

    /// A generator that is a function of `seed` alone. Every seed is good, 0 too.
    public init(seed: UInt64) {
        var filler = SplitMix64(state: seed)
        s0 = filler.next()
        s1 = filler.next()
        s2 = filler.next()
        s3 = filler.next()
    }

    /// A generator for `label`: independent of those of other labels and of how many numbers
    /// anyone has drawn.
    public init(seed: UInt64, label: String) {
        self.init(seed: Self.seed(seed, label: label))
    }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        let product = s1 &* 5
        let result = ((product << 7) | (product >> 57)) &* 9
        let shifted = s1 << 17
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= shifted
        s3 = (s3 << 45) | (s3 >> 19)
        return result
    }

    /// A number in 0 ..< `bound`, without bias worth naming (2⁻⁶⁴ · bound). `bound` is at least 1.
    public mutating func below(_ bound: UInt64) -> UInt64 {
        precondition(bound > 0, "an empty range has no number")
        return next().multipliedFullWidth(by: bound).high
    }

    /// A number in 0 ..< `bound`. `bound` is at least 1.
    public mutating func below(_ bound: Int) -> Int {
        Int(below(UInt64(bound)))
    }

    /// A number in `range`, both ends included.
    public mutating func within(_ range: ClosedRange<UInt64>) -> UInt64 {
        let width = range.upperBound - range.lowerBound
        return width == .max ? next() : range.lowerBound + below(width + 1)
    }

    /// True once in `count` times on average. `count` is at least 1.
    public mutating func oneIn(_ count: UInt64) -> Bool {
        below(count) == 0
    }

    /// The seed of the stream `label` under `seed`: FNV-1a of the label, mixed with the seed.
    static func seed(_ seed: UInt64, label: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in label.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        var mixer = SplitMix64(state: seed)
        return mixer.next() ^ SplitMix64.mixed(hash)
    }
}

/// SplitMix64: a counter and a mixing function. Turns one word into as many as are wanted.
struct SplitMix64 {
    /// Where the counter stands.
    var state: UInt64

    /// The next 64 bits.
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return Self.mixed(state)
    }

    /// A bijection of 64 bits in which each input bit changes half of the output bits.
    static func mixed(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
