import KithBytes
@testable import KithCore

// Those who act: clients with an event or two, clients who forget, readers, and the driver of each
// group. Whatever one asks of a group becomes a `ModelRequest` in the bag, from which it is taken
// at a random later time: lost, done twice, answered late, or left there to be done after everybody
// has gone.

/// One try at sending events: what the oracle keeps of it. Its machine is in `ModelAgent`.
final class ModelAttempt {
    struct Links: OptionSet {
        let rawValue: UInt8
        static let together = Links(rawValue: 1)
        static let refused = Links(rawValue: 2)
        static let void = Links(rawValue: 4)
    }

    struct Link {
        var seen: Links = []
        var lifeX = 0
        var lifeY = 0
        /// The last find of the first end came to a root that holds it.
        var isFirstHeld = true
    }

    struct Progress {
        /// Where the store counted the event, or found it counted.
        var counted: (ordinal: Int, leaf: Int, life: Int)?
        /// It counts for a contested identifier or in quarantine, so that nothing is linked.
        var isLinkless = false
        /// What was seen of the link to each identifier.
        var links: [Link]
        /// Devices that were acknowledged as contested.
        var contests: [(leaf: Int, life: Int)] = []
        /// What the last finds of the link under way saw.
        var findFirst: Find?
        var findOther: Find?
    }

    struct Find {
        var leaf: Int
        var life: Int
        var root: Int
        var rootLife: Int
    }

    let batch: EventBatch
    let events: [ModelEvent]
    /// What was acknowledged when the attempt began.
    let forgotten: [Int64]
    let contested: [Int]
    let edgeCount: Int
    var progress: [Progress]
    /// While a late copy is applied: nobody hears of it, so it is no part of this attempt's
    /// account.
    var isMuted = false

    init(batch: EventBatch, events: [ModelEvent], oracle: ModelOracle) {
        self.batch = batch
        self.events = events
        forgotten = oracle.forgotten
        contested = oracle.contestedLife
        edgeCount = oracle.edges.count
        progress = events.map {
            Progress(links: Array(repeating: Link(), count: $0.identifiers.count))
        }
    }

    func note(_ event: Int, _ ordinal: Int, _ seen: Links) {
        if isMuted { return }
        progress[event].links[ordinal].seen.formUnion(seen)
    }

    func note(_ event: Int, _ ordinal: Int, together lives: (Int, Int)) {
        if isMuted { return }
        progress[event].links[ordinal].seen.formUnion(.together)
        progress[event].links[ordinal].lifeX = lives.0
        progress[event].links[ordinal].lifeY = lives.1
    }

    func note(_ event: Int, find: Find, isFirst: Bool) {
        if isFirst { progress[event].findFirst = find } else { progress[event].findOther = find }
    }

    /// The leaf that the event counts in.
    func first(_ event: Int) -> Int { progress[event].counted!.leaf }

    /// Which of the event's identifiers is `leaf`.
    func ordinal(_ event: Int, of leaf: Int) -> Int {
        events[event].identifiers.firstIndex(of: leaf)!
    }

    /// Whether the link to `y` is that of an alias to a previous id.
    func isAlias(_ event: Int, to y: Int) -> Bool {
        events[event].isAlias && progress[event].counted!.ordinal == 0
            && events[event].isPrevious[ordinal(event, of: y)]
    }

    /// Whether the link to `y` may join two accounts.
    func joinsAccounts(_ event: Int, to y: Int) -> Bool {
        events[event].joinsAccounts(progress[event].counted!.ordinal, ordinal(event, of: y))
    }
}

final class ModelAgent {
    enum Kind { case ingest, forget, read }

    let kind: Kind
    var machine: IngestMachine?
    var attempt: ModelAttempt?
    /// Of a forget or a read.
    var cursor: Cursor
    var isByHint = false
    let leaf: Int
    /// What was acknowledged when a read began.
    var ackCount = 0
    var edgeCount = 0
    var forgotten: [Int64] = []
    /// Begins only when others are done, mostly.
    var isLate = false
    var tries = 0
    var isGone = false

    init(kind: Kind, leaf: Int, cursor: Cursor) {
        self.kind = kind
        self.leaf = leaf
        self.cursor = cursor
    }
}

/// A round on its way: its requests, and the answers that are back.
final class ModelErrand {
    struct Part {
        var outcomes: [Outcome]
        var finds: [Outcome]
        var waits: [Bool]
        var left: Int
        var isFailed = false
        var isOverloaded = false
        var isStarted = false
        var token = LogIndex.zero
    }

