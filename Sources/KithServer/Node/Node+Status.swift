internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithStorage
internal import KithWire

// What a node says of itself and of the others: the rows of `kith status`.

extension Node {
    /// What every node says of itself; of one that does not, why.
    func status() async -> CBORValue {
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

    func rowsOf(
        _ peer: Peer, _ answer: Result<StatusReply, SilentNode>?
    ) -> (nodes: [CBORValue], groups: [CBORValue]) {
        var problem = "no answer"
        var state = "down"
        switch answer {
        case .success(let reply)?:
            if let map = Self.map(in: reply) {
                return (map["nodes"]?.elements ?? [], map["groups"]?.elements ?? [])
            }
            problem = "its answer is malformed"
        case .failure(let silent)?:
            problem = silent.reason
            // The system's word for a port that nobody listens on says nothing of why.
            if silent.code == nil, !silent.isStarting, let start = peer.news.start {
                problem += "; \(start)"
            }
            if silent.isStarting { state = "starting" }
        case nil: break
        }
        let configuration = settings.configuration
        let place = configuration.node(peer.id)
        let row = CBORValue.object([
            ("id", .unsigned(UInt64(peer.id.rawValue))),
            ("address", .text("\(place?.host ?? ""):\(place?.port ?? 0)")),
            ("state", .text(state)), ("problem", .text(problem)),
        ])
        let led = router.table.groups.filter { configuration.leader(of: $0) == peer.id }
        return (
            [row],
            led.map {
                .object([
                    ("group", .unsigned(UInt64($0.rawValue))),
                    ("leader", .unsigned(UInt64(peer.id.rawValue))), ("state", .text(state)),
                ])
            }
        )
    }

    static func map(in reply: StatusReply) -> CBORValue? {
        do throws(ByteError) {
            return unsafe try CBORValue(decoding: reply.map.span.bytes)
        } catch {
            return nil
        }
    }

    static func sorted(_ rows: [CBORValue], by key: String) -> [CBORValue] {
        func number(_ row: CBORValue) -> UInt64 {
            if case .unsigned(let number)? = row[key] { number } else { .max }
        }
        return rows.sorted { number($0) < number($1) }
    }

    /// Milliseconds for other nodes to say how they are.
    static let statusMillisMax: UInt64 = 2_000

    /// This node's own rows.
    func ownStatus() async -> CBORValue {
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
        return .object([("nodes", .array([await ownRow()])), ("groups", .array(rows))])
    }

    func ownRow() async -> CBORValue {
        let uptime = (ports.clock.monotonicNanoseconds() - startedAt) / 1_000_000
        let place = settings.configuration.node(settings.nodeID)
        let time = clock.look()
        let room = await roomText
        var row: [(String, CBORValue)] = [
            ("id", .unsigned(UInt64(settings.nodeID.rawValue))),
            ("address", .text("\(place?.host ?? ""):\(port)")),
            ("state", .text("up")),
        ]
        var problems: [String] = []
        if let room { problems.append("\(room) on its disk") }
        if memory.isFull { problems.append(memoryProblem) }
        if let text = time.text { problems.append("clock: \(text)") }
        if time.standing == .astray {
            row.append(("refuses", .text("all")))
        } else if time.standing == .refusesEvents || room != nil || memory.isFull {
            row.append(("refuses", .text("events")))
        }
        if !problems.isEmpty { row.append(("problem", .text(problems.joined(separator: "; ")))) }
        let places = shared.places.counts
        row += [
            ("software", .text(settings.software)), ("uptimeMillis", .unsigned(uptime)),
            ("connections", .integer(Int64(shared.places.count))),
            ("clientsClosedForOthers", .unsigned(places.closedForOthers)),
            ("clientsRefused", .unsigned(places.refused)),
            ("replyBytes", .integer(Int64(shared.replies.heldBytes))),
            ("memoryBytes", .unsigned(memory.heldBytes)),
            ("memoryLimitBytes", .unsigned(memory.limit)),
        ]
        if let bytes = settings.processBytes() { row.append(("processBytes", .unsigned(bytes))) }
        row += [
            ("logBytes", .unsigned(await log.bytesUsed)), ("logIsNearlyFull", .bool(room != nil)),
        ]
        if let bytes = await log.bytesFree { row.append(("diskFreeBytes", .unsigned(bytes))) }
        row += [
            ("wallTime", .integer(time.shown.rawValue)),
            ("believedTime", .integer(time.believed.rawValue)),
            ("clockSteps", .unsigned(time.steps)),
            ("clockBehindMillis", .integer(time.behindMillis)),
            (
                "clockDifferences",
                .object(time.differences.map { ("\($0.node.rawValue)", .integer($0.millis)) })
            ),
        ]
        return .object(row)
    }
}

extension Node {
    /// Why events are refused for want of disk; nil where they are not. Of room that cannot be read
    /// it says that, and nothing of how much there is.
    var roomText: String? {
        get async {
            switch await log.roomProblem {
            case nil: nil
            case .nearlyFull?: "less than \(settings.log.reserveBytes >> 20) MiB are free"
            case .unknown(let error)?: "nobody can read how much is free (\(error.message))"
            case .noSegment(let error)?:
                "no further segment of the log can be made (\(error.message))"
            }
        }
    }
}

extension CBORValue {
    /// The elements of an array; nil for anything else.
    fileprivate var elements: [CBORValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }
}
