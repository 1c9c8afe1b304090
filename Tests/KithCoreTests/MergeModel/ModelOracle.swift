import KithBytes

@testable import KithCore

// The oracle: what must be true, kept apart from the machines. It is told of every operation that
// was applied, sees which facets lie where afterwards, and from the difference keeps its own
// account of lives, messages, links and forgets.
//
// A leaf's *life* begins when a facet of it appears under a name that no facet had, and ends when
// the facet is in no live record any more. Lives are counted: `life[k]` is the number of those that
// have ended, so it also names the one that is under way. A record is live while it is a root, or
// sealed and not absorbed yet.

/// A facet as a record shows it.
struct FacetView: Equatable {
    var leaf: Int
    var life: LifeName
    var count: UInt64
    var flags: FacetFlags
    var lastSeen: Int64
}

/// What names a life in the store: group and place of its beginning.
struct LifeName: Equatable {
    var group: UInt16
    var index: UInt64
}

/// A record as it shows itself between two operations.
struct RecordView: Equatable {
    var state = RecordState.root
    var parent = -1
    var version: UInt64 = 0
    var facets: [FacetView] = []

    func holds(_ leaf: Int) -> Bool { facets.contains { $0.leaf == leaf } }
}

/// What the oracle remembers of the seal of a record.
struct SealNote {
    var winner = -1
    var time: Int64 = 0
    var wasLive = false
    /// The link that the seal is for. It joins nobody once the seal is declined.
    var link: ModelEdge?
}

/// A link or a justification: two leaves in one life each. `kind` is 0 for the link of an event,
/// 1 for that of an alias, 2 for one that follows from others.
struct ModelEdge: Equatable {
    var x: Int
    var lifeX: Int
    var y: Int
    var lifeY: Int
    var kind = 0
}

struct ModelAck {
    var key: Int
    var leaf: Int
    var life: Int
}

/// Counts that the store's own statistics must come to.
struct ModelTotals: Equatable {
    var accepted: UInt64 = 0
    var duplicate: UInt64 = 0
    var forgotten: UInt64 = 0
    var expiredOnArrival: UInt64 = 0
    var quarantined: UInt64 = 0
    var expired: UInt64 = 0
    var merges: UInt64 = 0
}

let never = Int64.min

struct ModelOracle {
    /// Lives ended, by leaf.
    var life: [Int]
    /// The life under way.
    var name: [LifeName?]
    var ended: [[LifeName]]
    /// The record that holds the live facet; −1 for none.
    var place: [Int]
    /// Event time of what began the life, and the greatest since.
    var born: [Int64]
    var last: [Int64]
    /// Messages counted in the life under way.
    var ledger: [[Int]]
    /// The greatest forget time that erased the leaf, by a forget or swallowed by one.
    var erased: [Int64]
    /// The same, of forgets that named the leaf's profile: what clients are told of.
    var forgotten: [Int64]
    /// The life in which the leaf was acknowledged as contested; −1 for never.
    var contestedLife: [Int]
    /// The flag was logged, ever.
    var isContested: [Bool]
    /// The record's facets, sealed, are in another record already.
    var isAbsorbed: [Bool]
    /// The record, sealed, was declined by the root that it was to be absorbed by.
    var isDeclined: [Bool]
    var seals: [SealNote]
    var acked: [ModelAck] = []
    var edges: [ModelEdge] = []
    var justified: [ModelEdge] = []
    /// Refusals that a root may remember: (first, other) in that life of the first.
    var refused: [ModelEdge] = []
    var totals = ModelTotals()
    var swallowed = 0
    var erases = 0
    var attached = 0
    var declined = 0
    var contests = 0
    var refusals = 0
    var reads = 0

