internal import KithBytes
internal import KithCore
internal import KithServer

/// Looks at one run from outside, by what clients were told and what nodes say at the end, and
/// finds what must not be. Knows the plan and the contract, and nothing of how a cluster does it.
///
///     plan, History ──▶ Evidence    what is known of each event
///                   ──▶ Components  what can be demanded of whom
///     FinalState    ──▶ Ownership     who answers whom
///                         └──▶ one file a rule ──▶ violations
public struct Checker {
    private let work: PlannedWork
    private let settings: ClusterSettings
    /// What each node's clock showed; where that is not known, what the plan says.
    package var clocks: [WallClock] = []
    /// How far a node's clock may have been before that, in milliseconds.
    public var clockAhead: Int64 = 0
    /// How far behind.
    public var clockBehind: Int64 = 0
    /// Both: how far off, either way.
    var clockError: Int64 {
        get { max(clockAhead, clockBehind) }
        set {
            clockAhead = newValue
            clockBehind = newValue
        }
    }
    /// Whether clients may have tried again without a word in the history. Without, what is counted
    /// for each try is counted exactly.
    var hasFaults = true

    /// A checker of runs of that plan.
    public init(work: PlannedWork, settings: ClusterSettings) {
        self.work = work
        self.settings = settings
    }

    /// All that rules look at.
    struct Run {
        let evidence: Evidence
        let components: Components
        let answers: Ownership
        /// By component: what order alone makes of it; nil where more than that matters.
        let sent: [SentOrder?]
        let history: History
        let final: FinalState
        let hasFaults: Bool
    }

    /// A rule: its number in the list of invariants and its name, and what breaks it in a run.
    protocol Rule {
        static var name: String { get }
        static func problems(_ run: Run) -> [String]
    }

    /// All rules, in the order in which violations are listed.
    static var rules: [any Rule.Type] {
        [
            LossRule.self, CountRule.self, InventionRule.self, OneProfileRule.self,
            PartitionRule.self, LimitRule.self, OrderRule.self, ConfluenceRule.self, FoldRule.self,
            RetentionRule.self,
            SameAnswersRule.self, LinearizabilityRule.self, LivenessRule.self, ResultsRule.self,
            TotalsRule.self, EventNamesRule.self,
        ]
    }

    /// Those for a run with such settings. Where profiles count few event names apart, what counts
    /// under "(other)" cannot be told apart, and rules that follow each event have nothing to go
    /// by.
    static func rules(for settings: ClusterSettings) -> [any Rule.Type] {
        guard settings.tuning.eventNamesMax < FacetLimits.eventNamesMax else { return rules }
        return [
            CountRule.self, OneProfileRule.self, PartitionRule.self, LimitRule.self,
            SameAnswersRule.self, LivenessRule.self, ResultsRule.self, TotalsRule.self,
            EventNamesRule.self,
        ]
    }

    /// All that is wrong, in a fixed order; nothing where all is well.
    public mutating func check(history: History, final: FinalState) -> [Violation] {
        let clocks = WallClocks(
            work, known: clocks, start: settings.start.rawValue, final: final.wallTime,
            ahead: clockAhead, behind: clockBehind)
        let evidence = Evidence(work: work, settings: settings, clocks: clocks, history: history)
        let components = Components(evidence)
        let run = Run(
            evidence: evidence, components: components, answers: Ownership(final, evidence),
            sent: components.list.map { SentOrder($0, evidence) }, history: history, final: final,
            hasFaults: hasFaults)
        return Self.rules(for: settings).flatMap { rule in
            rule.problems(run).map { Violation(rule.name, $0) }
        }
    }
}

extension Checker.Run {
    /// Whether a profile that the event touched is there for certain: a member never ends, an
    /// anonymous one not before its time.
    func mustLive(_ event: Evidence.Event) -> Bool {
        mustLive(event, at: components.of(event).latest)
    }

    /// The same at an earlier moment, when no clock that matters had shown more than `wall`.
    func mustLive(_ event: Evidence.Event, at wall: Int64) -> Bool {
        !evidence.identifiers[event.first].isAnonymous
            || event.time.lowerBound + evidence.retention > wall
    }

    /// For certain not contested: nothing can have made it so, or its profile says that it is not.
    func isUncontested(_ identifier: Int) -> Bool {
        !components.mayBeContested[identifier]
            || answers.isContested(identifier, evidence) == false
    }

    /// The profile as violations name it.
    func name(owner: Int) -> String {
        let names = answers.owners[owner].profile.identifiers.prefix(4).map {
            "\($0.namespace):\($0.value)"
        }
        return "profile {\(names.joined(separator: ", "))}"
    }
}
