/// Looking for one 64-bit word among entries of 12 bytes: the word and 32 bits of something else.
///
/// Sixteen entries are 192 bytes, or three vectors of sixteen 32-bit lanes, in which the halves of
/// a word and the rest of its entry follow each other with period three. Each vector is compared
/// with the halves wanted at its places; a lane that is the rest of an entry is compared with all
/// ones. A match of one half, or of a rest that is all ones, is no more than a reason to look at
/// the sixteen entries one by one, so a wrong one costs time and nothing else.
extension MemoryRegion {
    /// Bytes of an entry that `containsEntry` looks through.
    @inlinable public static var searchedEntryBytes: Int { 12 }
    @usableFromInline static var searchedBlock: Int { 16 }

    /// Whether one of `count` entries of 12 bytes from `offset` on begins with `word`. Looks from
    /// the last one back, in blocks. O(n).
    public func containsEntry(_ word: UInt64, from offset: Int, count: Int) -> Bool {
        guard count > 0 else { return false }
        precondition(count <= byteCount / Self.searchedEntryBytes, "\(count) entries")
        check(offset, count &* Self.searchedEntryBytes)
        let start = unsafe base + offset
        guard count >= Self.searchedBlock else {
            return unsafe Self.containsOneByOne(word, start, count)
        }
        let wanted = Wanted(word)
        var left = count
        while left > 0 {
            // The last block begins with the first entry and may overlap the one before.
            left = max(left &- Self.searchedBlock, 0)
            let block = unsafe start + left &* Self.searchedEntryBytes
            if unsafe wanted.mayBeIn(block),
                unsafe Self.containsOneByOne(word, block, Self.searchedBlock)
            {
                return true
            }
        }
        return false
    }

    @inline(never)
    private static func containsOneByOne(
        _ word: UInt64, _ start: UnsafeMutableRawPointer, _ count: Int
    ) -> Bool {
        var place = count &- 1
        while place >= 0 {
            let at = place &* searchedEntryBytes
            if unsafe start.loadUnaligned(fromByteOffset: at, as: UInt64.self) == word {
                return true
            }
            place &-= 1
        }
        return false
    }

    /// The halves of a word at the places that they have in three vectors.
    private struct Wanted {
        var first: SIMD16<UInt32>
        var second: SIMD16<UInt32>
        var third: SIMD16<UInt32>

        @inline(__always)
        init(_ word: UInt64) {
            let halves = unsafe unsafeBitCast(word, to: SIMD2<UInt32>.self)
            let (a, b, none) = (halves.x, halves.y, UInt32.max)
            first = SIMD16(a, b, none, a, b, none, a, b, none, a, b, none, a, b, none, a)
            second = SIMD16(b, none, a, b, none, a, b, none, a, b, none, a, b, none, a, b)
            third = SIMD16(none, a, b, none, a, b, none, a, b, none, a, b, none, a, b, none)
        }

        @inline(__always)
        func mayBeIn(_ block: UnsafeMutableRawPointer) -> Bool {
            let x = unsafe block.loadUnaligned(fromByteOffset: 0, as: SIMD16<UInt32>.self)
            let y = unsafe block.loadUnaligned(fromByteOffset: 64, as: SIMD16<UInt32>.self)
            let z = unsafe block.loadUnaligned(fromByteOffset: 128, as: SIMD16<UInt32>.self)
            return any((x .== first) .| (y .== second) .| (z .== third))
        }
    }
}
