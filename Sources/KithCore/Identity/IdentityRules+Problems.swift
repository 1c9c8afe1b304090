/// The bounds of `IdentityRules`, and the messages that name the key of a cluster file which
/// breaks one.
extension IdentityRules {
    /// Namespaces of a cluster.
    public static let namespacesMax = 64
    /// Bytes of a namespace's or a space's name.
    public static let nameBytesMax = 64
    /// Identifiers of one namespace in one profile, which is also the most in a profile.
    public static let limitMax = 256
    /// Paths of one namespace.
    static let pathsMax = 16
    /// Member names of one path.
    static let pathStepsMax = 8
    /// Bytes of one path.
    static let pathBytesMax = 256
    /// Blocked values of a cluster.
    static let blockedValuesMax = 1024
    /// Bytes of a blocked value; longer values could not be an identifier anyway.
    static let blockedValueBytesMax = 1024

    /// Whether `name` may name a namespace or a space: 1 to 64 of `a-z 0-9 _ -`.
    @inlinable
    public static func isName(_ name: some Sequence<UInt8>) -> Bool {
        var count = 0
        for byte in name {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "_"), UInt8(ascii: "-"):
                count += 1
            default: return false
            }
        }
        return 1...nameBytesMax ~= count
    }

    /// What is wrong, a sentence each that begins with the key; empty where all is well.
    public func problems() -> [String] {
        var problems = blockedProblems()
        if !(1...Self.namespacesMax ~= namespaces.count) {
            problems.append(
                "identity.namespaces: \(namespaces.count) namespaces, not 1 to "
                    + "\(Self.namespacesMax)")
        }
        var owners: [String: String] = [:]
        var names: Set<String> = []
        for namespace in namespaces.prefix(Self.namespacesMax) {
            let key = "identity.namespaces.\(namespace.name)"
            if !Self.isName(namespace.name.utf8) {
                problems.append("\(key): a name is 1 to \(Self.nameBytesMax) of a-z 0-9 _ -")
            }
            if !names.insert(namespace.name).inserted {
                problems.append("\(key): given twice")
            }
            if !(1...Self.limitMax ~= namespace.limit) {
                problems.append("\(key).limit: \(namespace.limit) is not 1 to \(Self.limitMax)")
            }
            if namespace.from.count > Self.pathsMax {
                problems.append(
                    "\(key).from: \(namespace.from.count) paths, at most \(Self.pathsMax)")
            }
            for path in namespace.from.prefix(Self.pathsMax) {
                if let problem = Self.problem(ofPath: path) {
                    problems.append("\(key).from: \(problem)")
                } else if let owner = owners.updateValue(namespace.name, forKey: path) {
                    problems.append("\(key).from: \"\(path)\" is a path of \(owner) already")
                }
            }
        }
        return problems
    }

    private func blockedProblems() -> [String] {
        var problems: [String] = []
        if blockedValues.count > Self.blockedValuesMax {
            problems.append(
                "identity.blockedValues: \(blockedValues.count) values, at most "
                    + "\(Self.blockedValuesMax)")
        }
        for (place, value) in blockedValues.prefix(Self.blockedValuesMax).enumerated()
        where value.utf8.count > Self.blockedValueBytesMax {
            problems.append(
                "identity.blockedValues[\(place)]: \(value.utf8.count) bytes, at most "
                    + "\(Self.blockedValueBytesMax)")
        }
        return problems
    }

    private static func problem(ofPath path: String) -> String? {
        if path.utf8.count > pathBytesMax {
            return "a path of \(path.utf8.count) bytes, at most \(pathBytesMax)"
        }
        let steps = path.split(separator: ".", omittingEmptySubsequences: false)
        if steps.count > pathStepsMax {
            return "\"\(path)\" has \(steps.count) steps, at most \(pathStepsMax)"
        }
        if steps.contains(where: \.isEmpty) {
            return "\"\(path)\" has an empty step"
        }
        return nil
    }
}
