internal import KithBytes
internal import KithCore
internal import KithServer
internal import KithWire

/// What plan and history together say of each event and identifier: read once, before any rule.
///
/// Events and identifiers are numbers from here on, their places in `events` and `identifiers`.
/// Times of events are ranges, since what counts is the lesser of the event's own time and the
/// wall clock at an arrival that is known to lie between two moments only.
struct Evidence {
    /// An identifier of a space.
    struct Identifier {
        let space: String
        let name: PlannedIdentifier
        let identifierClass: IdentifierClass
        /// Some event of the plan carries it as an identifier of its own.
        var isCarried = false

        var isAnonymous: Bool { identifierClass == .anonymous }
    }

    /// An event, with what was answered to all its tries.
    struct Event {
        let planned: PlannedEvent
        let space: String
        /// As in the plan, the first in front.
        let identifiers: [Int]
        /// Begin of the first try; where no try was answered, when the plan has it.
        var sent = UInt64.max
        /// End of the last try; the greatest there is where one was never answered.
        var returned: UInt64 = 0
        /// The first answer that it is counted.
        var acknowledged: UInt64?
        /// Requests that it was in, whatever came of them.
        var tries = 0
        /// Who sent it first.
        var client: Int?
        var okCount = 0
        var duplicateCount = 0
        var expiredCount = 0
        /// Answers that it is expired, which were not to be counted since it came again.
        var provisionalCount = 0
        /// Begin of the last try that was answered so, of either kind.
        var expiredSent: UInt64 = 0
        /// Tries of which nobody knows what came of them.
        var uncertainCount = 0
        var refusals: [RejectionReason] = []
        /// Ownership that this run has no cause for.
        var strange: [IngestResult] = []
        /// Of its tries, those for its links alone.
        var linkTries = 0
        /// What its time was taken as.
        var time: ClosedRange<Int64> = 0...0

        var first: Int { identifiers[0] }
        var isMalformed: Bool { planned.isMalformed }
        /// For certain counted at some moment.
        var isCounted: Bool { acknowledged != nil }
        /// Was expired at some moment.
        var wasExpired: Bool { expiredCount + provisionalCount > 0 }
        /// May be counted, for all that is known.
        var isPossible: Bool {
            !isMalformed && (isCounted || uncertainCount > 0 || expiredCount == 0)
        }
    }

    let settings: ClusterSettings
    /// Retention in milliseconds.
    let retention: Int64
    /// What places identifiers in the graph.
    let hashKey: HashKey
    let clocks: WallClocks
    /// Where identifiers lie.
    private let homes: IdentifierPlaces
    private(set) var identifiers: [Identifier] = []
    /// In the order of the plan, which is that in which a client sends them first.
    private(set) var events: [Event] = []
    private var places: [FinalState.Question: Int] = [:]
    private var eventPlaces: [Int: Int] = [:]
    /// Questions asked in the run, and their answers.
    private(set) var gets: [Get] = []
    /// Totals asked for in the run, in the order of the answers.
    private(set) var totals: [(call: History.Call, totals: CBORValue)] = []
    /// No request failed, and none was answered by anything but a certain result.
    private(set) var isSmooth = true

    /// One answered question.
    struct Get {
        let call: History.Call
        let identifier: Int
        let isQuarantine: Bool
        let profile: Profile?
    }

    /// Reads plan and history.
    init(
        work: PlannedWork, settings: ClusterSettings, clocks: WallClocks, history: History
    ) {
        self.settings = settings
        self.clocks = clocks
        homes = IdentifierPlaces(settings)
        hashKey = settings.configuration().hashKey
        retention = Int64(settings.anonymousDays) * 86_400_000
        var steps: [Int: PlannedWork.Step] = [:]
        for step in work.steps {
            steps[step.number] = step
            switch step.action {
            case .ingest(let space, let list): for event in list { note(event, space) }
            case .get(let space, let identifier, _): _ = intern(space, identifier)
            default: break
            }
        }
        var answered: Set<Int> = []
        for call in history.calls {
            guard let step = steps[call.step] else { continue }
            answered.insert(call.step)
            take(call, step)
        }
        for step in work.steps where !answered.contains(step.number) {
            guard case .ingest(_, let list) = step.action else { continue }
            isSmooth = false
            for event in list {
                guard let place = eventPlaces[event.number] else { continue }
                events[place].sent = min(events[place].sent, step.at)
                events[place].returned = .max
                events[place].uncertainCount += 1
            }
        }
        for place in events.indices { events[place].time = range(of: events[place]) }
    }

    /// The place of an identifier; nil for one that the plan does not have.
    func place(_ space: String, _ identifier: PlannedIdentifier) -> Int? {
        places[FinalState.Question(space: space, identifier: identifier, isQuarantine: false)]
    }

    /// The place of the event that has that mark.
    func event(marked mark: String) -> Int? {
        guard mark.utf8.first == UInt8(ascii: "e"), let number = Int(mark.dropFirst()) else {
            return nil
        }
        return eventPlaces[number]
    }

