import Testing

/// How files look: what a reader, a terminal and a diff can take.
@Suite struct FormTests {
    static let columnsMax = 100
    /// What the formatter cannot break: texts, and tables and pictures in comments.
    static let unbreakableColumnsMax = 200

    private static func isUnbreakable(_ line: String) -> Bool {
        let text = line.drop { $0 == " " }
        if text.hasPrefix("//") {
            return ["   ", " · ", "──"].contains { text.contains($0) }
        }
        return text.contains("\"")
    }
    static let fileBytesMax = 24 << 10

    /// Larger files, each with the reason why it is one thing.
    static let largeFiles: [String: String] = [
        "Tests/KithCoreTests/MergeModel/ModelOracle.swift":
            "one oracle: its checks share its books",
        "Tests/KithWireTests/Client/ClientTests.swift": "one client against one scripted network",
    ]

    @Test func `no line of code is longer than 100 columns`() {
        let violations = (Repository.sources + Repository.tests).flatMap { source in
            source.lines.enumerated().filter {
                let limit =
                    Self.isUnbreakable(String($0.element))
                    ? Self.unbreakableColumnsMax : Self.columnsMax
                return $0.element.count > limit
            }.map {
                Violation(
                    path: source.path, line: $0.offset + 1, what: "\($0.element.count) columns")
            }
        }

        violations.expectNone()
    }

    @Test func `no file is larger than 24 KiB`() {
        let violations = (Repository.sources + Repository.tests)
            .filter { $0.byteCount > Self.fileBytesMax && Self.largeFiles[$0.path] == nil }
            .map { Violation(path: $0.path, line: 0, what: "\($0.byteCount) bytes") }

        violations.expectNone()
    }

    static let functionLinesMax = 80

    /// Longer functions of the product, each with the reason why it is not several.
    static let longFunctions: [String: String] = [
        "Sources/KithServer/Node/Node.swift open": "one start: each step needs those before it"
    ]

    @Test func `no function is longer than 80 lines`() {
        var violations: [Violation] = []
        var exceptions = Set(Self.longFunctions.keys)
        for function in Repository.sources.flatMap(\.functions)
        where function.lineCount > Self.functionLinesMax {
            if exceptions.remove("\(function.path) \(function.name)") != nil { continue }
            violations.append(
                Violation(
                    path: function.path, line: function.line,
                    what: "\(function.name) has \(function.lineCount) lines"))
        }

        violations.expectNone()
        #expect(exceptions.isEmpty, "no longer so long: \(exceptions)")
    }

    @Test func `the length of a function is that of its text`() {
        let source = SourceFile(
            "a.swift",
            text: """
                struct A {
                    init() {
                    }
                    func short() { }
                    @inlinable
                    public mutating func wide(
                        _ a: Int
                    ) -> Int {
                        a
                    }
                    func asked() -> Int
                    func last() {
                        // }
                    }
                }
                """)

        #expect(source.functions.map(\.name) == ["init", "short", "wide", "asked", "last"])
        #expect(source.functions.map(\.lineCount) == [2, 1, 5, 1, 3])
    }

    @Test func `there are no tabs, no blanks at line ends, and one newline at the end`() {
        var violations: [Violation] = []
        for source in Repository.sources + Repository.tests {
            for (place, line) in source.lines.enumerated() {
                if line.contains("\t") {
                    violations.append(Violation(path: source.path, line: place + 1, what: "a tab"))
                }
                // A literal of several lines may need its blanks.
                let isLiteral =
                    source.code[place].trimmed().isEmpty && !line.trimmed().isEmpty
                    && !line.trimmed().hasPrefix("//")
                if line.last?.isWhitespace == true, !isLiteral {
                    violations.append(
                        Violation(path: source.path, line: place + 1, what: "a blank at the end"))
                }
            }
            if source.lines.last != "" || source.lines.dropLast().last == "" {
                violations.append(
                    Violation(path: source.path, line: 0, what: "the end of the file"))
            }
        }

        violations.expectNone()
    }

    @Test func `nothing is left for later`() {
        let marker = /\b(?:TODO|FIXME|XXX|HACK)\b/.wordBoundaryKind(.simple)
        var violations: [Violation] = []
        for source in Repository.sources + Repository.tests
        where !source.path.hasPrefix("Tests/RepositoryTests/") {
            for (place, line) in source.lines.enumerated() where line.contains(marker) {
                violations.append(Violation(path: source.path, line: place + 1, what: "a marker"))
            }
            violations += source.violations(/\bcatch\s*\{\s*\}/, "an error that nobody hears of")
        }
        for path in Repository.all where path.contains("Placeholder") || path.contains("TEMP_") {
            violations.append(Violation(path: path, line: 0, what: "a stand-in"))
        }

        violations.expectNone()
    }

    /// A catch that only has a comment in it says why; one that has nothing at all hides something.
    @Test func `every catch does something or says why it does not`() {
        var violations: [Violation] = []
        for source in Repository.sources {
            let text = source.code.joined(separator: "\n")
            for match in text.matches(of: /(?:\W|^)catch(?!\w)[^\{\n]*\{\s*\}/) {
                let line = text[..<match.range.lowerBound].count { $0 == "\n" }
                let end = line + match.output.count { $0 == "\n" }
                if !source.lines[line...end].contains(where: { $0.contains("//") }) {
                    violations.append(
                        Violation(path: source.path, line: line + 1, what: "an empty catch"))
                }
            }
        }

        violations.expectNone()
    }

    /// Functions and properties are left out: those that a documented protocol asks for, and those
    /// whose name is the whole of it, cannot be told from the others here.
    @Test func `every public type says what it is`() {
        let pattern =
            #/
            ^ \s* (?: @\w+ (?: \( [^)]* \) )? \s+ )* public \s+ (?: (?:final|indirect) \s+ )*
            (?: struct | class | enum | actor | protocol ) \s+ (?<name> \w+ )
            /#
        var violations: [Violation] = []
        for source in Repository.sources {
            for (place, line) in source.code.enumerated() {
                guard let match = line.firstMatch(of: pattern) else { continue }
                var above = place - 1
                while above >= 0, source.lines[above].trimmed().hasPrefix("@") { above -= 1 }
                if above < 0 || !source.lines[above].trimmed().hasPrefix("///") {
                    violations.append(
                        Violation(
                            path: source.path, line: place + 1,
                            what: "\(match.output.name) has no comment"))
                }
            }
        }

        violations.expectNone()
    }
}

/// A function or initialiser as it stands in a file.
struct FunctionText {
    let path: String
    let name: String
    /// Where it begins, from 1, and how many lines it has.
    let line: Int
    let lineCount: Int
}

extension SourceFile {
    /// The functions of the file, by how they are indented: one ends at the brace below its first
    /// letter, or on its first line.
    var functions: [FunctionText] {
        let pattern = /^( *)(?:@?\w+(?:\([^)]*\))? )*?(?:func `?(\w+|\S+)|(init)\b[?<(])/
        return code.indices.compactMap { start in
            guard code[start].contains("func ") || code[start].contains("init"),
                let match = code[start].prefixMatch(of: pattern)
            else { return nil }
            let margin = match.output.1
            var end = start
            for place in code[start...].indices.dropFirst() {
                let rest = code[place].dropFirst(margin.count)
                guard code[place].hasPrefix(margin), let first = rest.first, first != " " else {
                    continue
                }
                if first == "}" { end = place }
                if first != ")" && first != "{" && first != "-" { break }
            }
            return FunctionText(
                path: path, name: String(match.output.2 ?? match.output.3 ?? ""), line: start + 1,
                lineCount: end - start + 1)
        }
    }
}