    var round: Round
    let agent: ModelAgent?
    /// The group whose driver asks; −1 where an agent does.
    let driver: Int
    var parts: [Part]
    var open = 0
    var isDead = false

    init(round: Round, agent: ModelAgent?, driver: Int) {
        self.round = round
        self.agent = agent
        self.driver = driver
        parts = round.parts.map { part in
            Part(
                outcomes: Array(repeating: .malformed, count: part.operations.count),
                finds: Array(repeating: .malformed, count: part.finds.count),
                waits: Array(repeating: false, count: part.waits.count),
                left: part.operations.count + part.finds.count + part.waits.count)
        }
        for part in parts where part.left > 0 { open += 1 }
    }
}

struct ModelRequest {
    enum Kind {
        case operation([UInt8])
        case find(FindRequest)
        case wait(LeafID)
        /// All answers are in.
        case completion
        case start
        case read
        /// An operation of a forget: erase or release.
        case forget([UInt8], ModelAttempt?)
        /// A forget waits for a sealed record.
        case forgetWait(LeafID)
    }

    let kind: Kind
    let group: Int
    /// Which of the part's operations, finds or waits.
    var place = 0
    /// The event of the attempt that asks, and whether for the first end of its link.
    var event = -1
    var isFirstEnd = false
    /// Of a seal: what the finds saw that it was decided on.
    var findFirst: ModelAttempt.Find?
    var findOther: ModelAttempt.Find?
    var errand: ModelErrand?
    var agent: ModelAgent?
    var attempt: ModelAttempt?
    /// A copy that the network made: applied, and answered to nobody.
    var isGhost = false
}

extension Model {
    // MARK: Posting

    func post(_ round: Round, agent: ModelAgent?, driver: Int) -> ModelErrand {
        let errand = ModelErrand(round: round, agent: agent, driver: driver)
        for (group, part) in round.parts.enumerated() where !part.isEmpty {
            for (place, bytes) in split(part.operations.bytes).enumerated() {
                var request = ModelRequest(
                    kind: .operation(bytes), group: group, place: place, errand: errand,
                    agent: agent, attempt: agent?.attempt)
                request.event = agent == nil ? -1 : Int(part.operationOwners[place].event)
                if let attempt = agent?.attempt, request.event >= 0 {
                    request.findFirst = attempt.progress[request.event].findFirst
                    request.findOther = attempt.progress[request.event].findOther
                }
                bag.append(request)
            }
            for (place, find) in part.finds.enumerated() {
                var request = ModelRequest(
                    kind: .find(find), group: group, place: place, errand: errand,
                    agent: agent, attempt: agent?.attempt)
                request.event = Int(part.findOwners[place].event)
                request.isFirstEnd = part.findOwners[place].role == .firstEnd
                bag.append(request)
            }
            for (place, leaf) in part.waits.enumerated() {
                bag.append(
                    ModelRequest(
                        kind: .wait(leaf), group: group, place: place, errand: errand,
                        agent: agent, attempt: agent?.attempt))
            }
        }
        return errand
    }

    private func answer(_ request: ModelRequest, _ store: (inout ModelErrand.Part) -> Void) {
        guard let errand = request.errand else { return }
        store(&errand.parts[request.group])
        errand.parts[request.group].left -= 1
        if errand.parts[request.group].left == 0 { close(errand) }
    }

    func failPart(_ errand: ModelErrand, _ group: Int) {
        guard errand.parts[group].left > 0, !errand.parts[group].isFailed else { return }
        errand.parts[group].isFailed = true
        errand.parts[group].isOverloaded = !errand.parts[group].isStarted && random.chance(0.1)
        close(errand)
    }

    private func close(_ errand: ModelErrand) {
        errand.open -= 1
        guard errand.open == 0, !errand.isDead else { return }
        if isCalm || random.chance(0.5) {
            finish(errand)
        } else {
            bag.append(ModelRequest(kind: .completion, group: -1, errand: errand))
        }
    }

    /// All parts are answered or failed: hands the round back.
    private func finish(_ errand: ModelErrand) {
        for group in errand.parts.indices where !errand.round.parts[group].isEmpty {
            let part = errand.parts[group]
            if part.isFailed {
                errand.round.parts[group].answer =
                    part.isOverloaded ? .overloaded(retryAfterMillis: 1) : .unknown
            } else {
                errand.round.parts[group].answer = .answered(
                    operations: part.outcomes, finds: part.finds, waits: part.waits,
                    token: part.token)
            }
        }
        if errand.driver >= 0 {
            takeBack(errand)
        } else if let agent = errand.agent, !agent.isGone {
            agent.machine!.take(errand.round)
            stepIngest(agent)
        }
    }

