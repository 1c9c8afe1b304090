public import KithBytes
public import KithCore
internal import KithWire

/// One case of the identity contract as a story: what is sent, what happens to the node in between,
/// and what must be answered. `ScenarioParser` says how it is written down.
public struct Scenario: Sendable {
    /// The file's name.
    public let file: String
    /// The first comment: the case in a sentence.
    public internal(set) var title = ""
    public internal(set) var rules = IdentityRules.standard
    public internal(set) var anonymousDays = 90
    /// Event names that a profile counts apart.
    public internal(set) var eventNamesMax = FacetLimits.eventNamesMax
    public internal(set) var isEventClock = false
    /// The names that take each other's places, once in every way.
    var naming: [ScenarioIdentifier] = []
    public internal(set) var steps: [Step] = []
    /// Every identifier that the file mentions, with its space, in the order of first mention.
    var mentioned: [Mention] = []

    /// An identifier and the space that it is meant in.
    struct Mention: Hashable, Sendable {
        let space: String
        let identifier: ScenarioIdentifier
    }

    /// Something that happens, or that must be so.
    public struct Step: Sendable {
        /// Counts from 1.
        public let line: Int
        public let action: Action
    }

    /// What a step does. Times are milliseconds since 1970.
    public enum Action: Sendable {
        /// Wall clocks show this.
        case clock(Int64)
        /// Every group logs this stamp (event clock).
        case advance(Int64)
        /// Frames, one after another.
        case send([Frame])
        /// Frames on connections of their own, all at once; perhaps with a crash in the middle.
        case together([Frame], withCrash: Bool)
        /// Frames in some order: each order is a run of its own.
        case inEveryOrder([Frame])
        case crash
        case restart
        case expect(Expectation)
    }

    /// Events that travel in one frame.
    public struct Frame: Sendable {
        public var connection: Int
        public var space: String
        public var events: [Event]
    }

    /// One item of a frame and the answer that it must get.
    public struct Event: Sendable {
        public let line: Int
        public let content: Content
        /// Any of these answers is right.
        public let results: [ExpectedResult]
    }

    /// How many runs the file asks for: one for every naming and every order.
    var variantCount: Int { Self.factorial(naming.count) * Self.factorial(orderedCount) }

    /// Frames of the block `in every order`; 0 without one.
    var orderedCount: Int {
        for step in steps {
            if case .inEveryOrder(let frames) = step.action { return frames.count }
        }
        return 0
    }

    static func factorial(_ n: Int) -> Int { n < 2 ? 1 : (2...n).reduce(1, *) }

    /// The permutation of that number, of 0 ..< `count`.
    static func permutation(_ number: Int, of count: Int) -> [Int] {
        var rest = Array(0..<count)
        var number = number
        var result: [Int] = []
        for size in stride(from: count, to: 0, by: -1) {
            let share = factorial(size - 1)
            result.append(rest.remove(at: number / share % size))
            number %= share
        }
        return result
    }
}

/// An identifier as a scenario names it.
public struct ScenarioIdentifier: Hashable, Sendable {
    public let namespace: String
    public let value: String

    public init(namespace: String, value: String) {
        self.namespace = namespace
        self.value = value
    }
}

extension ScenarioIdentifier: CustomStringConvertible {
    public var description: String { "\(namespace):\(value)" }
}

extension Scenario {
    /// What travels.
    public enum Content: Sendable {
        case segment(SegmentEvent)
        /// CBOR bytes, right or wrong.
        case bytes([UInt8])
        /// An object exactly as it is.
        case object(CBORValue)
        /// A line that the client could not read as JSON.
        case notJSON
        /// An event that the client found too large to send.
        case tooLarge
    }

    /// An event in the contract's notation.
    public struct SegmentEvent: Sendable {
        public var type: EventType
        public var name: String?
        public var identifiers: [ScenarioIdentifier] = []
        /// The `previousId` of an alias.
        public var previous: ScenarioIdentifier?
        public var traits: [CBORMember] = []
        /// Milliseconds since 1970, as are the next three; nil where the event does not say.
        public var timestamp: Int64?
        public var original: Int64?
        public var sent: Int64?
        public var received: Int64?
        /// Empty for none.
        public var messageID: String
    }

    /// The answer that an event must get.
    public enum ExpectedResult: Hashable, Sendable {
        case ok, duplicate, expiredOnArrival, forgotten, suppressed, overloaded, unknown
        case rejected(String)
        case any
    }

    /// What must be so at this place.
    public enum Expectation: Sendable {
        case profile(ScenarioIdentifier, space: String, isQuarantine: Bool, ProfileExpectation?)
        /// Paths into the totals with their values.
        case statistics([(path: String, value: Int64)])
        case contested(ScenarioIdentifier, space: String, Bool)
        case same([ScenarioIdentifier], space: String)
        case apart([ScenarioIdentifier], space: String)
    }

    /// What is said about a profile; nil where nothing is.
    public struct ProfileExpectation: Sendable {
        public var identifiers: [(identifier: ScenarioIdentifier, isContested: Bool)]?
        public var isMember: Bool?
        public var isQuarantine: Bool?
        public var events: Int64?
        var byName: [(name: String, count: Int64)]?
        /// All of the traits.
        public var traits: [(name: String, value: CBORValue)]?
        /// Some of the traits; a nil value means that there must be none of the name.
        public var has: [(name: String, value: CBORValue?)] = []
        public var firstSeen: Int64?
        public var lastSeen: Int64?
        public var expiresAt: Expiry?

        /// When a profile goes, in milliseconds since 1970.
        public enum Expiry: Sendable {
            case at(Int64)
            case never
        }
    }
}
