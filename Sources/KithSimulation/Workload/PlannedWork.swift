/// All that clients will do in one run, laid out before it begins. Leaving steps out makes another
/// plan that can be run, which is how a failing seed is shrunk.
public struct PlannedWork: Sendable {
    /// Ascending by time. One client's steps are taken in this order, each when its time has come
    /// and the one before is answered.
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
    /// Unique in the run but for a repetition, which has the number of what it repeats. The
    /// counter's name is `e` and the number, so that a profile says which events it counted.
    public var number: Int
    /// All that the event names, the first one, that it is counted under, in front.
    public var identifiers: [PlannedIdentifier]
    /// An `alias`: may join two accounts.
    public var isAlias: Bool
    /// The event's time, in milliseconds since 1970.
    public var time: Int64
    /// What the node must answer where it is to be refused.
    public var isMalformed: Bool
    /// Traits that it sets, nil for one that it deletes.
    public var traits: [(name: String, value: String?)]
    /// As it is sent, CBOR.
    public var bytes: [UInt8]

    /// An event of these parts.
    public init(
        number: Int, identifiers: [PlannedIdentifier], isAlias: Bool = false, time: Int64,
        isMalformed: Bool = false, traits: [(name: String, value: String?)] = [], bytes: [UInt8]
    ) {
        self.number = number
        self.identifiers = identifiers
        self.isAlias = isAlias
        self.time = time
        self.isMalformed = isMalformed
        self.traits = traits
        self.bytes = bytes
    }

    /// The name of its counter.
    public var counter: String { "e\(number)" }
}