    init(count: Int) {
        life = Array(repeating: 0, count: count)
        name = Array(repeating: nil, count: count)
        ended = Array(repeating: [], count: count)
        place = Array(repeating: -1, count: count)
        born = Array(repeating: never, count: count)
        last = born
        ledger = Array(repeating: [], count: count)
        erased = born
        forgotten = born
        contestedLife = place
        isContested = Array(repeating: false, count: count)
        isAbsorbed = isContested
        isDeclined = isContested
        seals = Array(repeating: SealNote(), count: count)
    }
}

extension Model {
    // MARK: Looking at records

    func look(at record: Int, into view: inout RecordView) {
        let id = leaves[record].id
        let machine = shards.machine(id.shard)
        view.facets.removeAll(keepingCapacity: true)
        guard let slot = machine.table.find(id) else {
            view.state = .root
            view.parent = -1
            view.version = 0
            return
        }
        view.state = machine.table.state(slot)
        if view.state == .root {
            view.parent = -1
            view.version = 0
        } else {
            view.parent = index(machine.table.parent(slot))
            view.version = machine.table.version(slot).rawValue
        }
        guard machine.table.facetCount(slot) > 0 else { return }
        machine.table.forEachFacet(slot) { facet, leaf in
            view.facets.append(
                FacetView(
                    leaf: index(leaf),
                    life: LifeName(
                        group: machine.table.lifeGroup(facet).rawValue,
                        index: machine.table.life(facet).rawValue),
                    count: machine.table.eventCount(facet),
                    flags: machine.table.flags(facet), lastSeen: machine.table.lastSeen(facet)))
        }
    }

    func isLive(_ record: Int) -> Bool {
        switch views[record].state {
        case .root: true
        case .sealed: !oracle.isAbsorbed[record]
        case .forward: false
        }
    }

    /// By the oracle's own count of time; judged at log time of the record's group.
    func isOverdue(_ record: Int, _ facets: [FacetView]) -> Bool {
        guard leaves[record].rank == 3, !facets.isEmpty else { return false }
        var last = never
        for facet in facets { last = max(last, oracle.last[facet.leaf]) }
        return last + retention <= logTime(leaves[record].group)
    }

    // MARK: After an operation

    /// Compares the group's records with what they were, and accounts for every difference.
    func observe(
        _ operation: ModelOperation, _ outcome: Outcome, group: Int, _ request: ModelRequest?
    ) {
        changed.removeAll(keepingCapacity: true)
        for record in members[group] {
            look(at: record, into: &fresh)
            if fresh != views[record] {
                swap(&before[record], &views[record])
                swap(&fresh, &views[record])
                changed.append(record)
            }
        }
        bornNow.removeAll(keepingCapacity: true)
        if operation.type == .absorb { observeAbsorb(operation, outcome) }
        for record in changed { observeDeparture(record, operation, outcome, group) }
        for record in changed where isLive(record) { observeArrival(record, operation) }
        if failure != nil { return }
        switch operation.type {
        case .event: observeEvent(operation, outcome, group, request!.attempt!)
        case .seal: observeSeal(operation, outcome, group, request!)
        case .absorb: observeFreshWinner(operation)
        case .contest: observeContest(operation, outcome, request!)
        case .refuse: observeRefuse(operation, outcome, request!)
        default: break
        }
        for record in changed { checkRecord(record) }
    }

    private func kill(_ leaf: Int, erasedAt: Int64?) {
        oracle.life[leaf] += 1
        if let name = oracle.name[leaf] { oracle.ended[leaf].append(name) }
        oracle.name[leaf] = nil
        oracle.place[leaf] = -1
        oracle.ledger[leaf].removeAll(keepingCapacity: true)
        if let erasedAt { oracle.erased[leaf] = max(oracle.erased[leaf], erasedAt) }
    }

