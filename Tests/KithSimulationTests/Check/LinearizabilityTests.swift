import KithBytes
import KithCore
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// Histories of three events of one account and of gets beside them, in milliseconds.
@Suite struct LinearizabilityTests {
    /// One try: its number, begin and end.
    private struct Write {
        var event: Int
        var span: ClosedRange<UInt64>
    }

    /// A get, and what it saw.
    private struct Read {
        var span: ClosedRange<UInt64>
        var saw: [Int]
    }

    private static func violations(_ writes: [Write], _ reads: [Read]) -> [String] {
        let settings = ClusterSettings(seed: 1)
        var plan = PlanWriter.ofStory(settings)
        let user = plan.user(0)
        for write in writes {
            plan.ingest(
                client: write.event, at: write.span.lowerBound * 1_000_000,
                [plan.event([user], at: 0, time: settings.start.rawValue)])
        }
        let base = SimpleRun(plan.plan(), settings, seed: 1)
        let whole = base.final.profiles[0].answers[0]!
        for (place, read) in reads.enumerated() {
            plan.get(client: 10 + place, at: read.span.lowerBound * 1_000_000, user)
        }
        let work = plan.plan()
        var calls: [History.Call] = []
        var left = reads
        for step in work.steps {
            var span: ClosedRange<UInt64> = 0...0
            var answer: History.Answer
            switch step.action {
            case .ingest(_, let events):
                span = writes.first { $0.event == events[0].number }!.span
                answer = .results([(events[0].number, .ok)])
            default:
                let place = left.firstIndex { $0.span.lowerBound * 1_000_000 == step.at }!
                let read = left.remove(at: place)
                span = read.span
                var profile = whole
                profile.events.removeAll { entry in !read.saw.contains { "e\($0)" == entry.name } }
                profile.eventsTotal = UInt64(profile.events.count)
                answer = .profile(read.saw.isEmpty ? nil : profile)
            }
            calls.append(
                History.Call(
                    step: step.number, client: step.client,
                    invoked: span.lowerBound * 1_000_000, returned: span.upperBound * 1_000_000,
                    answer: answer))
        }
        var history = History()
        for call in calls { history.add(call) }
        var checker = Checker(work: work, settings: settings)
        return checker.check(history: history, final: base.final)
            .filter { $0.invariant == LinearizabilityRule.name }.map(\.text)
    }

    private static let both = [Write(event: 1, span: 0...100), Write(event: 2, span: 1...100)]

    @Test func `gets that see more and more keep the rule`() {
        let reads = [
            Read(span: 2...3, saw: []), Read(span: 10...20, saw: [1]),
            Read(span: 15...25, saw: [1, 2]), Read(span: 30...40, saw: [1, 2]),
            Read(span: 120...130, saw: [1, 2]),
        ]
        #expect(Self.violations(Self.both, reads).isEmpty)
    }

    @Test func `a get that misses what was acknowledged before it began breaks it`() {
        #expect(!Self.violations(Self.both, [Read(span: 101...110, saw: [1])]).isEmpty)
        #expect(Self.violations(Self.both, [Read(span: 99...110, saw: [1])]).isEmpty)
    }

    @Test func `a get that sees what was sent after it ended breaks it`() {
        let writes = [Write(event: 1, span: 0...10), Write(event: 2, span: 50...60)]
        #expect(!Self.violations(writes, [Read(span: 20...30, saw: [1, 2])]).isEmpty)
        #expect(Self.violations(writes, [Read(span: 20...55, saw: [1, 2])]).isEmpty)
    }

    @Test func `gets of one moment that saw different halves break it`() {
        let reads = [Read(span: 10...20, saw: [1]), Read(span: 15...25, saw: [2])]
        #expect(!Self.violations(Self.both, reads).isEmpty)
    }

    @Test func `a get that goes back on an earlier one breaks it`() {
        let reads = [Read(span: 10...20, saw: [1, 2]), Read(span: 30...40, saw: [1])]
        #expect(!Self.violations(Self.both, reads).isEmpty)
        let beside = [Read(span: 10...35, saw: [1, 2]), Read(span: 30...40, saw: [1])]
        #expect(Self.violations(Self.both, beside).isEmpty)
    }

    @Test func `a get that sees a later event and not an earlier one breaks it`() {
        let writes = [Write(event: 1, span: 0...12), Write(event: 2, span: 13...50)]
        #expect(!Self.violations(writes, [Read(span: 10...40, saw: [2])]).isEmpty)
        #expect(Self.violations(writes, [Read(span: 10...40, saw: [1])]).isEmpty)
    }
}
