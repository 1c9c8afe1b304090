import KithBytes

@testable import KithCore

/// A random run of the identity merge: the real machines of groups and shards, real events, and an
/// oracle that knows nothing of how they work (the leaf-accumulate model of docs/architecture.md;
/// it began in Python, and its list of what is checked is kept here).
///
/// A world is a few identifiers of classes account, contact and anonymous under a random hash key,
/// on one to three groups. One step takes one request from the bag of everything that is under way,
/// or begins something new. Messages are lost, doubled, delayed and reordered; leaders change; each
/// group has a clock of its own. A seed repeats its run.
final class Model {
    let seed: UInt64
    let profile: ModelProfile
    var random: ModelRandom
    let isTracing: Bool

    let leaves: [ModelLeaf]
    let identifierCount: Int
    let aliasTexts: [String]
    let policy: LinkPolicy
    let table: GroupTable
    var groups: [GroupMachine]
    let shards = ModelShards()
    /// The leaves at home in each group.
    var members: [[Int]]
    var drivers: [MergeDriver]
    /// Each of one part.
    var driverErrands: [[ModelErrand]]
    private var reader: EventReader

    /// Milliseconds that the schedule's unit of time stands for.
    let unit: Int64
    let retention: Int64
    let baseTime: Int64
    private var base: Int64 { baseTime }
    private var now: Int64 = 0
    private var skew: [Int64]

    var bag: [ModelRequest] = []
    var agents: [ModelAgent] = []
    /// Agents that have not ended.
    var agentCount = 0
    var counterNames: [String] = []
    var messageHashes: [UInt64] = []
    private(set) var steps = 0
    /// New things begin still.
    var isRunning = true
    /// Nothing is lost any more.
    var isCalm = false
    let isSlow: Bool
    /// The machines look at themselves now and then. Dear, so only in a few runs.
    let checksInvariants: Bool
    /// How many events name more than one identifier.
    let linkShare: Double
    /// Identifiers that a profile may hold.
    private(set) var identifiersMax = ShardMachine.identifiersMax
    /// How often a late copy is left for later, and how often a driver's request is.
    let lateness: Double
    let drag: Double
    let loss: Double
    let duplication: Double

    var oracle: ModelOracle
    var views: [RecordView]
    var before: [RecordView]
    var fresh = RecordView()
    var changed: [Int] = []
    var bornNow: [Int] = []
    private(set) var failure: String?

    /// Units of time that an anonymous profile lives.
    static let retentionUnits: Int64 = 60
    /// Steps after which nothing is lost any more, and after which a run has failed.
    static let stepsCalm = 6_000
    static let stepsMax = 40_000
    static let messagesMax = 60

    init(seed: UInt64, profile wanted: ModelProfile?, isTracing: Bool = false) {
        self.seed = seed
        self.isTracing = isTracing
        random = ModelRandom(seed: seed)
        let drawn = ModelProfile.random(&random)
        profile = wanted ?? drawn
        let setup = ModelSetup(&random, profile)
        leaves = setup.leaves
        identifierCount = setup.identifierCount
        aliasTexts = setup.aliasTexts
        table = GroupTable(groupCount: setup.groupCount)
        unit = random.chance(0.8) ? 180_000 : 3_600_000
        retention = unit * Self.retentionUnits
        baseTime = 1_700_000_000_000 + Int64(random.below(86_400)) * 1000
        isSlow = profile == .slow || profile == .chain
        checksInvariants = random.chance(0.01)
        linkShare = profile == .expire ? 0.5 : random.pick([0.45, 0.75])
        lateness = random.pick([0, 0.5, 0.95])
        drag = isSlow ? random.pick([0.7, 0.95]) : random.pick([0, 0, 0.5])
        loss = random.pick([0.02, 0.15, 0.3])
        duplication = random.pick([0.05, 0.2, 0.4])
        let table = table
        groups = table.groups.map { GroupMachine(group: $0, table: table) }
        drivers = table.groups.map { MergeDriver(group: $0, table: table) }
        driverErrands = Array(repeating: [], count: table.groupCount)
        members = Array(repeating: [], count: table.groupCount)
        skew = []
        for _ in 0..<table.groupCount { skew.append(Int64(random.below(13)) - 6) }
        for (place, leaf) in leaves.enumerated() { members[leaf.group].append(place) }
        oracle = ModelOracle(count: leaves.count)
        views = Array(repeating: RecordView(), count: leaves.count)
        before = views
        reader = EventReader(rules: setup.rules, key: setup.key)
        var policy = setup.policy
        // Every fourth run has profiles of so few identifiers that absorbs are declined. Drawn
        // apart, so that the other runs stay what they were.
        var extra = ModelRandom(seed: ~seed)
        if extra.chance(0.25) { identifiersMax = 2 + extra.below(3) }
        policy.identifiersMax = identifiersMax
        for group in groups.indices { groups[group].identifiersMax = identifiersMax }
        self.policy = policy
        for leaf in leaves { shards.use(leaf.id.shard) }
        for group in groups { shards.use(group.firstShard) }
    }

