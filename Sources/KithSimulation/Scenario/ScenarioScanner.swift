internal import KithBytes

/// Reads one line of a scenario from left to right.
///
///     word         a run without blanks, quotes, commas and braces
///     text         a word, or "…" with \" \\ \n \t and \u{hex}
///     identifier   a:1 · u:"with blanks" · device_id:x      a d u e p are the usual namespaces
///     time         89.999 · 90d · 90d-1ms · 2d+3ms          days, from the file's day 0
///     value        JSON, keys bare or quoted, and repeat("x", 1025), nested(128)
struct ScenarioScanner {
    let file: String
    let line: Int
    private let text: [Unicode.Scalar]
    private var offset = 0

    /// Day 0 of every scenario.
    static let epoch = SimulatedClock.defaultStart.rawValue
    static let dayMillis: Int64 = 86_400_000

    init(_ text: String, file: String, line: Int) {
        self.text = Array(text.unicodeScalars)
        self.file = file
        self.line = line
    }

    func error(_ message: String) -> ScenarioError {
        ScenarioError(file: file, line: line, message: message)
    }

    // MARK: Small things

    mutating func skipBlanks() {
        while offset < text.count, text[offset] == " " || text[offset] == "\t" { offset += 1 }
    }

    /// True at the end of the line, or where a comment begins.
    var isAtEnd: Bool {
        mutating get {
            skipBlanks()
            return offset == text.count || text[offset] == "#"
        }
    }

    var rest: String {
        mutating get {
            skipBlanks()
            return String(String.UnicodeScalarView(text[offset...]))
        }
    }

    /// Takes `literal` if it is next.
    mutating func take(_ literal: String) -> Bool {
        skipBlanks()
        guard text[offset...].starts(with: literal.unicodeScalars) else { return false }
        offset += literal.unicodeScalars.count
        return true
    }

    /// Takes the word if it is next, whole.
    mutating func takeWord(_ word: String) -> Bool {
        var ahead = self
        guard ahead.word() == word else { return false }
        self = ahead
        return true
    }

    mutating func expect(_ literal: String) throws(ScenarioError) {
        guard take(literal) else { throw error("expected \(literal) before: \(rest)") }
    }

    mutating func expectEnd() throws(ScenarioError) {
        guard isAtEnd else { throw error("nothing is expected any more before: \(rest)") }
    }

