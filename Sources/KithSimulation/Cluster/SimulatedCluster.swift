internal import KithBytes
internal import KithClient
internal import KithCore
internal import KithPorts
internal import KithServer
internal import KithWire

/// A cluster of real nodes in one simulated world, with clients beside it.
///
///     n1/0 n1/1   n2/0 n2/1 …   client/0        lanes
///        Node        Node       Client …        SimulatedClock, SimulatedHost, SimulatedDisk each
///
/// Wall clocks stand still until `setWallTime`, so that a test says the day to the millisecond;
/// monotonic time goes on by itself. Calls run the world until they are done, and throw a
/// `SimulationError` where that never happens.
final class SimulatedCluster {
    public let settings: ClusterSettings
    let simulator: Simulator
    public let network: SimulatedNetwork
    /// The lane that clients run on.
    let clientLane: Lane
    let clientClock: SimulatedClock
    private let troubles: [SimulatedNode.DiskTrouble]
    private(set) var nodes: [SimulatedNode] = []
    private var clients: [Int: Client] = [:]
    /// Values that nobody has, by the node that keeps them; nil for a node that keeps none.
    private var nobodies: [Int: String?] = [:]
    let places: IdentifierPlaces
    /// What survives a crash, and the nodes' own randomness.
    var random: Xoshiro256

    /// A cluster whose nodes are down and whose disks are empty.
    public init(_ settings: ClusterSettings) {
        self.settings = settings
        places = IdentifierPlaces(settings)
        simulator = Simulator(seed: settings.seed, settings: settings.world)
        network = SimulatedNetwork(simulator, settings: settings.cables)
        clientLane = simulator.lane(node: "client")
        clientClock = SimulatedClock(simulator, node: "client", start: settings.start)
        clientClock.setDrift(partsPerMillion: -1_000_000)
        random = simulator.random("cluster")
        troubles = (0..<settings.nodeCount).map { _ in SimulatedNode.DiskTrouble() }
        for number in 1...settings.nodeCount {
            let lanes = (0..<settings.loopCount).map {
                simulator.lane(node: "n\(number)", loop: $0)
            }
            let clock = SimulatedClock(simulator, node: "n\(number)", start: settings.start)
            clock.setDrift(partsPerMillion: -1_000_000)
            clock.isGuarded = settings.tuning.clockStepMillisMax != .max
            nodes.append(
                SimulatedNode(
                    number: number, lanes: lanes, clock: clock,
                    disk: SimulatedDisk(pause: waits(of: number), onOperation: watch(number)),
                    trouble: troubles[number - 1]))
        }
    }

    /// What a disk waits at the start of each call: a scheduling point, and some time.
    func waits(of number: Int) -> @Sendable () async -> Void {
        let delays = SeededRandom(seed: random.next())
        let trouble = troubles[number - 1]
        return { [simulator] in
            await simulator.wait(
                nanoseconds: 10_000 + delays.nextUInt64() % 190_000 + trouble.extraNanoseconds,
                kind: .disk, subject: UInt64(number))
        }
    }

    /// Who is told of each operation of the node's present disk; not of what a former life still
    /// does to the disk that was taken from it.
    func watch(_ number: Int) -> @Sendable (SimulatedDisk, DiskOperation) -> Void {
        let trouble = troubles[number - 1]
        return { disk, operation in
            guard let onOperation = trouble.onOperation, trouble.disk === disk else { return }
            onOperation(operation)
        }
    }

    // MARK: All nodes

    /// Starts all nodes, which must be down: a first start of one waits for the others.
    func startAll() throws {
        for node in nodes { begin(node.number) }
        try awaitStarts()
    }

    /// Stops all nodes cleanly, one after the other.
    func stopAll() throws {
        for node in nodes { try stop(node.number) }
    }

    /// Power loss at all nodes at once.
    public func crashAll() {
        for node in nodes { crash(node.number) }
    }

    /// Stops the node's process in its tracks: its connections stay open, nothing on it runs.
    public func pause(_ number: Int) {
        for lane in node(number).lanes { lane.pause() }
    }

    /// Ends `pause`.
    public func resume(_ number: Int) {
        for lane in node(number).lanes { lane.resume() }
    }

    /// Whether the node serves, and how its life ended if it does not any more.
    func isUp(_ number: Int = 1) -> Bool { node(number).isUp }

    /// What ended the node by itself; nil while it serves or where it was stopped.
    public func failure(_ number: Int = 1) -> NodeError? {
        guard case .failure(let error)? = node(number).life?.end else { return nil }
        return error
    }

    /// What the node said, over all its lives.
    public func said(_ number: Int = 1) -> [String] { node(number).said.lines }

    /// The node's present disk.
    public func disk(_ number: Int = 1) -> SimulatedDisk { node(number).disk }

    /// Gives the node, which must be down, a disk in the state of `disk`, its locks included.
    func setDisk(_ disk: SimulatedDisk, _ number: Int = 1) {
        precondition(!node(number).isUp, "node \(number) is up")
        node(number).disk = disk.copy(pause: waits(of: number), onOperation: watch(number))
    }

    func node(_ number: Int) -> SimulatedNode {
        precondition(1...nodes.count ~= number, "no node \(number)")
        return nodes[number - 1]
    }

    // MARK: Time

