// The language of scenario files. One statement a line; `#` begins a comment, the first one is the
// title; days count from a fixed day 0, and wall clocks stand still until a file says otherwise.
//
//     with sharedDevice first|quarantine        settings, before anything else
//     with alias refuse|merge
//     with retention.days 30
//     with retention.clock event                events carry stamps; `advance 90` logs one
//     with blockedValues ["0000", "demo"]
//     with limit email 2
//     with namespace card class=known limit=3 from=traits.card
//     in every naming of u:a u:b u:c            one run for each way to swap the names
//
//     space shop                                from here on; `default` before
//     at 90d-1ms                                wall clocks show this
//     page a:1                                  page screen identify group track alias
//     track "Order Completed" u:1 e:j t=10 id=m7
//     identify u:1 a:1 {plan: "pro"}            traits: `traits` of identify, else `context.traits`
//     alias u:1 -> u:2                          previousId -> userId
//     event {type: "page", anonymousId: 7}      exactly these members
//     bytes a1 61 78                            exactly these bytes instead of an event
//     invalid line · oversized line             what a client reports of a line that it cannot send
//     … -> duplicate                            the answer; `ok` where nothing is said
//     … -> ok or duplicate · rejected no_identifier · expiredOnArrival · any
//     on c2: page a:1                           on the second connection
//     batch … end                               one frame
//     together … end                            all at once, a connection each; with `crash` in it
//                                               the node dies in the middle and what is unanswered
//                                               is sent again
//     in every order … end                      one run for each order of the frames
//     repeat 200 identify u:m%n d:9             the line for %n = 1, 2, … 200
//     crash · restart                           power loss and start; clean stop and start
//
//     get a:1 => P{a:1, u:1} member events=2 traits{plan: "pro"} first=0 last=1 expires=never
//     get d:9 quarantine => P{} quarantine      also events{page: 2}, has{city: absent}, P{d:9!}
//     get a:1 => none                           (! is contested)
//     stats profiles.members=1 events.rejectedByReason.invalid_type=0
//     contested a:1 · uncontested a:1
//     same u:1 a:1 · apart u:1 u:2
//
// What events may carry besides identifiers and traits: `t=` timestamp, `original=` `sent=`
// `received=` times, `recv=` (sets the wall clocks first), `id=` message id (`id=none`: none).
// Without `t=` an event says no time, so it happened when it arrived.

internal import KithBytes
internal import KithCore

/// Reads scenario files; every error names file and line.
struct ScenarioParser {
    var scenario: Scenario
    let file: String
    private var lines: [(number: Int, text: String)] = []
    private var next = 0
    var space = "default"
    private var mentioned: Set<Scenario.Mention> = []
    private var connectionCount = 1
    /// Events so far, for message ids.
    private var eventCount = 0

    /// Times a line may be repeated.
    static let repeatLimit = 100_000
    /// Events of one frame of a repeated line.
    static let repeatFrameEvents = 500

    /// Reads a file's text.
    public static func parse(_ text: String, file: String) throws(ScenarioError) -> Scenario {
        var parser = ScenarioParser(file: file)
        try parser.read(text)
        return parser.scenario
    }

    private init(file: String) {
        self.file = file
        scenario = Scenario(file: file)
    }

