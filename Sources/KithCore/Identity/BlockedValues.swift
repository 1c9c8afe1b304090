/// The values that never are an identifier, compiled for a look-up that most values leave after
/// one test of their length.
struct BlockedValues: Sendable {
    /// The words in lower case and NFC, one after another.
    private var bytes: [UInt8] = []
    private var words: [Range<Int>] = []
    /// Bit n: some word has n bytes; bit 63: some word has 63 or more.
    private var lengths: UInt64 = 0
    private var hasWordsBeyondASCII = false

    init(_ values: [String]) {
        for value in values {
            let start = bytes.count
            value.lowercased().appendNFC(to: &bytes)
            words.append(start..<bytes.count)
            lengths |= 1 << UInt64(min(bytes.count - start, 63))
            if bytes[start...].contains(where: { $0 >= 0x80 }) { hasWordsBeyondASCII = true }
        }
    }

    /// Why the trimmed text from `start` to the end of `text` is blocked; nil where it is not.
    ///
    /// Quotes around it, single or double, any number of pairs, do not hide it.
    func reason(_ text: [UInt8], from start: Int) -> IgnoredIdentifier? {
        var start = start
        var end = text.count
        while true {
            while start < end, text[start] == 0x20 { start += 1 }
            while end > start, text[end - 1] == 0x20 { end -= 1 }
            if start == end { return .empty }
            let first = text[start]
            guard first == UInt8(ascii: "\"") || first == UInt8(ascii: "'"),
                end - start >= 2, text[end - 1] == first
            else { break }
            start += 1
            end -= 1
        }
        if isZeros(text, start, end) { return .zeros }
        guard lengths & 1 << UInt64(min(end - start, 63)) != 0 || hasWordsBeyondASCII else {
            return nil
        }
        return isWord(text, start, end) ? .blocked : nil
    }

    private func isZeros(_ text: [UInt8], _ start: Int, _ end: Int) -> Bool {
        for place in start..<end
        where text[place] != UInt8(ascii: "0") && text[place] != UInt8(ascii: "-") {
            return false
        }
        return true
    }

    private func isWord(_ text: [UInt8], _ start: Int, _ end: Int) -> Bool {
        if hasWordsBeyondASCII, text[start..<end].contains(where: { $0 >= 0x80 }) {
            let folded = String(decoding: text[start..<end], as: UTF8.self).lowercased().nfc
            return words.contains { bytes[$0].elementsEqual(folded) }
        }
        for word in words where word.count == end - start {
            var place = 0
            while place < word.count {
                let byte = text[start + place]
                let lower = 0x41...0x5a ~= byte ? byte | 0x20 : byte
                if lower != bytes[word.lowerBound + place] { break }
                place += 1
            }
            if place == word.count { return true }
        }
        return false
    }
}