    /// The event as violations name it.
    func name(event: Int) -> String {
        let event = events[event]
        let names = event.identifiers.map { name(identifier: $0) }.joined(separator: ", ")
        return "\(event.planned.mark) {\(names)}"
    }

    /// The identifier as violations name it.
    func name(identifier: Int) -> String {
        let identifier = identifiers[identifier]
        return "\(identifier.space)/\(identifier.name.namespace):\(identifier.name.value)"
    }

    // MARK: Reading

    private mutating func intern(_ space: String, _ identifier: PlannedIdentifier) -> Int {
        let key = FinalState.Question(space: space, identifier: identifier, isQuarantine: false)
        if let place = places[key] { return place }
        let rules = settings.identity
        let namespace = rules.namespaceIndex(named: identifier.namespace)
        let place = identifiers.count
        identifiers.append(
            Identifier(
                space: space, name: identifier,
                identifierClass: namespace.map { rules.namespaces[$0].identifierClass }
                    ?? .anonymous))
        places[key] = place
        return place
    }

    private mutating func note(_ planned: PlannedEvent, _ space: String) {
        guard eventPlaces[planned.number] == nil else { return }
        let own = planned.identifiers.map { intern(space, $0) }
        eventPlaces[planned.number] = events.count
        events.append(Event(planned: planned, space: space, identifiers: own))
        guard !planned.isMalformed else { return }
        for (ordinal, place) in own.enumerated() where !planned.isAlias || ordinal == 0 {
            identifiers[place].isCarried = true
        }
    }

    private mutating func take(_ call: History.Call, _ step: PlannedWork.Step) {
        switch (call.answer, step.action) {
        case (.results(let results), .ingest):
            for (number, result) in results {
                guard let place = eventPlaces[number] else { continue }
                take(result, at: place, call)
            }
        case (.failed(_, let events), .ingest):
            isSmooth = false
            for number in events {
                guard let place = eventPlaces[number] else { continue }
                take(.unknown, at: place, call)
            }
        case (.totals(let totals), .stats):
            self.totals.append((call, totals))
        case (.profile(let profile), .get(let space, let identifier, let isQuarantine)):
            gets.append(
                Get(
                    call: call, identifier: intern(space, identifier),
                    isQuarantine: isQuarantine, profile: profile))
        default: break
        }
    }

    private mutating func take(_ result: IngestResult, at place: Int, _ call: History.Call) {
        events[place].tries += 1
        events[place].client = events[place].client ?? call.client
        events[place].sent = min(events[place].sent, call.invoked)
        events[place].returned = max(events[place].returned, call.returned)
        if call.isForLinks {
            takeLinks(result, at: place)
            return
        }
        switch result {
        case .ok, .duplicate:
            if result == .ok {
                events[place].okCount += 1
            } else {
                events[place].duplicateCount += 1
            }
            events[place].acknowledged = min(
                events[place].acknowledged ?? .max, call.returned)
        case .rejected(let reason): events[place].refusals.append(reason)
        case .expiredOnArrival:
            if call.isProvisional {
                events[place].provisionalCount += 1
            } else {
                events[place].expiredCount += 1
            }
            events[place].expiredSent = max(events[place].expiredSent, call.invoked)
        case .unknown:
            isSmooth = false
            events[place].uncertainCount += 1
        case .overloaded: isSmooth = false
        case .forgotten, .suppressed: events[place].strange.append(result)
        }
    }

    /// What was acknowledged before comes again for its links alone, and counts nothing; where its
    /// profile has ended meanwhile there is nothing to link.
    private mutating func takeLinks(_ result: IngestResult, at place: Int) {
        events[place].linkTries += 1
        switch result {
        case .ok: events[place].strange.append(result)
        case .duplicate, .expiredOnArrival: break
        case .unknown, .overloaded: isSmooth = false
        case .rejected(let reason): events[place].refusals.append(reason)
        case .forgotten, .suppressed: events[place].strange.append(result)
        }
    }

    /// Between its first try and its first answer that it is counted; where a later try may have
    /// counted it again, since its profile had ended meanwhile, between that and the last answer.
    private func range(of event: Event) -> ClosedRange<Int64> {
        let mayCountAgain = event.okCount + event.uncertainCount > 1
        let last = mayCountAgain ? event.returned : event.acknowledged ?? event.returned
        let lower = min(event.planned.time, clocks.least(from: event.sent, to: last))
        return lower...max(lower, min(event.planned.time, clocks.greatest(to: last)))
    }

    /// The nodes that keep the identifier's records, its own and that of its quarantine.
    func leaders(of identifier: Int) -> Set<Int> {
        let identifier = identifiers[identifier]
        let (space, name) = (identifier.space, identifier.name)
        return Set(
            [
                homes.home(of: name.namespace, name.value, space: space),
                homes.quarantineHome(of: name.namespace, name.value, space: space),
            ].compactMap { $0 })
    }
}
