internal import KithCore
internal import KithWire

/// Where the events of one batch stand, from try to try.
///
///     first try ─┬ certain answer ─────────────────────────────────▶ done
///                ├ none ──────────────────────────────────────────▶ again, as it was sent
///                ├ expired, passes left ──────────────────────────▶ again, provisionally or last
///                └ taken, a link void by age, passes left ────────▶ again, for its links alone
///
/// What is expired comes again when something else may have said who it is about (C16). A batch of
/// one pass is no import's.
struct BatchStanding {
    /// The results of a try, by the numbers of the events: those that are counted, those of events
    /// that come again, and those of events that came for their links.
    struct Told {
        var results: [(event: Int, result: IngestResult)] = []
        var provisional: [(event: Int, result: IngestResult)] = []
        var links: [(event: Int, result: IngestResult)] = []
    }

    private let numbers: [Int]
    private let passCount: Int
    private var isCertain: [Bool]
    /// The pass that comes next.
    private var passes: [Int]
    private var isTaken: [Bool]

    /// A batch that was not sent yet.
    init(_ events: [PlannedEvent], passes: Int) {
        numbers = events.map(\.number)
        passCount = passes
        isCertain = Array(repeating: false, count: events.count)
        self.passes = Array(repeating: 1, count: events.count)
        isTaken = isCertain
    }

    /// Nothing is to be sent any more.
    var isDone: Bool { !isCertain.contains(false) }

    /// Whether the event comes for its links alone.
    func isForLinks(_ place: Int) -> Bool { isTaken[place] }

    /// The places of the events that are sent next: of a client that sends `all` those too that
    /// have a certain answer, but for what comes for its links alone.
    func next(all sendsAll: Bool, atMost most: Int) -> [Int] {
        let some = numbers.indices.filter { sendsAll && !isTaken[$0] || !isCertain[$0] }
        if some.count <= most { return some }
        return Array(numbers.indices.filter { !isCertain[$0] }.prefix(most))
    }

    /// What an event is sent as.
    func kind(of place: Int) -> IngestItemKind {
        if passCount == 1 { return .event }
        if isTaken[place] { return .links }
        if passes[place] == passCount { return .last }
        return passes[place] == 1 ? .provisional : .provisionalAgain
    }

    /// Takes the answer to a try.
    mutating func take(_ reply: IngestReply, of sent: [Int]) -> Told {
        let isVoid = Self.voidByAge(reply)
        var told = Told()
        for (item, (place, result)) in zip(sent, reply.results).enumerated() {
            let entry = (event: numbers[place], result: result)
            let hasPasses = passes[place] < passCount
            let wasTaken = result == .ok || result == .duplicate
            let isOpen = hasPasses && wasTaken && isVoid.contains(item) && !isCertain[place]
            if isTaken[place] {
                told.links.append(entry)
                if isOpen { passes[place] += 1 }
                isCertain[place] = !isOpen && !result.wantsRetry
            } else if isOpen {
                told.results.append(entry)
                passes[place] += 1
                isTaken[place] = true
            } else if result == .expiredOnArrival, hasPasses {
                told.provisional.append(entry)
                // What was counted before stays so.
                if !isCertain[place] { passes[place] += 1 }
            } else {
                told.results.append(entry)
                if !result.wantsRetry { isCertain[place] = true }
            }
        }
        return told
    }

    /// The items of which a link was void by age.
    private static func voidByAge(_ reply: IngestReply) -> Set<Int> {
        var items: Set<Int> = []
        for note in reply.notes {
            if case .linkVoid(.age, _) = note.about { items.insert(Int(note.position)) }
        }
        return items
    }
}
