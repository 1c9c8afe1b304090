import KithBytes
import KithCore
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// What is demanded of events that one connection sent, and what is not: the same story told in the
/// order sent and in another.
@Suite struct OrderRuleTests {
    private static let settings = ClusterSettings(seed: 1)

    /// A batch an event, all sent at once by one client; `apart` waits for each answer.
    private static func plan(
        isApart: Bool = false, clients: Int = 1,
        _ list: (PlanWriter) -> [[PlannedIdentifier]]
    ) -> PlannedWork {
        var plan = PlanWriter.ofStory(settings)
        for (place, identifiers) in list(plan).enumerated() {
            let at = UInt64(place) * (isApart ? 10_000_000 : 1)
            let event = plan.event(identifiers, at: at, time: settings.start.rawValue)
            plan.ingest(client: place % clients, at: at, [event], isHasty: true)
        }
        return plan.plan()
    }

    /// What is broken where nodes took the steps of the plan in the order of `places`, and said so
    /// to clients that asked at the times of the plan.
    private static func broken(_ work: PlannedWork, takenAs places: [Int]) -> [String] {
        var taken = work
        taken.steps = places.map { work.steps[$0] }
        var run = SimpleRun(taken, settings, seed: 1)
        run.work = work
        run.calls.sort { $0.invoked < $1.invoked }
        var names: [String] = []
        for violation in run.violations() where !names.contains(violation.invariant) {
            names.append(violation.invariant)
        }
        return names
    }

    @Test(arguments: [false, true])
    func `who comes first on a connection gets the device`(isApart: Bool) {
        let work = Self.plan(isApart: isApart) {
            [[$0.user(1), $0.device(1)], [$0.user(2), $0.device(1)], [$0.device(1)]]
        }

        #expect(Self.broken(work, takenAs: [0, 1, 2]) == [])
        for order in [[1, 0, 2], [0, 2, 1], [2, 0, 1]] {
            #expect(Self.broken(work, takenAs: order).contains(OrderRule.name), "\(order)")
        }
    }

    @Test func `between connections there is no order`() {
        let work = Self.plan(clients: 2) {
            [[$0.user(1), $0.device(1)], [$0.user(2), $0.device(1)]]
        }

        #expect(Self.broken(work, takenAs: [1, 0]) == [])
    }

    @Test(arguments: [false, true])
    func `events that share no identifier have an order only by an answer`(isApart: Bool) {
        let work = Self.plan(isApart: isApart) {
            [
                [$0.cookie(1), $0.device(1)], [$0.user(1), $0.device(1)],
                [$0.user(2), $0.cookie(1)],
            ]
        }

        #expect(Self.broken(work, takenAs: [0, 1, 2]) == [])
        #expect(Self.broken(work, takenAs: [0, 2, 1]) == (isApart ? [OrderRule.name] : []))
    }

    @Test func `a visit that overtakes a log-in is a profile and a merge too many`() {
        let work = Self.plan { [[$0.user(1), $0.cookie(1)], [$0.cookie(1)]] }

        #expect(Self.broken(work, takenAs: [0, 1]) == [])
        #expect(Self.broken(work, takenAs: [1, 0]) == [TotalsRule.name])
    }

    @Test func `an event that was missed is seen by nobody any more, whatever clocks showed`() {
        var random = Xoshiro256(seed: 1)
        let times = WorkloadTimes(
            .anything, end: 1_000_000_000, start: Self.settings.start.rawValue,
            retention: 90 * 86_400_000, &random)
        var plan = PlanWriter(settings: Self.settings, times: times, random: random)
        plan.begin("p")
        let event = plan.event([plan.cookie(1)], at: 0, time: Self.settings.start.rawValue)
        plan.ingest(client: 0, at: 0, [event])
        plan.get(client: 0, at: 100_000_000, plan.cookie(1))
        plan.get(client: 0, at: 200_000_000, plan.cookie(1))
        for (isMissed, isBack) in [(false, false), (false, true), (true, false), (true, true)] {
            var run = SimpleRun(plan.plan(), Self.settings, seed: 1)
            if isMissed { run.calls[1].answer = .profile(nil) }
            if !isBack {
                run.calls[2].answer = .profile(nil)
                for place in run.final.profiles.indices {
                    run.final.profiles[place].answers = [nil, nil, nil]
                }
            }
            var checker = Checker(work: run.work, settings: Self.settings)
            checker.clockError = 1 << 40
            var history = History()
            for call in run.calls { history.add(call) }
            let found = checker.check(history: history, final: run.final).contains {
                $0.invariant == RetentionRule.name
            }
            #expect(found == (isMissed && isBack), "missed \(isMissed), back \(isBack)")
        }
    }
}
