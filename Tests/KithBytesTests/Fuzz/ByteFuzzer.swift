// Makes the strings that decoders are tried with. Test targets share no module, so this file stands
// in each of their folders as a link to one place.

/// The source of one string: SplitMix64 over the search's seed and the string's number, so that any
/// string of a search can be made again by itself.
struct ByteFuzzer: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64, string: Int) {
        state =
            seed &* 0xd6e8_feb8_6659_fd93 ^ UInt64(truncatingIfNeeded: string)
            &* 0xa076_1d64_78bd_642f
        _ = next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// A number from 0 up to `bound`, which must be above 0.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func chance(oneIn count: Int) -> Bool { below(count) == 0 }
    mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }
    mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }

    /// Bytes without any meaning, fewer than `bound`.
    mutating func noise(below bound: Int) -> [UInt8] { (0..<below(bound)).map { _ in byte() } }

    /// A string to try: noise, one of `samples` as it is (seldom), or one with damage.
    mutating func string(from samples: [[UInt8]], bytesMax: Int = 64 << 10) -> [UInt8] {
        switch below(16) {
        case 0: return noise(below: 200)
        case 1: return pick(samples)
        default:
            var bytes = pick(samples)
            damage(&bytes, samples: samples, bytesMax: bytesMax)
            return bytes
        }
    }

    /// Damages `bytes` in one to four places.
    mutating func damage(
        _ bytes: inout [UInt8], samples: [[UInt8]], bytesMax: Int = 64 << 10
    ) {
        for _ in 0...below(4) { damageOnce(&bytes, samples) }
        if bytes.count > bytesMax { bytes.removeSubrange(bytesMax...) }
    }

    private mutating func damageOnce(_ bytes: inout [UInt8], _ samples: [[UInt8]]) {
        guard !bytes.isEmpty else {
            bytes = noise(below: 40)
            return
        }
        let place = below(bytes.count)
        switch below(12) {
        case 0: bytes[place] ^= 1 << UInt8(below(8))
        case 1: bytes[place] = byte()
        case 2: bytes[place] = pick([0, 1, 0x17, 0x18, 0x1f, 0x7f, 0x80, 0x9f, 0xbf, 0xfe, 0xff])
        case 3: bytes.removeSubrange(place...)
        case 4: bytes.removeSubrange(run(of: bytes))
        case 5: bytes.insert(contentsOf: noise(below: 12), at: place)
        case 6: bytes.insert(contentsOf: Array(bytes[run(of: bytes)]), at: place)
        case 7:
            // A short piece many times over: what nests, nests deep; what lists, lists long.
            let piece = Array(bytes[place..<min(place + 1 + below(4), bytes.count)])
            for _ in 0..<below(300) { bytes.insert(contentsOf: piece, at: place) }
        case 8, 9: setLength(&bytes, at: place)
        case 10:
            // The head of this one and the tail of another.
            let other = pick(samples)
            guard !other.isEmpty else { return }
            bytes.replaceSubrange(place..., with: other[below(other.count)...])
        default:
            let other = pick(samples)
            guard !other.isEmpty else { return }
            bytes.insert(contentsOf: Array(other[run(of: other)]), at: place)
        }
    }

    private mutating func run(of bytes: [UInt8]) -> Range<Int> {
        let start = below(bytes.count)
        return start..<min(start + 1 + below(32), bytes.count)
    }

    /// Writes a number that a length, a count, a time or a version could be, in 1 to 8 bytes of
    /// either order: the extremes of each width, and those near the length of the string.
    private mutating func setLength(_ bytes: inout [UInt8], at place: Int) {
        let width = pick([1, 2, 4, 8])
        let count = UInt64(bytes.count)
        let number = pick([
            0, 1, 2, count, count &- 1, count &+ 1, .max, .max - 1, .max >> 1, (.max >> 1) + 1,
            0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff, 0x8000, 0x80_0000, 1 << 47, 1 << 20,
        ])
        let isBigEndian = chance(oneIn: 2)
        for index in 0..<min(width, bytes.count - place) {
            let shift = UInt64(8 * (isBigEndian ? width - 1 - index : index))
            bytes[place + index] = UInt8(truncatingIfNeeded: number >> shift)
        }
    }
}
