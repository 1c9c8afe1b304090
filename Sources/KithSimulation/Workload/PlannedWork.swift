public import KithWire

/// All that clients will do in one run, laid out before it begins. Leaving steps out makes another
/// plan that can be run, which is how a failing seed is shrunk.
public struct PlannedWork: Sendable {
    /// Ascending by time. One client's steps are taken in this order, each when its time has come
    /// and those before are answered, or sent at least (`Step.isHasty`).
    public var steps: [Step]

    /// A plan of these steps.
    public init(steps: [Step]) { self.steps = steps }

    /// One thing that one client does.
    public struct Step: Sendable {
        /// Names the step in traces, also in a plan that has lost others.
        public var number: Int
        /// From 1; client *k* speaks to node (*k* mod n) + 1 first.
        public var client: Int
        /// When, in nanoseconds of virtual time from the begin of the run.
        public var at: UInt64
        /// What.
        public var action: Action
        /// A batch that is sent although batches before it are not answered yet. They are of one
        /// connection as long as that holds; what has no certain answer is sent again out of order.
        var isHasty = false
        /// How often an event of a batch is sent while it is expired, as an import does: all but
        /// the last time provisionally. Once for what is no import.
        public var passes = 1

        /// That action of that client at that time.
        public init(number: Int, client: Int, at: UInt64, action: Action) {
            self.number = number
            self.client = client
            self.at = at
            self.action = action
        }
    }

    /// What a client can do.
    public enum Action: Sendable {
        /// One batch, sent again under the same message ids until every event has a certain answer.
        case ingest(space: String, [PlannedEvent])
        /// One profile, or that there is none.
        case get(space: String, PlannedIdentifier, isQuarantine: Bool)
        /// The totals.
        case stats
        /// These bytes on a connection of their own, which is then closed.
        case bytes([UInt8])
        /// Asks so many times at once on a connection of its own, reads nothing for so long, and
        /// leaves.
        case stall(requests: Int, nanoseconds: UInt64)
        /// Every node's wall clock goes forward.
        case pass(milliseconds: Int64)
    }
}

/// An identifier as a client writes it; two texts that normalise alike are one identifier.
public struct PlannedIdentifier: Hashable, Comparable, Sendable {
    /// As the cluster file names it, `user_id`.
    public var namespace: String
    /// Normalised already.
    public var value: String

    /// The identifier of that namespace and value.
    public init(_ namespace: String, _ value: String) {
        self.namespace = namespace
        self.value = value
    }

    /// By namespace, then value.
    public static func < (first: Self, second: Self) -> Bool {
        (first.namespace, first.value) < (second.namespace, second.value)
    }
}

/// One event of a plan.
public struct PlannedEvent: Sendable {
    /// Unique in the run but for a repetition, which has the number of what it repeats.
    public var number: Int
    /// All that the event names, the first one, that it is counted under, in front.
    public var identifiers: [PlannedIdentifier]
    /// The event's time, in milliseconds since 1970.
    public var time: Int64
    /// What kind of event it says it is.
    public var kind: Kind
    /// Why the node must refuse it; nil for an event that it must take.
    public var refusal: RejectionReason?
    /// Traits that it sets, nil for one that it deletes.
    public var traits: [(name: String, value: String?)]
    /// How often it names an identifier of a namespace that there is not.
    public var strangers = 0
    /// As it is sent, CBOR.
    public var bytes: [UInt8]

    /// Kinds of events by what they are counted under.
    public enum Kind: String, Sendable {
        /// Counted under `mark`.
        case track
        /// Counted with all others of its kind, so that it sets a trait named `mark`.
        case identify, page, screen, group, alias
    }

    /// An event of these parts.
    public init(
        number: Int, identifiers: [PlannedIdentifier], kind: Kind = .track, time: Int64,
        refusal: RejectionReason? = nil, traits: [(name: String, value: String?)] = [],
        bytes: [UInt8]
    ) {
        self.number = number
        self.identifiers = identifiers
        self.kind = kind
        self.time = time
        self.refusal = refusal
        self.traits = traits
        self.bytes = bytes
    }

    /// An `alias`: its first two identifiers, both of class 0, may be joined by it.
    public var isAlias: Bool { kind == .alias }
    /// To be refused.
    var isMalformed: Bool { refusal != nil }
    /// The name of its counter, or of the trait that stands in for one.
    public var mark: String { "e\(number)" }
    /// The name of its counter.
    public var counter: String { kind == .track ? mark : kind.rawValue }
    /// How it is known to the node; unique as the number is.
    public var messageID: String { "m\(number)" }
}
