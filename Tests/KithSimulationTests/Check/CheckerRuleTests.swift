import KithBytes
import KithCore
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// Each rule of the checkers alone: a story that keeps it, and the same story with one thing wrong.
@Suite struct CheckerRuleTests {
    /// A person of two identifiers, a device that two accounts claim, a visitor, and a bad event.
    private static func story(passing: Int64? = nil) -> SimpleRun {
        let settings = ClusterSettings(seed: 1)
        var plan = PlanWriter.ofStory(settings)
        let (u0, a0, a1, d0) = (plan.user(0), plan.cookie(0), plan.cookie(1), plan.device(0))
        let list: [[PlannedIdentifier]] = [
            [a0], [u0, a0], [a1], [plan.user(2), d0], [plan.user(3), d0], [d0], [a0],
        ]
        for (place, identifiers) in list.enumerated() {
            let at = UInt64(place) * 100_000_000
            let event = plan.event(
                identifiers, at: at, time: settings.start.rawValue - Int64(place),
                kind: place == 2 ? .page : .track, traits: [("t", "\(place)")])
            plan.ingest(client: place, at: at, [event])
            plan.get(client: 20 + place, at: at + 50_000_000, identifiers[0])
        }
        plan.ingest(client: 9, at: 800_000_000, [plan.refused(.noIdentifier, 5, 800_000_000)])
        if let passing {
            plan.act(client: 10, at: 900_000_000, .pass(milliseconds: passing))
            plan.get(client: 11, at: 950_000_000, a1)
        }
        return SimpleRun(plan.plan(), settings, seed: 1)
    }

    private static func answered(by identifier: String, in run: SimpleRun) -> Profile {
        run.final.profiles.first {
            $0.question.identifier.value == identifier && !$0.question.isQuarantine
        }!.answers[0]!
    }

    private static func broken(_ run: SimpleRun) -> [String] {
        var names: [String] = []
        for violation in run.violations() where !names.contains(violation.invariant) {
            names.append(violation.invariant)
        }
        return names
    }

    @Test func `the story keeps all rules`() {
        #expect(Self.story().violations().isEmpty)
        let times: [Int64] = [1, 90 * 86_400_000 - 3, 90 * 86_400_000, 200 * 86_400_000]
        for passing in times {
            let violations = Self.story(passing: passing).violations()
            #expect(violations.isEmpty, "\(passing) ms: \(violations)")
        }
    }

    @Test func `an acknowledged event that no profile counts is a loss`() {
        var run = Self.story()
        run.change(Self.answered(by: "pu0", in: run).id) {
            $0.events.removeAll { $0.name == "e1" }
            $0.eventsTotal -= 1
        }
        #expect(Self.broken(run).contains(LossRule.name))
    }

    @Test func `an event that two profiles count is counted twice`() {
        var run = Self.story()
        run.change(Self.answered(by: "pu2", in: run).id) {
            $0.events.append(Profile.EventCount(name: "e1", count: 1))
            $0.eventsTotal += 1
        }
        #expect(Self.broken(run).contains(CountRule.name))
        #expect(Self.broken(run).contains(LossRule.name))
    }

    @Test func `a refused event that is counted, and a name that nobody sent, are inventions`() {
        for name in ["e8", "e77"] {
            var run = Self.story()
            run.change(Self.answered(by: "pu0", in: run).id) {
                $0.events.append(Profile.EventCount(name: name, count: 1))
                $0.eventsTotal += 1
            }
            #expect(Self.broken(run).contains(InventionRule.name), "\(name)")
        }
    }

    @Test func `a contested mark where nobody contests is an invention`() {
        var run = Self.story()
        run.change(Self.answered(by: "pu0", in: run).id) { $0.identifiers[1].isContested = true }
        #expect(Self.broken(run).contains(InventionRule.name))
    }

    @Test func `an identifier that is listed and answers nobody has no profile`() {
        var run = Self.story()
        for place in run.final.profiles.indices
        where run.final.profiles[place].question.identifier.value == "pa0" {
            run.final.profiles[place].answers = [nil, nil, nil]
        }
        #expect(Self.broken(run).contains(OneProfileRule.name))
        #expect(Self.broken(run).contains(PartitionRule.name))
    }

