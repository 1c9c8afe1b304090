internal import KithBytes
internal import KithCore
internal import KithServer

/// Where identifiers lie in the cluster of some settings: their leaves, and the nodes that lead the
/// groups of these. Compiled once, since a cluster asks about many.
struct IdentifierPlaces {
    private let rules: IdentityRules
    private let normaliser: IdentifierNormaliser
    private let hasher: LeafHasher
    private let configuration: ClusterConfiguration
    private let table: GroupTable

    init(_ settings: ClusterSettings) {
        rules = settings.identity
        normaliser = IdentifierNormaliser(settings.identity)
        configuration = settings.configuration()
        hasher = LeafHasher(key: configuration.hashKey)
        table = GroupTable(groupCount: settings.groups)
    }

    /// The node that leads the group of the identifier's home record, from 1; nil where the value
    /// is no identifier, or the namespace none of the cluster's.
    func home(of namespace: String, _ value: String, space: String) -> Int? {
        guard let leaf = leaf(of: namespace, value, space: space) else { return nil }
        return Int(configuration.leader(of: table.group(of: leaf)).rawValue)
    }

    /// The identifier as a point in the identity graph; nil in the same cases.
    func leaf(of namespace: String, _ value: String, space: String) -> LeafID? {
        guard let index = rules.namespaceIndex(named: namespace) else { return nil }
        let rule = rules.namespaces[index]
        let (space, name, text) = (Array(space.utf8), Array(rule.name.utf8), Array(value.utf8))
        var normalised: [UInt8] = []
        do throws(IgnoredIdentifier) {
            try normaliser.normalise(text.span.bytes, namespace: index, into: &normalised)
        } catch {
            return nil
        }
        return hasher.leaf(
            class: rule.identifierClass, space: space.span.bytes, namespace: name.span.bytes,
            value: normalised.span.bytes)
    }
}
