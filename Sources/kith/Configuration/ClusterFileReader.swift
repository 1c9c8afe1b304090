import KithBytes
import KithCore
import KithServer
import KithWire

/// From the tree of a cluster file to settings; every error names its key.
enum ClusterFileReader {
    static func configuration(_ tree: CBORValue) throws(ClusterFileError) -> ClusterConfiguration {
        let file = try object(tree, "")
        try file.allow([
            "name", "groups", "replicas", "hashKey", "nodes", "retention", "memory", "identity",
        ])
        let standard = ClusterConfiguration()
        var nodes = standard.nodes
        if let value = file["nodes"] { nodes = try self.nodes(value) }
        return ClusterConfiguration(
            name: try file.text("name") ?? standard.name,
            groups: try file.integer("groups"), replicas: try file.integer("replicas"),
            hashKey: try hashKey(file) ?? standard.hashKey, nodes: nodes,
            retention: try retention(file) ?? standard.retention,
            memory: try memory(file) ?? standard.memory,
            identity: try identity(file) ?? standard.identity)
    }

    private static func hashKey(_ file: ObjectReader) throws(ClusterFileError) -> HashKey? {
        guard let text = try file.text("hashKey") else { return nil }
        guard let key = HashKey(hex: text) else {
            throw ClusterFileError("hashKey must be 32 hex digits")
        }
        return key
    }

    private static func nodes(
        _ value: CBORValue
    ) throws(ClusterFileError) -> [ClusterConfiguration.Node] {
        guard case .array(let items) = value else {
            throw ClusterFileError("nodes must be an array of {id, host, port}")
        }
        var nodes: [ClusterConfiguration.Node] = []
        for (place, item) in items.enumerated() {
            let node = try object(item, "nodes[\(place)]")
            try node.allow(["id", "host", "port"])
            guard let id = try node.integer("id", in: 1...Int(UInt16.max)) else {
                throw ClusterFileError("nodes[\(place)].id must be given")
            }
            let port = try node.integer("port", in: 1...Int(UInt16.max))
            nodes.append(
                ClusterConfiguration.Node(
                    id: NodeID(UInt16(id)),
                    host: try node.text("host") ?? ClusterConfiguration.hostStandard,
                    port: port.map { UInt16($0) }))
        }
        return nodes
    }

    private static func retention(
        _ file: ObjectReader
    ) throws(ClusterFileError) -> ClusterConfiguration.Retention? {
        guard let value = file["retention"] else { return nil }
        let object = try object(value, "retention")
        try object.allow(["anonymousDays", "clock"])
        var retention = ClusterConfiguration.Retention()
        if let days = try object.integer("anonymousDays") { retention.anonymousDays = days }
        if let clock = try object.choice("clock", ["wall": RetentionClock.wall, "event": .event]) {
            retention.clock = clock
        }
        return retention
    }

    private static func memory(
        _ file: ObjectReader
    ) throws(ClusterFileError) -> ClusterConfiguration.Memory? {
        guard let value = file["memory"] else { return nil }
        let object = try object(value, "memory")
        try object.allow(["limitMiB"])
        // As it is printed where nothing is given.
        if object["limitMiB"] == .null { return ClusterConfiguration.Memory() }
        return ClusterConfiguration.Memory(limitMiB: try object.integer("limitMiB"))
    }

    // MARK: Identity

    private static func identity(_ file: ObjectReader) throws(ClusterFileError) -> IdentityRules? {
        guard let value = file["identity"] else { return nil }
        let object = try object(value, "identity")
        try object.allow([
            "sharedDevice", "alias", "blockedValues", "moreBlockedValues", "namespaces",
        ])
        var rules = IdentityRules.standard
        if let rule = try object.choice("sharedDevice", choices(IdentityRules.SharedDevice.self)) {
            rules.sharedDevice = rule
        }
        if let rule = try object.choice("alias", choices(IdentityRules.Alias.self)) {
            rules.alias = rule
        }
        if let values = try object.texts("blockedValues") { rules.blockedValues = values }
        if let values = try object.texts("moreBlockedValues") { rules.blockedValues += values }
        if let value = object["namespaces"] {
            let entries = try self.object(value, "identity.namespaces")
            try entries.allowAll()
            for (name, entry) in entries.members {
                try lay(entry, name: name, over: &rules.namespaces, path: entries.path(name))
            }
        }
        return rules
    }

