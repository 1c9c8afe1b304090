/// A Swift file as two texts of the same lines: as written, and with comments and the contents of
/// string literals blanked, so that a search in `code` finds code.
struct SourceFile: Sendable {
    let path: String
    /// Lines as written.
    let lines: [Substring]
    /// The same lines, with a blank for every byte of a comment or a literal.
    let code: [Substring]
    /// Places in `code` of the lines that are not blank.
    let codeLines: [Int]
    let byteCount: Int

    init(_ path: String) {
        self.init(path, text: Repository.text(path) ?? "")
    }

    init(_ path: String, text: String) {
        self.path = path
        byteCount = text.utf8.count
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        var scanner = CodeScanner(text)
        let code = scanner.blanked().split(separator: "\n", omittingEmptySubsequences: false)
        codeLines = code.indices.filter { place in code[place].utf8.contains { $0 > 0x20 } }
        self.code = code
    }

    /// The module or test target: the folder below `Sources` or `Tests`.
    var module: String {
        let parts = path.split(separator: "/")
        return parts.count > 1 ? String(parts[1]) : ""
    }

    /// Lines of `code` that match, with their number from 1.
    func matches<Output>(_ pattern: Regex<Output>) -> [(line: Int, text: Substring)] {
        // The default takes `DispatchQueue.main` for one word.
        let pattern = pattern.wordBoundaryKind(.simple)
        return codeLines.compactMap { place in
            code[place].contains(pattern) ? (place + 1, code[place]) : nil
        }
    }

    /// Violations where `code` matches.
    func violations<Output>(_ pattern: Regex<Output>, _ what: String) -> [Violation] {
        matches(pattern).map { Violation(path: path, line: $0.line, what: what) }
    }
}

/// Blanks comments and string literals; keeps line ends, and code inside interpolations.
private struct CodeScanner {
    private let text: [UInt8]
    private var place = 0
    private var result: [UInt8] = []

    init(_ text: String) {
        self.text = Array(text.utf8)
        result.reserveCapacity(self.text.count)
    }

    mutating func blanked() -> String {
        code(untilParenthesis: false)
        return String(decoding: result, as: UTF8.self)
    }

    private func starts(_ word: StaticString, at start: Int) -> Bool {
        starts(word, hashes: 0, at: start)
    }

    /// Whether `word` and so many number signs stand at `start`.
    private func starts(_ word: StaticString, hashes: Int, at start: Int) -> Bool {
        let count = word.utf8CodeUnitCount
        guard start + count + hashes <= text.count else { return false }
        for offset in 0..<count where text[start + offset] != word.utf8Start[offset] {
            return false
        }
        return text[(start + count)..<(start + count + hashes)].allSatisfy {
            $0 == UInt8(ascii: "#")
        }
    }

    private func isNewline(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\n") }

    private mutating func keep() {
        result.append(text[place])
        place += 1
    }

    private mutating func blank(_ count: Int = 1) {
        for _ in 0..<count where place < text.count {
            result.append(isNewline(text[place]) ? text[place] : UInt8(ascii: " "))
            place += 1
        }
    }

    /// Code up to the end, or up to the parenthesis that ends an interpolation.
    private mutating func code(untilParenthesis: Bool) {
        var depth = 0
        while place < text.count {
            switch text[place] {
            case UInt8(ascii: "/") where starts("//", at: place):
                while place < text.count, !isNewline(text[place]) { blank() }
            case UInt8(ascii: "/") where starts("/*", at: place):
                blockComment()
            case UInt8(ascii: "\""), UInt8(ascii: "#"):
                if let hashes = literalStart() { literal(hashes: hashes) } else { keep() }
            case UInt8(ascii: "("):
                depth += 1
                keep()
            case UInt8(ascii: ")"):
                if untilParenthesis, depth == 0 { return }
                depth -= 1
                keep()
            default:
                keep()
            }
        }
    }

    private mutating func blockComment() {
        var depth = 0
        repeat {
            if starts("/*", at: place) {
                depth += 1
                blank(2)
            } else if starts("*/", at: place) {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && place < text.count
    }

    /// How many number signs stand before the quote that begins here; nil where no literal does.
    private func literalStart() -> Int? {
        var end = place
        while end < text.count, text[end] == UInt8(ascii: "#") { end += 1 }
        guard end < text.count, text[end] == UInt8(ascii: "\"") else { return nil }
        return end - place
    }

    private mutating func literal(hashes: Int) {
        let isMultiline = starts("\"\"\"", at: place + hashes)
        let quotes: StaticString = isMultiline ? "\"\"\"" : "\""
        blank(hashes + quotes.utf8CodeUnitCount)
        while place < text.count {
            if starts(quotes, hashes: hashes, at: place) {
                return blank(quotes.utf8CodeUnitCount + hashes)
            }
            if starts("\\", hashes: hashes, at: place) {
                blank(1 + hashes)
                if starts("(", at: place) {
                    blank()
                    code(untilParenthesis: true)
                }
                blank()
            } else if isNewline(text[place]), !isMultiline {
                return  // not a literal that ends: leave the rest as code
            } else {
                blank()
            }
        }
    }
}
