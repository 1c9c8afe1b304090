internal import KithBytes

// Characters that nobody sees, found in UTF-8 without decoding: one byte, or one of a few sequences
// of two or three.
//
//     blanks       Unicode's White_Space property
//     directions   U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069
//     invisible    these, U+00AD (soft hyphen), U+180E, U+200B to U+200D and U+2060 to U+206F (of no
//                  width), U+FEFF (byte order mark)

extension RawSpan {
    /// The bytes without what nobody sees at both ends. The bytes are UTF-8. O(what goes).
    @_lifetime(copy self)
    func trimmed() -> RawSpan {
        var start = 0
        var end = byteCount
        if end > 0, 0x21...0x7e ~= self[0], 0x21...0x7e ~= self[end &- 1] { return self }
        while start < end {
            let length = unseenLength(at: start, limit: end)
            if length == 0 { break }
            start &+= length
        }
        while end > start {
            let length = unseenLength(endingAt: end, limit: start)
            if length == 0 { break }
            end &-= length
        }
        return extracting(start..<end)
    }

    /// The length of the blank or the invisible character that begins at `offset`; 0 where none
    /// does.
    func unseenLength(at offset: Int, limit: Int) -> Int {
        let blank = blankLength(at: offset, limit: limit)
        return blank > 0 || self[offset] < 0x80 ? blank : invisibleLength(at: offset, limit: limit)
    }

    /// The length of the invisible character that begins at `offset`; 0 where none does.
    func invisibleLength(at offset: Int, limit: Int) -> Int {
        let first = self[offset]
        if first == 0xc2 { return offset + 2 <= limit && self[offset + 1] == 0xad ? 2 : 0 }
        guard first >= 0xe1, offset + 3 <= limit else {
            return directionLength(at: offset, limit: limit)
        }
        switch (first, self[offset + 1], self[offset + 2]) {
        case (0xe1, 0xa0, 0x8e), (0xe2, 0x80, 0x8b...0x8d), (0xe2, 0x81, 0xa0...0xaf),
            (0xef, 0xbb, 0xbf):
            return 3
        default: return directionLength(at: offset, limit: limit)
        }
    }

    /// The length of the direction mark that begins at `offset`; 0 where none does.
    func directionLength(at offset: Int, limit: Int) -> Int {
        let first = self[offset]
        if first == 0xd8 { return offset + 2 <= limit && self[offset + 1] == 0x9c ? 2 : 0 }
        guard first == 0xe2, offset + 3 <= limit else { return 0 }
        switch (self[offset + 1], self[offset + 2]) {
        case (0x80, 0x8e...0x8f), (0x80, 0xaa...0xae), (0x81, 0xa6...0xa9): return 3
        default: return 0
        }
    }

    /// The length of the blank that begins at `offset`; 0 where none does.
    func blankLength(at offset: Int, limit: Int) -> Int {
        let first = self[offset]
        if first < 0x80 { return first == 0x20 || 0x09...0x0d ~= first ? 1 : 0 }
        if first == 0xc2, offset + 2 <= limit {
            let second = self[offset + 1]
            return second == 0x85 || second == 0xa0 ? 2 : 0
        }
        guard first >= 0xe1, offset + 3 <= limit else { return 0 }
        switch (first, self[offset + 1], self[offset + 2]) {
        case (0xe1, 0x9a, 0x80), (0xe2, 0x80, 0x80...0x8a), (0xe2, 0x80, 0xa8), (0xe2, 0x80, 0xa9),
            (0xe2, 0x80, 0xaf), (0xe2, 0x81, 0x9f), (0xe3, 0x80, 0x80):
            return 3
        default: return 0
        }
    }

    private func unseenLength(endingAt end: Int, limit: Int) -> Int {
        let last = self[end - 1]
        if last < 0x80 { return blankLength(at: end - 1, limit: end) }
        for length in 2...3 where end - length >= limit {
            // A lead byte stands only at the start of a sequence, so this cannot be a middle.
            if unseenLength(at: end - length, limit: end) == length { return length }
        }
        return 0
    }

    /// Whether all bytes are ASCII, and whether any is odd: a control character of ASCII, `{`, `%`
    /// or `<`, what only a bad value or an open template has. O(n), eight bytes at a time.
    func kindOfBytes() -> (isASCII: Bool, isOdd: Bool) {
        var tops: UInt64 = 0
        var odd: UInt64 = 0
        var offset = 0
        while offset &+ 8 <= byteCount {
            let word = unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
            tops |= word
            odd |= Self.oddBytes(word)
            offset &+= 8
        }
        if offset < byteCount {
            var last: UInt64 = 0x3030_3030_3030_3030
            if byteCount >= 8 {
                // Some of it for the second time.
                last = unsafe unsafeLoadUnaligned(
                    fromByteOffset: byteCount &- 8, as: UInt64.self)
            } else {
                // The digits beside it are not odd.
                for place in 0..<byteCount { last = last << 8 | UInt64(self[place]) }
            }
            tops |= last
            odd |= Self.oddBytes(last)
        }
        return (tops & Self.topBits == 0, odd & Self.topBits != 0)
    }

    private static var topBits: UInt64 { 0x8080_8080_8080_8080 }

    /// A word that has a top bit where any byte is odd; which one is not said, since a borrow may
    /// mark the byte above one that is.
    @inline(__always)
    private static func oddBytes(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var found = (word &- ones &* 0x20) & ~word
        let delete = word ^ (ones &* 0x7f)
        found |= (delete &- ones) & ~delete
        let brace = word ^ (ones &* 0x7b)
        found |= (brace &- ones) & ~brace
        let percent = word ^ (ones &* 0x25)
        found |= (percent &- ones) & ~percent
        let less = word ^ (ones &* 0x3c)
        return found | (less &- ones) & ~less
    }

    /// Whether a control character is among the text, or one was lost. The bytes are UTF-8. O(n).
    func hasControlOrLost() -> Bool {
        for offset in 0..<byteCount {
            let byte = self[offset]
            if byte < 0x20 || byte == 0x7f { return true }
            if byte == 0xc2, offset + 2 <= byteCount, 0x80...0x9f ~= self[offset + 1] {
                return true
            }
        }
        return hasLost()
    }

    /// Whether U+FFFD is among the text: it stands for a character that was lost, which half a
    /// surrogate pair is, and so for many. The bytes are UTF-8. O(n).
    func hasLost() -> Bool {
        guard byteCount >= 3 else { return false }
        for offset in 0...(byteCount - 3)
        where self[offset] == 0xef && self[offset + 1] == 0xbf && self[offset + 2] == 0xbd {
            return true
        }
        return false
    }
}