    /// A record that was sealed in some group is answered as absorbed: its facets are at the
    /// winner, or were swallowed by a forget of the leaf it was sealed into.
    private func observeAbsorb(_ operation: ModelOperation, _ outcome: Outcome) {
        observeDecline(operation, outcome)
        guard case .absorbed(let root) = outcome else { return }
        let winner = index(root)
        let loser = operation.other
        guard views[loser].state == .sealed, views[loser].version == operation.version,
            !oracle.isAbsorbed[loser]
        else { return }
        oracle.isAbsorbed[loser] = true
        let facets = views[loser].facets
        let seal = oracle.seals[loser]
        var moved = 0
        for facet in facets
        where views[winner].facets.contains(where: {
            $0.leaf == facet.leaf && $0.life == facet.life
        }) {
            moved += 1
        }
        if moved == facets.count {
            let was = changed.contains(winner) ? before[winner] : views[winner]
            let wasLive =
                was.state == .root && !was.facets.isEmpty && !isOverdue(winner, was.facets)
            for facet in facets { oracle.place[facet.leaf] = winner }
            if seal.wasLive, wasLive { oracle.totals.merges += 1 }
            if oracle.erased[seal.winner] != never, seal.time <= oracle.erased[seal.winner] {
                fail("an absorb revives a forgotten leaf")
            }
            if hasLinkEnded(loser, at: winner) { fail("absorbed though its link has ended") }
            justify(seal.winner, loser, 2)
        } else if moved == 0 {
            oracle.swallowed += 1
            let time = oracle.erased[seal.winner]
            if time == never || time < seal.time { fail("swallowed by a forget of somebody else") }
            for facet in facets where oracle.name[facet.leaf] == facet.life {
                kill(facet.leaf, erasedAt: time)
            }
        } else {
            fail("a part of a profile was absorbed")
        }
    }

    /// The leaf that the loser was sealed into has parted from the one that the link named.
    private func hasLinkEnded(_ loser: Int, at root: Int) -> Bool {
        let seal = oracle.seals[loser]
        guard let end = seal.link?.y, end != seal.winner else { return false }
        return !views[root].holds(end)
    }

    /// A seal has one end: it is declined for ever, or absorbed.
    private func observeDecline(_ operation: ModelOperation, _ outcome: Outcome) {
        let loser = operation.other
        guard views[loser].state == .sealed, views[loser].version == operation.version else {
            return
        }
        if outcome == .declined {
            if oracle.isAbsorbed[loser] { return fail("declined after it was absorbed") }
            if !oracle.isDeclined[loser] {
                oracle.declined += 1
                let held = views[operation.record].facets.count
                if max(held, 1) + views[loser].facets.count <= identifiersMax,
                    !hasLinkEnded(loser, at: operation.record)
                {
                    fail("declined for no reason")
                }
                if let place = oracle.justified.lastIndex(where: { $0 == oracle.seals[loser].link })
                {
                    oracle.justified.remove(at: place)
                }
            }
            oracle.isDeclined[loser] = true
        } else if case .absorbed = outcome, oracle.isDeclined[loser] {
            fail("absorbed after it was declined")
        }
    }