    private mutating func read(_ text: String) throws(ScenarioError) {
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let trimmed = line.drop { $0 == " " || $0 == "\t" }
            if trimmed.hasPrefix("#") {
                if scenario.title.isEmpty {
                    scenario.title = String(trimmed.dropFirst().drop { $0 == " " })
                }
            } else if !trimmed.isEmpty {
                lines.append((index + 1, String(trimmed)))
            }
        }
        while let line = takeLine() { try statement(line) }
        let orders = scenario.steps.filter {
            if case .inEveryOrder = $0.action { return true }
            return false
        }
        if orders.count > 1 {
            throw ScenarioError(
                file: file, line: orders[1].line, message: "a second block of every order")
        }
        let problems = scenario.rules.problems()
        if let problem = problems.first {
            throw ScenarioError(file: file, line: 1, message: problem)
        }
    }

    private mutating func takeLine() -> (number: Int, text: String)? {
        guard next < lines.count else { return nil }
        defer { next += 1 }
        return lines[next]
    }

    private func scanner(_ line: (number: Int, text: String)) -> ScenarioScanner {
        ScenarioScanner(line.text, file: file, line: line.number)
    }

    mutating func mention(_ identifier: ScenarioIdentifier) {
        let mention = Scenario.Mention(space: space, identifier: identifier)
        if mentioned.insert(mention).inserted { scenario.mentioned.append(mention) }
    }

    private mutating func add(_ action: Scenario.Action, line: Int) {
        scenario.steps.append(Scenario.Step(line: line, action: action))
    }

    // MARK: Statements

    private mutating func statement(_ line: (number: Int, text: String)) throws(ScenarioError) {
        var scanner = scanner(line)
        if scanner.takeWord("with") {
            guard scenario.steps.isEmpty else { throw scanner.error("settings come first") }
            return try setting(&scanner)
        }
        if scanner.takeWord("repeat") { return try repeated(&scanner, line) }
        if scanner.takeWord("in") { return try every(&scanner, line) }
        if scanner.takeWord("batch") {
            try scanner.expectEnd()
            return add(.send([try batch(line, connection: 1)]), line: line.number)
        }
        if scanner.takeWord("together") {
            try scanner.expectEnd()
            let block = try frames(line, spread: true)
            return add(.together(block.frames, withCrash: block.hasCrash), line: line.number)
        }
        if scanner.takeWord("space") {
            space = try scanner.string()
            return try scanner.expectEnd()
        }
        if scanner.takeWord("connections") {
            connectionCount = Int(try scanner.integer())
            return try scanner.expectEnd()
        }
        if try expectation(&scanner, line: line.number) { return }
        if try happening(&scanner, line: line.number) { return }
        add(.send([try frame(&scanner, line.number)]), line: line.number)
    }

    private mutating func happening(
        _ scanner: inout ScenarioScanner, line: Int
    ) throws(ScenarioError) -> Bool {
        if scanner.takeWord("at") {
            add(.clock(try scanner.time()), line: line)
        } else if scanner.takeWord("advance") {
            add(.advance(try scanner.time()), line: line)
        } else if scanner.takeWord("crash") {
            add(.crash, line: line)
        } else if scanner.takeWord("restart") {
            add(.restart, line: line)
        } else {
            return false
        }
        try scanner.expectEnd()
        return true
    }

    private mutating func every(
        _ scanner: inout ScenarioScanner, _ line: (number: Int, text: String)
    ) throws(ScenarioError) {
        guard scanner.takeWord("every") else { throw scanner.error("expected: in every …") }
        if scanner.takeWord("order") {
            try scanner.expectEnd()
            let block = try frames(line, spread: false)
            guard 2...6 ~= block.frames.count, !block.hasCrash else {
                throw scanner.error("a block of every order has 2 to 6 lines or batches")
            }
            return add(.inEveryOrder(block.frames), line: line.number)
        }
        guard scanner.takeWord("naming"), scanner.takeWord("of") else {
            throw scanner.error("expected: in every order, or: in every naming of u:a u:b …")
        }
        guard scenario.steps.isEmpty else { throw scanner.error("settings come first") }
        while !scanner.isAtEnd { scenario.naming.append(try scanner.identifier()) }
        guard 2...5 ~= scenario.naming.count else { throw scanner.error("2 to 5 names") }
    }

    private mutating func repeated(
        _ scanner: inout ScenarioScanner, _ line: (number: Int, text: String)
    ) throws(ScenarioError) {
        let isFirst = scenario.steps.count
        for line in try copies(&scanner, line) { try statement(line) }
        // What was sent line by line travels in frames, in the same order.
        var frames: [Scenario.Frame] = []
        for step in scenario.steps[isFirst...] {
            guard case .send(let more) = step.action else { return }
            frames += more
        }
        scenario.steps.removeSubrange(isFirst...)
        add(.send(Self.packed(frames)), line: line.number)
    }

    private func copies(
        _ scanner: inout ScenarioScanner, _ line: (number: Int, text: String)
    ) throws(ScenarioError) -> [(number: Int, text: String)] {
        let count = Int(try scanner.integer())
        guard 1...Self.repeatLimit ~= count else {
            throw scanner.error("a line is repeated 1 to \(Self.repeatLimit) times")
        }
        let body = scanner.rest
        guard !body.hasPrefix("repeat") else { throw scanner.error("repeat in repeat") }
        return (1...count).map { (line.number, Self.replacing("%n", in: body, with: "\($0)")) }
    }

    private static func replacing(_ part: String, in text: String, with other: String) -> String {
        var pieces = text.split(separator: part, omittingEmptySubsequences: false).map(String.init)
        let first = pieces.removeFirst()
        return pieces.reduce(first) { $0 + other + $1 }
    }

    /// Frames of one event on one connection put together into frames of many.
    private static func packed(_ frames: [Scenario.Frame]) -> [Scenario.Frame] {
        var packed: [Scenario.Frame] = []
        for frame in frames {
            if let last = packed.last, last.connection == frame.connection,
                last.space == frame.space, last.events.count < repeatFrameEvents
            {
                packed[packed.count - 1].events += frame.events
            } else {
                packed.append(frame)
            }
        }
        return packed
    }

    // MARK: Frames

    /// The lines up to `end`, each a frame, and batches.
    private mutating func frames(
        _ start: (number: Int, text: String), spread: Bool
    ) throws(ScenarioError) -> (frames: [Scenario.Frame], hasCrash: Bool) {
        var frames: [Scenario.Frame] = []
        var hasCrash = false
        while let line = takeLine() {
            var scanner = scanner(line)
            // In a block of everything at once each line has a connection of its own.
            let connection = spread ? frames.count + 1 : 1
            if scanner.takeWord("end") {
                try scanner.expectEnd()
                return (frames, hasCrash)
            }
            if scanner.takeWord("crash"), spread {
                hasCrash = true
            } else if scanner.takeWord("batch") {
                frames.append(try batch(line, connection: connection))
            } else if scanner.takeWord("repeat") {
                var block: [Scenario.Frame] = []
                for copy in try copies(&scanner, line) {
                    var scanner = self.scanner(copy)
                    var frame = try frame(&scanner, copy.number)
                    frame.connection = connection
                    block.append(frame)
                }
                frames += Self.packed(block)
            } else {
                var frame = try frame(&scanner, line.number)
                if spread { frame.connection = connection }
                frames.append(frame)
            }
        }
        throw scanner(start).error("a block without its end")
    }

    private mutating func batch(
        _ start: (number: Int, text: String), connection: Int
    ) throws(ScenarioError) -> Scenario.Frame {
        var frame = Scenario.Frame(connection: connection, space: space, events: [])
        while let line = takeLine() {
            var scanner = scanner(line)
            if scanner.takeWord("end") {
                try scanner.expectEnd()
                return frame
            }
            if scanner.takeWord("repeat") {
                for copy in try copies(&scanner, line) {
                    var scanner = self.scanner(copy)
                    frame.events.append(try event(&scanner, line: copy.number))
                }
            } else {
                frame.events.append(try event(&scanner, line: line.number))
            }
        }
        throw scanner(start).error("a batch without its end")
    }

    /// One event as a frame, perhaps on a connection of its own.
    private mutating func frame(
        _ scanner: inout ScenarioScanner, _ line: Int
    ) throws(ScenarioError) -> Scenario.Frame {
        var connection = 1
        if scanner.takeWord("on") {
            let word = scanner.word()
            guard word.hasPrefix("c"), word.hasSuffix(":"),
                let number = Int(word.dropFirst().dropLast())
            else { throw scanner.error("expected: on c2: …") }
            guard 1...connectionCount ~= number else {
                throw scanner.error(
                    "connection \(number) of \(connectionCount); say `connections` first")
            }
            connection = number
        }
        return Scenario.Frame(
            connection: connection, space: space, events: [try event(&scanner, line: line)])
    }

    /// A message id that depends on the line and the place in it only.
    mutating func assignMessageID(line: Int) -> String {
        eventCount += 1
        return "line\(line)-\(eventCount)"
    }

    mutating func moveClock(to time: Int64, line: Int) { add(.clock(time), line: line) }

    mutating func expect(_ expectation: Scenario.Expectation, line: Int) {
        add(.expect(expectation), line: line)
    }
}
