import Testing

/// The searches of this folder find what they are for, and nothing else.
@Suite struct SearchTests {
    @Test(arguments: [
        ("let a = 1  // try! here", "let a = 1"),
        (##"let a = "try! \(b) fatalError(" + c"##, "let a = b + c"),
        (##"let a = #"say "hi" \(x) \#(y)"# + z"##, "let a = y + z"),
        ("a /* b /* c */ d */ e", "a e"),
        ("let a = \"\"\"\n    // text \"quoted\"\n    \"\"\"\nb", "let a = b"),
        (##"let a = "\(f("x)")) y" + b"##, "let a = f( ) + b"),
    ]) func `comments and literals are blanked, interpolations are not`(
        _ text: String, _ code: String
    ) {
        let source = SourceFile("x.swift", text: text)

        let words = source.code.joined(separator: " ").split(separator: " ")
        #expect(words.joined(separator: " ") == code)
        #expect(source.code.map(\.count) == source.lines.map(\.count))
    }

    @Test(arguments: [
        "try await Task.sleep(for: .seconds(1))", "Task.detached { }", "Task { await run() }",
        "Task<Void, Never> { }", "let t = Task(priority: .high) { }", "let now = Date()",
        "ContinuousClock().now", "Int.random(in: 0..<3)", "Bool.random()", "a.shuffled()",
        "var g = SystemRandomNumberGenerator()", "x.hashValue", "ObjectIdentifier(self)",
        "DispatchQueue.main.async { }", "try! f()", "fatalError(\"no\")", "UUID()",
    ]) func `what is banned is found`(_ line: String) throws {
        let source = SourceFile("x.swift", text: line)

        let found = try DeterminismTests.bans.filter { try Regex($0.pattern).isIn(source) }
        #expect(!found.isEmpty)
    }

    @Test(arguments: [
        "Task(executorPreference: loop.tasks) { }", "Int.random(in: 0..<3, using: &generator)",
        "simulator.random(\"network\")", "try clock.sleep(nanoseconds: 5, on: loop)",
        "// Task.sleep is not for us", "let text = \"fatalError(\"", "preconditionFailure()",
        "list.shuffle(using: &generator)", "updateDate()", "Task<Void, Never>?", "withTaskGroup",
    ]) func `what is allowed is not found`(_ line: String) throws {
        let source = SourceFile("x.swift", text: line)

        for ban in DeterminismTests.bans {
            #expect(try !Regex(ban.pattern).isIn(source), "\(ban.name)")
        }
    }

    @Test(arguments: [
        "for (key, value) in table {", "for key in table.keys {", "for value in self.table.values",
        "for (key, _) in table where key > 2 {", "table.forEach { print($0) }",
        "let list = table.map { $0.key }", "let one = table.values.first { $0 > 1 }",
        "let any = table.first",
    ]) func `a loop over a dictionary is found`(_ line: String) throws {
        for declaration in [
            "var table: [Int: String] = [:]", "private let table = [GroupID: Int]()",
            "let table = Set<Int>()",
        ] {
            let source = SourceFile("x.swift", text: declaration + "\n" + line + "\n")

            #expect(try DeterminismTests.unorderedLoops(source).count == 1, "\(declaration)")
        }
    }

    @Test(arguments: [
        "for key in table.keys.sorted() {", "let sorted = table.map { $0 }\n    .sorted()",
        "let value = table[3]", "if table.contains(3) {", "for place in tables {",
        "for table in list {", "count += table.count",
    ]) func `what does not ask for an order is not found`(_ line: String) throws {
        let source = SourceFile("x.swift", text: "var table: [Int: String] = [:]\n" + line + "\n")

        #expect(try DeterminismTests.unorderedLoops(source).isEmpty)
    }

    @Test func `imports are found whatever stands before them`() {
        let source = SourceFile(
            "Sources/KithCore/X.swift",
            text: """
                import A
                public import B
                @testable import C
                @_spi(_Unicode) internal import D
                internal import struct E.Thing
                // import F
                """)

        #expect(source.imports.map(\.module) == ["A", "B", "C", "D", "E"])
        #expect(source.imports.map(\.line) == [1, 2, 3, 4, 5])
        #expect(source.module == "KithCore")
    }
}

extension Regex {
    /// Whether some line of the code matches.
    func isIn(_ source: SourceFile) -> Bool { !source.matches(self).isEmpty }
}
