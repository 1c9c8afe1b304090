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
        leaf(of: namespace, value, space: space).map(leader)
    }

    /// The same of the record of the identifier's quarantine.
    func quarantineHome(of namespace: String, _ value: String, space: String) -> Int? {
        guard let (rule, value) = normalised(namespace, value) else { return nil }
        let (space, name) = (Array(space.utf8), Array(rule.name.utf8))
        return leader(
            of: hasher.quarantineLeaf(
                space: space.span.bytes, namespace: name.span.bytes, value: value.span.bytes))
    }

    /// The identifier as a point in the identity graph; nil in the same cases.
    func leaf(of namespace: String, _ value: String, space: String) -> LeafID? {
        guard let (rule, value) = normalised(namespace, value) else { return nil }
        let (space, name) = (Array(space.utf8), Array(rule.name.utf8))
        return hasher.leaf(
            class: rule.identifierClass, space: space.span.bytes, namespace: name.span.bytes,
            value: value.span.bytes)
    }

    private func leader(of leaf: LeafID) -> Int {
        Int(configuration.leader(of: table.group(of: leaf)).rawValue)
    }

    private func normalised(
        _ namespace: String, _ value: String
    ) -> (rule: IdentityRules.Namespace, value: [UInt8])? {
        guard let index = rules.namespaceIndex(named: namespace) else { return nil }
        let text = Array(value.utf8)
        var normalised: [UInt8] = []
        do throws(IgnoredIdentifier) {
            try normaliser.normalise(text.span.bytes, namespace: index, into: &normalised)
        } catch {
            return nil
        }
        return (rules.namespaces[index], normalised)
    }
}
