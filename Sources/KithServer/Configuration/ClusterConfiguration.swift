// What a cluster file says, with defaults filled in: a value that every node of the cluster has to
// agree on. How it is written down is not known here; `kith` reads the file.

public import KithBytes
public import KithCore
public import KithWire

/// The settings of a cluster.
public struct ClusterConfiguration: Hashable, Sendable {
    /// Where a node listens.
    public struct Node: Hashable, Sendable {
        public var id: NodeID
        public var host: String
        public var port: UInt16

        /// Node *i* of a local cluster, where nothing else is said: 127.0.0.1 and 7100 + *i*.
        public init(
            id: NodeID, host: String = ClusterConfiguration.hostStandard, port: UInt16? = nil
        ) {
            self.id = id
            self.host = host
            self.port = port ?? ClusterConfiguration.portStandard(id)
        }
    }

    /// When anonymous profiles are dropped.
    public struct Retention: Hashable, Sendable {
        /// Days from an anonymous profile's last activity to its end.
        public var anonymousDays: Int
        public var clock: RetentionClock

        public init(anonymousDays: Int = 90, clock: RetentionClock = .wall) {
            self.anonymousDays = anonymousDays
            self.clock = clock
        }

        /// `anonymousDays` in milliseconds.
        var anonymousMillis: Int64 { Int64(anonymousDays) * 86_400_000 }
    }

    /// What a node may hold.
    public struct Memory: Hashable, Sendable {
        /// MiB of profiles, as `status` counts them, above which a node refuses events; nil for
        /// what the machine allows.
        public var limitMiB: Int?

        public init(limitMiB: Int? = nil) { self.limitMiB = limitMiB }
    }

    public var name: String
    /// Groups that the shards fold into. Written into the data folder at first start.
    public var groups: Int
    /// Copies of each group.
    public var replicas: Int
    /// The key of the hash that places identifiers. Written into the data folder at first start.
    public var hashKey: HashKey
    /// By ascending id; never empty.
    public var nodes: [Node]
    public var retention: Retention
    public var memory: Memory
    public var identity: IdentityRules

    /// Settings with the defaults for whatever is nil.
    public init(
        name: String = "kith", groups: Int? = nil, replicas: Int? = nil,
        hashKey: HashKey = ClusterConfiguration.hashKeyStandard,
        nodes: [Node] = [Node(id: NodeID(1))], retention: Retention = Retention(),
        memory: Memory = Memory(), identity: IdentityRules = .standard
    ) {
        self.name = name
        self.groups = groups ?? Self.groupsStandard(nodeCount: nodes.count)
        self.replicas = replicas ?? Self.replicasStandard(nodeCount: nodes.count)
        self.hashKey = hashKey
        self.nodes = nodes.sorted { $0.id < $1.id }
        self.retention = retention
        self.memory = memory
        self.identity = identity
    }

    /// The node that leads a group: round robin over the nodes by ascending id, so that leaders are
    /// spread. Fixed as long as each group has one copy, since that copy is there.
    public func leader(of group: GroupID) -> NodeID {
        nodes[Int(group.rawValue) % nodes.count].id
    }

    /// The node of that id.
    public func node(_ id: NodeID) -> Node? { nodes.first { $0.id == id } }

    // MARK: Defaults and bounds

    public static let hostStandard = "127.0.0.1"
    /// The key of a cluster file without one. Everybody knows it.
    public static let hashKeyStandard = HashKey(
        k0: 0x6e69_6b20_666f_206b, k1: 0x796c_696d_6166_2079)
    /// Groups of a cluster of one node.
    static let groupsOfOneNode = 4
    /// Copies where there are as many nodes.
    static let replicasOfThreeNodes = 3
    /// Copies that this version can keep.
    static let replicasSupportedMax = 1
    /// Nodes of a cluster.
    public static let nodesMax = 64
    /// MiB of a node's profiles; 16 TiB.
    static let memoryMiBMax = 16_777_216
    /// Retention in days; 100 years.
    static let anonymousDaysMax = 36_525

    /// 7100 + the id; 0 for an id that leaves no room for it.
    static func portStandard(_ id: NodeID) -> UInt16 {
        id.rawValue <= UInt16.max - 7100 ? 7100 + id.rawValue : 0
    }

    /// Four on one node, so that its cores share the work; else one a node.
    static func groupsStandard(nodeCount: Int) -> Int {
        nodeCount <= 1 ? groupsOfOneNode : nodeCount
    }

    /// As many as this version can keep, up to three where there are three nodes.
    static func replicasStandard(nodeCount: Int) -> Int {
        min(replicasSupportedMax, nodeCount >= replicasOfThreeNodes ? replicasOfThreeNodes : 1)
    }

    /// What is wrong, a sentence each that begins with the key; empty where all is well.
    public func problems() -> [String] {
        var problems: [String] = []
        if !IdentityRules.isName(name.utf8) {
            problems.append("name must be 1 to \(IdentityRules.nameBytesMax) of a-z 0-9 _ -")
        }
        if !(1...ShardID.count ~= groups) {
            problems.append("groups must be 1 to \(ShardID.count), not \(groups)")
        }
        if !(1...max(1, nodes.count) ~= replicas) {
            problems.append(
                "replicas must be 1 to the number of nodes, \(nodes.count), not \(replicas)")
        } else if replicas > Self.replicasSupportedMax {
            problems.append(
                "replicas must be \(Self.replicasSupportedMax): this version keeps one copy of "
                    + "each group and cannot keep \(replicas)")
        }
        if !(1...Self.anonymousDaysMax ~= retention.anonymousDays) {
            problems.append(
                "retention.anonymousDays must be 1 to \(Self.anonymousDaysMax), not "
                    + "\(retention.anonymousDays)")
        }
        if let limit = memory.limitMiB, !(1...Self.memoryMiBMax ~= limit) {
            problems.append("memory.limitMiB must be 1 to \(Self.memoryMiBMax), not \(limit)")
        }
        return problems + nodeProblems() + identity.problems()
    }

    private func nodeProblems() -> [String] {
        if !(1...Self.nodesMax ~= nodes.count) {
            return ["nodes must be 1 to \(Self.nodesMax) nodes, not \(nodes.count)"]
        }
        var problems: [String] = []
        for (place, node) in nodes.enumerated() {
            let key = "nodes[\(place)]"
            if node.id.rawValue == 0 { problems.append("\(key).id must not be 0") }
            if node.host.isEmpty { problems.append("\(key).host must not be empty") }
            if node.port == 0 { problems.append("\(key).port must be 1 to 65535") }
            for other in nodes.prefix(place) {
                if other.id == node.id {
                    problems.append("\(key).id must differ: two nodes have \(node.id.rawValue)")
                }
                if other.host == node.host, other.port == node.port {
                    problems.append(
                        "\(key).port must differ: two nodes listen on \(node.host):\(node.port)")
                }
            }
        }
        return problems
    }
}