    // MARK: Names and times

    func index(_ leaf: LeafID) -> Int {
        for place in leaves.indices where leaves[place].id.low == leaf.low {
            if leaves[place].id == leaf { return place }
        }
        preconditionFailure("leaf \(leaf.hex) is not of this world")
    }

    func logTime(_ group: Int) -> Int64 { groups[group].now.rawValue }

    /// Whether a link of two anonymous leaves may be past retention where its winner is, whatever
    /// the loser's clock says.
    func isPast(_ x: Int, _ y: Int, _ time: Int64) -> Bool {
        leaves[x].rank == 3 && leaves[y].rank == 3
            && groups.indices.contains { time + retention <= logTime($0) }
    }

    private func clock(_ group: Int) -> Int64 { base + (now + skew[group]) * unit }

    func fail(_ what: @autoclosure () -> String) {
        if failure == nil {
            failure = what()
            trace("VIOLATION: \(failure!)")
        }
    }

    // MARK: The log

    /// Applies one entry to a group, and accounts for what it did.
    @discardableResult
    func commit(
        _ bytes: [UInt8], _ group: Int, _ request: ModelRequest?, from: String
    ) -> Outcome {
        let attempt = request?.attempt
        var operation = decode(bytes, attempt)
        var outcomes: [Outcome] = []
        var entry = bytes
        var count = 1
        if operation.record >= 0, random.chance(0.15) {
            // Two operations in one entry: the first one only lets a record expire.
            var writer = OperationWriter()
            writer.touch(leaves[random.pick(members[group])].id)
            entry = writer.bytes + bytes
            count = 2
        }
        _ = groups[group].apply(
            index: groups[group].applied.next, time: LogTime(clock(group)), clock: .wall,
            operations: entry.span.bytes, on: shards, outcomes: &outcomes)
        // An event time is never later than the stamp of the leader that logs it.
        operation.time = min(operation.time, logTime(group))
        guard outcomes.count == count else {
            fail("\(outcomes.count) outcomes of \(count) operations")
            return .malformed
        }
        let outcome = outcomes[count - 1]
        if isTracing {
            trace(
                "g\(group)@\(groups[group].applied.rawValue) t\((logTime(group) - base) / unit) "
                    + "\(show(operation, attempt)) \(from) -> \(show(outcome))")
        }
        observe(operation, outcome, group: group, request)
        if isTracing { for record in changed { trace("    \(show(record))") } }
        if outcome == .malformed { fail("malformed \(operation.type)") }
        return outcome
    }

    // MARK: The schedule

    /// Runs to the end or to the first violation; nil where all holds.
    func run() -> String? {
        for group in groups.indices {
            var writer = OperationWriter()
            writer.settings(retentionMillis: retention)
            commit(writer.bytes, group, nil, from: "")
        }
        let budget = 60 + random.below(500)
        let timeJump: Double =
            switch profile {
            case .expire: 0.04
            case .chain, .erase, .alias: 0.012
            default: 0.02
            }
        let forget: Double =
            switch profile {
            case .erase: 0.03
            case .mix: 0.012
            default: 0.006
            }
        let arrival = random.pick([0.06, 0.1, 0.16])
        let driving = isSlow ? 0.05 : 0.15
        while failure == nil {
            steps += 1
            isRunning = steps < budget
            isCalm = steps > Self.stepsCalm || !isRunning && random.chance(0.2)
            if steps > Self.stepsMax {
                trace("left: \(whatIsLeft)")
                return "no termination"
            }
            if !isRunning, isSettled { break }
            if isRunning, random.chance(timeJump) {
                now += random.pick([1, 3, 10, 30, 30, 59, 60, 65])
                if random.chance(0.2) {
                    skew[random.below(skew.count)] = Int64(random.below(13)) - 6
                }
                continue
            }
            if random.chance(0.05) { now += 1 }
            if isRunning {
                let choice = random.unit()
                if choice < forget {
                    startForget()
                    continue
                }
                if choice < forget + 0.006 {
                    changeLeader(random.below(groups.count))
                    continue
                }
                if choice < forget + 0.02 {
                    startRead()
                    continue
                }
                if choice < forget + 0.02 + arrival {
                    if counterNames.count < Self.messagesMax { startEvents() }
                    continue
                }
                if choice < forget + 0.06 + arrival {
                    housekeep()
                    continue
                }
            } else if random.chance(0.02) {
                housekeep()
            }
            if bag.isEmpty || random.chance(driving) {
                stepDriver(random.below(groups.count))
            } else {
                deliver()
            }
            if checksInvariants, random.chance(0.02) {
                shards.machine(random.pick(shards.used)).checkInvariants()
            }
        }
        if failure == nil { checkEnd() }
        return failure
    }