    private static func ends(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case " ", "\t", "\"", ",", "{", "}", "(", ")", "[", "]": true
        default: false
        }
    }

    /// The next bare word; empty where none is next.
    mutating func word() -> String {
        skipBlanks()
        var word = String.UnicodeScalarView()
        while offset < text.count, !Self.ends(text[offset]) {
            word.append(text[offset])
            offset += 1
        }
        return String(word)
    }

    /// A bare word up to `stop`, as in `id=m7` or `user_id:1`.
    private mutating func word(until stop: Unicode.Scalar) -> String? {
        skipBlanks()
        var place = offset
        while place < text.count, !Self.ends(text[place]), text[place] != stop { place += 1 }
        guard place < text.count, text[place] == stop, place > offset else { return nil }
        defer { offset = place + 1 }
        return String(String.UnicodeScalarView(text[offset..<place]))
    }

    // MARK: Texts, names, numbers

    var isAtQuote: Bool {
        mutating get {
            skipBlanks()
            return offset < text.count && text[offset] == "\""
        }
    }

    mutating func string() throws(ScenarioError) -> String {
        if !isAtQuote {
            let word = word()
            guard !word.isEmpty else { throw error("expected a text before: \(rest)") }
            return word
        }
        offset += 1
        var result = String.UnicodeScalarView()
        while offset < text.count {
            let scalar = text[offset]
            offset += 1
            switch scalar {
            case "\"": return String(result)
            case "\\": result.append(try escape())
            default: result.append(scalar)
            }
        }
        throw error("a text without its closing quote")
    }

    private mutating func escape() throws(ScenarioError) -> Unicode.Scalar {
        guard offset < text.count else { throw error("a text ends in \\") }
        let scalar = text[offset]
        offset += 1
        switch scalar {
        case "n": return "\n"
        case "t": return "\t"
        case "\"", "\\": return scalar
        case "u":
            guard take("{") else { throw error("expected \\u{hex}") }
            let digits = word()
            guard take("}"), let number = UInt32(digits, radix: 16),
                let result = Unicode.Scalar(number)
            else { throw error("\\u{\(digits)} is no character") }
            return result
        default: throw error("\\\(scalar) means nothing; known: \\\" \\\\ \\n \\t \\u{hex}")
        }
    }

    /// `NAME=`, if that is next.
    mutating func key() -> String? {
        word(until: "=")
    }

    private static let shorthands = [
        "a": "anonymous_id", "d": "device_id", "u": "user_id", "e": "email", "p": "phone",
    ]

    /// True where `ns:` is next.
    var isAtIdentifier: Bool {
        mutating get {
            var ahead = self
            return ahead.word(until: ":") != nil
        }
    }

    mutating func identifier() throws(ScenarioError) -> ScenarioIdentifier {
        guard let short = word(until: ":") else {
            throw error("expected an identifier such as a:1 before: \(rest)")
        }
        let namespace = Self.shorthands[short] ?? short
        let isQuoted = isAtQuote
        var value = try string()
        if !isQuoted, value.hasSuffix("!") {
            value.removeLast()
            offset -= 1
        }
        if !isQuoted, namespace == "email", !value.contains("@") { value += "@example.com" }
        if !isQuoted, namespace == "phone", let number = Int(value), value.count <= 4 {
            let digits = String(number)
            value = "+4930" + String(repeating: "0", count: 8 - digits.count) + digits
        }
        return ScenarioIdentifier(namespace: namespace, value: value)
    }

    mutating func integer() throws(ScenarioError) -> Int64 {
        let word = word()
        guard let number = Int64(word) else { throw error("\(word) is no whole number") }
        return number
    }

    /// A time in days, as milliseconds since 1970.
    mutating func time() throws(ScenarioError) -> Int64 {
        let word = word()
        guard let time = Self.millis(word) else {
            throw error("\(word) is no time; times are days such as 89.999, 90d or 90d-1ms")
        }
        return Self.epoch + time
    }

    /// Milliseconds since day 0.
    static func millis(_ word: String) -> Int64? {
        var days = word[...]
        var shift: Int64 = 0
        if let end = word.firstIndex(of: "d") {
            days = word[..<end]
            let behind = word[word.index(after: end)...]
            if !behind.isEmpty {
                guard behind.hasSuffix("ms"), let number = Int64(behind.dropLast(2)),
                    behind.hasPrefix("+") || behind.hasPrefix("-")
                else { return nil }
                shift = number
            }
        }
        guard let number = Double(days), abs(number) < 10_000_000 else { return nil }
        return Int64((number * Double(dayMillis)).rounded()) + shift
    }

    // MARK: Values

    var isAtObject: Bool {
        mutating get {
            skipBlanks()
            return offset < text.count && text[offset] == "{"
        }
    }

    mutating func value() throws(ScenarioError) -> CBORValue {
        if isAtQuote { return .text(try string()) }
        if isAtObject { return .map(try members()) }
        if take("[") {
            var items: [CBORValue] = []
            while !take("]") {
                if !items.isEmpty { try expect(",") }
                items.append(try value())
            }
            return .array(items)
        }
        let word = word()
        switch word {
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "null": return .null
        case "repeat":
            try expect("(")
            let part = try string()
            try expect(",")
            let count = try integer()
            try expect(")")
            return .text(String(repeating: part, count: Int(count)))
        case "nested":
            try expect("(")
            let depth = try integer()
            try expect(")")
            return (0..<Int(depth)).reduce(CBORValue.null) { inner, _ in .array([inner]) }
        case "time":
            try expect("(")
            let time = try time()
            try expect(")")
            return .integer(time)
        default:
            if let integer = Int64(word) { return .integer(integer) }
            if let integer = UInt64(word) { return .unsigned(integer) }
            if let double = Double(word) { return .double(double) }
            throw error("\(word.isEmpty ? rest : word) is no value")
        }
    }

    /// `{key: value, …}`
    mutating func members() throws(ScenarioError) -> [CBORMember] {
        try expect("{")
        var members: [CBORMember] = []
        while !take("}") {
            if !members.isEmpty { try expect(",") }
            let name = try memberName()
            members.append(CBORMember(.text(name), try value()))
        }
        return members
    }

    /// `key:` with the key bare or quoted.
    mutating func memberName() throws(ScenarioError) -> String {
        if isAtQuote {
            let name = try string()
            try expect(":")
            return name
        }
        guard let name = word(until: ":") else {
            throw error("expected a name and a colon before: \(rest)")
        }
        return name
    }
}
