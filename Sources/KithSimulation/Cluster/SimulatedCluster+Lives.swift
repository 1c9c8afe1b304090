// The lives of the nodes of a cluster: beginning, ending and dying. What begins with `begin`
// returns at once and may be called from an event of the world; the others run the world until it
// is done.

internal import KithBytes
internal import KithPorts
internal import KithServer
internal import KithStorage

extension SimulatedCluster {
    /// Has the node, which must be down, open on what its disk holds and then serve. `adjust`
    /// changes the settings of this life only.
    @discardableResult
    func begin(
        _ number: Int, adjusting adjust: (inout NodeSettings) -> Void = { _ in }
    ) -> SimulatedNode.Life {
        begin(node(number), adjusting: adjust)
    }

    /// The same of one process of a node.
    @discardableResult
    func begin(
        _ place: SimulatedNode, adjusting adjust: (inout NodeSettings) -> Void = { _ in }
    ) -> SimulatedNode.Life {
        precondition(!place.isUp, "\(place.name) is up")
        var nodeSettings = NodeSettings(
            configuration: settings.configuration(), nodeID: NodeID(UInt16(place.number)),
            software: "kith simulation")
        nodeSettings.log = settings.log
        nodeSettings.tuning = settings.tuning
        nodeSettings.limits = settings.limits
        nodeSettings.ingestBytesMax = settings.ingestBytesMax ?? nodeSettings.ingestBytesMax
        // Whoever starts it knows what day it is.
        nodeSettings.acceptsClock = true
        nodeSettings.connectionsMax = settings.clientsMax ?? nodeSettings.connectionsMax
        nodeSettings.strangersMax = settings.strangersMax ?? nodeSettings.strangersMax
        adjust(&nodeSettings)
        let ports = NodePorts(
            disk: place.disk, network: network.host(place.name), clock: place.clock,
            randomness: SeededRandom(seed: random.next()), loops: place.lanes)
        let life = SimulatedNode.Life()
        place.life = life
        let said = place.said
        place.lanes[0].start { [nodeSettings] in
            do throws(NodeError) {
                let opened = try await Node.open(nodeSettings, ports) { said.lines.append($0.text) }
                life.node = opened
                if life.isCutOff { await opened.stop() }
                life.onServing?()
                try await opened.run()
                life.end = .success(())
            } catch {
                life.end = .failure(error)
            }
            life.finish()
        }
        return life
    }

    /// Opens the node on what its disk holds and has it serve. `change` makes its cluster file
    /// another than that of the others. Throws what `Node.open` throws.
    public func start(
        _ number: Int = 1, folder: FolderUse = .asFound(mayMake: true),
        changing change: (inout ClusterConfiguration) -> Void = { _ in }
    ) throws {
        let life = begin(number) {
            $0.folder = folder
            change(&$0.configuration)
        }
        try simulator.run(until: { life.node != nil || life.end != nil })
        if life.node == nil {
            node(number).life = nil
            try life.end?.get()
        }
    }

    /// Waits until all nodes that have begun serve. Throws what `Node.open` throws.
    func awaitStarts() throws {
        let started = nodes.filter { $0.life != nil }
        try simulator.run(until: {
            started.allSatisfy { $0.life?.node != nil || $0.life?.end != nil }
        })
        for place in started {
            guard let life = place.life, life.node == nil else { continue }
            place.life = nil
            try life.end?.get()
        }
    }

    /// Stops the node cleanly and waits until nothing of it runs. Throws what ended it, if
    /// something did.
    public func stop(_ number: Int = 1) throws {
        let place = node(number)
        guard let life = place.life, let node = life.node else { return }
        if life.end == nil { place.lanes[0].start { await node.stop() } }
        try simulator.run(
            until: { life.end != nil }, maxNanoseconds: Self.answerNanoseconds)
        bury(number)
        try life.end?.get()
    }

    /// Takes away a life that has ended: a process that ends gives its locks back and leaves its
    /// files as they are.
    func bury(_ number: Int) {
        let place = node(number)
        place.life = nil
        place.disk = place.disk.crash(
            keeping: { _ in .everything }, pause: waits(of: number), onOperation: watch(number))
    }

    // MARK: Second processes

    /// A second process of that node, which is down, on a machine of its own with a disk in the
    /// state of `disk`, at another port. One at a time.
    func copy(of number: Int, on disk: SimulatedDisk) -> SimulatedNode {
        let lanes = (0..<settings.loopCount).map {
            simulator.lane(node: SimulatedNode.nameOfCopy(number), loop: $0)
        }
        return SimulatedNode(
            number: number, asCopy: true, lanes: lanes, clock: node(number).clock,
            disk: disk.copy(pause: waits(of: number)), trouble: SimulatedNode.DiskTrouble())
    }

    /// Takes away the life of a second process that has ended; its files stay as they are.
    func bury(_ copy: SimulatedNode) {
        copy.life = nil
        copy.disk = copy.disk.crash(
            keeping: { _ in .everything }, pause: waits(of: copy.number))
    }

    /// The second process dies, where it runs.
    func kill(_ copy: SimulatedNode) {
        network.crash(copy.name)
        cutOff(copy)
    }

    /// The node's process dies and its machine loses power: of what was not synced, the disk keeps
    /// what `keeping` says, or the seed. The old life is cut off and unwinds in the background.
    public func crash(_ number: Int = 1, keeping: ((UnsyncedWrite) -> KeptPart)? = nil) {
        crash(number, isSilent: false, keeping: keeping)
    }

    /// The same; where `isSilent`, the other ends of its connections are not told.
    func crash(
        _ number: Int, isSilent: Bool, keeping: ((UnsyncedWrite) -> KeptPart)?
    ) {
        let place = node(number)
        network.crash(place.name, isSilent: isSilent)
        if let keeping {
            place.disk = place.disk.crash(
                keeping: keeping, pause: waits(of: number), onOperation: watch(number))
        } else {
            place.disk = place.disk.crash(
                using: &random, pause: waits(of: number), onOperation: watch(number))
        }
        cutOff(place)
    }

    private func cutOff(_ place: SimulatedNode) {
        guard let life = place.life else { return }
        place.life = nil
        life.isCutOff = true
        life.onServing = nil
        life.onEnd = nil
        for lane in place.lanes { lane.cancelRootTasks() }
        if let node = life.node { place.lanes[0].start { await node.stop() } }
    }
}
