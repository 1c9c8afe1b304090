import KithBytes
import KithCore
package import KithServer
import KithWire

/// Settings back as a cluster file, and in words.
extension ClusterFile {
    /// A cluster file that gives every key: parsing it gives the same settings.
    package static func json(_ configuration: ClusterConfiguration) -> String {
        JSONText.make(tree(configuration), isIndented: true, isSorted: false)
    }

    private static func tree(_ configuration: ClusterConfiguration) -> CBORValue {
        let identity = configuration.identity
        var namespaces: [CBORMember] = identity.namespaces.map { namespace in
            CBORMember(
                .text(namespace.name),
                [
                    "class": .unsigned(UInt64(namespace.identifierClass.rawValue)),
                    "limit": .integer(Int64(namespace.limit)),
                    "normalise": .text(namespace.normalisation.rawValue),
                    "from": .array(namespace.from.map { .text($0) }),
                ])
        }
        // Left out, they would be there by default.
        for namespace in IdentityRules.standardNamespaces
        where identity.namespaceIndex(named: namespace.name) == nil {
            namespaces.append(CBORMember(.text(namespace.name), nil))
        }
        return [
            "name": .text(configuration.name),
            "groups": .integer(Int64(configuration.groups)),
            "replicas": .integer(Int64(configuration.replicas)),
            "hashKey": .text(configuration.hashKey.hex),
            "nodes": .array(
                configuration.nodes.map { node in
                    [
                        "id": .unsigned(UInt64(node.id.rawValue)), "host": .text(node.host),
                        "port": .unsigned(UInt64(node.port)),
                    ]
                }),
            "retention": [
                "anonymousDays": .integer(Int64(configuration.retention.anonymousDays)),
                "clock": .text(clockName(configuration.retention.clock)),
            ],
            "memory": [
                "limitMiB": configuration.memory.limitMiB.map { .integer(Int64($0)) } ?? .null
            ],
            "identity": [
                "sharedDevice": .text(identity.sharedDevice.rawValue),
                "alias": .text(identity.alias.rawValue),
                "blockedValues": .array(identity.blockedValues.map { .text($0) }),
                "namespaces": .map(namespaces),
            ],
        ]
    }

    private static func clockName(_ clock: RetentionClock) -> String {
        switch clock {
        case .wall: "wall"
        case .event: "event"
        }
    }

    /// A few lines for people.
    package static func summary(_ configuration: ClusterConfiguration) -> String {
        let nodes = configuration.nodes.map { "\($0.id.rawValue) at \(address($0))" }
        let namespaces = configuration.identity.namespaces.map { namespace in
            "\(namespace.name) (class \(namespace.identifierClass.rawValue), up to "
                + "\(namespace.limit) a profile)"
        }
        let retention = configuration.retention
        let clock =
            retention.clock == .wall
            ? "by the wall clock" : "by the times of the events, so that a history can be replayed"
        var lines = [
            "cluster \"\(configuration.name)\": \(count(configuration.nodes.count, "node")), "
                + "\(count(configuration.groups, "group")), "
                + "\(count(configuration.replicas, "copy", "copies")) of each",
            "  nodes        \(nodes.joined(separator: ", "))",
            "  retention    anonymous profiles \(count(retention.anonymousDays, "day")) after "
                + "their last activity, \(clock)",
            "  memory       " + memory(configuration.memory),
            "  devices      shared by several accounts: \(configuration.identity.sharedDevice)",
            "  aliases      between two accounts: \(configuration.identity.alias)",
            "  identifiers  \(namespaces.joined(separator: ",\n               "))",
        ]
        if configuration.hashKey == ClusterConfiguration.hashKeyStandard {
            lines.append(
                "  note: no hashKey is given, so the built-in one is used, which everybody knows;\n"
                    + "  give one of your own where others choose identifiers: openssl rand -hex 16"
            )
        }
        return lines.joined(separator: "\n")
    }

    private static func memory(_ memory: ClusterConfiguration.Memory) -> String {
        guard let limit = memory.limitMiB else {
            return "of profiles at a node: 80 % of what its machine allows"
        }
        return "of profiles at a node: \(Words.grouped(limit)) MiB"
    }

    package static func address(_ node: ClusterConfiguration.Node) -> String {
        node.host.contains(":") ? "[\(node.host)]:\(node.port)" : "\(node.host):\(node.port)"
    }

    private static func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
        "\(number) " + (number == 1 ? one : many ?? one + "s")
    }
}