    /// What is gone from a record: moved inside the group, expired, erased, swallowed, or lost.
    private func observeDeparture(
        _ record: Int, _ operation: ModelOperation, _ outcome: Outcome, _ group: Int
    ) {
        let old = before[record]
        let new = views[record]
        switch old.state {
        case .forward:
            if new.state == .forward, new.parent == old.parent, new.version == old.version {
                return
            }
            if new.state != .root { fail("a forward changed") }
            return
        case .sealed:
            switch new.state {
            case .sealed:
                if new != old { fail("a sealed record changed") }
            case .forward:
                if !oracle.isAbsorbed[record] { fail("payload of a sealed record lost") }
                oracle.isAbsorbed[record] = false
            case .root:
                observeReopening(record, operation)
            }
            return
        case .root:
            break
        }
        if new.state == .sealed {
            oracle.isAbsorbed[record] = false
            oracle.isDeclined[record] = false
        }
        var vanished = 0
        for facet in old.facets
        where oracle.name[facet.leaf] == facet.life && oracle.place[facet.leaf] == record {
            var found = -1
            for place in changed where isLive(place) {
                if views[place].facets.contains(where: {
                    $0.leaf == facet.leaf && $0.life == facet.life
                }) {
                    found = place
                    break
                }
            }
            if found < 0 {
                vanished += 1
            } else {
                oracle.place[facet.leaf] = found
            }
        }
        guard vanished > 0 else { return }
        if vanished != old.facets.count { return fail("a part of a profile was dropped") }
        if isOverdue(record, old.facets) {
            oracle.totals.expired += 1
            for facet in old.facets { kill(facet.leaf, erasedAt: nil) }
        } else if operation.type == .erase, outcome == .done, operation.record == record {
            let time = logTime(group)
            oracle.erases += 1
            for facet in old.facets {
                kill(facet.leaf, erasedAt: time)
                oracle.forgotten[facet.leaf] = max(oracle.forgotten[facet.leaf], time)
            }
        } else if new.state == .forward, operation.type == .seal || operation.type == .event {
            // Sealed and swallowed in one entry.
            oracle.swallowed += 1
            let time = oracle.erased[new.parent]
            if time == never || time < operation.time {
                fail("swallowed by a forget of somebody else")
            }
            for facet in old.facets { kill(facet.leaf, erasedAt: time) }
        } else if leaves[record].rank < 3, operation.type != .erase {
            fail("member expired or facet lost")
        } else {
            fail("facet lost")
        }
    }

    /// A sealed record is a root again: only if it was declined, and with all that it held before
    /// its seal.
    private func observeReopening(_ record: Int, _ operation: ModelOperation) {
        if operation.type != .reopen { return fail("a sealed record expired") }
        if !oracle.isDeclined[record] { fail("reopened and not declined") }
        oracle.isDeclined[record] = false
        let old = before[record].facets
        let new = views[record].facets
        if oracle.seals[record].wasLive {
            if new != old { fail("a reopened record has changed") }
        } else {
            if !new.isEmpty { fail("a seal began a profile") }
            for facet in old { kill(facet.leaf, erasedAt: nil) }
        }
    }

    /// Every facet of a live record is the one life of its leaf, or begins one.
    private func observeArrival(_ record: Int, _ operation: ModelOperation) {
        for facet in views[record].facets {
            let leaf = facet.leaf
            if oracle.name[leaf] == facet.life {
                if oracle.place[leaf] != record { return fail("facet in two roots") }
                continue
            }
            if oracle.ended[leaf].contains(facet.life) { return fail("resurrected") }
            if oracle.name[leaf] != nil { return fail("a second life beside the first") }
            var time = operation.time
            if operation.type == .absorb { time = oracle.seals[operation.other].time }
            oracle.name[leaf] = facet.life
            oracle.place[leaf] = record
            oracle.born[leaf] = time
            oracle.last[leaf] = time
            bornNow.append(leaf)
            switch operation.type {
            case .event, .seal, .absorb: break
            default: fail("a life begun by an operation that begins none")
            }
        }
    }

    func justify(_ x: Int, _ y: Int, _ kind: Int) {
        oracle.justified.append(
            ModelEdge(x: x, lifeX: oracle.life[x], y: y, lifeY: oracle.life[y], kind: kind))
    }

    // MARK: By kind

