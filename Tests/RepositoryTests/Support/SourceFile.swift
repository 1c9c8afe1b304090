/// A Swift file as two texts of equal shape: as written, and with comments and the contents of
/// string literals blanked, so that a search in `code` finds code.
struct SourceFile: Sendable {
    let path: String
    /// Lines as written.
    let lines: [Substring]
    /// The same lines, with a blank for every character of a comment or a literal.
    let code: [Substring]
    let byteCount: Int

    init(_ path: String) {
        let text = Repository.text(path) ?? ""
        self.path = path
        byteCount = text.utf8.count
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        var scanner = CodeScanner(text)
        code = scanner.blanked().split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// The module or test target: the folder below `Sources` or `Tests`.
    var module: String {
        let parts = path.split(separator: "/")
        return parts.count > 1 ? String(parts[1]) : ""
    }

    /// Lines of `code` that match, with their number from 1.
    func matches<Output>(_ pattern: Regex<Output>) -> [(line: Int, text: Substring)] {
        code.enumerated().compactMap { place, text in
            text.contains(pattern) ? (place + 1, text) : nil
        }
    }

    /// Violations where `code` matches.
    func violations<Output>(_ pattern: Regex<Output>, _ what: String) -> [Violation] {
        matches(pattern).map { Violation(path: path, line: $0.line, what: what) }
    }
}

/// Blanks comments and string literals; keeps line ends, and code inside interpolations.
private struct CodeScanner {
    private let text: [Character]
    private var place = 0
    private var result: [Character] = []

    init(_ text: String) {
        self.text = Array(text)
        result.reserveCapacity(self.text.count)
    }

    mutating func blanked() -> String {
        code(untilParenthesis: false)
        return String(result)
    }

    private func starts(_ word: String, at start: Int) -> Bool {
        start + word.count <= text.count && text[start..<(start + word.count)].elementsEqual(word)
    }

    private mutating func keep() {
        result.append(text[place])
        place += 1
    }

    private mutating func blank(_ count: Int = 1) {
        for _ in 0..<count where place < text.count {
            result.append(text[place].isNewline ? "\n" : " ")
            place += 1
        }
    }

    /// Code up to the end, or up to the parenthesis that ends an interpolation.
    private mutating func code(untilParenthesis: Bool) {
        var depth = 0
        while place < text.count {
            if starts("//", at: place) {
                while place < text.count, !text[place].isNewline { blank() }
            } else if starts("/*", at: place) {
                blockComment()
            } else if let hashes = literalStart() {
                literal(hashes: hashes)
            } else {
                if text[place] == "(" { depth += 1 }
                if text[place] == ")" {
                    if untilParenthesis, depth == 0 { return }
                    depth -= 1
                }
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
        while end < text.count, text[end] == "#" { end += 1 }
        guard end < text.count, text[end] == "\"" else { return nil }
        return end - place
    }

    private mutating func literal(hashes: Int) {
        let signs = String(repeating: "#", count: hashes)
        let isMultiline = starts("\"\"\"", at: place + hashes)
        let quotes = isMultiline ? "\"\"\"" : "\""
        blank(hashes + quotes.count)
        while place < text.count {
            if starts(quotes + signs, at: place) {
                return blank(quotes.count + hashes)
            }
            if starts("\\" + signs + "(", at: place) {
                blank(2 + hashes)
                code(untilParenthesis: true)
                blank()
            } else if starts("\\" + signs, at: place) {
                blank(2 + hashes)
            } else if text[place].isNewline, !isMultiline {
                return  // not a literal that ends: leave the rest as code
            } else {
                blank()
            }
        }
    }
}
