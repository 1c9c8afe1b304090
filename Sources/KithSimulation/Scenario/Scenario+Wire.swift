internal import KithBytes
internal import KithCore
internal import KithWire

/// Which of its runs a scenario takes: what the names stand for, and the order of the ordered
/// block.
struct ScenarioVariant {
    private let names: [ScenarioIdentifier: ScenarioIdentifier]
    let order: [Int]

    init(_ number: Int, of scenario: Scenario) {
        let orders = Scenario.factorial(scenario.orderedCount)
        order = Scenario.permutation(number % orders, of: scenario.orderedCount)
        let place = Scenario.permutation(number / orders, of: scenario.naming.count)
        var names: [ScenarioIdentifier: ScenarioIdentifier] = [:]
        for (index, other) in place.enumerated() {
            names[scenario.naming[index]] = scenario.naming[other]
        }
        self.names = names
    }

    /// What the identifier stands for in this run.
    func callAsFunction(_ identifier: ScenarioIdentifier) -> ScenarioIdentifier {
        names[identifier] ?? identifier
    }
}

/// How a scenario's events look on the wire.
extension Scenario.Event {
    /// Adds the event to a frame. `stamp` is the event clock's so far; it rises to this event's
    /// time.
    func append(
        to batch: inout IngestBatchWriter, as variant: ScenarioVariant, now: Int64,
        stamp: inout Int64?
    ) {
        switch content {
        case .notJSON: batch.append(.invalidJSON, stamp: stamp.map { LogTime($0) }, bytes: [])
        case .tooLarge: batch.append(.tooLarge, stamp: stamp.map { LogTime($0) }, bytes: [])
        case .bytes(let bytes): batch.append(stamp: stamp.map { LogTime($0) }, bytes: bytes)
        case .object(let object):
            batch.append(stamp: stamp.map { LogTime($0) }, bytes: object.encoded())
        case .segment(let event):
            if let earlier = stamp { stamp = max(earlier, event.timestamp ?? now) }
            batch.append(
                stamp: stamp.map { LogTime($0) }, bytes: event.object(as: variant).encoded())
        }
    }
}

extension Scenario.SegmentEvent {
    /// The event as the Segment spec has it.
    func object(as variant: ScenarioVariant) -> CBORValue {
        var members: [CBORMember] = [CBORMember("type", .text(type.name))]
        var traits = traits
        var context: [CBORMember] = []
        var external: [CBORValue] = []
        if let name { members.append(CBORMember("event", .text(name))) }
        if !messageID.isEmpty { members.append(CBORMember("messageId", .text(messageID))) }
        if let previous {
            members.append(CBORMember("previousId", .text(variant(previous).value)))
        }
        for identifier in identifiers.map({ variant($0) }) {
            let value = CBORValue.text(identifier.value)
            switch identifier.namespace {
            case "user_id": members.append(CBORMember("userId", value))
            case "anonymous_id": members.append(CBORMember("anonymousId", value))
            case "email", "phone":
                traits.append(CBORMember(.text(identifier.namespace), value))
            case "device_id": context.append(CBORMember("device", ["id": value]))
            default: external.append(["id": value, "type": .text(identifier.namespace)])
            }
        }
        if !external.isEmpty { context.append(CBORMember("externalIds", .array(external))) }
        if !traits.isEmpty {
            if type == .identify {
                members.append(CBORMember("traits", .map(traits)))
            } else {
                context.append(CBORMember("traits", .map(traits)))
            }
        }
        if !context.isEmpty { members.append(CBORMember("context", .map(context))) }
        for (name, time) in [
            ("timestamp", timestamp), ("originalTimestamp", original), ("sentAt", sent),
            ("receivedAt", received),
        ] {
            if let time { members.append(CBORMember(.text(name), .integer(time))) }
        }
        return .map(members)
    }
}

extension Scenario.ExpectedResult {
    func matches(_ result: IngestResult) -> Bool {
        switch (self, result) {
        case (.any, _), (.ok, .ok), (.duplicate, .duplicate),
            (.expiredOnArrival, .expiredOnArrival), (.forgotten, .forgotten),
            (.suppressed, .suppressed), (.overloaded, .overloaded), (.unknown, .unknown):
            true
        case (.rejected(let name), .rejected(let reason)): name == reason.name
        default: false
        }
    }

    var text: String {
        if case .rejected(let reason) = self { "rejected \(reason)" } else { "\(self)" }
    }
}