    // MARK: Delivering

    /// Takes one request from the bag and does what becomes of it.
    func deliver() {
        let place = random.below(bag.count)
        let request = bag[place]
        func remove() {
            bag[place] = bag[bag.count - 1]
            bag.removeLast()
        }
        let isStale =
            request.isGhost || (request.errand?.isDead ?? false)
            || (request.agent?.isGone ?? false)
            || (request.group >= 0 && (request.errand?.parts[request.group].isFailed ?? false))
        if isStale {
            if isRunning, random.chance(lateness) { return }
            remove()
            switch request.kind {
            case .operation(let bytes), .forget(let bytes, _):
                if random.chance(request.isGhost ? 1 : 0.4) {
                    request.attempt?.isMuted = true
                    _ = commit(bytes, request.group, request, from: "late copy")
                    request.attempt?.isMuted = false
                }
            default: break
            }
            return
        }
        if isRunning, let errand = request.errand, errand.driver >= 0, random.chance(drag) {
            return
        }
        switch request.kind {
        case .completion:
            remove()
            finish(request.errand!)
        case .start:
            let agent = request.agent!
            if agent.isLate, isRunning, random.chance(0.9) { return }
            remove()
            begin(agent)
        case .read:
            if stepRead(request.agent!) {
                remove()
                agentCount -= 1
            }
        case .wait(let leaf):
            let isFree = views[index(leaf)].state != .sealed
            // A driver asks again soon; a client's patience ends later, and never while all is
            // calm.
            let isByDriver = request.errand!.driver >= 0
            if !isFree, isByDriver ? !random.chance(0.3) : isCalm || !random.chance(0.02) { return }
            remove()
            answer(request) { $0.waits[request.place] = isFree }
        case .forgetWait(let leaf):
            guard views[index(leaf)].state != .sealed else { return }
            remove()
            request.agent!.cursor.step = .ask
            stepForget(request.agent!)
        case .find(let find):
            if isLost(request, remove) { return }
            remove()
            let outcome = answerFind(find, request)
            if random.chance(isCalm ? 0 : loss / 3) {
                failPart(request.errand!, request.group)
            } else {
                answer(request) { $0.finds[request.place] = outcome }
            }
        case .operation(let bytes):
            if isLost(request, remove) { return }
            request.errand?.parts[request.group].isStarted = true
            let outcome = commit(bytes, request.group, request, from: "")
            let token = groups[request.group].applied
            if !isCalm, bag.count < 40, random.chance(duplication) {
                var copy = request
                copy.isGhost = true
                bag.append(copy)
            }
            if !isCalm, random.chance(loss / 3) {
                // The answer is lost: asked again, or given up.
                if random.chance(0.5) { return }
                remove()
                failPart(request.errand!, request.group)
                return
            }
            remove()
            answer(request) {
                $0.outcomes[request.place] = outcome
                $0.token = max($0.token, token)
            }
        case .forget(let bytes, _):
            if !isCalm, random.chance(loss) { return }
            let outcome = commit(bytes, request.group, nil, from: "")
            if !isCalm, random.chance(loss / 3) { return }
            remove()
            takeForget(request.agent!, outcome)
        }
    }

    /// The request is lost: asked again later, or its part is given up.
    private func isLost(_ request: ModelRequest, _ remove: () -> Void) -> Bool {
        guard !isCalm, random.chance(loss) else { return false }
        if random.chance(0.6) { return true }
        remove()
        failPart(request.errand!, request.group)
        return true
    }

