import Testing

/// Arrows between modules point down only: who may import whom.
@Suite struct ArrowTests {
    /// Modules of the toolchain, and who may use them. What is not here nobody imports.
    static let systemModules: [String: @Sendable (_ source: SourceFile) -> Bool] = [
        "Swift": { _ in true },
        "Synchronization": { source in
            // One field that is atomic keeps a large struct from being copied; nothing waits on it.
            !isPure(source.module) || source.path == "Sources/KithBytes/InPlace.swift"
        },
        "Foundation": { $0.module == "kith" },
        "Glibc": { source in
            // The one owner of raw memory grows it with `realloc`, which the standard library
            // does not have; a simulated world marks the thread that it runs on.
            source.module == "KithRuntime" || source.module == "kith"
                || source.path == "Sources/KithBytes/MemoryRegion.swift"
                || source.path == "Sources/KithSimulation/Lane/SimulationThread.swift"
        },
    ]

    /// The modules that decide and compute: they await nothing.
    static func isPure(_ module: String) -> Bool {
        ["KithBytes", "KithCore", "KithConsensus"].contains(module)
    }

    @Test func `every target depends only on targets above it`() {
        var seen: Set<String> = []
        for target in Manifest.current.targets where !target.isTest {
            for dependency in target.dependencies {
                #expect(seen.contains(dependency), "\(target.name) → \(dependency) points up")
            }
            seen.insert(target.name)
        }
        #expect(seen.count == 12, "Package.swift was not understood: \(seen.sorted())")
    }

    @Test func `every import is an arrow of Package.swift`() {
        var violations: [Violation] = []
        let targets = Set(Manifest.current.targets.map(\.name))
        for source in Repository.sources + Repository.tests {
            let isTest = source.path.hasPrefix("Tests/")
            let allowed = Manifest.current.dependencies(of: source.module) ?? []
            for (line, module) in source.imports {
                let isAllowed =
                    if targets.contains(module) {
                        allowed.contains(module)
                    } else if isTest {
                        ["Foundation", "Glibc", "Synchronization", "Testing"].contains(module)
                    } else {
                        Self.systemModules[module]?(source) ?? false
                    }
                if !isAllowed {
                    violations.append(
                        Violation(
                            path: source.path, line: line,
                            what: "\(source.module) must not import \(module)"))
                }
            }
        }

        violations.expectNone()
    }

    @Test func `the table of modules in Sources README is that of Package.swift`() {
        var rows: [String: [String]] = [:]
        for line in (Repository.text("Sources/README.md") ?? "").split(separator: "\n") {
            let cells = line.split(separator: "|").map { $0.trimmed() }
            guard cells.count == 4, let name = cells[0].codeSpans.first, cells[0] == "`\(name)`"
            else { continue }
            rows[name] = cells[2].codeSpans.sorted()
        }

        for target in Manifest.current.targets where !target.isTest {
            #expect(rows[target.name] == target.dependencies.sorted(), "\(target.name)")
        }
    }

    @Test func `the pure modules neither wait nor start anything`() {
        let violations = Repository.sources.filter { Self.isPure($0.module) }.flatMap {
            $0.violations(
                /\b(?:async|await|actor|Task|withTaskGroup|DispatchQueue|Thread)\b/,
                "no concurrency in this module")
        }

        violations.expectNone()
    }

    @Test func `there are no package dependencies and no unsafe flags`() {
        let manifest = SourceFile("Package.swift")
        let violations =
            manifest.violations(/\.package\s*\(/, "Kith has no package dependencies")
            + manifest.violations(/unsafeFlags/, "no unsafe flags")
        violations.expectNone()
    }
}

extension SourceFile {
    /// The modules that the file imports, with the lines where it does.
    var imports: [(line: Int, module: String)] {
        let pattern =
            #/
            ^ \s* (?: @\w+ (?: \( \w+ \) )? \s+ )*
            (?: (?: public | package | internal | fileprivate | private ) \s+ )? import \s+
            (?: (?: struct | class | enum | protocol | func | typealias | var | let ) \s+ )? ( \w+ )
            /#
        return code.enumerated().compactMap { place, text in
            text.firstMatch(of: pattern).map { (place + 1, String($0.output.1)) }
        }
    }
}

extension StringProtocol {
    /// Without blanks at either end.
    func trimmed() -> String {
        var text = Substring(self)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }

    /// What stands between backticks, in order.
    var codeSpans: [String] {
        split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }
}
