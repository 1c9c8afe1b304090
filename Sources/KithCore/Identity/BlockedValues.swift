internal import KithBytes

/// The values that never are an identifier, compiled for a look-up that most values leave after
/// one test of their length: the words of the configuration, and always what is empty, only `0`,
/// `-` and `.`, a UUID of one repeated digit, or a template that nobody filled in (`{{…}}`, `${…}`,
/// `%%…%%`, `<%…%>`).
struct BlockedValues: Sendable {
    /// The words in lower case and NFC, one after another, the shortest first.
    private var bytes: [UInt8] = []
    private var words: [Range<Int>] = []
    /// The places in `words` of those that have 0, 1, … 62 bytes, and of all that have more.
    private var wordsByLength: [Range<Int>] = []
    /// Bit n: some word has n bytes; bit 63: some word has 63 or more.
    private var lengths: UInt64 = 0
    private var hasWordsBeyondASCII = false

    init(_ values: [String]) {
        var folded = values.map { value in
            var word: [UInt8] = []
            value.lowercased().appendNFC(to: &word)
            return word
        }
        folded.sort { $0.count < $1.count }
        for word in folded {
            words.append(bytes.count..<(bytes.count + word.count))
            bytes += word
            lengths |= 1 << UInt64(min(word.count, 63))
            if word.contains(where: { $0 >= 0x80 }) { hasWordsBeyondASCII = true }
        }
        for length in 0...63 {
            let start = folded.firstIndex { $0.count >= length } ?? folded.count
            let end = length == 63 ? nil : folded.firstIndex { $0.count > length }
            wordsByLength.append(start..<(end ?? folded.count))
        }
    }

    /// Why `text`, which is UTF-8, is blocked; nil where it is not. O(n).
    ///
    /// What nobody sees around it does not hide it, nor do quotes, single or double, any number of
    /// pairs. `isOdd` is what `kindOfBytes` says of the text.
    func reason(_ text: RawSpan, isOdd: Bool) -> IgnoredIdentifier? {
        var text = text.trimmed()
        while text.byteCount >= 2 {
            let first = text[0]
            guard first == UInt8(ascii: "\"") || first == UInt8(ascii: "'"),
                text[text.byteCount - 1] == first
            else { break }
            text = text.extracting(1..<(text.byteCount - 1)).trimmed()
        }
        let count = text.byteCount
        if count == 0 { return .empty }
        if Self.isZeros(text) { return .zeros }
        if Self.isRepeatedUUID(text) { return .blocked }
        if isOdd, Self.isTemplate(text) { return .blocked }
        guard lengths & 1 << UInt64(min(count, 63)) != 0 || hasWordsBeyondASCII else {
            return nil
        }
        return isWord(text) ? .blocked : nil
    }

    private static func isZeros(_ text: RawSpan) -> Bool {
        for place in 0..<text.byteCount {
            switch text[place] {
            case UInt8(ascii: "0"), UInt8(ascii: "-"), UInt8(ascii: "."): continue
            default: return false
            }
        }
        return true
    }

    /// A UUID, with its dashes or without, of one digit in every place.
    private static func isRepeatedUUID(_ text: RawSpan) -> Bool {
        let count = text.byteCount
        guard count == 32 || count == 36 else { return false }
        let first = text[0] | 0x20
        guard 0x30...0x39 ~= first || 0x61...0x66 ~= first else { return false }
        for place in 1..<count {
            let isDash = count == 36 && [8, 13, 18, 23].contains(place)
            guard isDash ? text[place] == UInt8(ascii: "-") : text[place] | 0x20 == first else {
                return false
            }
        }
        return true
    }

    /// Whether a template is in the text that nobody filled in.
    private static func isTemplate(_ text: RawSpan) -> Bool {
        var open = 0
        while open + 4 <= text.byteCount {
            let isOpen: Bool
            let close: (UInt8, UInt8?)
            switch (text[open], text[open + 1]) {
            case (UInt8(ascii: "{"), UInt8(ascii: "{")):
                (isOpen, close) = (true, (UInt8(ascii: "}"), UInt8(ascii: "}")))
            case (UInt8(ascii: "$"), UInt8(ascii: "{")):
                (isOpen, close) = (true, (UInt8(ascii: "}"), nil))
            case (UInt8(ascii: "%"), UInt8(ascii: "%")):
                (isOpen, close) = (true, (UInt8(ascii: "%"), UInt8(ascii: "%")))
            case (UInt8(ascii: "<"), UInt8(ascii: "%")):
                (isOpen, close) = (true, (UInt8(ascii: "%"), UInt8(ascii: ">")))
            default: (isOpen, close) = (false, (0, nil))
            }
            if isOpen {
                for place in (open + 2)..<text.byteCount where text[place] == close.0 {
                    guard let second = close.1 else { return true }
                    if place + 1 < text.byteCount, text[place + 1] == second { return true }
                }
            }
            open += 1
        }
        return false
    }

    private func isWord(_ text: RawSpan) -> Bool {
        if hasWordsBeyondASCII, !text.isASCII() {
            let folded = text.repairedText().lowercased().nfc
            return words.contains { bytes[$0].elementsEqual(folded) }
        }
        let count = text.byteCount
        for index in wordsByLength[min(count, 63)] {
            let word = words[index]
            guard word.count == count else { continue }
            var place = 0
            while place < count {
                let byte = text[place]
                let lower = 0x41...0x5a ~= byte ? byte | 0x20 : byte
                if lower != bytes[word.lowerBound &+ place] { break }
                place &+= 1
            }
            if place == count { return true }
        }
        return false
    }
}
