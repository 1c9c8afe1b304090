public import KithBytes
public import KithCore
public import KithWire

/// What clients asked and were answered in one run, in the order of the answers. Checkers read it
/// and nothing else of the run.
public struct History: Sendable {
    /// Every try of every step; the order is that of the answers.
    public private(set) var calls: [Call] = []

    /// One request: one try of a step.
    public struct Call: Sendable {
        /// The step's number.
        public var step: Int
        /// The client that asked.
        public var client: Int
        /// Virtual nanoseconds from the begin of the run.
        var invoked: UInt64
        /// The same, of the answer.
        var returned: UInt64
        /// What came back.
        public var answer: Answer
        /// Of events that were expired and are sent again: nothing is counted of them yet.
        public var isProvisional = false
        /// Of events that were taken before and are sent again for their links: nothing more is
        /// counted of them.
        var isForLinks = false

        /// A request of that step, and its answer.
        public init(
            step: Int, client: Int, invoked: UInt64, returned: UInt64, answer: Answer
        ) {
            self.step = step
            self.client = client
            self.invoked = invoked
            self.returned = returned
            self.answer = answer
        }
    }

    /// What came back.
    public enum Answer: Sendable {
        /// One for each event of the batch that was sent, by the numbers of the events.
        case results([(event: Int, result: IngestResult)])
        /// The profile; nil where nobody is known by that identifier.
        case profile(Profile?)
        /// The totals.
        case totals(CBORValue)
        /// Refused, or no answer: whether it took effect is unknown. With the numbers of the events
        /// that were sent.
        case failed(String, events: [Int] = [])
    }

    /// Nothing asked.
    public init() {}

    /// Adds a call that has returned.
    public mutating func add(_ call: Call) { calls.append(call) }

    /// Distinct events that were answered `ok` or `duplicate`.
    public var acknowledged: Int {
        var events: Set<Int> = []
        for call in calls {
            guard case .results(let results) = call.answer else { continue }
            for (event, result) in results where result == .ok || result == .duplicate {
                events.insert(event)
            }
        }
        return events.count
    }
}

/// What every node says once all is healed and quiet.
public struct FinalState: Sendable {
    /// One question.
    public struct Question: Hashable, Sendable {
        /// The identifier's space.
        public var space: String
        /// The identifier.
        public var identifier: PlannedIdentifier
        /// Its quarantine profile, rather than its owner's.
        public var isQuarantine: Bool

        /// That identifier of that space.
        public init(space: String, identifier: PlannedIdentifier, isQuarantine: Bool) {
            self.space = space
            self.identifier = identifier
            self.isQuarantine = isQuarantine
        }
    }

    /// Each identifier of the plan, with and without quarantine, and what each node answered.
    public var profiles: [(question: Question, answers: [Profile?])]
    /// Each node's totals.
    public var totals: [CBORValue]
    /// Records that are still sealed, over all groups.
    public var sealed: UInt64
    /// What wall clocks showed, in milliseconds since 1970.
    public var wallTime: Int64

    /// What was asked and answered.
    public init(
        profiles: [(question: Question, answers: [Profile?])], totals: [CBORValue],
        sealed: UInt64, wallTime: Int64
    ) {
        self.profiles = profiles
        self.totals = totals
        self.sealed = sealed
        self.wallTime = wallTime
    }
}

/// A rule that a run broke.
public struct Violation: Sendable, CustomStringConvertible {
    /// The rule's number and name, as docs/simulation.md lists them.
    public var invariant: String
    /// What was found, with the events and identifiers that show it.
    public var text: String

    /// That rule, broken so.
    public init(_ invariant: String, _ text: String) {
        self.invariant = invariant
        self.text = text
    }

    /// One line.
    public var description: String { "\(invariant): \(text)" }
}
