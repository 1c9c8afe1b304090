public import KithPorts
internal import Synchronization

/// The `Randomness` port made of a seed.
///
/// One object is one stream of numbers. `stream(_:)` gives further ones by label: what they yield
/// depends on the seed and the label only, so a new draw in one place never shifts another place's
/// numbers. Safe to share; in a simulation only one thread ever draws.
///
/// Cost: one uncontended lock a number. Where that matters, hold an `Xoshiro256` instead.
public final class SeededRandom: Randomness {
    private let seed: UInt64
    private let state: Mutex<Xoshiro256>

    /// A stream that is a function of `seed` alone.
    public init(seed: UInt64) {
        self.seed = seed
        state = Mutex(Xoshiro256(seed: seed))
    }

    /// The stream `label` of this seed; independent of this one and of every other label.
    public func stream(_ label: String) -> SeededRandom {
        SeededRandom(seed: Xoshiro256.seed(seed, label: label))
    }

    /// The next 64 bits.
    public func nextUInt64() -> UInt64 {
        state.withLock { $0.next() }
    }

    /// The same numbers for `Int.random(in:using:)`, `shuffled(using:)` and the like.
    public var generator: Generator { Generator(source: self) }

    /// A `RandomNumberGenerator` that draws from its stream; copies share it.
    public struct Generator: RandomNumberGenerator, Sendable {
        let source: SeededRandom

        /// The next 64 bits of the stream.
        public mutating func next() -> UInt64 { source.nextUInt64() }
    }
}
