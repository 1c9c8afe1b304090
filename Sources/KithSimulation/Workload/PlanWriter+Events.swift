internal import KithBytes
internal import KithCore

extension PlanWriter {
    /// An event that names these, sent at `at`. `traits` are its own; an e-mail address or a phone
    /// number is a trait too where the event carries it as one, which is drawn.
    mutating func event(
        _ identifiers: [PlannedIdentifier], at: UInt64, time: Int64? = nil,
        kind: PlannedEvent.Kind = .track, traits: [(name: String, value: String?)] = []
    ) -> PlannedEvent {
        let number = nextNumber()
        let kind = self.kind(kind)
        let time = time ?? self.time(at)
        var event = PlannedEvent(
            number: number, identifiers: sorted(identifiers), kind: kind, time: time, bytes: [])
        var members = head(event)
        var context: [CBORMember] = []
        var externals: [CBORValue] = []
        var own = traits
        for identifier in event.identifiers {
            switch identifier.namespace {
            case "user_id": members.append(CBORMember("userId", .text(identifier.value)))
            case "anonymous_id":
                if random.oneIn(8) {
                    externals.append(external(identifier))
                } else if !members.contains(where: { $0.key == "anonymousId" }) {
                    members.append(CBORMember("anonymousId", .text(identifier.value)))
                } else {
                    externals.append(external(identifier))
                }
            case "email"
            where kind != .group && random.oneIn(2)
                && !own.contains { $0.name == "email" }:
                own.append(("email", identifier.value))
            case "device_id" where context.isEmpty:
                context.append(CBORMember("device", ["id": .text(identifier.value)]))
            default: externals.append(external(identifier))
            }
        }
        if kind != .track { own.append((event.mark, "")) }
        event.traits = own
        if !own.isEmpty {
            let map = CBORValue.map(
                own.map { CBORMember(.text($0.name), $0.value.map { .text($0) } ?? .null) })
            if kind == .identify, random.oneIn(2) {
                members.append(CBORMember("traits", map))
            } else {
                context.append(CBORMember("traits", map))
            }
        }
        // By the number, not drawn: what else a seed plans does not depend on it.
        if number % 4 == 0 { event.strangers = 1 + number / 4 % 2 }
        for _ in 0..<event.strangers { externals.append(["id": "1", "type": "fax"]) }
        if !externals.isEmpty { context.append(CBORMember("externalIds", .array(externals))) }
        if !context.isEmpty { members.append(CBORMember("context", .map(context))) }
        event.bytes = CBORValue.map(members).encoded()
        return event
    }

    /// An alias: the person once called `previous`, of whatever kind, is `user`.
    mutating func alias(_ previous: String, to user: PlannedIdentifier, at: UInt64) -> PlannedEvent
    {
        let number = nextNumber()
        var event = PlannedEvent(
            number: number,
            identifiers: [
                user, PlannedIdentifier("user_id", previous),
                PlannedIdentifier("anonymous_id", previous),
            ], kind: .alias, time: time(at), bytes: [])
        event.traits = [(event.mark, "")]
        let members =
            head(event) + [
                CBORMember("userId", .text(user.value)), CBORMember("previousId", .text(previous)),
                CBORMember(
                    "context", ["traits": .map([CBORMember(.text(event.mark), .text(""))])]),
            ]
        event.bytes = CBORValue.map(members).encoded()
        return event
    }

    /// What every event has.
    func head(_ event: PlannedEvent) -> [CBORMember] {
        var members = [
            CBORMember("type", .text(event.kind.rawValue)),
            CBORMember("messageId", .text(event.messageID)),
            CBORMember("timestamp", .integer(event.time)),
        ]
        if event.kind == .track { members.append(CBORMember("event", .text(event.mark))) }
        return members
    }

    private func external(_ identifier: PlannedIdentifier) -> CBORValue {
        ["id": .text(identifier.value), "type": .text(identifier.namespace)]
    }

    /// By class, the order of the namespaces, then value: as the node orders them.
    private func sorted(_ identifiers: [PlannedIdentifier]) -> [PlannedIdentifier] {
        let namespaces = settings.identity.namespaces
        func rank(_ identifier: PlannedIdentifier) -> (UInt8, Int, String) {
            let place = namespaces.firstIndex { $0.name == identifier.namespace } ?? 0
            return (namespaces[place].identifierClass.rawValue, place, identifier.value)
        }
        return identifiers.sorted { rank($0) < rank($1) }
    }
}
