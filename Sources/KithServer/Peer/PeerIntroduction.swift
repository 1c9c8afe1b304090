internal import KithBytes
internal import KithCore
internal import KithWire

/// How a node introduces itself to others: who it is, and digests of what their cluster files must
/// say alike, since it decides where records lie and what their ids are.
struct PeerIntroduction: Sendable {
    let hello: Hello
    let digests: PeerGreeting

    init(_ settings: NodeSettings) {
        hello = Hello(
            clusterName: settings.configuration.name, role: .node, nodeID: settings.nodeID,
            software: settings.software)
        digests = PeerGreeting(digests: Self.digests(of: settings.configuration))
    }

    /// The key in which the other side's cluster file differs; nil where there is none.
    func difference(from other: PeerGreeting) -> String? {
        zip(PeerGreeting.keys, zip(digests.digests, other.digests)).first { $1.0 != $1.1 }?.0
    }

    private static func digests(of configuration: ClusterConfiguration) -> [UInt64] {
        var texts: [[UInt8]] = []
        texts.append(configuration.hashKey.bytes)
        texts.append(Array("\(configuration.groups)".utf8))
        texts.append(
            Array(configuration.nodes.map { "\($0.id.rawValue)" }.joined(separator: ",").utf8))
        texts.append(Array("\(configuration.retention.clock)".utf8))
        let namespaces = configuration.identity.namespaces.map {
            "\($0.name):\($0.identifierClass.rawValue)"
        }
        texts.append(Array(namespaces.joined(separator: ",").utf8))
        // Under the cluster's own key, so that a digest gives nothing of it away.
        return texts.map { unsafe SipHash64.hash($0.span.bytes, key: configuration.hashKey) }
    }
}