    @Test func `two accounts that answer one profile are together by no link`() {
        var run = Self.story()
        let profile = Self.answered(by: "pu2", in: run)
        for place in run.final.profiles.indices
        where run.final.profiles[place].question.identifier.value == "pu3" {
            run.final.profiles[place].answers = [profile, profile, profile]
        }
        #expect(Self.broken(run).contains(PartitionRule.name))
    }

    @Test func `a profile that is rooted elsewhere depends on order`() {
        var run = Self.story()
        run.change(Self.answered(by: "pu0", in: run).id) {
            $0.id = LeafID(high: $0.id.high, low: $0.id.low &+ 1)
        }
        #expect(Self.broken(run) == [ConfluenceRule.name])
    }

    @Test func `a trait of an older event is not the fold`() {
        var run = Self.story()
        run.change(Self.answered(by: "pu0", in: run).id) {
            $0.traits = [Profile.Trait(name: "t", value: CBORValue.text("6").encoded())]
        }
        #expect(Self.broken(run) == [FoldRule.name])
    }

    @Test func `a profile that is seen after its end has not stayed ended`() {
        var run = Self.story(passing: 90 * 86_400_000)
        var before = Self.story()
        let old = Self.answered(by: "pa1", in: before)
        before.calls.removeAll()
        run.calls[run.calls.count - 1].answer = .profile(old)
        #expect(Self.broken(run).contains(RetentionRule.name))
    }

    @Test func `an event that is gone before its time is a loss, and a member is never gone`() {
        for value in ["pa1", "pu0"] {
            var run = Self.story(passing: value == "pa1" ? 90 * 86_400_000 - 3 : 1 << 40)
            for place in run.final.profiles.indices
            where run.final.profiles[place].answers[0]?.id
                == Self.answered(by: value, in: Self.story()).id
            {
                run.final.profiles[place].answers = [nil, nil, nil]
            }
            #expect(Self.broken(run).contains(LossRule.name), "\(value)")
        }
    }

    @Test func `nodes that differ are found`() {
        var run = Self.story()
        run.final.profiles[0].answers[2] = nil
        #expect(Self.broken(run) == [SameAnswersRule.name])
        run = Self.story()
        run.final.totals[1] = nil
        #expect(Self.broken(run) == [SameAnswersRule.name])
    }

    @Test func `a record that is still sealed is found`() {
        var run = Self.story()
        run.final.sealed = 1
        #expect(Self.broken(run) == [LivenessRule.name])
    }

    @Test func `a refused event that was taken, and a good one that was refused, are found`() {
        for (number, result) in [(8, IngestResult.ok), (3, .rejected(.invalidJSON))] {
            var run = Self.story()
            for place in run.calls.indices {
                guard case .results(let results) = run.calls[place].answer,
                    results[0].event == number
                else { continue }
                run.calls[place].answer = .results([(number, result)])
            }
            #expect(Self.broken(run).contains(ResultsRule.name), "e\(number)")
        }
    }

    @Test func `totals that are not those of what is there are found`() {
        for path in [
            ("events", "accepted"), ("profiles", "members"), ("merges", "completed"),
            ("identifiers", "total"), ("ignoredIdentifiers", "unknown_namespace"),
        ] {
            var run = Self.story()
            for node in run.final.totals.indices {
                run.final.totals[node] = run.final.totals[node].changing(path.0, path.1, by: 9)
            }
            #expect(Self.broken(run) == [TotalsRule.name], "\(path)")
        }
    }

    // MARK: Answers of the run

    /// The story, with what the first get of that identifier was answered changed.
    private static func answering(
        _ value: String, _ body: (inout Profile) -> Void
    ) -> SimpleRun {
        var run = story()
        let asked = Set(
            run.work.steps.filter { step in
                if case .get(_, let identifier, _) = step.action {
                    identifier.value == value
                } else {
                    false
                }
            }.map(\.number))
        for place in run.calls.indices where asked.contains(run.calls[place].step) {
            guard case .profile(var profile?) = run.calls[place].answer else { continue }
            body(&profile)
            run.calls[place].answer = .profile(profile)
            break
        }
        return run
    }

