/// What the cluster file's `identity` object says: which identifiers there are, how strong each
/// is, how its values are brought to one form and where an event carries it.
///
/// A value without behaviour. `IdentifierNormaliser` and `EventReader` compile it once; the merge
/// rules read `sharedDevice` and `alias`. Whoever makes rules from a file checks `problems()`
/// first: the compiled forms trap on rules that have some.
public struct IdentityRules: Hashable, Sendable {
    /// Where an event goes that names only a contested identifier.
    public enum SharedDevice: String, Hashable, Sendable, CaseIterable {
        /// To an anonymous profile of its own.
        case quarantine
        /// To the first account that held the identifier.
        case first
    }

    /// Whether an alias may join two accounts.
    public enum Alias: String, Hashable, Sendable, CaseIterable {
        case merge, refuse
    }

    /// What happens to a value beyond trimming and NFC, which all have.
    public enum Normalisation: String, Hashable, Sendable, CaseIterable {
        case none
        /// Lower case; one `@` with text on both sides, and neither blanks nor `<>,;` inside.
        case email
        /// Without blanks, dots, dashes, slashes and brackets: `+` and 8 to 15 digits, the first
        /// not 0.
        case phone
    }

    /// A kind of identifier.
    public struct Namespace: Hashable, Sendable {
        /// 1 to 64 of `a-z 0-9 _ -`.
        public var name: String
        public var identifierClass: IdentifierClass
        /// Identifiers of this namespace that one profile may hold, 1 to 256.
        public var limit: Int
        public var normalisation: Normalisation
        /// Member names joined by dots, tried in order; the first usable value counts.
        public var from: [String]

        public init(
            name: String, class identifierClass: IdentifierClass, limit: Int,
            normalisation: Normalisation = .none, from: [String]
        ) {
            self.name = name
            self.identifierClass = identifierClass
            self.limit = limit
            self.normalisation = normalisation
            self.from = from
        }
    }

    public var sharedDevice: SharedDevice
    public var alias: Alias
    /// Values that never are an identifier, compared after trimming, without case, also in quotes.
    public var blockedValues: [String]
    /// In order: an event counts at its first identifier by class, then this order, then value.
    public var namespaces: [Namespace]

    public init(
        sharedDevice: SharedDevice = .quarantine, alias: Alias = .merge,
        blockedValues: [String] = IdentityRules.standardBlockedValues,
        namespaces: [Namespace] = IdentityRules.standardNamespaces
    ) {
        self.sharedDevice = sharedDevice
        self.alias = alias
        self.blockedValues = blockedValues
        self.namespaces = namespaces
    }

    /// The rules of a cluster file that says nothing of identity.
    public static let standard = IdentityRules()

    /// The blocked words of a cluster file that lists none. Blocked besides, always: values that
    /// are empty, too long, of only `0`, `-` and `.`, a UUID of one repeated digit, and templates
    /// that nobody filled in (`BlockedValues`).
    public static let standardBlockedValues = [
        "null", "none", "nil", "undefined", "nan", "anonymous", "guest", "unknown", "n/a", "true",
        "false", "id", "email", "distinct_id", "not_authenticated", "[object object]",
        "[object undefined]", "-1", "-1.0", "(null)", "<null>", "na", "#n/a", "\\n",
        "optional(nil)", "(none)", "not set", "(not set)", "undefined-undefined", "anonymousid",
        "anonymous_id", "userid", "user_id", "deviceid", "device_id", "distinctid",
        "9774d56d682e549c",
    ]

    public static let standardNamespaces = [
        Namespace(name: "user_id", class: .account, limit: 1, from: ["userId"]),
        Namespace(
            name: "email", class: .contact, limit: 5, normalisation: .email,
            from: ["traits.email", "context.traits.email"]),
        Namespace(
            name: "phone", class: .contact, limit: 5, normalisation: .phone,
            from: ["traits.phone", "context.traits.phone"]),
        Namespace(name: "anonymous_id", class: .anonymous, limit: 100, from: ["anonymousId"]),
        Namespace(name: "device_id", class: .anonymous, limit: 100, from: ["context.device.id"]),
    ]

    /// The place of the namespace of that name. O(namespaces).
    public func namespaceIndex(named name: String) -> Int? {
        namespaces.firstIndex { $0.name == name }
    }
}
