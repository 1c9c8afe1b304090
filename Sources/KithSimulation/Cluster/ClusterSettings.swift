public import KithBytes
public import KithCore
public import KithServer
public import KithStorage
public import KithWire

/// How a simulated cluster is made: what its cluster file would say, and what its world is like.
/// The seed says the rest, the hash key too.
public struct ClusterSettings: Sendable {
    /// Says which places identifiers get and everything that happens in which order.
    public var seed: UInt64
    public var groups = 4
    public var nodeCount = 1
    /// Event loops a node.
    public var loopCount = 2
    public var identity = IdentityRules.standard
    public var anonymousDays = 90
    /// `retention.clock: event`.
    public var isEventClock = false
    /// What wall clocks show; they stand still until they are set.
    public var start = SimulatedClock.defaultStart
    public var name = "simulated"
    /// The key that places identifiers; nil for one that the seed draws.
    public var hashKey: HashKey?
    /// Small segments, so that a short run crosses from one to the next.
    public var log: LogOptions = {
        var options = LogOptions()
        options.segmentBytes = 256 << 10
        options.reserveBytes = 1 << 20
        return options
    }()
    /// Bounds of the nodes' inside.
    public var tuning = NodeTuning()
    /// Sizes of frames, batches and events.
    public var limits = WireLimits()
    /// Bytes of large frames of clients at a time; nil for the nodes' own.
    public var ingestBytesMax: Int?
    /// Places for clients, and for connections that have not greeted; nil for the nodes' own.
    public var clientsMax: Int?
    public var strangersMax: Int?
    var world = Simulator.Settings()
    var cables = SimulatedNetwork.Settings()

    /// A cluster of one node with the rules of an empty cluster file.
    public init(seed: UInt64) { self.seed = seed }

    /// What the nodes' cluster file says: the one place where it is made.
    public func configuration() -> ClusterConfiguration {
        var random = Xoshiro256(seed: seed, label: "hash key")
        let drawn = HashKey(k0: random.next(), k1: random.next())
        let nodes = (1...nodeCount).map { number in
            ClusterConfiguration.Node(
                id: NodeID(UInt16(number)), host: "127.0.0.1", port: UInt16(7100 + number))
        }
        return ClusterConfiguration(
            name: name, groups: groups, replicas: 1, hashKey: hashKey ?? drawn, nodes: nodes,
            retention: ClusterConfiguration.Retention(
                anonymousDays: anonymousDays, clock: isEventClock ? .event : .wall),
            identity: identity)
    }
}

extension ClusterSettings {
    /// The node that leads the group of the identifier's home record, from 1; nil where the value
    /// is no identifier, or the namespace none of the cluster's.
    public func home(of namespace: String, _ value: String, space: String = "default") -> Int? {
        IdentifierPlaces(self).home(of: namespace, value, space: space)
    }
}