    private func observeEvent(
        _ operation: ModelOperation, _ outcome: Outcome, _ group: Int, _ attempt: ModelAttempt
    ) {
        let event = attempt.events[operation.event]
        let leaf = operation.leaf
        let forgetTime = oracle.erased[leaf]
        switch outcome.plain {
        case .counted(let rootID, let open):
            let root = index(rootID)
            if forgetTime != never, operation.time <= forgetTime { fail("forgotten event counted") }
            if attempt.forgotten[leaf] != never, event.time <= attempt.forgotten[leaf] {
                fail("forgotten event counted after the forget was acknowledged")
            }
            if leaves[leaf].rank == 3, !operation.isQuarantine, !operation.isEvenIfContested,
                attempt.contested[leaf] >= 0
            {
                fail("contested event counted for the owner")
            }
            for earlier in 0..<operation.ordinal
            where !oracle.isContested[event.identifiers[earlier]] {
                fail("counted past an identifier that is not contested")
            }
            if operation.isQuarantine || operation.isEvenIfContested {
                for identifier in event.identifiers where !oracle.isContested[identifier] {
                    fail("quarantined beside an identifier that is not contested")
                }
            }
            for identifier in event.identifiers {
                if oracle.ledger[identifier].contains(event.key) { fail("counted twice") }
                let quarantine = leaves[identifier].quarantine
                if quarantine >= 0, oracle.ledger[quarantine].contains(event.key) {
                    fail("counted twice, in quarantine")
                }
            }
            if oracle.place[leaf] != root { return fail("counted, and no facet there") }
            oracle.ledger[leaf].append(event.key)
            oracle.last[leaf] = max(oracle.last[leaf], operation.time)
            oracle.totals.accepted += 1
            if operation.isQuarantine { oracle.totals.quarantined += 1 }
            noteCounted(operation, event, attempt, root, open, group)
        case .duplicate(let rootID, let open):
            oracle.totals.duplicate += 1
            if !oracle.ledger[leaf].contains(event.key) { fail("a duplicate of nothing") }
            noteCounted(operation, event, attempt, index(rootID), open, group)
        case .forgotten:
            oracle.totals.forgotten += 1
            if forgetTime == never || operation.time > forgetTime { fail("forgotten by nobody") }
        case .expiredOnArrival:
            oracle.totals.expiredOnArrival += 1
            if event.time + retention > logTime(group) { fail("expired on arrival too early") }
        case .contested:
            if !oracle.isContested[leaf] { fail("contested by nobody") }
        case .suppressed, .malformed:
            fail("event answered as \(outcome)")
        default:
            break
        }
    }

    /// What the event's entry itself settled of its links.
    private func noteCounted(
        _ operation: ModelOperation, _ event: ModelEvent, _ attempt: ModelAttempt, _ root: Int,
        _ open: UInt32, _ group: Int
    ) {
        let x = operation.leaf
        if !attempt.isMuted {
            attempt.progress[operation.event].counted = (operation.ordinal, x, oracle.life[x])
        }
        let isLinkless = operation.isQuarantine || operation.isEvenIfContested
        if !attempt.isMuted { attempt.progress[operation.event].isLinkless = isLinkless }
        if isLinkless { return }
        for y in event.identifiers where changed.contains(y) && oracle.place[y] < 0 {
            let view = views[y]
            guard view.state == .forward, before[y].state == .root else { continue }
            // Attached and swallowed in one entry.
            let time = oracle.erased[view.parent]
            if time == never || time < operation.time {
                fail("swallowed by a forget of somebody else")
            }
            oracle.erased[y] = max(oracle.erased[y], time)
        }
        var wasAttached = false
        for ordinal in (operation.ordinal + 1)..<max(event.identifiers.count, operation.ordinal + 1)
        where open & 1 << UInt32(ordinal) == 0 {
            let y = event.identifiers[ordinal]
            if y == x { continue }
            if views[root].holds(x), views[root].holds(y) {
                if bornNow.contains(y) {
                    wasAttached = true
                    oracle.attached += 1
                    let isAlias =
                        event.isAlias && operation.ordinal == 0 && event.isPrevious[ordinal]
                    justify(x, y, isAlias ? 1 : 0)
                    checkJoin(x, y, attempt)
                }
                if !event.isPrevious[ordinal],
                    views[root].facets.contains(where: {
                        $0.leaf == y && $0.flags.contains(.unlisted)
                    })
                {
                    fail("an identifier that an event carried is not listed")
                }
                attempt.note(
                    operation.event, ordinal, together: (oracle.life[x], oracle.life[y]))
            } else if oracle.refused.contains(where: {
                $0.x == x && $0.y == y && $0.lifeX == oracle.life[x]
            }) {
                checkRefusal(x, y, attempt)
                if event.joinsAccounts(operation.ordinal, ordinal), policy.aliasJoinsAccounts {
                    fail("alias of two accounts refused from memory")
                }
                attempt.note(operation.event, ordinal, .refused)
            } else if event.time + retention <= logTime(group)
                || (oracle.erased[root] != never && operation.time <= oracle.erased[root])
            {
                attempt.note(operation.event, ordinal, .void)
            }
        }
        if wasAttached {
            justify(root, x, 2)
            if operation.record != root { justify(operation.record, x, 2) }
        }
    }

