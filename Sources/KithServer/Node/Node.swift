internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithStorage
internal import KithWire

/// One node of a cluster: its log, its groups and shards, and the connections it serves.
///
/// `open` recovers what the data folder holds; `run` serves until `stop` is called or the log
/// fails. Every task that a node starts is a child of `run`, so that returning from it means that
/// nothing of the node runs any more.
public actor Node {
    private nonisolated let loop: any Loop
    private let settings: NodeSettings
    private let ports: NodePorts
    private let log: WriteAheadLog
    /// The groups that this node leads, ascending.
    nonisolated let groups: [Group]
    private let peers: [Peer]
    private let router: Router
    /// One a loop.
    private let hints: [HintCache]
    /// One a loop.
    nonisolated let pools: [LoopPool]
    private let listener: any Listener
    private let print: @Sendable (String) -> Void
    private let failure: FailureBox
    nonisolated let shared: Connection.Shared
    /// What was last said of those that found no place.
    private var toldPlaces = ConnectionPlaces.Counts()
    private let memory: FolderMemory
    private let startGate = StartGate()
    private var isStopping = false
    private let startedAt: UInt64

    /// The port that clients reach the node at.
    public nonisolated let port: UInt16

    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    // MARK: Opening

    /// Locks the data folder, checks that it is this cluster's, recovers the log, listens, and has
    /// the folder remember this start and namespaces that are new. Nothing on disk is changed where
    /// the folder or the log is refused. `print` takes lines for people; no identifier or trait is
    /// ever in one.
    public static func open(
        _ settings: NodeSettings, _ ports: NodePorts,
        log print: @escaping @Sendable (String) -> Void
    ) async throws(NodeError) -> Node {
        let configuration = settings.configuration
        guard let place = configuration.nodes.first(where: { $0.id == settings.nodeID }) else {
            throw .unknownNode(
                id: settings.nodeID.rawValue, known: configuration.nodes.map(\.id.rawValue))
        }
        let loop = ports.loops[0]
        let folder = try await FolderEntrance.open(settings, ports, at: place)

        let table = GroupTable(groupCount: configuration.groups)
        let failure = FailureBox()
        let led = table.groups.filter { configuration.leader(of: $0) == settings.nodeID }
        let groups = led.enumerated().map { place, id in
            Group(
                id: id, table: table, loop: ports.loops[place % ports.loops.count],
                clock: ports.clock,
                entryClock: configuration.retention.clock == .event ? .event : .wall,
                retentionMillis: Int64(configuration.retention.anonymousDays) * 86_400_000,
                tuning: settings.tuning,
                onFailure: { failure.fail($0) })
        }
        var logOptions = settings.log
        logOptions.clusterDigest = FolderIdentity.digest(of: configuration)
        // A folder that was used before has a log, or has lost it.
        if folder.isKnown { mark(.nodeStartedAgain) }
        logOptions.mayCreate = !folder.isKnown
        logOptions.mustBeEmpty = !folder.isKnown
        let log = try await recover(logOptions, ports, groups, failure, print)
        for group in groups { await group.open(log) }

        let listener: any Listener
        do throws(NetworkError) {
            listener = try await ports.network.listen(
                host: place.host, port: settings.port ?? place.port, loops: ports.loops)
        } catch {
            await log.close()
            throw .network(error)
        }
        let memory: FolderMemory
        do throws(NodeError) {
            memory = try await FolderMemory.open(
                settings, starts: folder.list, groups: groups, disk: ports.disk, loop: loop)
            try await folder.store(settings, disk: ports.disk, loop: loop)
            for floor in folder.starts.floors {
                guard let group = groups.first(where: { $0.id == floor.group }) else { continue }
                do throws(LogError) {
                    try await group.rise(to: floor.index)
                } catch {
                    throw .log(error)
                }
            }
        } catch {
            mark(.nodeFolderNotWritten)
            await listener.close()
            await log.close()
            throw error
        }
        return Node(
            settings, ports, log: log, groups: groups, table: table, listener: listener,
            memory: memory, failure: failure, print: print)
    }

    private static func recover(
        _ options: LogOptions, _ ports: NodePorts, _ groups: [Group], _ failure: FailureBox,
        _ print: @escaping @Sendable (String) -> Void
    ) async throws(NodeError) -> WriteAheadLog {
        let bell = failure
        var misplaced: NodeError?
        let started = ports.clock.monotonicNanoseconds()
        let opened: (log: WriteAheadLog, report: RecoveryReport)
        do throws(LogError) {
            opened = try await WriteAheadLog.open(
                disk: ports.disk, loop: ports.loops[0], randomness: ports.randomness,
                options: options,
                onFailure: { bell.fail(.disk($0)) },
                onEntry: { entry in
                    guard misplaced == nil else { return }
                    let group = groups.first { $0.id == entry.group }
                    if let group {
                        misplaced = await group.replay(entry)
                    } else {
                        misplaced = .logOrder(
                            group: entry.group.rawValue, index: entry.index.rawValue)
                    }
                    if misplaced != nil { mark(.nodeEntryMisplaced) }
                })
        } catch .notEmpty {
            throw .identityMissing
        } catch {
            throw .log(error)
        }
        if let misplaced {
            await opened.log.close()
            throw misplaced
        }
        let report = opened.report
        if let torn = report.tornTail {
            print(
                "log: cut a torn write of \(torn.byteCount) bytes at segment \(torn.segment.rawValue), "
                    + "offset \(torn.offset); it was never acknowledged")
        }
        if report.entries > 0 {
            let millis = (ports.clock.monotonicNanoseconds() - started) / 1_000_000
            print("log: recovered \(report.entries) entries in \(millis) ms")
        }
        return opened.log
    }

    private init(
        _ settings: NodeSettings, _ ports: NodePorts, log: WriteAheadLog, groups: [Group],
        table: GroupTable, listener: any Listener, memory: FolderMemory, failure: FailureBox,
        print: @escaping @Sendable (String) -> Void
    ) {
        self.settings = settings
        self.ports = ports
        self.log = log
        self.groups = groups
        self.listener = listener
        self.memory = memory
        self.failure = failure
        shared = Connection.Shared(
            frames: FrameBudget(bytesMax: settings.ingestBytesMax),
            replies: ReplyRoom(bytesMax: settings.replyBytesMax),
            longReplies: FrameBudget(bytesMax: settings.replyBytesMax),
            places: ConnectionPlaces(
                clientsMax: settings.connectionsMax, strangersMax: settings.strangersMax,
                otherNodes: settings.configuration.nodes.count - 1),
            outboxBytes: settings.tuning.outboxBytesMax)
        self.print = print
        let introduction = PeerIntroduction(settings)
        let configuration = settings.configuration
        peers = configuration.nodes.filter { $0.id != settings.nodeID }.map {
            Peer(
                $0, loops: ports.loops, ports: ports, greeting: introduction, memory: memory,
                tuning: settings.tuning, onWrongFolder: { failure.fail($0) })
        }
        let places: [GroupPlace] = table.groups.map { [peers] id in
            if let group = groups.first(where: { $0.id == id }) { return .here(group) }
            let leader = configuration.leader(of: id)
            guard let peer = peers.first(where: { $0.id == leader }) else {
                preconditionFailure("group \(id.rawValue) has no leader")
            }
            return .there(peer, id)
        }
        hints = ports.loops.map { _ in HintCache(settings.tuning.hints) }
        let reader = EventReader(
            rules: configuration.identity, key: configuration.hashKey,
            eventBytesMax: Int(settings.limits.eventBytesMax))
        pools = ports.loops.map { _ in LoopPool(reader) }
        router = Router(table: table, places: places, clock: ports.clock)
        loop = ports.loops[0].forActor()
        port = listener.port
        startedAt = ports.clock.monotonicNanoseconds()
    }

    // MARK: Running

    /// Serves until `stop`, then returns; throws what ended the log, if that did.
    public func run() async throws(NodeError) {
        let service = makeService()
        await withDiscardingTaskGroup { tasks in
            let log = log
            tasks.addTask { await log.keepSegmentReady() }
            // A task runs on the loop of the actor it serves: waking it costs no trip elsewhere.
            for group in groups {
                let home = group.loop.tasks
                tasks.addTask(executorPreference: home) { await group.run() }
                tasks.addTask(executorPreference: home) { await group.watchWaits() }
                let coordinator = MergeCoordinator(
                    group, router: router, clock: ports.clock, tuning: settings.tuning)
                tasks.addTask(executorPreference: home) { await coordinator.run() }
                tasks.addTask(executorPreference: home) { await coordinator.shareMarks() }
            }
            for link in peers.flatMap({ [$0.requests, $0.merges] }) {
                tasks.addTask(executorPreference: link.home) { await link.run() }
            }
            for peer in peers {
                let deadline = router.deadline(inMillis: Self.statusMillisMax)
                // Only so that the others hear that this node is there; they may not be.
                tasks.addTask { _ = await peer.status(deadline: deadline) }
            }
            tasks.addTask { await self.keepTouch() }
            tasks.addTask { await self.keepWatch() }
            let failure = failure
            tasks.addTask {
                if await failure.wait() {
                    mark(.nodeStoppedByLog)
                    await self.stop()
                }
            }
            await accept(service, &tasks)
            for connection in shared.places.all { connection.close() }
            startGate.open()
            for group in groups { await group.stop() }
            for link in peers.flatMap({ [$0.requests, $0.merges] }) { await link.close() }
            failure.finish()
            await log.close()
            await closeMemory()
            tasks.cancelAll()
        }
        if let error = failure.error { throw error }
    }

    private func accept(_ service: Service, _ tasks: inout DiscardingTaskGroup) async {
        while !isStopping {
            do throws(NetworkError) {
                guard let stream = try await listener.accept() else { return }
                guard shared.places.hasRoom else {
                    mark(.nodeConnectionsFull)
                    stream.close()
                    continue
                }
                let place = ports.loops.firstIndex { $0 === stream.loop } ?? 0
                let connection = Connection(stream, service, shared, hints[place], pools[place])
                let number = shared.places.enter(connection)
                tasks.addTask(executorPreference: stream.loop.tasks) {
                    await connection.run(as: number)
                }
            } catch {
                print("listener: \(error)")
                return
            }
        }
    }

    /// Looks after connections and the room on the disk now and then, so that a client that stopped
    /// half-way and a disk that others fill are noticed.
    private func keepWatch() async {
        while !isStopping {
            do {
                try await ports.clock.sleep(nanoseconds: Self.watchNanoseconds, on: loop)
            } catch {
                return  // cancelled: the node stops
            }
            closeOverdue()
            tellPlaces()
            await log.refreshFreeBytes()
            await saveMemory()
        }
    }

    /// Makes what was heard of other nodes durable. A folder that cannot be written ends the node.
    private func saveMemory() async {
        do throws(NodeError) {
            try await memory.save()
        } catch {
            failure.fail(error)
        }
    }

    private func closeMemory() async {
        do throws(NodeError) {
            try await memory.close()
        } catch {
            print("\(error)")
        }
    }

    /// Tells every other node each second what this one says of itself, and hears the same. Clients
    /// are let in when each was tried once.
    private func keepTouch() async {
        await withDiscardingTaskGroup { tasks in
            await withDiscardingTaskGroup { first in
                for peer in peers { first.addTask { await self.touch(peer) } }
            }
            if failure.error == nil { startGate.open() }
            for peer in peers {
                tasks.addTask { [ports, loop] in
                    while await !self.isStopping {
                        do {
                            try await ports.clock.sleep(
                                nanoseconds: Self.touchNanoseconds, on: loop)
                        } catch {
                            return  // cancelled: the node stops
                        }
                        await self.touch(peer)
                    }
                }
            }
        }
    }

    /// One exchange with another node; where it does not answer, its link says so to who asks.
    private func touch(_ peer: Peer) async {
        let deadline = router.deadline(inMillis: Self.touchMillisMax)
        let answer = await peer.heartbeat(await memory.news(), deadline: deadline)
        guard case .success(let reply) = answer else { return }
        do throws(NodeError) {
            let verdict = try await memory.hear(reply.news, of: nil, from: peer.id)
            if case .ownIsWrong(let error) = verdict { failure.fail(error) }
        } catch {
            failure.fail(error)
        }
    }

    /// Nanoseconds between two heartbeats.
    static let touchNanoseconds: UInt64 = 1_000_000_000
    /// Milliseconds that another node has to answer one.
    static let touchMillisMax: UInt64 = 2_000

    static let watchNanoseconds: UInt64 = 1_000_000_000

    /// Closes connections whose client owes something for too long. O(connections).
    private func closeOverdue() {
        let now = ports.clock.monotonicNanoseconds()
        for connection in shared.places.all where connection.isOverdue(at: now) {
            mark(.nodeClientOverdue)
            connection.close()
        }
    }

    /// Says how many connections found no place, or lost it, since it was last said.
    private func tellPlaces() {
        let counts = shared.places.counts
        guard counts != toldPlaces else { return }
        let closed = counts.closedForOthers - toldPlaces.closedForOthers
        let refused = counts.refused - toldPlaces.refused
        let strangers = counts.strangersClosed - toldPlaces.strangersClosed
        toldPlaces = counts
        print(
            "places: all \(settings.connectionsMax) for clients were taken: \(closed) idle closed for "
                + "others, \(refused) refused since none was idle; \(strangers) closed that did not "
                + "say what they are")
    }

    /// Stops serving: open connections are closed, what was acknowledged is on disk. `run` returns
    /// when all of it is done. Safe to call twice.
    public func stop() async {
        guard !isStopping else { return }
        isStopping = true
        await listener.close()
    }

    // MARK: Answering about itself

    /// Traps where a rule of a group's records is broken. For tests. O(records).
    public func checkInvariants() async {
        for group in groups { await group.checkInvariants() }
    }

    private func makeService() -> Service {
        let configuration = settings.configuration
        let rules = configuration.identity
        var policy = LinkPolicy(
            quarantinesContested: rules.sharedDevice == .quarantine,
            aliasJoinsAccounts: rules.alias == .merge,
            limits: rules.namespaces.map {
                LinkPolicy.Limit(
                    namespace: Array($0.name.utf8), identifierClass: $0.identifierClass,
                    limit: $0.limit)
            })
        policy.identifiersMax = settings.tuning.identifiersMax
        return Service(
            router: router, rules: rules, normaliser: IdentifierNormaliser(rules), policy: policy,
            hashKey: configuration.hashKey,
            clusterName: configuration.name, nodeID: settings.nodeID, limits: settings.limits,
            isEventClock: configuration.retention.clock == .event, clock: ports.clock,
            randomness: ports.randomness,
            peers: PeerService(
                introduction: PeerIntroduction(settings),
                groups: router.places.map(\.local), peers: peers, memory: memory,
                onWrongFolder: { [failure] in failure.fail($0) }, clock: ports.clock,
                status: { await self.ownStatus() }),
            status: { await self.status() }, startGate: startGate)
    }

    /// What every node says of itself; of one that does not, why.
    private func status() async -> CBORValue {
        let deadline = router.deadline(inMillis: Self.statusMillisMax)
        var rows: [(nodes: [CBORValue], groups: [CBORValue])] = []
        let own = await ownStatus()
        rows.append((own["nodes"]?.elements ?? [], own["groups"]?.elements ?? []))
        let answers = await withTaskGroup(
            of: (Int, Result<StatusReply, SilentNode>).self,
            returning: [Int: Result<StatusReply, SilentNode>].self
        ) { tasks in
            for (place, peer) in peers.enumerated() {
                tasks.addTask { (place, await peer.status(deadline: deadline)) }
            }
            var answers: [Int: Result<StatusReply, SilentNode>] = [:]
            for await (place, answer) in tasks { answers[place] = answer }
            return answers
        }
        for (place, peer) in peers.enumerated() {
            rows.append(rowsOf(peer, answers[place]))
        }
        return .object([
            ("cluster", .text(settings.configuration.name)),
            ("nodes", .array(Self.sorted(rows.flatMap(\.nodes), by: "id"))),
            ("groups", .array(Self.sorted(rows.flatMap(\.groups), by: "group"))),
        ])
    }

    private func rowsOf(
        _ peer: Peer, _ answer: Result<StatusReply, SilentNode>?
    ) -> (nodes: [CBORValue], groups: [CBORValue]) {
        var problem = "no answer"
        switch answer {
        case .success(let reply)?:
            if let map = Self.map(in: reply) {
                return (map["nodes"]?.elements ?? [], map["groups"]?.elements ?? [])
            }
            problem = "its answer is malformed"
        case .failure(let silent)?: problem = silent.reason
        case nil: break
        }
        let configuration = settings.configuration
        let place = configuration.node(peer.id)
        let row = CBORValue.object([
            ("id", .unsigned(UInt64(peer.id.rawValue))),
            ("address", .text("\(place?.host ?? ""):\(place?.port ?? 0)")),
            ("state", .text("down")), ("problem", .text(problem)),
        ])
        let led = router.table.groups.filter { configuration.leader(of: $0) == peer.id }
        return (
            [row],
            led.map {
                .object([
                    ("group", .unsigned(UInt64($0.rawValue))),
                    ("leader", .unsigned(UInt64(peer.id.rawValue))), ("state", .text("down")),
                ])
            }
        )
    }

    private static func map(in reply: StatusReply) -> CBORValue? {
        do throws(ByteError) {
            return unsafe try CBORValue(decoding: reply.map.span.bytes)
        } catch {
            return nil
        }
    }

    private static func sorted(_ rows: [CBORValue], by key: String) -> [CBORValue] {
        func number(_ row: CBORValue) -> UInt64 {
            if case .unsigned(let number)? = row[key] { number } else { .max }
        }
        return rows.sorted { number($0) < number($1) }
    }

    /// Milliseconds for other nodes to say how they are.
    static let statusMillisMax: UInt64 = 2_000

    /// This node's own rows.
    private func ownStatus() async -> CBORValue {
        var rows: [CBORValue] = []
        for group in groups {
            let totals = await group.snapshot()
            rows.append(
                .object([
                    ("group", .unsigned(UInt64(group.id.rawValue))),
                    ("leader", .unsigned(UInt64(settings.nodeID.rawValue))),
                    ("state", .text("up")),
                    ("applied", .unsigned(totals.index.rawValue)),
                    ("logTime", .integer(totals.time.rawValue)),
                    ("records", .integer(Int64(totals.records))),
                    (
                        "profiles",
                        .integer(totals.statistics.members + totals.statistics.anonymous)
                    ),
                    ("sealed", .integer(Int64(totals.sealed))),
                    ("pendingBytes", .integer(Int64(totals.pendingBytes))),
                    ("waiting", .integer(Int64(totals.waits))),
                    ("events", .unsigned(totals.statistics.accepted)),
                    ("eventsPerSecond", .integer(Int64(totals.eventsPerSecond))),
                    ("memoryBytes", .integer(Int64(totals.memoryBytes))),
                ]))
        }
        let uptime = (ports.clock.monotonicNanoseconds() - startedAt) / 1_000_000
        let place = settings.configuration.node(settings.nodeID)
        let places = shared.places.counts
        return .object([
            (
                "nodes",
                .array([
                    .object([
                        ("id", .unsigned(UInt64(settings.nodeID.rawValue))),
                        ("address", .text("\(place?.host ?? ""):\(port)")),
                        ("state", .text("up")), ("software", .text(settings.software)),
                        ("uptimeMillis", .unsigned(uptime)),
                        ("connections", .integer(Int64(shared.places.count))),
                        ("clientsClosedForOthers", .unsigned(places.closedForOthers)),
                        ("clientsRefused", .unsigned(places.refused)),
                        ("replyBytes", .integer(Int64(shared.replies.heldBytes))),
                        ("logBytes", .unsigned(await log.bytesUsed)),
                        ("logIsNearlyFull", .bool(await log.isNearlyFull)),
                    ])
                ])
            ),
            ("groups", .array(rows)),
        ])
    }
}

extension CBORValue {
    /// The elements of an array; nil for anything else.
    fileprivate var elements: [CBORValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }
}