    private static func lay(
        _ entry: CBORValue, name: String, over namespaces: inout [IdentityRules.Namespace],
        path: String
    ) throws(ClusterFileError) {
        let place = namespaces.firstIndex { $0.name == name }
        guard entry != .null else {
            guard let place else {
                throw ClusterFileError("\(path) must not be null: there is no such namespace")
            }
            namespaces.remove(at: place)
            return
        }
        let object = try object(entry, path)
        try object.allow(["class", "limit", "normalise", "from"])
        var namespace =
            place.map { namespaces[$0] }
            ?? IdentityRules.Namespace(name: name, class: .known, limit: 5, from: [])
        if let number = try object.integer("class", in: 0...3) {
            // Four classes, whose raw values are these.
            namespace.identifierClass = IdentifierClass(rawValue: UInt8(number)) ?? .known
        }
        if let limit = try object.integer("limit", in: 1...IdentityRules.limitMax) {
            namespace.limit = limit
        }
        let rules = choices(IdentityRules.Normalisation.self)
        if let rule = try object.choice("normalise", rules) { namespace.normalisation = rule }
        if let from = try object.texts("from") { namespace.from = from }
        if let place { namespaces[place] = namespace } else { namespaces.append(namespace) }
    }

    private static func choices<Choice: CaseIterable & RawRepresentable>(
        _ type: Choice.Type
    ) -> [String: Choice] where Choice.RawValue == String {
        Dictionary(uniqueKeysWithValues: Choice.allCases.map { ($0.rawValue, $0) })
    }

    private static func object(
        _ value: CBORValue, _ path: String
    ) throws(ClusterFileError) -> ObjectReader {
        guard let object = ObjectReader(value, at: path) else {
            let subject = path.isEmpty ? "the file" : path
            throw ClusterFileError("\(subject) must be an object, { … }")
        }
        return object
    }
}

/// The members of one object of the file, and the path that leads to it.
struct ObjectReader {
    let members: [(name: String, value: CBORValue)]
    private let base: String

    /// Nil where `value` is no object.
    init?(_ value: CBORValue, at path: String) {
        guard case .map(let members) = value else { return nil }
        self.members = members.map { member in
            // Names in JSON are always text.
            if case .text(let name) = member.key { return (name, member.value) }
            return ("", member.value)
        }
        base = path
    }

    func path(_ name: String) -> String { base.isEmpty ? name : base + "." + name }

    subscript(name: String) -> CBORValue? { members.first { $0.name == name }?.value }

    /// Refuses every key but these.
    func allow(_ names: [String]) throws(ClusterFileError) {
        let unknown = members.filter { !names.contains($0.name) }
        guard !unknown.isEmpty else { return }
        let known = names.joined(separator: ", ")
        throw ClusterFileError(
            unknown.map { "\(path($0.name)) is no key of a cluster file; here are: \(known)" })
    }

    /// Refuses keys that no namespace may have as its name.
    func allowAll() throws(ClusterFileError) {
        let bad = members.filter { !IdentityRules.isName($0.name.utf8) }
        guard bad.isEmpty else {
            throw ClusterFileError(
                bad.map { "\(path($0.name)) must be named by 1 to 64 of a-z 0-9 _ -" })
        }
    }

    func text(_ name: String) throws(ClusterFileError) -> String? {
        guard let value = self[name] else { return nil }
        guard case .text(let text) = value else {
            throw ClusterFileError("\(path(name)) must be a text, not \(Self.kind(value))")
        }
        return text
    }

    func texts(_ name: String) throws(ClusterFileError) -> [String]? {
        guard let value = self[name] else { return nil }
        guard case .array(let items) = value else {
            throw ClusterFileError("\(path(name)) must be an array of texts")
        }
        var texts: [String] = []
        for (place, item) in items.enumerated() {
            guard case .text(let text) = item else {
                throw ClusterFileError(
                    "\(path(name))[\(place)] must be a text, not \(Self.kind(item))")
            }
            texts.append(text)
        }
        return texts
    }

    func integer(
        _ name: String, in range: ClosedRange<Int>? = nil
    ) throws(ClusterFileError) -> Int? {
        guard let value = self[name] else { return nil }
        let wanted = range.map { " from \($0.lowerBound) to \($0.upperBound)" } ?? ""
        let number: Int?
        switch value {
        case .unsigned(let magnitude): number = Int(exactly: magnitude)
        case .negative(let magnitude): number = Int(exactly: magnitude).map { -1 - $0 }
        default: number = nil
        }
        guard let number, range?.contains(number) ?? true else {
            throw ClusterFileError(
                "\(path(name)) must be a whole number\(wanted), not \(Self.kind(value))")
        }
        return number
    }

    func choice<Choice>(
        _ name: String, _ choices: [String: Choice]
    ) throws(ClusterFileError) -> Choice? {
        guard let value = self[name] else { return nil }
        guard case .text(let text) = value, let choice = choices[text] else {
            let known = choices.keys.sorted().map { "\"\($0)\"" }.joined(separator: " or ")
            throw ClusterFileError("\(path(name)) must be \(known), not \(Self.kind(value))")
        }
        return choice
    }

    /// What stands there, for an error.
    private static func kind(_ value: CBORValue) -> String {
        switch value {
        case .array: "an array"
        case .map: "an object"
        default: JSONText.make(value)
        }
    }
}
