import KithBytes
import Testing

@testable import KithSimulation

/// The language of scenario files.
@Suite struct ScenarioParserTests {
    @Test(arguments: [
        ("pge a:1", 1, "nothing is called pge"),
        ("at noon", 1, "noon is no time"),
        ("at 0\n\nwith alias refuse", 3, "settings come first"),
        ("with alias maybe", 1, "alias is merge or refuse"),
        ("with colour red", 1, "no setting colour"),
        ("at 0\npage a:1 -> maybe", 2, "no answer is called maybe"),
        ("page", 1, "without an identifier"),
        ("page a:1 x=1", 1, "no x="),
        ("page a:\"1", 1, "without its closing quote"),
        ("page a:1 {plan: }", 1, "is no value"),
        ("get a:1 = none", 1, "expected =>"),
        ("get a:1 => P{a:1", 1, "expected ,"),
        ("get a:1 => P{a:1} more", 1, "before: more"),
        ("stats", 1, "expected: stats"),
        ("batch\npage a:1", 1, "a batch without its end"),
        ("in every order\npage a:1\nend", 1, "2 to 6"),
        ("repeat 0 page a:1", 1, "repeated 1 to"),
        ("on c2: page a:1", 1, "connection 2 of 1"),
        ("same a:1", 1, "two identifiers or more"),
        ("alias u:1 u:2", 1, "expected ->"),
        ("bytes zz", 1, "no byte"),
    ])
    func `an error names file and line`(_ text: String, _ line: Int, _ message: String) {
        let error = #expect(throws: ScenarioError.self) {
            try ScenarioParser.parse(text, file: "x.scenario")
        }

        #expect(error?.line == line)
        #expect(error?.description.hasPrefix("x.scenario:\(line): ") ?? false)
        #expect(error?.message.contains(message) ?? false, "\(String(describing: error))")
    }

    @Test(arguments: [
        ("at 0", 0), ("at 1", 86_400_000), ("at 89.999", 7_775_913_600), ("at 90d", 7_776_000_000),
        ("at 90d-1ms", 7_775_999_999), ("at 0d+250ms", 250), ("at -300", -25_920_000_000),
    ])
    func `times are days from day 0`(_ text: String, _ millis: Int64) throws {
        let scenario = try ScenarioParser.parse(text, file: "x")

        guard case .clock(let time)? = scenario.steps.first?.action else {
            Issue.record("no clock")
            return
        }
        #expect(time == SimulatedClock.defaultStart.rawValue + millis)
    }

    @Test func `a block of every order and a naming make a run for each`() throws {
        let text = """
            in every naming of u:1 u:2 u:3
            in every order
              page a:1
              page a:2
              page a:3
              page a:4
            end
            """

        #expect(try ScenarioParser.parse(text, file: "x").variantCount == 6 * 24)
    }

    @Test func `a repeated line counts from one`() throws {
        let scenario = try ScenarioParser.parse("repeat 3 page a:v%n", file: "x")

        #expect(
            scenario.mentioned.map(\.identifier.description)
                == ["anonymous_id:v1", "anonymous_id:v2", "anonymous_id:v3"])
    }
}
