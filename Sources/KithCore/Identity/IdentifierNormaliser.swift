internal import KithBytes

/// Brings identifiers to the one form that is compared, hashed and shown: the same for events and
/// for questions, so that `email:A@X.com` finds `a@x.com`.
///
///     text → trim → NFC → blocked? → control characters? → namespace's rule (e-mail, phone) → value
///
/// ASCII, which nearly all identifiers are, never becomes a `String` and allocates nothing; other
/// text below U+0300 is in NFC as it stands and is copied too.
public struct IdentifierNormaliser: Sendable {
    /// Bytes of an identifier, after trimming and NFC.
    public static let valueBytesMax = 1024

    private let rules: [IdentityRules.Normalisation]
    private let blocked: BlockedValues

    /// Compiles `rules`.
    public init(_ rules: IdentityRules) {
        self.rules = rules.namespaces.map(\.normalisation)
        self.blocked = BlockedValues(rules.blockedValues)
    }

    /// Appends the value that `text` means in a namespace to `value`, or appends nothing and says
    /// why it is no identifier. O(n).
    ///
    /// `text` is UTF-8; other bytes are `invalid`.
    public func normalise(
        _ text: RawSpan, namespace: Int, into value: inout [UInt8]
    ) throws(IgnoredIdentifier) {
        let start = value.count
        do throws(IgnoredIdentifier) {
            try append(text.trimmed(), rule: rules[namespace], to: &value)
        } catch {
            value.removeLast(value.count - start)
            throw error
        }
    }

    private func append(
        _ text: RawSpan, rule: IdentityRules.Normalisation, to value: inout [UInt8]
    ) throws(IgnoredIdentifier) {
        let start = value.count
        var kind = text.kindOfBytes()
        let isASCII = kind.isASCII
        if isASCII {
            // NFC changes nothing here, so the length is known before anything is copied.
            guard text.byteCount <= Self.valueBytesMax else { throw .tooLong }
            unsafe text.withUnsafeBytes { unsafe value.append(contentsOf: $0) }
        } else {
            try Self.appendNFC(text, to: &value)
            kind = unsafe value.span.bytes.extracting(start..<value.count).kindOfBytes()
        }
        guard value.count - start <= Self.valueBytesMax else { throw .tooLong }
        if let reason = judge(value, from: start, kind, rule: rule) { throw reason }
        switch rule {
        case .none: break
        case .email: try Self.makeEmail(&value, from: start, isASCII: isASCII)
        case .phone: try Self.makePhone(&value, from: start)
        }
    }

    /// Why the value from `start` on is no identifier whatever its namespace.
    private func judge(
        _ value: [UInt8], from start: Int, _ kind: (isASCII: Bool, isOdd: Bool),
        rule: IdentityRules.Normalisation
    ) -> IgnoredIdentifier? {
        let text = unsafe value.span.bytes.extracting(start..<value.count)
        if let reason = blocked.reason(text, isOdd: kind.isOdd) { return reason }
        // Of a phone number nothing stays but its digits, a tab inside no more than a blank.
        guard rule != .phone, !kind.isASCII || kind.isOdd else { return nil }
        return text.hasControlOrLost() ? .invalid : nil
    }

    /// Whether `text`, which is UTF-8, can tell one message from another: it is not blocked as an
    /// identifier would be, and nothing of it was lost. O(n).
    public func isMessageID(_ text: RawSpan) -> Bool {
        let kind = text.kindOfBytes()
        return blocked.reason(text, isOdd: kind.isOdd) == nil && (kind.isASCII || !text.hasLost())
    }

    private static func appendNFC(
        _ text: RawSpan, to value: inout [UInt8]
    ) throws(IgnoredIdentifier) {
        guard let string = text.text() else { throw .invalid }
        // Characters below U+0300 have neither a shorter composed form nor a combining class.
        // Their first bytes are those below 0xcc.
        var needsNFC = false
        for offset in 0..<text.byteCount where text[offset] >= 0xcc { needsNFC = true }
        if needsNFC {
            string.appendNFC(to: &value)
        } else {
            unsafe text.withUnsafeBytes { unsafe value.append(contentsOf: $0) }
        }
    }

    /// Lower case; exactly one `@` with text on both sides; no blank, nothing invisible, and none
    /// of the signs that stand around and between addresses.
    private static func makeEmail(
        _ value: inout [UInt8], from start: Int, isASCII: Bool
    ) throws(IgnoredIdentifier) {
        if isASCII {
            for place in start..<value.count where isUpper(value[place]) { value[place] |= 0x20 }
        } else {
            let lower = String(decoding: value[start...], as: UTF8.self).lowercased()
            value.removeLast(value.count - start)
            lower.appendNFC(to: &value)
            guard value.count - start <= valueBytesMax else { throw .tooLong }
        }
        var at = -1
        for place in start..<value.count {
            switch value[place] {
            case UInt8(ascii: "@"):
                guard at < 0 else { throw .invalid }
                at = place
            case UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: ","), UInt8(ascii: ";"), 0x20:
                throw .invalid
            case 0x80...:
                let length = unsafe value.span.bytes.unseenLength(at: place, limit: value.count)
                guard length == 0 else { throw .invalid }
            default: break
            }
        }
        guard at > start, at < value.count - 1 else { throw .invalid }
    }

    /// Takes blanks, dots, dashes, slashes, brackets and direction marks out; `+`, a digit 1 to 9
    /// and 7 to 14 more must be left.
    private static func makePhone(
        _ value: inout [UInt8], from start: Int
    ) throws(IgnoredIdentifier) {
        var kept = start
        var place = start
        while place < value.count {
            let byte = value[place]
            let length = punctuationLength(value, at: place)
            if length > 0 {
                place += length
                continue
            }
            let isSign = byte == UInt8(ascii: "+") && kept == start
            let isDigit = 0x30...0x39 ~= byte && kept > start
            guard isSign || isDigit else { throw .invalid }
            value[kept] = byte
            kept += 1
            place += 1
        }
        value.removeLast(value.count - kept)
        guard 9...16 ~= kept - start, value[start + 1] != UInt8(ascii: "0") else {
            throw .invalid
        }
    }

    /// The length of the blank, dot, dash, slash, bracket or direction mark at `place` of a phone
    /// number; 0 for others. Dashes are `-`, U+2010 to U+2015 and the minus sign U+2212.
    private static func punctuationLength(_ value: [UInt8], at place: Int) -> Int {
        let byte = value[place]
        if byte < 0x80 {
            switch byte {
            case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "("), UInt8(ascii: ")"),
                UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "/"):
                return 1
            default: break
            }
        }
        if byte == 0xe2, place + 3 <= value.count {
            switch (value[place + 1], value[place + 2]) {
            case (0x80, 0x90...0x95), (0x88, 0x92): return 3
            default: break
            }
        }
        let direction = unsafe value.span.bytes.directionLength(at: place, limit: value.count)
        if direction > 0 { return direction }
        return unsafe value.span.bytes.blankLength(at: place, limit: value.count)
    }

    private static func isUpper(_ byte: UInt8) -> Bool { 0x41...0x5a ~= byte }
}
