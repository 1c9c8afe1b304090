internal import KithBytes

// Blanks are the characters of Unicode's White_Space property and the byte order mark U+FEFF,
// found in UTF-8 without decoding: one byte, or one of a few sequences of two or three.

extension RawSpan {
    /// The bytes without the blanks at both ends. The bytes are UTF-8. O(blanks).
    @_lifetime(copy self)
    func trimmed() -> RawSpan {
        var start = 0
        var end = byteCount
        while start < end {
            let length = blankLength(at: start, limit: end)
            if length == 0 { break }
            start &+= length
        }
        while end > start {
            let length = blankLength(endingAt: end, limit: start)
            if length == 0 { break }
            end &-= length
        }
        return extracting(start..<end)
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
            (0xe2, 0x80, 0xaf), (0xe2, 0x81, 0x9f), (0xe3, 0x80, 0x80), (0xef, 0xbb, 0xbf):
            return 3
        default: return 0
        }
    }

    private func blankLength(endingAt end: Int, limit: Int) -> Int {
        let last = self[end - 1]
        if last < 0x80 { return blankLength(at: end - 1, limit: end) }
        for length in 2...3 where end - length >= limit {
            // A lead byte stands only at the start of a sequence, so this cannot be a middle.
            if blankLength(at: end - length, limit: end) == length { return length }
        }
        return 0
    }
}
