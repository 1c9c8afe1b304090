import Testing

/// What the documents say of the repository is there.
@Suite struct DocumentTests {
    @Test func `every link of a document leads somewhere`() {
        var violations: [Violation] = []
        for path in Repository.documents {
            for (line, text) in Self.prose(path) {
                for match in text.matches(of: /\]\(([^)\s]+)\)/) {
                    let target = String(match.output.1)
                    if target.contains(/^(?:[a-z]+:|#)/) {
                        if target.hasPrefix("#"), !Self.anchors(path).contains(target.dropFirst()) {
                            violations.append(
                                Violation(path: path, line: line, what: "no heading \(target)"))
                        }
                        continue
                    }
                    let parts = target.split(separator: "#", omittingEmptySubsequences: false)
                    let file = Self.resolve(String(parts[0]), from: path)
                    if !Repository.exists(file) {
                        violations.append(
                            Violation(path: path, line: line, what: "\(target) does not exist"))
                    } else if parts.count > 1, !Self.anchors(file).contains(parts[1]) {
                        violations.append(
                            Violation(path: path, line: line, what: "\(target) has no such heading")
                        )
                    }
                }
            }
        }

        violations.expectNone()
    }

    /// Files that a document or a comment names: `Sources/…`, `Tests/…`, `docs/…`, or a path below
    /// `Sources` that begins with a module.
    @Test func `every file that a text names exists`() {
        var violations: [Violation] = []
        let pattern =
            #/
            (?: ^ | [^\w/.\-] )
            ( (?: (?: Sources | Tests | docs | scripts ) / )?
              (?: [\w+\-]+ / )+ [\w+\-]+ \. (?: swift | md | c | h ) )
            (?! \w )
            /#
        var texts: [(path: String, line: Int, text: Substring)] = []
        for path in Repository.documents {
            texts += Self.prose(path).map { (path, $0.line, $0.text) }
        }
        for source in Repository.sources + Repository.tests {
            for (place, line) in source.lines.enumerated() where line.contains("//") {
                texts.append((source.path, place + 1, line))
            }
        }
        for (path, line, text) in texts where !text.contains("](") {
            for match in text.matches(of: pattern) {
                let name = String(match.output.1)
                let isRooted = name.contains(/^(?:Sources|Tests|docs|scripts)\//)
                guard isRooted || name.contains(/^(?:Kith\w+|kith)\//) else { continue }
                if !Repository.exists(isRooted ? name : "Sources/" + name) {
                    violations.append(
                        Violation(path: path, line: line, what: "\(name) does not exist"))
                }
            }
        }

        violations.expectNone()
    }

    /// A reader of this repository has nothing else: no other document, no other machine.
    @Test func `nothing refers to what is not here`() {
        let elsewhere =
            #/
            /root/ | /home/[a-z]+/
            | (?: DESIGN | ENGINE | IDENTITY | STYLE | SWIFT ) (?: \.md | \x20 [0-9] )
            /#
        var violations: [Violation] = []
        for path in Repository.all where !path.hasPrefix("Tests/RepositoryTests/") {
            guard let text = Repository.text(path) else { continue }
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            for (place, line) in lines.enumerated() where line.contains(elsewhere) {
                violations.append(
                    Violation(
                        path: path, line: place + 1, what: "refers to what is not in the repository"
                    ))
            }
        }

        violations.expectNone()
    }

    @Test func `decisions have a number each and their four parts`() {
        let paths = Repository.files(in: "docs/decisions", suffix: ".md")
        var seen: Set<String> = []
        for path in paths {
            let name = path.split(separator: "/").last ?? ""
            let number = String(name.prefix { $0 != "-" })
            #expect(number.count == 4 && Int(number) != nil, "\(path)")
            #expect(seen.insert(number).inserted, "\(path): a number twice")
            let text = Repository.text(path) ?? ""
            #expect(text.hasPrefix("# \(number) "), "\(path): title")
            #expect(text.contains(/\n\d{4}-\d\d-\d\d\n/), "\(path): date")
            for part in ["Context", "Options", "Decision", "Consequence"] {
                #expect(text.contains("**\(part).**"), "\(path): \(part)")
            }
        }
        #expect(!paths.isEmpty)
    }

    @Test func `the glossary gives no term twice`() {
        var seen: [String: Int] = [:]
        let text = Repository.text("docs/glossary.md") ?? ""
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (place, line) in lines.enumerated() where line.hasPrefix("| ") {
            let cells = line.split(separator: "|").map { $0.trimmed() }
            guard cells.count == 2, cells[0] != "term" else { continue }
            #expect(seen[cells[0]] == nil, "docs/glossary.md:\(place + 1): \(cells[0]) again")
            seen[cells[0]] = place + 1
        }
        #expect(seen.count > 100, "the glossary was not understood")
    }

    @Test func `the top level holds what it may hold`() {
        let ignored = (Repository.text(".gitignore") ?? "").split(separator: "\n").map {
            String($0.last == "/" ? $0.dropLast() : $0)
        }
        let entries = Repository.entriesOfRoot().filter { entry in
            !Repository.topLevel.contains(entry)
                && !ignored.contains { pattern in
                    pattern.hasPrefix("*")
                        ? entry.hasSuffix(pattern.dropFirst())
                        : pattern.hasSuffix("*")
                            ? entry.hasPrefix(pattern.dropLast()) : entry == pattern
                }
        }

        #expect(entries.isEmpty, "not allowed at the top level: \(entries)")
    }

    // MARK: Reading documents

    /// The lines outside fenced blocks, with their numbers.
    static func prose(_ path: String) -> [(line: Int, text: Substring)] {
        var isFenced = false
        var lines: [(line: Int, text: Substring)] = []
        let text = Repository.text(path) ?? ""
        let all = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (place, line) in all.enumerated() {
            if line.trimmed().hasPrefix("```") { isFenced.toggle() }
            if !isFenced { lines.append((place + 1, line)) }
        }
        return lines
    }

    /// The anchors that a document's headings make.
    static func anchors(_ path: String) -> [Substring] {
        prose(path).filter { $0.text.hasPrefix("#") }.map { heading in
            let title = heading.text.drop { $0 == "#" }.trimmed().lowercased()
            return Substring(
                title.filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }
                    .replacing(" ", with: "-"))
        }
    }

    /// A relative path, seen from a document, as a path from the root.
    static func resolve(_ target: String, from path: String) -> String {
        var folders = path.split(separator: "/").dropLast()
        for part in target.split(separator: "/") where part != "." {
            if part == ".." { folders = folders.dropLast() } else { folders.append(part) }
        }
        return folders.joined(separator: "/")
    }
}