    private func answerFind(_ find: FindRequest, _ request: ModelRequest) -> Outcome {
        let group = request.group
        let machine = shards.machine(find.record.shard)
        if machine.needsTouch(find.record, groups[group].context()) {
            var writer = OperationWriter()
            writer.touch(find.record)
            _ = commit(writer.bytes, group, nil, from: "before a find")
        }
        let outcome = machine.find(
            find.leaf, other: find.other, at: find.record, proof: find.proof,
            groups[group].context())
        trace("find \(name(find.leaf)) at \(name(find.record)): \(show(outcome))")
        guard case .found(let finding) = outcome, let attempt = request.attempt else {
            return outcome
        }
        let leaf = index(find.leaf)
        let other = index(find.other)
        let root = index(finding.root)
        attempt.note(
            request.event,
            find: ModelAttempt.Find(
                leaf: leaf, life: oracle.life[leaf], root: root, rootLife: oracle.life[root]),
            isFirst: request.isFirstEnd)
        if finding.holds != views[root].holds(leaf)
            || finding.holdsOther != views[root].holds(other)
        {
            fail("a find that is not so")
        }
        let (x, y) = request.isFirstEnd ? (leaf, other) : (other, leaf)
        let ordinal = attempt.ordinal(request.event, of: y)
        if request.isFirstEnd {
            attempt.progress[request.event].links[ordinal].isFirstHeld = finding.holds
        }
        if finding.holds, finding.holdsOther {
            attempt.note(request.event, ordinal, together: (oracle.life[x], oracle.life[y]))
        }
        return outcome
    }

    // MARK: Events

    func begin(_ agent: ModelAgent) {
        let attempt = agent.attempt!
        agent.machine = IngestMachine(
            batch: attempt.batch, table: table, policy: policy, isStamped: false,
            hint: { leaf in
                self.random.chance(0.55)
                    ? nil : self.leaves[self.random.below(self.index(leaf) + 1)].id
            })
        stepIngest(agent)
    }

    private func stepIngest(_ agent: ModelAgent) {
        for _ in 0..<3 {
            if agent.machine!.isDone { return complete(agent) }
            let round = agent.machine!.nextRound()
            if !round.isEmpty {
                _ = post(round, agent: agent, driver: -1)
                return
            }
        }
        fail("an ingest machine is stuck")
    }

    /// Every event has its result: what was acknowledged binds from here on.
    private func complete(_ agent: ModelAgent) {
        agentCount -= 1
        agent.isGone = true
        let attempt = agent.attempt!
        var isUnknown = false
        for (place, result) in agent.machine!.results.enumerated() {
            let event = attempt.events[place]
            trace("result of e\(event.key): \(result)")
            switch result {
            case .ok, .duplicate: acknowledge(attempt, place)
            case .unknown, .overloaded: isUnknown = true
            case .forgotten, .expiredOnArrival: break
            case .rejected, .suppressed: fail("result \(result)")
            }
        }
        if isUnknown, agent.tries < 4, random.chance(0.8) { sendAgain(agent) }
    }

    private func acknowledge(_ attempt: ModelAttempt, _ place: Int) {
        let progress = attempt.progress[place]
        let event = attempt.events[place]
        guard let counted = progress.counted else { return fail("acknowledged, never counted") }
        oracle.acked.append(
            ModelAck(key: event.key, leaf: counted.leaf, life: counted.life))
        for contest in progress.contests { oracle.contestedLife[contest.leaf] = contest.life }
        let x = counted.leaf
        if progress.isLinkless { return }
        for ordinal in (counted.ordinal + 1)..<max(event.identifiers.count, counted.ordinal + 1) {
            let y = event.identifiers[ordinal]
            if y == x { continue }
            let link = progress.links[ordinal]
            if link.seen.contains(.together) {
                oracle.edges.append(
                    ModelEdge(x: x, lifeX: link.lifeX, y: y, lifeY: link.lifeY))
            } else if link.seen.isEmpty {
                let isForgotten = [x, y].contains {
                    oracle.erased[$0] != never && event.time <= oracle.erased[$0]
                }
                // A refusal is remembered only by a root that holds the first identifier.
                let isSilent = !link.isFirstHeld
                if isSilent { checkRefusal(x, y, attempt) }
                if !isForgotten, !isSilent, !isPast(x, y, event.time) {
                    fail("acknowledged with links open")
                }
            }
        }
    }

    /// The same events, with the same message ids, by a client that was cut off.
    func sendAgain(_ agent: ModelAgent) {
        let old = agent.attempt!
        let next = ModelAgent(kind: .ingest, leaf: agent.leaf, cursor: agent.cursor)
        next.attempt = ModelAttempt(batch: old.batch, events: old.events, oracle: oracle)
        next.tries = agent.tries + 1
        agents.append(next)
        agentCount += 1
        bag.append(ModelRequest(kind: .start, group: -1, agent: next))
    }

    // MARK: Forgetting

