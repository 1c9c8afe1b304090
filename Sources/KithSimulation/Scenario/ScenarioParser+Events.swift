internal import KithBytes
internal import KithCore

extension ScenarioParser {
    /// One event with its answer.
    mutating func event(
        _ scanner: inout ScenarioScanner, line: Int
    ) throws(ScenarioError) -> Scenario.Event {
        let content = try content(&scanner, line: line)
        let results = scanner.take("->") ? try self.results(&scanner) : [.ok]
        try scanner.expectEnd()
        return Scenario.Event(line: line, content: content, results: results)
    }

    private mutating func content(
        _ scanner: inout ScenarioScanner, line: Int
    ) throws(ScenarioError) -> Scenario.Content {
        let word = scanner.word()
        switch word {
        case "event": return .object(.map(try scanner.members()))
        case "bytes":
            var bytes: [UInt8] = []
            while !scanner.isAtEnd {
                var ahead = scanner
                let pair = ahead.word()
                if pair == "->" { break }
                guard let byte = UInt8(pair, radix: 16) else {
                    throw scanner.error("\(pair) is no byte in hex")
                }
                scanner = ahead
                bytes.append(byte)
            }
            return .bytes(bytes)
        case "invalid", "oversized":
            guard scanner.takeWord("line") else {
                throw scanner.error("expected: \(word) line")
            }
            return word == "invalid" ? .notJSON : .tooLarge
        default:
            guard let type = EventType.allCases.first(where: { $0.name == word }) else {
                throw scanner.error("nothing is called \(word.isEmpty ? scanner.rest : word)")
            }
            return .segment(try segment(type, &scanner, line: line))
        }
    }

    private mutating func segment(
        _ type: EventType, _ scanner: inout ScenarioScanner, line: Int
    ) throws(ScenarioError) -> Scenario.SegmentEvent {
        var event = Scenario.SegmentEvent(type: type, messageID: "")
        var messageID: String?
        if type == .track { event.name = try scanner.string() }
        if type == .alias {
            let previous = try scanner.identifier()
            event.previous = previous
            mention(previous)
            try scanner.expect("->")
        }
        while !scanner.isAtEnd {
            if scanner.isAtObject {
                event.traits = try scanner.members()
                continue
            }
            var ahead = scanner
            if ahead.take("->") { break }
            if let key = ahead.key(), !key.contains(":") {
                scanner = ahead
                try field(key, &event, &messageID, &scanner, line: line)
                continue
            }
            let identifier = try scanner.identifier()
            event.identifiers.append(identifier)
            mention(identifier)
        }
        guard !event.identifiers.isEmpty else {
            throw scanner.error("an event without an identifier; write it as `event {…}`")
        }
        let assigned = assignMessageID(line: line)
        event.messageID = messageID ?? assigned
        return event
    }

    private mutating func field(
        _ key: String, _ event: inout Scenario.SegmentEvent, _ messageID: inout String?,
        _ scanner: inout ScenarioScanner, line: Int
    ) throws(ScenarioError) {
        switch key {
        case "t": event.timestamp = try scanner.time()
        case "original": event.original = try scanner.time()
        case "sent": event.sent = try scanner.time()
        case "received": event.received = try scanner.time()
        case "recv": moveClock(to: try scanner.time(), line: line)
        case "id":
            let text = try scanner.string()
            messageID = text == "none" ? "" : text
        default:
            throw scanner.error(
                "no \(key)=; known: t, recv, original, sent, received, id")
        }
    }

    private func results(
        _ scanner: inout ScenarioScanner
    ) throws(ScenarioError) -> [Scenario.ExpectedResult] {
        var results: [Scenario.ExpectedResult] = []
        repeat {
            let word = scanner.word()
            switch word {
            case "ok": results.append(.ok)
            case "duplicate": results.append(.duplicate)
            case "expiredOnArrival": results.append(.expiredOnArrival)
            case "forgotten": results.append(.forgotten)
            case "suppressed": results.append(.suppressed)
            case "overloaded": results.append(.overloaded)
            case "unknown": results.append(.unknown)
            case "any": results.append(.any)
            case "rejected": results.append(.rejected(scanner.word()))
            default: throw scanner.error("no answer is called \(word)")
            }
        } while scanner.takeWord("or")
        return results
    }
}
