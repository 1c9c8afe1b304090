internal import KithCore
internal import KithServer

/// Which identifiers can have come together at all, and of which of these heaps everything can be
/// demanded. Knows links as the plan writes them; how a cluster makes them it does not know.
struct Components {
    /// All that possible events can have linked.
    struct Component {
        var identifiers: [Int] = []
        /// Possible events, in the order of the plan.
        var events: [Int] = []
        /// Nodes whose clocks say when a profile of it ends, ascending.
        var leaders: [Int] = []
        /// The latest that one of these showed.
        var latest = Int64.min
        /// Identifiers that may be contested are in it: two accounts that no alias joins before any
        /// of their other links can matter.
        var isRacing = false
        /// Time may have ended a profile that was counted in.
        var isExpiring = false
        /// A limit of a profile may have refused a link.
        var isLimited = false
        /// What became of an event is unknown, or one may have been forgotten as a message before
        /// its last try.
        var isUncertain = false
        /// Everything can be demanded: one profile, the same in every order.
        var isCalm: Bool { !isRacing && !isExpiring && !isLimited && !isUncertain }
    }

    private(set) var list: [Component] = []
    /// The component of each identifier.
    private(set) var ofIdentifier: [Int]
    /// Identifiers of class 3 that an event can have made contested.
    private(set) var mayBeContested: [Bool]
    /// By account: the least of those that possible aliases join with it.
    private var aliased: [Int]
    /// Events that may count twice: tries further apart than message ids are remembered.
    private(set) var mayRepeat: [Bool]

    /// Message ids are remembered that long, in milliseconds, and so many always.
    static let rememberedMillis: Int64 = 86_400_000
    static let rememberedCount = 64

    /// The components of a run.
    init(_ evidence: Evidence) {
        let count = evidence.identifiers.count
        var whole = UnionFind(count)
        var withoutAliases = UnionFind(count)
        var aliases = UnionFind(count)
        for event in evidence.events where event.isPossible {
            for (ordinal, other) in event.identifiers.enumerated().dropFirst() {
                whole.unite(event.first, other)
                if !(event.planned.isAlias && ordinal == 1) {
                    withoutAliases.unite(event.first, other)
                } else if evidence.settings.identity.alias == .merge {
                    aliases.unite(event.first, other)
                }
            }
        }
        aliased = (0..<count).map { aliases.find($0) }
        ofIdentifier = Array(repeating: -1, count: count)
        for place in 0..<count {
            let root = whole.find(place)
            if root == place {
                ofIdentifier[place] = list.count
                list.append(Component())
            } else {
                ofIdentifier[place] = ofIdentifier[root]
            }
            list[ofIdentifier[place]].identifiers.append(place)
        }
        for place in list.indices {
            let leaders = list[place].identifiers.reduce(into: Set<Int>()) {
                $0.formUnion(evidence.leaders(of: $1))
            }
            list[place].leaders = leaders.sorted()
            list[place].latest = evidence.clocks.greatest(to: .max, of: list[place].leaders)
        }

        // Two accounts that more than aliases between them connect, or that no alias may join.
        var accounts = Array(repeating: 0, count: count)
        for place in 0..<count where evidence.identifiers[place].identifierClass == .account {
            let root = withoutAliases.find(place)
            accounts[root] += 1
            if accounts[root] > 1 { list[ofIdentifier[place]].isRacing = true }
        }
        mayRepeat = Self.mayRepeat(evidence)
        for (place, event) in evidence.events.enumerated() where event.isPossible {
            let own = ofIdentifier[event.first]
            list[own].events.append(place)
            if !event.isCounted || event.wasExpired || mayRepeat[place] {
                list[own].isUncertain = true
            }
            if evidence.identifiers[event.first].isAnonymous,
                event.time.lowerBound + evidence.retention <= list[own].latest
            {
                list[own].isExpiring = true
            }
            if event.planned.isAlias, evidence.settings.identity.alias == .refuse {
                list[own].isRacing = true
            }
        }
        for place in list.indices { list[place].isLimited = Self.isLimited(list[place], evidence) }

        mayBeContested = Array(repeating: false, count: count)
        for event in evidence.events where event.isPossible {
            guard evidence.identifiers[event.first].identifierClass == .account,
                list[ofIdentifier[event.first]].isRacing
            else { continue }
            for other in event.identifiers where evidence.identifiers[other].isAnonymous {
                mayBeContested[other] = true
            }
        }
    }

    /// The last ids of a facet are known for ever; others only for a day.
    private static func mayRepeat(_ evidence: Evidence) -> [Bool] {
        // An event may count under each of its identifiers, were others contested.
        var tries = Array(repeating: 0, count: evidence.identifiers.count)
        for event in evidence.events where event.isPossible {
            let count = max(1, event.okCount + event.uncertainCount)
            for identifier in event.identifiers { tries[identifier] += count }
        }
        return evidence.events.map { event in
            let first = evidence.clocks.least(from: event.sent, to: event.returned)
            let last = evidence.clocks.greatest(to: event.returned)
            return event.okCount + event.duplicateCount + event.uncertainCount > 1
                && last - first >= rememberedMillis
                && event.identifiers.contains { tries[$0] > rememberedCount }
        }
    }

    private static func isLimited(_ component: Component, _ evidence: Evidence) -> Bool {
        if component.identifiers.count > evidence.settings.tuning.identifiersMax { return true }
        return evidence.settings.identity.namespaces.contains { namespace in
            guard namespace.identifierClass != .account else { return false }
            return component.identifiers.count {
                evidence.identifiers[$0].name.namespace == namespace.name
            } > namespace.limit
        }
    }

    /// Whether aliases that may have counted join two accounts.
    func mayBeOneAccount(_ first: Int, _ second: Int) -> Bool {
        aliased[first] == aliased[second]
    }

    /// The component of an identifier.
    func of(identifier: Int) -> Component { list[ofIdentifier[identifier]] }

    /// The component that the event's identifiers are in.
    func of(_ event: Evidence.Event) -> Component { list[ofIdentifier[event.first]] }

    /// The nodes whose clocks say whether the event is too old, ascending: those of its first
    /// identifier, and where that may be contested, those of the next, since the event goes on to
    /// it. An event that nobody counted joins no components, so that the next may be in another.
    func judges(of event: Evidence.Event) -> [Int] {
        var nodes: Set<Int> = []
        for identifier in event.identifiers {
            nodes.formUnion(of(identifier: identifier).leaders)
            if !mayBeContested[identifier] { break }
        }
        return nodes.sorted()
    }
}
