import Testing

/// Product code asks rules by their names; what a build with planted faults breaks stands apart.
@Suite struct RulesTests {
    /// The simulator plants faults, the command offers them: neither has a rule to break.
    private static func mayPlant(_ source: SourceFile) -> Bool {
        source.path.contains("/Planted/") || ["KithSimulation", "kith"].contains(source.module)
    }

    @Test func `product code knows of no fault`() {
        let violations = Repository.sources.filter { !Self.mayPlant($0) }.flatMap {
            $0.violations(/\b(?:planted\s*\(|NodeFault|PlantedFaults?)\b/, "a planted fault")
        }

        violations.expectNone()
    }

    /// The one place is where a module says which rules it asks.
    @Test func `a build with planted faults differs only in what a module calls its rules`() {
        let alias = [
            "#if KITH_PLANTED", "typealias Rules = PlantedRules", "#else",
            "typealias Rules = PlainRules", "#endif",
        ]
        var modules: Set<String> = []
        var violations: [Violation] = []
        for source in Repository.sources where !Self.mayPlant(source) {
            let found = source.matches(/KITH_PLANTED|PlantedRules/)
            guard let first = found.first else { continue }
            let lines = source.code[(first.line - 1)...].prefix(alias.count).map { $0.trimmed() }
            let isAlias =
                source.path == "Sources/\(source.module)/Rules/PlainRules.swift"
                && lines == alias && found.count == 2
            if isAlias {
                modules.insert(source.module)
            } else {
                violations.append(
                    Violation(path: source.path, line: first.line, what: "a build of its own"))
            }
        }

        violations.expectNone()
        #expect(modules == ["KithCore", "KithStorage", "KithServer", "KithClient"])
    }

    @Test func `a file of planted faults is in no other build`() {
        var violations: [Violation] = []
        for source in Repository.sources where source.path.contains("/Planted/") {
            let code = source.codeLines.map { source.code[$0].trimmed() }
            if code.first != "#if KITH_PLANTED" || code.last != "#endif"
                || code.count(where: { $0.hasPrefix("#") }) != 2
            {
                violations.append(Violation(path: source.path, line: 0, what: "in other builds"))
            }
        }

        violations.expectNone()
    }

    /// Where the planted form of a rule asks for the plain one, nothing is written twice.
    @Test func `every planted rule has its plain rule to go back to`() {
        var violations: [Violation] = []
        for source in Repository.sources where source.path.contains("/Planted/PlantedRules") {
            let text = source.code.joined(separator: "\n")
            let places = text.matches(of: /static (?:func|var) (\w+)/)
            for (place, match) in places.enumerated() {
                let end =
                    place + 1 < places.count ? places[place + 1].range.lowerBound : text.endIndex
                let name = match.output.1
                if !text[match.range.upperBound..<end].contains("PlainRules.\(name)") {
                    violations.append(
                        Violation(path: source.path, line: 0, what: "\(name) is written again"))
                }
            }
        }

        violations.expectNone()
    }
}
