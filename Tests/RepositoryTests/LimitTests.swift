import Testing

/// The table of limits in docs/architecture.md is that of the code.
@Suite struct LimitTests {
    static let document = "docs/architecture.md"

    /// A limit as the code declares it.
    struct Declared {
        let path: String
        let line: Int
        let name: String
        /// Nil where it is computed or given by whoever makes the value.
        let value: Int?
    }

    /// A row of the table.
    struct Row {
        let line: Int
        /// With its type: `Group.pendingBytesMax`.
        let name: String
        let value: Int?
        let path: String

        var shortName: String { String(name.split(separator: ".").last ?? "") }
    }

    static var declared: [Declared] {
        let pattern =
            #/
            ^ \s*
            (?: (?: public | package | private | fileprivate | internal | nonisolated | static )
                (?: \( set \) )? \s+ )*
            (?: let | var ) \s+ (?<name> \w+ ) (?: \s* : \s* [\w.]+ )?
            (?: \s* = \s* (?<value> [^{]+ ) )?
            /#
        return Repository.sources.flatMap { source in
            source.codeLines.compactMap { place in
                let text = source.code[place]
                // A private variable is a running value, not a limit.
                guard text.contains("let ") || text.contains("var "),
                    !text.contains("private var "),
                    let match = text.firstMatch(of: pattern)
                else { return nil }
                return Declared(
                    path: source.path, line: place + 1, name: String(match.output.name),
                    value: match.output.value.flatMap { number(inCode: String($0)) })
            }
        }
    }

    static var rows: [Row] {
        var rows: [Row] = []
        let lines = (Repository.text(document) ?? "").split(
            separator: "\n", omittingEmptySubsequences: false)
        for (place, line) in lines.enumerated() where line.hasPrefix("| `") {
            let cells = line.split(separator: "|").map { $0.trimmed() }
            guard cells.count == 4, let name = cells[0].codeSpans.first,
                let path = cells[3].codeSpans.first
            else { continue }
            rows.append(
                Row(
                    line: place + 1, name: name, value: number(inTable: cells[1]),
                    path: "Sources/" + path))
        }
        return rows
    }

    @Test func `every limit is in the table of the architecture`() {
        let rows = Self.rows
        #expect(rows.count > 50, "the table was not understood")
        let violations = Self.declared.filter { limit in
            limit.name.hasSuffix("Max")
                && !rows.contains { $0.path == limit.path && $0.shortName == limit.name }
        }.map { Violation(path: $0.path, line: $0.line, what: "\($0.name) is not in the table") }

        violations.expectNone()
    }

    @Test func `every row of the table is a limit of the code and has its value`() {
        let declared = Self.declared
        var violations: [Violation] = []
        for row in Self.rows {
            let found = declared.filter { $0.path == row.path && $0.name == row.shortName }
            if found.isEmpty {
                violations.append(
                    Violation(
                        path: Self.document, line: row.line, what: "no \(row.name) in \(row.path)"))
            }
            let values = found.compactMap(\.value)
            guard let said = row.value, !values.isEmpty, !values.contains(said) else { continue }
            violations.append(
                Violation(
                    path: Self.document, line: row.line,
                    what: "\(row.name) is \(values[0]), the table says \(said)"))
        }

        violations.expectNone()
    }

    @Test(arguments: [
        ("8 << 20", 8_388_608), ("65_536", 65_536), ("256 * 1024", 262_144), ("0x1FFF", 8191),
        ("Int(UInt16.max)", 65_535), ("400 * 86_400_000", 34_560_000_000),
    ]) func `a number in code is read`(_ text: String, _ value: Int) {
        #expect(Self.number(inCode: text) == value)
    }

    @Test(arguments: [
        ("8 MiB", 8_388_608), ("4 KiB", 4096), ("65,536", 65_536), ("256 (shards)", 256),
        ("400 days", 34_560_000_000),
    ]) func `a number in the table is read`(_ text: String, _ value: Int) {
        #expect(Self.number(inTable: text) == value)
    }

    @Test(arguments: ["as announced", "by segment size", "8 MiB + 63", "292 years"])
    func `words in the table are no number`(_ text: String) {
        #expect(Self.number(inTable: text) == nil)
    }

    /// `a`, `a << b` or `a * b` of literals; nil for anything else.
    static func number(inCode text: String) -> Int? {
        let text = text.replacing(/\bInt\(UInt16\.max\)/, with: "65535").trimmed()
        func literal(_ digits: Substring) -> Int? {
            let digits = digits.replacing("_", with: "")
            return digits.hasPrefix("0x") ? Int(digits.dropFirst(2), radix: 16) : Int(digits)
        }
        guard
            let match = text.wholeMatch(of: /(0x[0-9A-Fa-f_]+|[0-9_]+)(?:\s*(<<|\*)\s*([0-9_]+))?/),
            let first = literal(match.output.1)
        else { return nil }
        guard let sign = match.output.2, let second = match.output.3.flatMap(literal) else {
            return first
        }
        return sign == "<<" ? first << second : first * second
    }

    /// A number with thousands' commas, perhaps with a unit or a remark in brackets.
    static func number(inTable text: String) -> Int? {
        let units = ["": 1, "KiB": 1 << 10, "MiB": 1 << 20, "days": 86_400_000]
        guard let match = text.wholeMatch(of: /([0-9,]+)(?:\s+(KiB|MiB|days))?(?:\s+\(.*\))?/),
            let digits = Int(match.output.1.replacing(",", with: "")),
            let unit = units[String(match.output.2 ?? "")]
        else { return nil }
        return digits * unit
    }
}