    private var isSettled: Bool {
        guard bag.isEmpty, agentCount == 0 else { return false }
        for group in groups.indices {
            if !groups[group].sealed.isEmpty || !groups[group].releasing.isEmpty
                || drivers[group].isBusy || !driverErrands[group].isEmpty
            {
                return false
            }
        }
        return true
    }

    private var whatIsLeft: String {
        "\(bag.count) requests, \(agentCount) agents, "
            + groups.indices.map {
                "g\($0): \(groups[$0].sealed.count) sealed, \(groups[$0].releasing.count) releasing, driver \(drivers[$0].isBusy ? "busy" : "idle")\(driverErrands[$0].isEmpty ? "" : " out")"
            }.joined(separator: ", ")
    }

    private func stepDriver(_ group: Int) {
        let round = drivers[group].nextRound(&groups[group], on: shards)
        for part in round.parts where !part.isEmpty {
            var alone = Round(groupCount: table.groupCount)
            alone.parts[Int(part.group.rawValue)] = part
            driverErrands[group].append(post(alone, agent: nil, driver: group))
        }
    }

    /// Hands a part that is answered or failed back to its driver.
    func takeBack(_ errand: ModelErrand) {
        driverErrands[errand.driver].removeAll { $0 === errand }
        for part in errand.round.parts where !part.isEmpty {
            _ = drivers[errand.driver].take(part)
        }
    }

    /// Everything on its way to or from the group may be lost; clients are cut off.
    private func changeLeader(_ group: Int) {
        trace("leader of g\(group) changes")
        for errand in driverErrands[group] { errand.isDead = true }
        driverErrands[group] = []
        drivers[group] = MergeDriver(group: table.groups[group], table: table)
        groups[group].rebuildWork(on: shards)
        var cut: [ModelAgent] = []
        for place in bag.indices {
            guard let errand = bag[place].errand, !errand.isDead else { continue }
            if bag[place].group == group, random.chance(0.4) { failPart(errand, group) }
        }
        for agent in agents where !agent.isGone && agent.kind == .ingest && agent.machine != nil {
            if random.chance(0.5) { cut.append(agent) }
        }
        for agent in cut where !agent.isGone {
            agent.isGone = true
            agentCount -= 1
            if random.chance(0.8) { sendAgain(agent) }
        }
        agents.removeAll(where: \.isGone)
        // Whoever was cut off answers nobody any more.
        for place in bag.indices where bag[place].agent?.isGone ?? false {
            bag[place].errand?.isDead = true
        }
    }

    private func housekeep() {
        let group = random.below(groups.count)
        var writer = OperationWriter()
        switch random.below(4) {
        case 0, 1:
            guard !members[group].isEmpty else { return }
            writer.touch(leaves[random.pick(members[group])].id)
        case 2:
            guard !members[group].isEmpty else { return }
            writer.reclaim(
                leaves[random.pick(members[group])].id.shard, limit: 1 + random.below(8),
                exact: random.chance(0.6))
        default:
            writer.marks(groups[random.below(groups.count)].marks)
        }
        commit(writer.bytes, group, nil, from: "")
    }

    // MARK: Beginning

    private func hint(_ leaf: Int) -> LeafID? {
        random.chance(0.55) ? nil : leaves[random.below(leaf + 1)].id
    }

    private func startForget() {
        let leaf = random.below(identifierCount)
        let agent = ModelAgent(
            kind: .forget, leaf: leaf, cursor: Cursor(leaves[leaf].id, hint: hint(leaf)))
        agentCount += 1
        agents.append(agent)
        trace("forget \(name(leaves[leaf].id))")
        stepForget(agent)
    }

    private func startRead() {
        let leaf = random.below(leaves.count)
        let isByHint = leaf < identifierCount && random.chance(0.3)
        let hint = isByHint ? leaves[random.below(leaf + 1)].id : nil
        let agent = ModelAgent(kind: .read, leaf: leaf, cursor: Cursor(leaves[leaf].id, hint: hint))
        agent.isByHint = isByHint
        agent.ackCount = oracle.acked.count
        agent.edgeCount = oracle.edges.count
        agent.forgotten = oracle.forgotten
        agentCount += 1
        bag.append(ModelRequest(kind: .read, group: -1, agent: agent))
    }

