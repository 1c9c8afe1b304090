/// The rules of a cluster that a batch's links turn on, from its `identity` settings.
public struct LinkPolicy: Sendable {
    /// How many identifiers of one namespace a profile may hold.
    public struct Limit: Sendable, Equatable {
        public var namespace: [UInt8]
        public var identifierClass: IdentifierClass
        /// Identifiers of the namespace that one profile may hold.
        public var limit: Int

        public init(namespace: [UInt8], identifierClass: IdentifierClass, limit: Int) {
            self.namespace = namespace
            self.identifierClass = identifierClass
            self.limit = limit
        }
    }

    /// `sharedDevice: quarantine`: an event of contested devices alone counts apart. Otherwise
    /// (`first`) it counts for the device's first owner.
    public var quarantinesContested: Bool
    /// `alias: merge`: the alias of two accounts joins them. Otherwise (`refuse`) it does not.
    public var aliasJoinsAccounts: Bool
    public var limits: [Limit]
    /// Identifiers a profile may hold, of all namespaces. What the groups apply must agree.
    public var identifiersMax = ShardMachine.identifiersMax

    public init(quarantinesContested: Bool, aliasJoinsAccounts: Bool, limits: [Limit]) {
        self.quarantinesContested = quarantinesContested
        self.aliasJoinsAccounts = aliasJoinsAccounts
        self.limits = limits
    }

    func limit(_ namespace: [UInt8]) -> Limit? { limits.first { $0.namespace == namespace } }
}