    func stepForget(_ agent: ModelAgent) {
        var writer = OperationWriter()
        switch agent.cursor.step {
        case .ask:
            writer.erase(
                agent.cursor.leaf, at: agent.cursor.record, proof: agent.cursor.proof)
            let group = leaves[index(agent.cursor.record)].group
            bag.append(
                ModelRequest(kind: .forget(writer.bytes, nil), group: group, agent: agent))
        case .wait:
            bag.append(
                ModelRequest(
                    kind: .forgetWait(agent.cursor.record), group: -1, agent: agent))
        case .release(let order):
            writer.release(order)
            bag.append(
                ModelRequest(
                    kind: .forget(writer.bytes, nil), group: leaves[index(order.leaf)].group,
                    agent: agent))
        }
    }

    private func takeForget(_ agent: ModelAgent, _ outcome: Outcome) {
        if case .release = agent.cursor.step {
            agent.cursor.startAgain()
            return stepForget(agent)
        }
        if agent.cursor.take(outcome) { return stepForget(agent) }
        if outcome != .done { fail("a forget answered \(outcome)") }
        agentCount -= 1
        agent.isGone = true
    }

    // MARK: Reading

    /// One step of a read; true when it is done.
    private func stepRead(_ agent: ModelAgent) -> Bool {
        let x = agent.leaf
        let record = index(agent.cursor.record)
        let group = leaves[record].group
        let view = views[record]
        let outcome = shards.machine(leaves[record].id.shard).read(
            leaves[x].id, at: leaves[record].id, byHint: agent.isByHint, groups[group].context())
        switch outcome {
        case .sealed: return false
        case .moved(let to):
            // Below its own Forward the way is proof; from a hint on it is none.
            if record == x { agent.isByHint = false }
            agent.cursor.record = to
            return false
        case .unknownFacet:
            agent.cursor.startAgain()
            agent.isByHint = false
            return false
        case .profile, .none: break
        }
        oracle.reads += 1
        trace("read \(name(leaves[x].id)) at \(name(leaves[record].id)): \(outcome != .none)")
        let isOver = isOverdue(record, view.facets)
        let isExpired = isOver && view.holds(x)
        if let profile = outcome.decoded {
            if !view.holds(x) { fail("read: profile without the identifier asked for") }
            if isOver { fail("read: an expired profile") }
            if agent.forgotten[x] != never, agent.forgotten[x] >= oracle.born[x] {
                fail("a forgotten identifier answers")
            }
            check(profile, of: record)
        } else if oracle.place[x] == record, !isOver, view.state == .root {
            fail("read: none, and the facet is here")
        }
        let isAnswered = outcome != .none
        if isExpired { return true }
        for ack in oracle.acked[..<agent.ackCount]
        where ack.leaf == x && ack.life == oracle.life[x] {
            if !isAnswered || !view.holds(x) || !oracle.ledger[x].contains(ack.key) {
                fail("read misses an acknowledged event")
            }
        }
        for edge in oracle.edges[..<agent.edgeCount]
        where edge.x == x && edge.lifeX == oracle.life[x] && edge.lifeY == oracle.life[edge.y] {
            if !isAnswered || !view.holds(edge.y) { fail("read misses an acknowledged link") }
        }
        return true
    }

    /// A profile is exactly what the oracle's account of its record comes to.
    func check(_ profile: Profile, of record: Int) {
        let view = views[record]
        var expected: [(name: String, count: UInt64)] = []
        var total: UInt64 = 0
        var last = never
        for facet in view.facets {
            last = max(last, oracle.last[facet.leaf])
            for key in oracle.ledger[facet.leaf] {
                total += 1
                let name = counterNames[key]
                if let place = expected.firstIndex(where: { $0.name == name }) {
                    expected[place].count += 1
                } else {
                    expected.append((name, 1))
                }
            }
        }
        if profile.id != leaves[record].id { fail("profile: another root") }
        if profile.eventsTotal != total { fail("profile: wrong total") }
        if profile.lastSeen != last { fail("profile: wrong last seen") }
        if profile.isMember != (leaves[record].rank < 3) { fail("profile: wrong kind") }
        if profile.expiresAt != (leaves[record].rank < 3 ? nil : last + retention) {
            fail("profile: wrong expiry")
        }
        if profile.events.count != expected.count { fail("profile: wrong events") }
        for entry in expected {
            if !profile.events.contains(where: { $0.name == entry.name && $0.count == entry.count })
            {
                fail("profile: an event missing or counted twice")
            }
        }
    }
}