    private func checkJoin(_ x: Int, _ y: Int, _ attempt: ModelAttempt) {
        for leaf in [x, y]
        where leaves[leaf].rank == 3 && attempt.contested[leaf] == oracle.life[leaf] {
            fail("joined through a contested identifier")
        }
    }

    private func observeSeal(
        _ operation: ModelOperation, _ outcome: Outcome, _ group: Int, _ request: ModelRequest
    ) {
        let loser = operation.record
        let winner = operation.other
        let attempt = request.attempt!
        let x = attempt.first(request.event)
        let y = operation.loserEnd == x ? operation.winnerEnd : operation.loserEnd
        let ordinal = attempt.ordinal(request.event, of: y)
        let isMergedNow =
            changed.contains(loser) && before[loser].state == .root
            && views[loser].state == .forward
        if isMergedNow { observeLocalMerge(operation, request) }
        switch outcome {
        case .sealedNow(let version):
            if views[loser].state != .sealed || views[loser].version != version.rawValue {
                return fail("answered as sealed, and it is not")
            }
            noteSeal(operation, request)
            oracle.isAbsorbed[loser] = false
            oracle.isDeclined[loser] = false
            checkJoin(operation.loserEnd, operation.winnerEnd, attempt)
        case .merged(let root):
            if index(root) != winner || !isMergedNow { fail("merged elsewhere") }
            // Else nobody has seen this link settled: to acknowledge it is found out there.
            if views[winner].holds(x), views[winner].holds(y) {
                attempt.note(request.event, ordinal, together: (oracle.life[x], oracle.life[y]))
            }
        case .void, .voidByAge:
            let isForgotten = [x, y].contains {
                oracle.erased[$0] != never && operation.time <= oracle.erased[$0]
            }
            if !isForgotten, operation.time + retention > logTime(group) {
                fail("void for no reason")
            }
            attempt.note(request.event, ordinal, .void)
        case .refused(let rule):
            if rule != .contested || !(oracle.isContested[x] || oracle.isContested[y]) {
                fail("a seal refused for no reason")
            }
            checkRefusal(x, y, attempt)
            attempt.note(request.event, ordinal, .refused)
        case .malformed:
            fail("a seal is malformed")
        default:
            break
        }
    }

    /// Sealed, absorbed and forwarded in one entry.
    private func observeLocalMerge(
        _ operation: ModelOperation, _ request: ModelRequest
    ) {
        let loser = operation.record
        let winner = operation.other
        if views[loser].parent != winner { return fail("merged elsewhere") }
        guard views[winner].holds(loser) else {
            // Swallowed: the loser is of the winner's person, who was forgotten after this link.
            let time = oracle.erased[winner]
            if time == never || time < operation.time {
                fail("swallowed by a forget of somebody else")
            }
            if oracle.place[loser] < 0 { oracle.erased[loser] = max(oracle.erased[loser], time) }
            return
        }
        noteSeal(operation, request)
        justify(winner, loser, 2)
        if oracle.erased[winner] != never, operation.time <= oracle.erased[winner] {
            fail("an absorb revives a forgotten leaf")
        }
        let facets = before[loser].facets
        let was = changed.contains(winner) ? before[winner] : views[winner]
        if !facets.isEmpty, oracle.name[facets[0].leaf] == facets[0].life, was.state == .root,
            !was.facets.isEmpty, !bornNow.contains(winner)
        {
            oracle.totals.merges += 1
        }
        if bornNow.contains(winner) {
            for facet in views[winner].facets where facet.leaf != winner {
                justify(winner, facet.leaf, 2)
            }
        }
        checkJoin(operation.loserEnd, operation.winnerEnd, request.attempt!)
    }

