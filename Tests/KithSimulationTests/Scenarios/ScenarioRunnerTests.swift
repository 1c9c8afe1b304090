import Testing

@testable import KithSimulation

/// The runner itself: that it repeats, that it can fail, and that all of the contract is there.
@Suite struct ScenarioRunnerTests {
    @Test(arguments: ScenarioFiles.chosen, [1, 3])
    func `the same seed gives the same trace`(_ name: String, nodes: Int) throws {
        let scenario = try ScenarioFiles.load(name)
        let run = ScenarioRun(
            seed: ScenarioFiles.seeds.lowerBound, groups: 4, nodes: nodes,
            variant: scenario.variantCount / 2)

        let first = try ScenarioRunner.run(scenario, run)
        let second = try ScenarioRunner.run(scenario, run)

        #expect(first == second, "\(name): \(run.command(file: name))")
    }

    @Test func `few identifiers are placed on three nodes in every way`() throws {
        let text = "page a:1\nidentify u:1 a:1\npage d:1\nat 1"
        let scenario = try ScenarioParser.parse("at 0\n" + text, file: "x")

        let placements = try ScenarioPlacements.seeds(of: scenario, nodes: 3, groups: 3).map {
            seed in
            var settings = ClusterSettings(seed: seed)
            settings.nodeCount = 3
            settings.groups = 3
            return try [("anonymous_id", "1"), ("user_id", "1"), ("device_id", "1")].map {
                try #require(settings.home(of: $0.0, $0.1))
            }
        }

        #expect(placements.count == 27)
        #expect(Set(placements).count == 27)
    }

    @Test func `another seed gives another trace`() throws {
        let scenario = try ScenarioFiles.load("A02-any-event-links.scenario")

        let first = try ScenarioRunner.run(scenario, ScenarioRun(seed: 1, groups: 4))
        let second = try ScenarioRunner.run(scenario, ScenarioRun(seed: 2, groups: 4))

        #expect(first.traceHash != second.traceHash)
    }

    /// C12 needs a seal that is held up: `MergeRetentionTests`. Of C14 the scenario shows what one
    /// node can; `ClockJumpTests` have several clocks.
    @Test(
        arguments: (1...18).map { "A\($0)" } + (1...8).map { "B\($0)" }
            + ((1...11).map { "C\($0)" } + ["C13", "C14", "C15"]) + (1...8).map { "D\($0)" })
    func `every case of the contract has a scenario`(_ id: String) throws {
        let titles = try ScenarioFiles.all.map { try ScenarioFiles.load($0).title }

        #expect(titles.contains { $0.hasPrefix("\(id):") || $0.hasPrefix("\(id),") })
    }

    @Test(arguments: [
        ("get a:1 => none", "P{anonymous_id:1} anonymous"),
        ("get a:1 => P{a:1, a:2}", "P{anonymous_id:1} anonymous"),
        ("get a:1 => events=3", "events=2"), ("get a:1 => member", "anonymous"),
        ("get a:1 => expires=91", "expires=90"), ("get a:1 => first=1", "first=0"),
        ("get a:1 => traits{}", "plan: \"pro\""), ("get a:1 => has{plan: \"x\"}", "plan: \"pro\""),
        ("get a:1 => has{plan: absent}", "plan: \"pro\""),
        ("get a:1 => events{page: 1}", "page: 2"),
        ("get a:1 => traits{plan: \"pro\", x: 1}", "plan: \"pro\""),
        ("get a:9 => P{a:9}", "none"), ("stats events.accepted=3", "2"),
        ("stats profiles.anonymus=1", "profiles"), ("contested a:1", "anonymous"),
        ("same a:1 a:9", "none"), ("apart a:1 a:9", "none"), ("page a:1 -> duplicate", "ok"),
        ("get a:1 => P{a:1!}", "P{anonymous_id:1}"),
    ])
    func `a wrong expectation is found and told`(_ line: String, _ found: String) throws {
        let text = """
            # A story.
            at 0
            page a:1 {plan: "pro"}
            page a:1
            \(line)
            """
        let scenario = try ScenarioParser.parse(text, file: "x.scenario")

        let failure = #expect(throws: ScenarioFailure.self) {
            try ScenarioRunner.run(scenario, ScenarioRun(seed: 7, groups: 2))
        }

        let told = failure?.description ?? ""
        #expect(told.contains("x.scenario:5: A story."))
        #expect(told.contains(found), "\(told)")
        #expect(told.contains("KITH_SCENARIO=x.scenario KITH_SEED=7 KITH_PLACEMENTS=2"))
    }
}
