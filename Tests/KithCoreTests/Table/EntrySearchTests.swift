import KithBytes
import Testing

@Suite struct EntrySearchTests {
    private static let word: UInt64 = 0x0123_4567_89AB_CDEF

    /// Entries that nearly match: a half of the word at a half's place, or the whole of it across
    /// two entries, or rests that are what the search compares them with.
    private static func decoys(_ count: Int, _ random: inout SeededGenerator) -> MemoryRegion {
        let low = UInt32(truncatingIfNeeded: word)
        let high = UInt32(truncatingIfNeeded: word >> 32)
        var region = MemoryRegion(byteCount: 5 + 12 * count + 3)
        for entry in 0..<count {
            let at = 5 + 12 * entry
            let halves: (UInt32, UInt32) =
                switch random.below(5) {
                case 0: (low, low)
                case 1: (high, high)
                case 2: (high, low)
                default: (UInt32(truncatingIfNeeded: random.next()), 0)
                }
            region.store(halves.0, at: at)
            region.store(halves.1, at: at + 4)
            region.store(random.below(3) == 0 ? UInt32.max : low, at: at + 8)
        }
        return region
    }

    @Test(arguments: [0, 1, 2, 15, 16, 17, 31, 32, 33, 64, 100, 4_096])
    func `a word is found at every place, and where it is not it is not found`(count: Int) {
        var random = SeededGenerator(seed: UInt64(count) + 1)
        var region = Self.decoys(count, &random)
        var found = region.containsEntry(Self.word, from: 5, count: count)
        #expect(!found, "\(count) decoys")

        for place in stride(from: 0, to: count, by: count > 1_000 ? 37 : 1) {
            let at = 5 + 12 * place
            let before = region.u64(at: at)
            region.store(Self.word, at: at)
            found = region.containsEntry(Self.word, from: 5, count: count)
            #expect(found, "\(place) of \(count)")
            if place > 0 {
                found = region.containsEntry(Self.word, from: 5, count: place)
                #expect(!found, "before \(place) of \(count)")
            }
            region.store(before, at: at)
        }
    }

    @Test(arguments: [0, 1, .max, UInt64(UInt32.max), UInt64(UInt32.max) << 32] as [UInt64])
    func `a word whose halves are all ones or zeros is found and missed alike`(word: UInt64) {
        var region = MemoryRegion(byteCount: 12 * 40)
        for entry in 0..<40 {
            region.store(word ^ 1, at: 12 * entry)
            region.store(UInt32.max, at: 12 * entry + 8)
        }
        var found = region.containsEntry(word, from: 0, count: 40)
        #expect(!found)
        region.store(word, at: 12 * 23)
        found = region.containsEntry(word, from: 0, count: 40)
        #expect(found)
    }
}