    @Test func `an answer that shows a stranger, or a stranger's event, is an invention`() {
        let own = Self.answering("pa1") { _ in }
        #expect(own.violations().isEmpty)
        let stranger = Self.answered(by: "pu2", in: own).identifiers[0]
        #expect(
            Self.broken(Self.answering("pa1") { $0.identifiers.append(stranger) })
                .contains(InventionRule.name))
        #expect(
            Self.broken(
                Self.answering("pa1") {
                    $0.events.append(Profile.EventCount(name: "e1", count: 1))
                    $0.eventsTotal += 1
                }
            ).contains(InventionRule.name))
    }

    @Test func `an answer that shows two accounts whom no alias joins is an invention`() {
        let other = Self.answered(by: "pu3", in: Self.story()).identifiers[0]
        let run = Self.answering("pu2") { $0.identifiers.append(other) }
        #expect(Self.broken(run).contains(InventionRule.name))
    }

    @Test func `a profile of more identifiers than its limit is found, at any time`() {
        var settings = ClusterSettings(seed: 1)
        settings.tuning.identifiersMax = 1
        let run = Self.story()
        var checker = Checker(work: run.work, settings: settings)
        var history = History()
        for call in run.calls { history.add(call) }
        let names = checker.check(history: history, final: run.final).map(\.invariant)
        #expect(names.contains(LimitRule.name))
    }

    @Test func `totals under way that miss what was acknowledged, or fall, are found`() {
        for (accepted, isBroken) in [
            ([2, 7], false), ([1, 7], true), ([2, 9], true), ([2, 1], true),
        ] {
            var run = Self.story()
            let times: [UInt64] = [150_000_000, 760_000_000]
            for (number, at) in times.enumerated() {
                let step = 1_000 + number
                run.work.steps.append(
                    PlannedWork.Step(number: step, client: 90, at: at, action: .stats))
                run.calls.append(
                    History.Call(
                        step: step, client: 90, invoked: at, returned: at + 1,
                        answer: .totals([
                            "events": ["accepted": .unsigned(UInt64(accepted[number]))]
                        ])))
            }
            #expect(Self.broken(run).contains(TotalsRule.name) == isBroken, "\(accepted)")
        }
    }

    @Test func `an old event of a member's device is not expired`() {
        for passing in [nil, 90 * 86_400_000 as Int64] {
            var run = Self.story(passing: passing)
            let last = run.calls.lastIndex { call in
                if case .results(let results) = call.answer {
                    results.contains { $0.event == 7 }
                } else {
                    false
                }
            }!
            run.calls[last].answer = .results([(7, .expiredOnArrival)])
            #expect(Self.broken(run).contains(ResultsRule.name))
        }
    }

    /// Found by `kith simulate --seed 6174310510185`: the checker looked at the clock of the first
    /// identifier's node alone.
    @Test(arguments: [false, true])
    func `an event of a contested device is judged by the node of its next identifier`(
        isContested: Bool
    ) {
        var settings = ClusterSettings(seed: 1)
        (settings.nodeCount, settings.groups) = (3, 3)
        let places = IdentifierPlaces(settings)
        func identifiers(_ namespace: String, at node: Int) -> [PlannedIdentifier] {
            (0..<100).map { PlannedIdentifier(namespace, "p\($0)") }.filter {
                places.home(of: namespace, $0.value, space: "default") == node
                    && places.quarantineHome(of: namespace, $0.value, space: "default") == node
            }
        }
        let accounts = (0..<100).map {
            PlannedIdentifier("user_id", "p\($0)")
        }.filter { places.home(of: "user_id", $0.value, space: "default") == 1 }
        let cookie = identifiers("anonymous_id", at: 1)[0]
        let device = identifiers("device_id", at: 3)[0]
        var plan = PlanWriter.ofStory(settings)
        let list = [
            [accounts[0], cookie], isContested ? [accounts[1], cookie] : [accounts[1]],
            [cookie, device],
        ]
        for (place, identifiers) in list.enumerated() {
            let at = UInt64(place) * 100_000_000
            let event = plan.event(
                identifiers, at: at, time: settings.start.rawValue, kind: .track, traits: [])
            plan.ingest(client: place, at: at, [event])
        }
        let work = plan.plan()
        var jumped = WallClock(wall: settings.start.rawValue)
        jumped.advance(by: 91 * 86_400_000, at: 150_000_000)
        let right = WallClock(wall: settings.start.rawValue)
        var run = SimpleRun(work, settings, seed: 1)
        run.calls[2].answer = .results([(3, .expiredOnArrival)])
        // Only the clock of the device's node is wrong: the cookie's home is node 1, and so is the
        // account's.
        run.clocks = [right, right, jumped]

        let broken = run.violations().filter { $0.invariant == ResultsRule.name }
        #expect(broken.isEmpty == isContested, "\(broken)")
    }

    /// Found by `kith simulate --seed 83728559486681`: the deletion takes back a newer value, ends,
    /// and an older value comes after both.
    @Test(arguments: [(91, true), (89, false)] as [(Int64, Bool)])
    func `a value that a deletion took back does not outlive that`(days: Int64, isEnded: Bool) {
        let settings = ClusterSettings(seed: 1)
        let day: Int64 = 86_400_000
        var plan = PlanWriter.ofStory(settings)
        for (place, value) in ["older", "newer", nil].enumerated() {
            let at = UInt64(place) * 100_000_000
            let event = plan.event(
                [plan.user(0)], at: at,
                time: settings.start.rawValue - (days + 2 - Int64(place)) * day, kind: .track,
                traits: [("t", value)])
            plan.ingest(client: place, at: at, [event])
        }
        var run = SimpleRun(plan.plan(), settings, seed: 1)
        run.clocks = [WallClock(wall: settings.start.rawValue, drift: -1_000_000)]
        let id = Self.answered(by: "pu0", in: run).id
        func shows(_ value: String) -> [String] {
            run.change(id) {
                $0.traits = [Profile.Trait(name: "t", value: CBORValue.text(value).encoded())]
            }
            return Self.broken(run)
        }

        #expect(shows("older") == (isEnded ? [] : [FoldRule.name]))
        #expect(shows("newer") == (isEnded ? [] : [FoldRule.name]))
    }

    /// Found by `kith simulate --seed 22556489403014`.
    @Test func `an event that counts again in a later life has the time of that`() {
        let settings = ClusterSettings(seed: 1)
        var plan = PlanWriter.ofStory(settings)
        let event = plan.event(
            [plan.cookie(0)], at: 0, time: settings.start.rawValue, kind: .track, traits: [])
        plan.ingest(client: 0, at: 0, [event])
        plan.ingest(client: 0, at: 500_000_000, [event])
        let work = plan.plan()
        var back = WallClock(wall: settings.start.rawValue, drift: -1_000_000)
        back.advance(by: -3_600_000, at: 200_000_000)
        var history = History()
        for step in work.steps {
            history.add(
                History.Call(
                    step: step.number, client: 0, invoked: step.at, returned: step.at + 1_000_000,
                    answer: .results([(event.number, .ok)])))
        }
        let evidence = Evidence(
            work: work, settings: settings,
            clocks: WallClocks(
                work, known: [back], start: settings.start.rawValue, final: 0, ahead: 0, behind: 0),
            history: history)

        let time = evidence.events[0].time

        #expect(time == settings.start.rawValue - 3_600_000...settings.start.rawValue)
    }
}

extension CBORValue {
    /// The map with one count of one of its maps changed.
    fileprivate func changing(_ group: String, _ name: String, by amount: UInt64) -> CBORValue {
        guard case .map(var members) = self else { return self }
        for place in members.indices where members[place].key == .text(group) {
            guard case .map(var counts) = members[place].value else { continue }
            for at in counts.indices where counts[at].key == .text(name) {
                guard case .unsigned(let count) = counts[at].value else { continue }
                counts[at].value = .unsigned(count + amount)
            }
            members[place].value = .map(counts)
        }
        return .map(members)
    }
}
