// How violations say what differs between two answers to one question.

internal import KithBytes
internal import KithCore

extension FinalState.Question: CustomStringConvertible {
    /// `default/anonymous_id:w0a1`.
    public var description: String {
        "\(space)/\(identifier.namespace):\(identifier.value)"
            + (isQuarantine ? " in quarantine" : "")
    }
}

extension FinalState {
    /// `profiles.members is 5, then 0`, of all numbers that differ.
    static func difference(_ first: CBORValue, _ second: CBORValue) -> String {
        differences(first, second, at: "").joined(separator: "; ")
    }

    private static func differences(
        _ first: CBORValue?, _ second: CBORValue?, at path: String
    ) -> [String] {
        if first == second { return [] }
        guard case .map(let members)? = first, case .map(let others)? = second else {
            return ["\(path) is \(text(first)), then \(text(second))"]
        }
        var keys: [String] = []
        for member in members + others {
            if case .text(let key) = member.key, !keys.contains(key) { keys.append(key) }
        }
        return keys.flatMap { key in
            differences(first?[key], second?[key], at: path.isEmpty ? key : "\(path).\(key)")
        }
    }

    private static func text(_ value: CBORValue?) -> String {
        switch value {
        case .unsigned(let count)?: "\(count)"
        case .text(let text)?: "\"\(text)\""
        case let other?: "\(other)"
        case nil: "absent"
        }
    }

    /// `node 2: {a:1, u:1} with 3 events, then none`, of the first node whose answers differ.
    static func difference(_ first: [Profile?], _ second: [Profile?]) -> String {
        guard let node = zip(first, second).enumerated().first(where: { $1.0 != $1.1 }) else {
            return "\(first.count) nodes answered, then \(second.count)"
        }
        return "node \(node.offset + 1): \(text(node.element.0)), then \(text(node.element.1))"
    }

    private static func text(_ profile: Profile?) -> String {
        guard let profile else { return "none" }
        let names = profile.identifiers.map { "\($0.namespace):\($0.value)" }
        return "{\(names.joined(separator: ", "))} with \(profile.eventsTotal) events"
    }
}
