public import KithBytes
public import KithStorage
public import KithWire

/// How one node is to run.
public struct NodeSettings: Sendable {
    public var configuration: ClusterConfiguration
    public var nodeID: NodeID
    /// Name and version of the program, for `status` and log lines.
    public var software: String
    /// The port to listen on; nil for the cluster file's. 0 picks a free one.
    public var port: UInt16?
    /// What the data folder is taken for.
    public var folder = FolderUse.asFound(mayMake: true)
    public var log = LogOptions()
    public var limits = WireLimits()
    /// Clients served at a time. A further one gets the place of the longest idle one, or is
    /// refused where all have requests in work. Other nodes have places of their own.
    public var connectionsMax = 10_000
    /// Connections that have not said what they are; a further one gets the place of the oldest.
    public var strangersMax = 256
    /// Bytes of answers that clients have asked for and not taken, over all connections; beyond it
    /// each has a small share. Of long answers there may be as much again.
    public var replyBytesMax = 128 << 20
    /// Bytes of clients' frames above 64 KiB that are being read or wait for their answer, over all
    /// connections; beyond it connections with such frames are not read on.
    public var ingestBytesMax = 256 << 20
    /// The wall clock is right, however far it is beyond or behind what the folder has seen.
    public var acceptsClock = false
    /// Bytes of profiles, as `status` counts them, above which events are refused.
    public var memoryBytesMax = UInt64.max
    /// Bytes of the process that are in memory; nil where that is not known.
    public var processBytes: @Sendable () -> UInt64? = { nil }
    /// Bounds of the inside.
    public var tuning = NodeTuning()

    public init(configuration: ClusterConfiguration, nodeID: NodeID, software: String) {
        self.configuration = configuration
        self.nodeID = nodeID
        self.software = software
    }
}

extension NodeSettings {
    /// Links that the node itself opens to another node: one for requests, one for merges.
    private static let linksToNode = 2

    private var socketsForNodes: Int {
        (configuration.nodes.count - 1) * (ConnectionPlaces.perNodeMax + Self.linksToNode)
    }

    /// Sockets that the node has open at most: of clients, of strangers and as many connections
    /// that are about to end, and of links from and to all other nodes.
    var socketCount: Int { connectionsMax + 2 * strangersMax + socketsForNodes }

    /// Takes as many places for clients and strangers as `room` sockets are enough for; false where
    /// they are not even enough for one of each beside the other nodes.
    public mutating func fit(intoSockets room: Int) -> Bool {
        guard room < socketCount else { return true }
        let rest = room - socketsForNodes
        let strangers = min(strangersMax, max(1, rest / 8))
        guard rest - 2 * strangers >= 1 else { return false }
        strangersMax = strangers
        connectionsMax = min(connectionsMax, rest - 2 * strangers)
        return true
    }
}
