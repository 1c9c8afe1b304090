internal import KithBytes
internal import KithCore
internal import KithWire

/// How a node introduces itself to others: who it is, and digests of what their cluster files must
/// say alike, since it decides where records lie and what their ids are.
struct PeerIntroduction: Sendable {
    let hello: Hello
    /// As in `PeerGreeting`.
    let digests: [UInt64]

    init(_ settings: NodeSettings) {
        hello = Hello(
            clusterName: settings.configuration.name, role: .node, nodeID: settings.nodeID,
            software: settings.software)
        digests = Self.digests(of: settings.configuration)
    }

    /// The key in which the other side's cluster file differs; nil where there is none.
    func difference(from other: PeerGreeting) -> String? {
        zip(PeerGreeting.keys, zip(digests, other.digests)).first { $1.0 != $1.1 }?.0
    }

    private static func digests(of configuration: ClusterConfiguration) -> [UInt64] {
        let retention = configuration.retention
        let texts: [String] = [
            "", "\(configuration.groups)",
            configuration.nodes.map { "\($0.id.rawValue)" }.joined(separator: ","),
            "\(retention.clock) \(retention.anonymousDays)", text(of: configuration.identity),
        ]
        // Under the cluster's own key: a digest gives nothing of it away, and each differs where
        // the keys do.
        return texts.map { text in
            let bytes = Array(text.utf8)
            return unsafe SipHash64.hash(bytes.span.bytes, key: configuration.hashKey)
        }
    }

    /// Everything that decides which identifiers an event names and what becomes of a link: every
    /// node takes any event, and must come to the same.
    private static func text(of rules: IdentityRules) -> String {
        let namespaces = rules.namespaces.map { namespace in
            "\(namespace.name):\(namespace.identifierClass.rawValue):\(namespace.limit):"
                + "\(namespace.normalisation.rawValue):"
                + namespace.from.map { "\($0.utf8.count):\($0)" }.joined(separator: ",")
        }
        let blocked = rules.blockedValues.map { "\($0.utf8.count):\($0)" }
        return [
            rules.sharedDevice.rawValue, rules.alias.rawValue, blocked.joined(separator: ","),
            namespaces.joined(separator: ";"),
        ].joined(separator: "|")
    }
}

extension ErrorReply {
    /// For a node whose cluster file says something else than this one's.
    static func fileDiffers(in key: String) -> ErrorReply {
        ErrorReply(
            code: .wrongCluster, text: "the cluster files of the two nodes differ in \(key)")
    }
}
