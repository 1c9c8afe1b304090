internal import KithBytes
internal import KithCore

extension ScenarioParser {
    /// What follows `with`.
    mutating func setting(_ scanner: inout ScenarioScanner) throws(ScenarioError) {
        let name = scanner.word()
        switch name {
        case "sharedDevice":
            let word = scanner.word()
            guard let value = IdentityRules.SharedDevice(rawValue: word) else {
                throw scanner.error("sharedDevice is first or quarantine, not \(word)")
            }
            scenario.rules.sharedDevice = value
        case "alias":
            let word = scanner.word()
            guard let value = IdentityRules.Alias(rawValue: word) else {
                throw scanner.error("alias is merge or refuse, not \(word)")
            }
            scenario.rules.alias = value
        case "retention.days":
            scenario.anonymousDays = Int(try scanner.integer())
        case "retention.clock":
            let word = scanner.word()
            guard word == "wall" || word == "event" else {
                throw scanner.error("retention.clock is wall or event, not \(word)")
            }
            scenario.isEventClock = word == "event"
        case "eventNames":
            scenario.eventNamesMax = Int(try scanner.integer())
        case "blockedValues":
            let list = try scanner.value()
            guard case .array(let items) = list else {
                throw scanner.error("blockedValues is a list of texts")
            }
            scenario.rules.blockedValues = []
            for item in items {
                guard case .text(let text) = item else {
                    throw scanner.error("blockedValues is a list of texts")
                }
                scenario.rules.blockedValues.append(text)
            }
        case "limit":
            let namespace = scanner.word()
            guard let index = scenario.rules.namespaceIndex(named: namespace) else {
                throw scanner.error("no namespace \(namespace)")
            }
            scenario.rules.namespaces[index].limit = Int(try scanner.integer())
        case "namespace": try namespace(&scanner)
        default:
            throw scanner.error(
                "no setting \(name); known: sharedDevice, alias, retention.days, retention.clock, "
                    + "eventNames, blockedValues, limit, namespace")
        }
        try scanner.expectEnd()
    }

    private mutating func namespace(_ scanner: inout ScenarioScanner) throws(ScenarioError) {
        let classes: [String: IdentifierClass] = [
            "account": .account, "contact": .contact, "known": .known, "anonymous": .anonymous,
        ]
        var namespace = IdentityRules.Namespace(
            name: scanner.word(), class: .known, limit: 5, from: [])
        while !scanner.isAtEnd {
            switch scanner.key() {
            case "class":
                let word = scanner.word()
                guard let value = classes[word] else {
                    throw scanner.error("class is account, contact, known or anonymous")
                }
                namespace.identifierClass = value
            case "limit": namespace.limit = Int(try scanner.integer())
            case "from": namespace.from.append(scanner.word())
            default: throw scanner.error("expected class=, limit= or from= before: \(scanner.rest)")
            }
        }
        scenario.rules.namespaces.append(namespace)
    }
}