    private func noteSeal(_ operation: ModelOperation, _ request: ModelRequest) {
        let loser = operation.record
        let winner = operation.other
        let loserEnd = operation.loserEnd
        let winnerEnd = operation.winnerEnd
        let wasLive =
            before[loser].state == .root && changed.contains(loser)
            && before[loser].facets.contains { oracle.name[$0.leaf] == $0.life }
        // The winner's lives are those that its find saw.
        let find = request.findFirst?.leaf == winnerEnd ? request.findFirst : request.findOther
        if find?.leaf != winnerEnd { fail("a seal without a find") }
        let endLife = find?.life ?? oracle.life[winnerEnd]
        let rootLife = find?.root == winner ? find!.rootLife : oracle.life[winner]
        let attempt = request.attempt!
        let isAlias = attempt.isAlias(
            request.event, to: attempt.first(request.event) == loserEnd ? winnerEnd : loserEnd)
        let link = ModelEdge(
            x: loserEnd, lifeX: oracle.life[loserEnd], y: winnerEnd, lifeY: endLife,
            kind: isAlias ? 1 : 0)
        oracle.justified.append(link)
        oracle.seals[loser] = SealNote(
            winner: winner, time: operation.time, wasLive: wasLive, link: link)
        justify(loser, loserEnd, 2)
        if winner != winnerEnd {
            oracle.justified.append(
                ModelEdge(x: winner, lifeX: rootLife, y: winnerEnd, lifeY: endLife, kind: 2))
        }
        if !(leaves[winner].id < leaves[loser].id) { fail("parent order") }
        if leaves[winner].rank == 3, bornNow.contains(loserEnd),
            operation.time + retention <= logTime(leaves[loser].group)
        {
            fail("a link older than retention is not void")
        }
    }

    private func observeFreshWinner(_ operation: ModelOperation) {
        guard bornNow.contains(operation.record) else { return }
        for facet in views[operation.record].facets where facet.leaf != operation.record {
            justify(operation.record, facet.leaf, 2)
        }
    }

    private func observeContest(
        _ operation: ModelOperation, _ outcome: Outcome, _ request: ModelRequest
    ) {
        let x = operation.leaf
        let y = operation.other
        let attempt = request.attempt!
        let ordinal = attempt.ordinal(request.event, of: y)
        switch outcome {
        case .refused:
            oracle.contests += 1
            if views[operation.record].holds(x) { fail("contested at a root that holds both") }
            checkRefusal(x, y, attempt)
            let facet = views[operation.record].facets.first { $0.leaf == y }
            if isLive(operation.record), let facet, facet.flags.contains(.contested) {
                oracle.isContested[y] = true
            }
            attempt.note(request.event, ordinal, .refused)
            if !attempt.isMuted {
                attempt.progress[request.event].contests.append((y, oracle.life[y]))
            }
        case .together:
            if !views[operation.record].holds(x) || !views[operation.record].holds(y) {
                fail("together, and they are not")
            }
            attempt.note(request.event, ordinal, together: (oracle.life[x], oracle.life[y]))
        default:
            break
        }
    }

