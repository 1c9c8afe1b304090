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
    let settings: NodeSettings
    let ports: NodePorts
    let log: WriteAheadLog
    /// The groups that this node leads, ascending.
    nonisolated let groups: [Group]
    let peers: [Peer]
    let router: Router
    /// One a loop.
    private let hints: [HintCache]
    /// One a loop.
    nonisolated let pools: [LoopPool]
    private let listener: any Listener
    private let print: @Sendable (LogLine) -> Void
    private let strangers = StrangerNews()
    let memory: MemoryGate
    /// What was last said of the room on the disk.
    private var toldRoom: String?
    private var wasMemoryFull = false
    private let failure: FailureBox
    let clock: GuardedClock
    private let clockNote: ClockNote
    private var clockProblem: ClockGuard.Problem?
    nonisolated let shared: Connection.Shared
    nonisolated let folder: FolderMemory
    /// What was last said of those that found no place.
    private var toldPlaces = ConnectionPlaces.Counts()
    private var isStopping = false
    let startedAt: UInt64
    /// Of the monotonic clock, when the files of the folder were last looked at.
    private var checkedAt: UInt64

    /// The port that clients reach the node at.
    public nonisolated let port: UInt16

    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    // MARK: Opening

    /// Locks the data folder, checks that it is this cluster's, listens, recovers the log, and has
    /// the folder remember this start and namespaces that are new. While the log is recovered, who
    /// asks is told so (`StartingPort`). Nothing on disk is changed where the folder or the log is
    /// refused. `print` takes lines of the node's log; no identifier or trait is ever in one.
    public static func open(
        _ settings: NodeSettings, _ ports: NodePorts,
        log print: @escaping @Sendable (LogLine) -> Void
    ) async throws(NodeError) -> Node {
        let configuration = settings.configuration
        guard let place = configuration.nodes.first(where: { $0.id == settings.nodeID }) else {
            throw .unknownNode(
                id: settings.nodeID.rawValue, known: configuration.nodes.map(\.id.rawValue))
        }
        let loop = ports.loops[0]
        let clock = GuardedClock(
            ports.clock, stepMillisMax: settings.tuning.clockStepMillisMax,
            mustHear: configuration.nodes.count > 1)
        var ports = ports
        ports.clock = clock
        var entrance = try await FolderEntrance.open(settings, ports, at: place)

        let table = GroupTable(groupCount: configuration.groups)
        let failure = FailureBox()
        let led = table.groups.filter { configuration.leader(of: $0) == settings.nodeID }
        let gate = MemoryGate(groupCount: led.count, limit: settings.memoryBytesMax)
        let groups = led.enumerated().map { place, id in
            Group(
                id: id, table: table, key: configuration.hashKey,
                loop: ports.loops[place % ports.loops.count],
                clock: clock,
                entryClock: configuration.retention.clock == .event ? .event : .wall,
                retentionMillis: configuration.retention.anonymousMillis,
                tuning: settings.tuning, memory: (gate, place),
                onFailure: { failure.fail($0) })
        }
        var logOptions = settings.log
        logOptions.clusterDigest = FolderIdentity.digest(of: configuration)
        // A folder that was used before has a log, or has lost it.
        if entrance.isKnown { mark(.nodeStartedAgain) }
        logOptions.mayCreate = !entrance.isKnown
        logOptions.mustBeEmpty = !entrance.isKnown
        let listener: any Listener
        do throws(NetworkError) {
            listener = try await ports.network.listen(
                host: place.host, port: settings.port ?? place.port, loops: ports.loops)
        } catch {
            throw .network(error)
        }
        let log: WriteAheadLog
        let lastEntry: LogTime?
        let starts: StartList
        let word: FolderWord
        do throws(NodeError) {
            entrance = try await hearing(entrance, settings, ports, listener, print)
            word = entrance.word(of: settings.nodeID)
            starts = entrance.begin()
            (log, lastEntry) = try await recover(
                logOptions, settings, ports, listener, word, groups, failure, print)
        } catch {
            await listener.close()
            throw error
        }
        let clockNote = ClockNote(disk: ports.disk, loop: loop)
        do throws(NodeError) {
            let seen = try await clockNote.judgeStart(
                at: clock.shown,
                lastEntry: configuration.retention.clock == .wall ? lastEntry : nil,
                logTime: await logTime(of: groups),
                stepMillisMax: settings.tuning.clockStepMillisMax,
                isAccepted: settings.acceptsClock)
            clock.compare(with: seen.time, isAccepted: seen.isBehindAccepted)
        } catch {
            await listener.close()
            await log.close()
            throw error
        }
        for group in groups { await group.open(log) }
        let hints = ports.loops.map { _ in HintCache(settings.tuning.hints) }
        let folder = FolderMemory(
            settings, starts: starts, notes: entrance.notes, groups: groups, hints: hints,
            disk: ports.disk, loop: loop)
        do throws(NodeError) {
            try await entrance.compare(groups)
        } catch {
            await listener.close()
            await log.close()
            throw error
        }
        do throws(NodeError) {
            try await entrance.store(settings, disk: ports.disk, loop: loop)
            try await clockNote.storeAccepted()
            for floor in entrance.starts.floors {
                guard let group = groups.first(where: { $0.id == floor.group }) else { continue }
                do throws(LogError) {
                    try await group.rise(to: floor.index)
                } catch {
                    throw .log(error)
                }
            }
            try await restoring(groups, settings, ports, listener, word, print)
        } catch {
            mark(.nodeFolderNotWritten)
            await listener.close()
            await log.close()
            throw error
        }
        return Node(
            settings, ports, log: log, groups: groups, table: table, listener: listener,
            folder: folder, failure: failure, clock: clock, clockNote: clockNote, memory: gate,
            hints: hints, print: print)
    }

    private init(
        _ settings: NodeSettings, _ ports: NodePorts, log: WriteAheadLog, groups: [Group],
        table: GroupTable, listener: any Listener, folder: FolderMemory, failure: FailureBox,
        clock: GuardedClock, clockNote: ClockNote, memory: MemoryGate, hints: [HintCache],
        print: @escaping @Sendable (LogLine) -> Void
    ) {
        self.settings = settings
        self.ports = ports
        self.log = log
        self.groups = groups
        self.listener = listener
        self.folder = folder
        self.failure = failure
        self.clock = clock
        self.clockNote = clockNote
        self.hints = hints
        shared = Connection.Shared(
            frames: FrameBudget(bytesMax: settings.ingestBytesMax),
            replies: ReplyRoom(bytesMax: settings.replyBytesMax),
            longReplies: FrameBudget(bytesMax: settings.replyBytesMax),
            places: ConnectionPlaces(
                clientsMax: settings.connectionsMax, strangersMax: settings.strangersMax,
                otherNodes: settings.configuration.nodes.count - 1),
            outboxBytes: settings.tuning.outboxBytesMax,
            answeringBytesMax: settings.tuning.answeringBytesMax)
        self.print = print
        self.memory = memory
        let introduction = PeerIntroduction(settings)
        let configuration = settings.configuration
        peers = configuration.nodes.filter { $0.id != settings.nodeID }.map {
            Peer(
                $0, loops: ports.loops, ports: ports, greeting: introduction, memory: folder,
                tuning: settings.tuning, log: print, onWrongFolder: { failure.fail($0) })
        }
        let places: [GroupPlace] = table.groups.map { [peers] id in
            if let group = groups.first(where: { $0.id == id }) { return .here(group) }
            let leader = configuration.leader(of: id)
            guard let peer = peers.first(where: { $0.id == leader }) else {
                preconditionFailure("group \(id.rawValue) has no leader")
            }
            return .there(peer, id)
        }
        let reader = EventReader(
            rules: configuration.identity, key: configuration.hashKey,
            eventBytesMax: Int(settings.limits.eventBytesMax))
        pools = ports.loops.map { _ in LoopPool(reader) }
        router = Router(
            table: table, places: places, clock: ports.clock, nodeID: settings.nodeID)
        loop = ports.loops[0].forActor()
        port = listener.port
        startedAt = ports.clock.monotonicNanoseconds()
        checkedAt = startedAt
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
            // Before anything is served, and so that the others hear that this node is there.
            tasks.addTask {
                await self.hearOthers()
                await self.noteClock()
                await self.keepWatch()
            }
            let failure = failure
            tasks.addTask {
                if await failure.wait() {
                    mark(.nodeStoppedByLog)
                    await self.stop()
                }
            }
            await accept(service, &tasks)
            tellPlaces()
            for connection in shared.places.all { connection.close() }
            clock.look(haveHeard: true)  // who waits for it sees that its connection is closed
            for group in groups { await group.stop() }
            for link in peers.flatMap({ [$0.requests, $0.merges] }) { await link.close() }
            failure.finish()
            if let error = await log.close() {
                print(.warning("log: where it ends could not be noted in the folder: \(error)"))
            }
            await closeFolder()
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
                    strangers.note(.full, stream.peer)
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
                print(LogLine(.error, "no more connections are taken: \(error)"))
                return
            }
        }
    }

    /// Looks after connections and the room on the disk now and then, so that a client that stopped
    /// half-way and a disk that others fill are noticed.
    private func keepWatch() async {
        await log.refreshFreeBytes()
        await checkFolder()
        await tellNews()
        while !isStopping {
            do {
                try await ports.clock.sleep(nanoseconds: Self.watchNanoseconds, on: loop)
            } catch {
                return  // cancelled: the node stops
            }
            closeOverdue()
            shared.longReplies.expire(at: ports.clock.monotonicNanoseconds())
            tellPlaces()
            await log.refreshFreeBytes()
            await checkFolder()
            await hearOthers()
            await saveFolder()
            await noteClock()
            await tellNews()
        }
    }

    /// Tells the log what has changed since the last look.
    private func tellNews() async {
        if let line = strangers.line(at: ports.clock.monotonicNanoseconds()) { print(line) }
        // Of a folder that is gone nothing is said but that.
        let room = failure.error == nil ? await roomText : toldRoom
        if room != toldRoom {
            toldRoom = room
            let reserve = settings.log.reserveBytes >> 20
            print(
                room.map { .warning("disk: \($0); events are refused until there is room") }
                    ?? LogLine(.info, "disk: \(reserve) MiB are free again; events are taken"))
        }
        let isMemoryFull = memory.isFull
        if isMemoryFull != wasMemoryFull {
            wasMemoryFull = isMemoryFull
            print(
                isMemoryFull
                    ? .warning("\(memoryProblem); events are refused, reads go on")
                    : LogLine(.info, "memory: there is room again; events are taken"))
        }
        // Spent by a growth that found no other memory.
        if MemoryReserve.isSpent { MemoryReserve.refill() }
    }

    /// What is wrong with the memory, where `memory.isFull`.
    var memoryProblem: String {
        MemoryReserve.isSpent
            ? "memory: the system gives no more"
            : "memory: profiles fill the limit of \(memory.limit >> 20) MiB (memory.limitMiB)"
    }

    static let watchNanoseconds: UInt64 = 1_000_000_000
    /// From one look at the files of the folder to the next.
    private static let checkNanoseconds: UInt64 = 10_000_000_000

    /// Looks now and then whether somebody has taken files of the folder away. What is in them is
    /// in memory too, so nothing would show until the next start finds it lost.
    private func checkFolder() async {
        let now = ports.clock.monotonicNanoseconds()
        // At once where the disk does not do what it should: it may be that the folder is gone.
        let isDoubted =
            switch await log.roomProblem {
            case nil, .nearlyFull?: false
            case .unknown?, .noSegment?: true
            }
        guard isDoubted || now - checkedAt >= Self.checkNanoseconds else { return }
        checkedAt = now
        await log.checkFiles()
        if let missing = await FolderEntrance.missing(ports.disk) {
            mark(.folderTakenAway)
            await log.end(by: .takenAway(missing))
        }
    }

    /// Closes connections whose client owes something for too long, or, while others wait for room,
    /// sends a large frame too slowly. O(connections).
    private func closeOverdue() {
        let now = ports.clock.monotonicNanoseconds()
        let all = shared.places.all
        for connection in all where connection.isOverdue(at: now) { close(connection, .overdue) }
        let missing = shared.frames.missingBytes
        guard missing > 0 else { return }
        let rest = all.filter { !$0.isOverdue(at: now) }
        for place in FramePace.givingWay(rest.map(\.pace), missingBytes: missing, at: now) {
            close(rest[place], .slow)
        }
    }

    private func close(_ connection: Connection, _ reason: StrangerNews.Reason) {
        mark(.nodeClientOverdue)
        strangers.note(reason, connection.peer)
        connection.close()
    }

    /// Tells all other nodes what this one's clock shows and how far its log is, and hears the same
    /// of them; then judges the own clock. Nobody is let in where its folder is not what it was.
    private func hearOthers() async {
        let deadline = router.deadline(inMillis: Self.heartbeatMillisMax)
        let own = PeerHeartbeat(wall: clock.shown, news: await folder.news())
        await withDiscardingTaskGroup { tasks in
            for peer in peers { tasks.addTask { await self.hear(peer, own, deadline) } }
        }
        guard failure.error == nil else { return }
        let report = clock.look(haveHeard: true)
        guard Self.kind(report.problem) != Self.kind(clockProblem) else { return }
        clockProblem = report.problem
        print(
            LogLine(
                report.problem == nil ? .info : .warning,
                "clock: \(report.text ?? "all is well again")"))
    }

    /// One exchange with another node. Nobody's silence is of interest here: a median is of those
    /// who answer, and a link says to who asks that it is closed.
    private func hear(_ peer: Peer, _ own: PeerHeartbeat, _ deadline: UInt64) async {
        guard case .success(let reply) = await peer.heartbeat(own, deadline: deadline) else {
            return
        }
        clock.hear(reply.wall, of: peer.id)
        do throws(NodeError) {
            let verdict = try await folder.hear(reply.news, of: nil, from: peer.id)
            if case .ownIsWrong(let error) = verdict { failure.fail(error) }
        } catch {
            failure.fail(error)
        }
    }

    /// Makes what was heard of other nodes durable. A folder that cannot be written ends the node.
    private func saveFolder() async {
        do throws(NodeError) {
            try await folder.save()
        } catch {
            failure.fail(error)
        }
    }

    private func closeFolder() async {
        do throws(NodeError) {
            try await folder.close()
        } catch {
            print(LogLine(.error, "\(error)"))
        }
    }

    /// Milliseconds that another node has to answer a heartbeat.
    static let heartbeatMillisMax: UInt64 = 1_000

    private static func kind(_ problem: ClockGuard.Problem?) -> Int {
        switch problem {
        case .astray: 5
        case .unconfirmed: 4
        case .behind(_, isAccepted: false): 3
        case .behind(_, isAccepted: true): 2
        case .apart: 1
        case nil: 0
        }
    }

    /// Has the folder remember the time, at a start and then each hour, where nobody doubts it: the
    /// next start is judged by it.
    private func noteClock() async {
        guard clock.now == .sound else { return }
        switch clock.look().problem {
        case nil, .behind(_, isAccepted: true): break
        default: return
        }
        do throws(NodeError) {
            try await clockNote.storeIfDue(clock.shown, boot: ports.clock.bootNanoseconds())
        } catch {
            print(LogLine(.warning, "clock: the time could not be noted in the folder: \(error)"))
        }
    }

    /// Whether the wall clock is not believed, or the node does not serve because of it.
    public nonisolated var doubtsClock: Bool {
        clock.now != .sound || clock.look().heldBackMillis != 0
    }

    /// Says how many connections found no place, or lost it, since it was last said.
    private func tellPlaces() {
        let counts = shared.places.counts
        guard counts != toldPlaces else { return }
        let closed = counts.closedForOthers - toldPlaces.closedForOthers
        let refused = counts.refused - toldPlaces.refused
        let strangers = counts.strangersClosed - toldPlaces.strangersClosed
        toldPlaces = counts
        var parts: [String] = []
        if closed + refused > 0 {
            parts.append(
                "all \(settings.connectionsMax) for clients were taken: \(closed) idle closed for "
                    + "others, \(refused) refused since none was idle")
        }
        if strangers > 0 {
            parts.append(
                "\(strangers) closed that did not say what they are, for others "
                    + "(\(settings.strangersMax) may)")
        }
        print(.warning("places: " + parts.joined(separator: "; ")))
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
            router: router, rules: rules, normaliser: IdentifierNormaliser(rules),
            noteNames: NoteNames(
                namespaces: rules.namespaces.map(\.name), paths: rules.namespaces.flatMap(\.from)),
            policy: policy, hashKey: configuration.hashKey,
            clusterName: configuration.name, nodeID: settings.nodeID, limits: settings.limits,
            isEventClock: configuration.retention.clock == .event, clock: ports.clock,
            guardedClock: clock, randomness: ports.randomness,
            peers: PeerService(
                introduction: PeerIntroduction(settings),
                groups: router.places.map(\.local), peers: peers, memory: folder,
                onWrongFolder: { [failure] in failure.fail($0) }, clock: ports.clock,
                guardedClock: clock, forwards: ForwardService(groups: groups),
                forwardsGoal: settings.tuning.forwardsGoal, nodeID: settings.nodeID,
                status: { await self.ownStatus() }),
            status: { await self.status() }, strangers: strangers)
    }
}