    private func startEvents() {
        let count = random.chance(0.85) ? 1 : 2 + random.below(2)
        var batch = EventBatch()
        var events: [ModelEvent] = []
        for _ in 0..<count {
            guard counterNames.count < Self.messagesMax else { break }
            events.append(makeEvent(&batch))
        }
        let attempt = ModelAttempt(batch: batch, events: events, oracle: oracle)
        let first = events[0].identifiers[0]
        func add(isLate: Bool) {
            let agent = ModelAgent(kind: .ingest, leaf: first, cursor: Cursor(leaves[first].id))
            agent.attempt =
                isLate || agents.last?.attempt === attempt
                ? ModelAttempt(batch: batch, events: events, oracle: oracle) : attempt
            agent.isLate = isLate
            agentCount += 1
            agents.append(agent)
            bag.append(ModelRequest(kind: .start, group: -1, agent: agent))
        }
        add(isLate: false)
        if random.chance(0.25) { add(isLate: random.chance(0.5)) }
    }

    private static func read(
        _ bytes: [UInt8], _ space: [UInt8], _ reader: inout EventReader, _ batch: inout EventBatch
    ) {
        do {
            try reader.read(
                bytes.span.bytes, position: UInt32(batch.heads.count), space: space.span.bytes,
                arrival: Int64(4_000_000_000_000), stamp: nil, into: &batch,
                assignMessageID: { preconditionFailure("the event has an id") })
        } catch {
            preconditionFailure("a made event is refused: \(error)")
        }
    }

    private func makeEvent(_ batch: inout EventBatch) -> ModelEvent {
        var writer = ByteWriter()
        let key = counterNames.count
        var named: [Int] = []
        var user: String?
        var previous: String?
        var anonymous: String?
        let isAliasLikely = profile == .alias ? 0.35 : profile == .device ? 0.15 : 0.1
        if !aliasTexts.isEmpty, random.chance(isAliasLikely) {
            previous = random.pick(aliasTexts)
            if random.chance(0.85) {
                user = random.pick(aliasTexts)
            } else {
                anonymous = random.pick(aliasTexts)
            }
            if random.chance(0.25) {
                let rest = (0..<identifierCount).filter { leaves[$0].rank > 0 }
                named = [random.pick(rest)]
            }
        } else if profile == .alias, random.chance(0.5) {
            let accounts = (0..<identifierCount).filter { leaves[$0].rank == 0 }
            let others = (0..<identifierCount).filter { leaves[$0].rank > 0 }
            named = [random.pick(accounts), random.pick(others)]
        } else {
            let links = random.chance(linkShare)
            let wanted = links ? random.pick([2, 2, 2, 3]) : 1
            var pool = Array(0..<identifierCount)
            random.shuffle(&pool)
            named = Array(pool.prefix(wanted))
        }
        let isAlias = previous != nil
        counterNames.append(isAlias ? "alias" : "e\(key)")
        let age = random.pick([0, 0, 0, 0, 2, 10, 30, 59, 65, 120]) * unit
        let time = base + now * unit - age

        writer.cborMap(
            count: 5 + (user == nil ? 0 : 1) + (previous == nil ? 0 : 1)
                + (anonymous == nil ? 0 : 1))
        writer.cborText("type")
        writer.cborText(isAlias ? "alias" : "track")
        writer.cborText("event")
        writer.cborText("e\(key)")
        writer.cborText("messageId")
        writer.cborText("m\(key)")
        writer.cborText("timestamp")
        writer.cborInteger(time)
        if let user {
            writer.cborText("userId")
            writer.cborText(user)
        }
        if let previous {
            writer.cborText("previousId")
            writer.cborText(previous)
        }
        if let anonymous {
            writer.cborText("anonymousId")
            writer.cborText(anonymous)
        }
        writer.cborText("context")
        writer.cborMap(count: 1)
        writer.cborText("externalIds")
        writer.cborArray(count: named.count)
        for leaf in named {
            writer.cborMap(count: 2)
            writer.cborText("id")
            writer.cborText(leaves[leaf].value)
            writer.cborText("type")
            writer.cborText(leaves[leaf].namespace)
        }
        Self.read(writer.bytes, ModelSetup.space, &reader, &batch)
        let head = batch.heads[batch.heads.count - 1]
        let identifiers = batch.identifiers[head.identifierRange]
        messageHashes.append(head.messageHash)
        let event = ModelEvent(
            key: key, time: head.time, messageHash: head.messageHash,
            identifiers: identifiers.map { index($0.leaf) },
            isAliasEnd: identifiers.map(\.isAliasEnd),
            isPrevious: identifiers.map { $0.flags != 0 },
            isAlias: isAlias)
        trace(
            "send e\(key)\(isAlias ? " alias" : "") t\((time - base) / unit): "
                + event.identifiers.map { name(leaves[$0].id) }.joined(separator: " "))
        return event
    }
}