    private func observeRefuse(
        _ operation: ModelOperation, _ outcome: Outcome, _ request: ModelRequest
    ) {
        guard outcome == .done else { return }
        let attempt = request.attempt!
        let x = operation.leaf
        let y = operation.other
        oracle.refused.append(
            ModelEdge(x: x, lifeX: oracle.life[x], y: y, lifeY: oracle.life[y]))
        checkRefusal(x, y, attempt)
        if operation.rule == .twoAccounts, leaves[x].rank == 0, leaves[y].rank == 3,
            !oracle.isContested[y]
        {
            fail("a device of two accounts is not contested")
        }
        if operation.rule == .twoAccounts, policy.aliasJoinsAccounts,
            attempt.joinsAccounts(request.event, to: y)
        {
            fail("alias of two accounts refused")
        }
        attempt.note(request.event, attempt.ordinal(request.event, of: y), .refused)
    }

    /// Acknowledged links of before this attempt joined the two, and nobody on the way has died.
    func checkRefusal(_ x: Int, _ y: Int, _ attempt: ModelAttempt) {
        oracle.refusals += 1
        var reached: UInt64 = 1 << UInt64(x)
        var grows = true
        while grows {
            grows = false
            for edge in oracle.edges[..<attempt.edgeCount]
            where oracle.life[edge.x] == edge.lifeX && oracle.life[edge.y] == edge.lifeY {
                let bits: UInt64 = 1 << UInt64(edge.x) | 1 << UInt64(edge.y)
                if reached & bits != 0, reached & bits != bits {
                    reached |= bits
                    grows = true
                }
            }
        }
        if reached & 1 << UInt64(y) != 0 { fail("refused though joined") }
    }
}

// MARK: - Invariants of one record

extension Model {
    /// What must hold of a record after every operation that changed it.
    func checkRecord(_ record: Int) {
        let view = views[record]
        if view.facets.count > identifiersMax { fail("more identifiers than a profile may hold") }
        if view.state != .root, !(view.parent >= 0 && leaves[view.parent].id < leaves[record].id) {
            return fail("parent order")
        }
        if view.state == .forward {
            if !view.facets.isEmpty { fail("forward with payload") }
            return
        }
        if view.state == .root, !view.holds(record) {
            if !view.facets.isEmpty { return fail("a root without its own facet") }
            if oracle.place[record] >= 0 { return fail("released while its facet lives") }
        }
        guard isLive(record) else { return }
        var accounts = 0
        for facet in view.facets {
            let leaf = facet.leaf
            if leaves[leaf].rank == 0 { accounts += 1 }
            if leaves[leaf].isQuarantine, view.facets.count > 1 { fail("quarantine merged") }
            if leaves[leaf].id < leaves[record].id { fail("a facet below its root") }
            if facet.count != UInt64(oracle.ledger[leaf].count) { fail("counter wrong") }
            if facet.lastSeen != oracle.last[leaf] {
                fail("last seen wrong: \(name(leaf)) \(facet.lastSeen), not \(oracle.last[leaf])")
            }
            if oracle.isContested[leaf], !facet.flags.contains(.contested) {
                fail("contested flag lost")
            }
            if !oracle.isContested[leaf], facet.flags.contains(.contested) {
                fail("contested flag from nowhere")
            }
        }
        if accounts > 1 { checkAccounts(view) }
    }

    /// Accounts in one profile: apart without the aliases, one with them.
    private func checkAccounts(_ view: RecordView) {
        for (kinds, isOne) in [(0...0, false), (0...2, true)] {
            var component = Array(0..<leaves.count)
            for edge in oracle.justified
            where kinds.contains(edge.kind) && oracle.life[edge.x] == edge.lifeX
                && oracle.life[edge.y] == edge.lifeY
            {
                let from = component[edge.x]
                let to = component[edge.y]
                if from == to { continue }
                for place in component.indices where component[place] == from {
                    component[place] = to
                }
            }
            var found: [Int] = []
            for facet in view.facets where leaves[facet.leaf].rank == 0 {
                let root = component[facet.leaf]
                if found.contains(root) != isOne, !found.isEmpty {
                    return fail("accounts joined without an alias")
                }
                if !found.contains(root) { found.append(root) }
            }
        }
    }
}
