import Testing

/// `public` is what another module asks for. What a module makes public is what a reader has to
/// know of it: the rest is its own.
@Suite struct PublicNameTests {
    /// Names that the language or its library asks for, not a module.
    private static let ofTheLanguage: Set<String> = [
        "description", "rawValue", "hash", "init", "subscript", "allCases", "next", "Element",
    ]

    /// A declaration with `public` in front.
    private struct Declaration {
        let path: String
        let line: Int
        let kind: String
        let name: String
        /// From its first line to its body.
        let signature: String
    }

    private static func words(_ text: String) -> Set<String> {
        Set(text.matches(of: #/\w+/#).map { String($0.output) })
    }

    private static func declarations(of source: SourceFile) -> [Declaration] {
        let pattern =
            #/
            ^ \s* (?: @ [\w()!:,\ ]+? \s+ )* public (?: \( set \) )?
            (?: \s+ (?: private\(set\) | internal\(set\) | static | final | mutating | consuming
                | borrowing | indirect | override | nonisolated | unsafe ) )*
            \s+ (?:
                (?<kind> func | var | let | struct | enum | class | protocol | typealias | actor )
                \s+ (?<name> \w+ ) | init \b )
            /#
        return source.code.indices.compactMap { place in
            guard let match = source.code[place].firstMatch(of: pattern) else { return nil }
            let kind = match.output.kind.map(String.init) ?? "init"
            var end = place
            while end + 1 < source.code.count, end < place + 12, !source.code[end].contains("{"),
                !["let", "var", "typealias"].contains(kind)
                    || source.code[end].last.map({ "(,:=".contains($0) }) ?? false
            {
                end += 1
            }
            return Declaration(
                path: source.path, line: place + 1, kind: kind,
                name: match.output.name.map(String.init) ?? kind,
                signature: source.code[place...end].joined(separator: "\n"))
        }
    }

    /// Words of what is inlined into other modules: each such declaration, to the line that ends
    /// it.
    private static func inlined(_ source: SourceFile) -> Set<String> {
        var found: Set<String> = []
        for place in source.code.indices
        where source.code[place].contains("@inlinable")
            || source.code[place].contains("@usableFromInline")
        {
            let indent = source.code[place].prefix { $0 == " " }
            var end = place
            while end + 1 < source.code.count, end < place + 100,
                !source.code[end].hasPrefix(indent + "}"),
                !(end > place && source.code[end].trimmed().isEmpty
                    && !source.code[place...end].joined().contains("{"))
            {
                end += 1
            }
            found.formUnion(words(source.code[place...end].joined(separator: "\n")))
        }
        return found
    }

    @Test(arguments: [
        "KithBytes", "KithCore", "KithConsensus", "KithWire", "KithStorage", "KithServer",
        "KithClient", "KithRuntime", "KithSimulation",
    ])
    func `every public name is asked for by another module`(_ module: String) {
        let own = Repository.sources.filter { $0.module == module }
        var asked = Self.ofTheLanguage
        for source in Repository.sources {
            let code = source.code.joined(separator: "\n")
            asked.formUnion(source.module == module ? Self.inlined(source) : Self.words(code))
        }
        let declarations = own.flatMap(Self.declarations)
        #expect(!declarations.isEmpty)
        let names = Set(declarations.map(\.name))
        // What a name that is asked for is made of is asked for too, and what cases hold.
        for source in own {
            let cases = source.code.map(String.init).filter { $0.contains("case ") }
            for line in cases where line.firstMatch(of: #/^\s*(indirect )?case \w+\(/#) != nil {
                asked.formUnion(Self.words(line).intersection(names))
            }
        }
        var count = -1
        while asked.count != count {
            count = asked.count
            for declaration in declarations
            where asked.contains(declaration.name) || declaration.name == "init" {
                asked.formUnion(Self.words(declaration.signature).intersection(names))
            }
        }

        let violations = declarations.filter { !asked.contains($0.name) }.map {
            Violation(path: $0.path, line: $0.line, what: "\($0.name): nobody else asks for it")
        }
        violations.expectNone()
    }
}
