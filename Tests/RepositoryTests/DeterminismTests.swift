import Testing

/// What would make two runs of one seed part, or let a peer end the process: looked for outside the
/// two modules that touch the real world, `KithRuntime` and `kith`.
@Suite struct DeterminismTests {
    /// A pattern that must not match, and what to do instead.
    struct Ban: CustomTestStringConvertible, Sendable {
        let name: String
        let pattern: String
        let instead: String
        var testDescription: String { name }
    }

    static let bans = [
        Ban(
            name: "Task.sleep", pattern: #"\bTask\s*(<[^>]*>)?\.sleep\b"#,
            instead: "sleep through the Clock port"),
        Ban(
            name: "Task.detached", pattern: #"\bTask\s*(<[^>]*>)?\.detached\b"#,
            instead: "a child of a task group"),
        Ban(
            name: "a bare Task", pattern: #"\bTask\s*(<[^>]*>)?\s*(\{|\((?!executorPreference))"#,
            instead: "a child of a task group, or Loop.start"),
        Ban(name: "Date()", pattern: #"\bDate\s*\(\s*\)"#, instead: "the Clock port"),
        Ban(
            name: "a clock of the standard library",
            pattern: #"\b(ContinuousClock|SuspendingClock)\b"#, instead: "the Clock port"),
        Ban(
            name: "SystemRandomNumberGenerator", pattern: #"\bSystemRandomNumberGenerator\b"#,
            instead: "the Randomness port"),
        Ban(
            name: "unseeded randomness",
            pattern:
                #"\.random\(\s*in:(?!.*using:)|\bBool\.random\(\s*\)"#
                + #"|\.shuffled?\(\s*\)|\.randomElement\(\s*\)"#,
            instead: "the Randomness port"),
        Ban(name: "UUID()", pattern: #"\bUUID\s*\(\s*\)"#, instead: "the Randomness port"),
        Ban(
            name: "hashValue", pattern: #"\.hashValue\b|\bHasher\s*\("#,
            instead: "SipHash with the cluster's key"),
        Ban(
            name: "ObjectIdentifier", pattern: #"\bObjectIdentifier\b"#,
            instead: "a number given out in order"),
        Ban(
            name: "DispatchQueue", pattern: #"\bDispatch(Queue|Group|Semaphore|Source)\b"#,
            instead: "a Loop"),
        Ban(name: "try!", pattern: #"\btry!"#, instead: "a typed throw"),
        Ban(
            name: "fatalError", pattern: #"\bfatalError\s*\("#,
            instead: "a typed throw, or a precondition on what only this program can cause"),
    ]

    @Test(arguments: bans)
    func `nothing outside the runtime uses`(_ ban: Ban) throws {
        let pattern = try Regex(ban.pattern)
        let violations = Repository.sources.filter { !Self.touchesTheWorld($0.module) }.flatMap {
            $0.violations(pattern, "\(ban.name): use \(ban.instead)")
        }

        violations.expectNone()
    }

    static func touchesTheWorld(_ module: String) -> Bool {
        ["KithRuntime", "kith"].contains(module)
    }

    /// Dictionaries and sets by the names they are declared with in the same file: their order
    /// differs from process to process, so it may reach nothing.
    @Test func `no loop runs over a dictionary or a set`() throws {
        let violations = try Repository.sources.filter { !Self.touchesTheWorld($0.module) }
            .flatMap(Self.unorderedLoops)

        violations.expectNone()
    }

    static func unorderedLoops(_ source: SourceFile) throws -> [Violation] {
        var violations: [Violation] = []
        for name in source.unorderedNames {
            let loop = try Regex(
                #"\bin\s+(self\.)?\#(name)(\.(keys|values|lazy|filter|map))?\s*(\{|$|\bwhere\b|\()"#
            ).wordBoundaryKind(.simple)
            let walk = try Regex(
                #"(^|[^\w.])(self\.)?\#(name)\.("#
                    + #"(keys|values)\.(map|forEach|first|filter|compactMap|flatMap)"#
                    + #"|(forEach|map|compactMap|flatMap|popFirst|randomElement)\b"#
                    + #"|first\b(?!\s*\())"#
            ).wordBoundaryKind(.simple)
            for (line, text) in source.code.enumerated() {
                guard text.contains(loop) || text.contains(walk) else { continue }
                // Sorted, here or where the expression goes on.
                let rest = source.code[line..<min(line + 4, source.code.count)]
                if rest.contains(where: { $0.contains(".sorted") }) { continue }
                violations.append(
                    Violation(
                        path: source.path, line: line + 1,
                        what: "the order of \(name) differs from process to process"))
            }
        }
        return violations
    }

    @Test func `every actor says where it runs`() {
        var violations: [Violation] = []
        let declaration =
            /^\s*(?:(?:public|package|private|fileprivate|final|distributed)\s+)*actor\s+(\w+)/
        for source in Repository.sources {
            let saysWhere = source.code.contains { $0.contains("var unownedExecutor") }
            for (line, text) in source.matches(declaration) where !saysWhere {
                let name = text.firstMatch(of: declaration)?.output.1 ?? ""
                violations.append(
                    Violation(
                        path: source.path, line: line,
                        what:
                            "actor \(name) has no unownedExecutor: it would run on the global pool")
                )
            }
        }

        violations.expectNone()
    }
}

extension SourceFile {
    /// The names of the file's variables and properties that are dictionaries or sets.
    var unorderedNames: [String] {
        let pattern =
            #/
            (?: ^ | \W ) (?: let | var ) \s+ ( \w+ ) \s*
            (?: : \s* (?: \[ [\w.]+ \s* : | Set< | Dictionary< )
            | = \s* (?: \[ [\w.]+ \s* : \s* [^\]]+ \] \( | Set< | Set\( | Dictionary ) )
            /#
        let names = code.compactMap { $0.firstMatch(of: pattern).map { String($0.output.1) } }
        return Set(names).sorted()
    }
}