    /// Has time pass until the wall clocks of all nodes show that; one that is later already is set
    /// back.
    func setWallTime(_ time: LogTime) {
        for node in nodes {
            node.clock.pass(milliseconds: time.rawValue - node.clock.wallTime().rawValue)
        }
    }

    /// Sets one node's wall clock forward, though no time has passed.
    func advanceWallTime(ofNode number: Int, milliseconds: Int64) {
        node(number).clock.advance(by: milliseconds)
    }

    // MARK: Clients

    /// The client called `number`, on a connection of its own to node (`number` mod n) + 1, with
    /// the others to fall back to; made when it is first asked for.
    public func client(_ number: Int = 1) -> Client {
        precondition(number > 0, "no client \(number)")
        let first = number % nodes.count
        return client(number, places: Array(nodes[first...] + nodes[..<first]))
    }

    /// A client that speaks to that node only.
    public func client(at node: Int) -> Client { client(-node, places: [self.node(node)]) }

    /// A client that speaks to a second process of a node only.
    func client(atCopy copy: SimulatedNode) -> Client {
        client(-nodes.count - copy.number, places: [copy])
    }

    private func client(_ key: Int, places: [SimulatedNode]) -> Client {
        if let client = clients[key] { return client }
        var options = ClientOptions()
        options.clusterName = settings.name
        let client = Client(
            addresses: places.map { NodeAddress(host: "127.0.0.1", port: $0.port) },
            options: options, network: network.host("client"), clock: clientClock,
            loop: clientLane)
        clients[key] = client
        clientLane.start { await client.run() }
        return client
    }

    /// Virtual time in which a client has its answer or its refusal, with deadlines and retries;
    /// a node has periodic timers, so a cluster that hangs never comes to a halt.
    static let answerNanoseconds: UInt64 = 300_000_000_000

    /// Runs `body` with a client, and the world until it returns.
    public func run<Value: Sendable>(
        as number: Int = 1, maxSteps: Int = 5_000_000,
        _ body: @escaping @Sendable (Client) async throws -> Value
    ) throws -> Value {
        let client = client(number)
        return try simulator.run(
            on: clientLane, maxSteps: maxSteps, maxNanoseconds: Self.answerNanoseconds
        ) { try await body(client) }
    }

    /// Runs `body` with a client of that node only, and the world until it returns.
    public func run<Value: Sendable>(
        at node: Int, maxSteps: Int = 5_000_000,
        _ body: @escaping @Sendable (Client) async throws -> Value
    ) throws -> Value {
        let client = client(at: node)
        return try simulator.run(
            on: clientLane, maxSteps: maxSteps, maxNanoseconds: Self.answerNanoseconds
        ) { try await body(client) }
    }

    /// Has every node speak to every other until all pauses between attempts are over: a node that
    /// was spoken to in vain is tried again when something is asked of it. Asks for a profile that
    /// nobody has, which changes nothing. Takes a few seconds of virtual time.
    func reconnect() throws {
        let namespace = settings.identity.namespaces[0].name
        for _ in 0..<2 {
            try simulator.run(nanoseconds: Self.reconnectNanoseconds, maxSteps: 5_000_000)
            for node in nodes where node.isUp {
                for other in nodes where other.number != node.number {
                    guard let value = nobody(at: other.number) else { continue }
                    let get = Get(space: "nobody", namespace: namespace, value: value)
                    do {
                        _ = try run(at: node.number) { try await $0.get(get) }
                    } catch is ClientError {
                        // The first attempt may be refused.
                    }
                }
            }
        }
        try simulator.run(nanoseconds: Self.reconnectNanoseconds, maxSteps: 5_000_000)
    }

    /// Above the longest pause of a link between nodes.
    private static let reconnectNanoseconds: UInt64 = 1_200_000_000

    /// A value in the first namespace whose home is there; nil where the node leads no group.
    func nobody(at node: Int) -> String? {
        if let known = nobodies[node] { return known }
        let namespace = settings.identity.namespaces[0].name
        let found = (0..<1_000).lazy.map { "nobody-\($0)" }.first { [places] in
            places.home(of: namespace, $0, space: "nobody") == node
        }
        nobodies[node] = .some(found)
        return found
    }

    // MARK: Checking and the end

    /// What the connections of a node that serves hold of memory, as they count it.
    func connectionMemory(_ number: Int = 1) -> Node.ConnectionMemory {
        guard let node = node(number).life?.node else { return Node.ConnectionMemory() }
        return simulator.inspect { node.inspectConnections() } ?? Node.ConnectionMemory()
    }

    /// Traps where a rule of any running node's records is broken. O(records).
    public func checkInvariants() throws {
        for place in nodes where place.isUp {
            guard let node = place.life?.node else { continue }
            try simulator.run(on: place.lanes[0]) { await node.checkInvariants() }
        }
    }

    /// Ends all lives and clients and lets go of the world. A cluster that is not shut down lives
    /// for ever.
    func shutdown() throws {
        for number in clients.keys.sorted() {
            guard let client = clients[number] else { continue }
            clientLane.start { await client.close() }
        }
        for place in nodes {
            guard let life = place.life, life.end == nil, let node = life.node else { continue }
            place.lanes[0].start { await node.stop() }
        }
        try? simulator.run(nanoseconds: 1_000_000_000)  // shutdown says what is left, if anything
        try simulator.shutdown()
    }
}
