// CBOR values as JSON text, for what the command prints: one line, members sorted by the bytes of
// their names. What JSON has no word for becomes what is nearest: NaN and infinities `null`, byte
// strings lower-case hex, a tag its content, a name that is no text the JSON of it. Integers beyond
// 64 bits, which are tags, are written out.

package import KithBytes

/// Writes JSON.
package enum JSONText {
    /// The JSON of `value`, without a line end.
    ///
    /// `isIndented` spreads it over lines for people; without `isSorted` members keep their order.
    package static func make(
        _ value: CBORValue, isIndented: Bool = false, isSorted: Bool = true
    ) -> String {
        var text = ""
        append(value, isSorted, indent: isIndented ? 0 : nil, to: &text)
        return text
    }

    private static func append(
        _ value: CBORValue, _ isSorted: Bool, indent: Int?, to text: inout String
    ) {
        switch value {
        case .null, .simple: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .unsigned(let value): text += String(value)
        case .negative(let value):
            // −1 − n; the lowest, −2^64, has no integer type of its own.
            text += value == .max ? "-18446744073709551616" : "-" + String(value + 1)
        case .double(let value): text += value.isFinite ? value.description : "null"
        case .text(let value): appendQuoted(value, to: &text)
        case .bytes(let bytes):
            let digits = Array("0123456789abcdef")
            appendQuoted(
                String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }), to: &text)
        case .tag(let tag, .bytes(let bytes)):
            if let digits = CBORInteger.decimal(tag: tag, bytes) {
                text += digits
            } else {
                append(.bytes(bytes), isSorted, indent: indent, to: &text)
            }
        case .tag(_, let content): append(content, isSorted, indent: indent, to: &text)
        case .array(let items):
            appendList("[", "]", items, indent: indent, to: &text) { item, indent, text in
                append(item, isSorted, indent: indent, to: &text)
            }
        case .map(let members):
            var named = members.map { (name: name($0.key), value: $0.value) }
            if isSorted { named.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) } }
            appendList("{", "}", named, indent: indent, to: &text) { member, indent, text in
                appendQuoted(member.name, to: &text)
                text += indent == nil ? ":" : ": "
                append(member.value, isSorted, indent: indent, to: &text)
            }
        }
    }

    private static func name(_ key: CBORValue) -> String {
        if case .text(let name) = key { return name }
        return make(key)
    }

    private static func appendList<Item>(
        _ open: String, _ close: String, _ items: [Item], indent: Int?, to text: inout String,
        _ body: (Item, Int?, inout String) -> Void
    ) {
        text += open
        let inner = indent.map { $0 + 2 }
        for (place, item) in items.enumerated() {
            if place > 0 { text += "," }
            if let inner { text += "\n" + String(repeating: " ", count: inner) }
            body(item, inner, &text)
        }
        if let indent, !items.isEmpty { text += "\n" + String(repeating: " ", count: indent) }
        text += close
    }

    private static func appendQuoted(_ value: String, to text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..."\u{1f}", "\u{7f}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
