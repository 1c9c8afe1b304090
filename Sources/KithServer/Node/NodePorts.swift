public import KithPorts

/// Everything a node asks of the world. Made of Linux by KithRuntime, of a seed by KithSimulation.
public struct NodePorts: Sendable {
    public var disk: any Disk
    public var network: any Network
    public var clock: any Clock
    public var randomness: any Randomness
    /// The node's event loops, at least one; groups and connections are spread over them.
    public var loops: [any Loop]

    public init(
        disk: any Disk, network: any Network, clock: any Clock, randomness: any Randomness,
        loops: [any Loop]
    ) {
        precondition(!loops.isEmpty, "a node needs a loop")
        self.disk = disk
        self.network = network
        self.clock = clock
        self.randomness = randomness
        self.loops = loops
    }
}
