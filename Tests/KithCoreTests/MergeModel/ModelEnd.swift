import KithBytes

@testable import KithCore

// What must hold when all is quiet: nothing sealed, nobody waiting.

extension Model {
    func checkEnd() {
        if checksInvariants, random.chance(0.2) {
            for group in groups { group.checkInvariants(on: shards) }
        }
        var view = RecordView()
        for record in leaves.indices {
            look(at: record, into: &view)
            if view != views[record] { fail("a record changed behind the log") }
            if view.state == .sealed { fail("sealed for ever") }
            checkRecord(record)
            checkPayload(record)
            if failure != nil { return }
        }
        // Links end with the profile: nobody who is gone is pointed to.
        for leaf in leaves.indices where views[leaf].state == .forward && oracle.place[leaf] < 0 {
            fail("a forward outlives its person")
        }
        for leaf in leaves.indices where oracle.place[leaf] >= 0 {
            var record = leaf
            var hops = 0
            while views[record].state != .root, hops <= leaves.count {
                record = views[record].parent
                hops += 1
            }
            if record != oracle.place[leaf] { fail("pointer does not lead to the facet") }
        }
        for ack in oracle.acked where ack.life == oracle.life[ack.leaf] {
            if !oracle.ledger[ack.leaf].contains(ack.key) || oracle.place[ack.leaf] < 0 {
                fail("acknowledged event lost")
            }
        }
        for edge in oracle.edges
        where oracle.life[edge.x] == edge.lifeX && oracle.life[edge.y] == edge.lifeY {
            if oracle.place[edge.x] < 0 || oracle.place[edge.x] != oracle.place[edge.y] {
                fail("acknowledged link lost")
            }
        }
        checkJustified()
        checkStatistics()
    }

    /// Windows, fold and duties of one record.
    private func checkPayload(_ record: Int) {
        let id = leaves[record].id
        let machine = shards.machine(id.shard)
        guard let slot = machine.table.find(id) else { return }
        if !machine.pendingReleases(of: id).isEmpty { fail("a release is not answered") }
        guard views[record].state == .root, machine.table.facetCount(slot) > 0 else { return }
        for facet in views[record].facets {
            guard let place = machine.table.facet(slot, leaves[facet.leaf].id) else {
                return fail("a facet is not found")
            }
            for key in oracle.ledger[facet.leaf]
            where !machine.table.windowContains(place, messageHash: messageHashes[key]) {
                fail("a message is not in its window")
            }
            if !machine.table.groups(place).contains(GroupID(UInt16(leaves[record].group))) {
                fail("a facet forgets the group it lies in")
            }
        }
        check(machine.table.fold(slot, retentionMillis: retention), of: record)
    }

    /// Nobody is joined without a link.
    private func checkJustified() {
        for record in leaves.indices where views[record].state == .root {
            let facets = views[record].facets
            guard facets.count > 1 else { continue }
            var reached: UInt64 = 1 << UInt64(facets[0].leaf)
            var grows = true
            while grows {
                grows = false
                for edge in oracle.justified
                where oracle.life[edge.x] == edge.lifeX && oracle.life[edge.y] == edge.lifeY {
                    let bits: UInt64 = 1 << UInt64(edge.x) | 1 << UInt64(edge.y)
                    if reached & bits != 0, reached & bits != bits {
                        reached |= bits
                        grows = true
                    }
                }
            }
            for facet in facets where reached & 1 << UInt64(facet.leaf) == 0 {
                fail("joined without a link")
            }
        }
    }

    private func checkStatistics() {
        var sum = Statistics()
        for shard in shards.used { sum.add(shards.machine(shard).statistics) }
        var members: Int64 = 0
        var anonymous: Int64 = 0
        var identifiers: [String: Int64] = [:]
        for record in leaves.indices where !views[record].facets.isEmpty {
            if leaves[record].rank == 3 { anonymous += 1 } else { members += 1 }
            for facet in views[record].facets
            where facet.flags.isDisjoint(with: [.unlisted, .quarantine]) {
                identifiers[leaves[facet.leaf].namespace, default: 0] += 1
            }
        }
        if sum.members != members { fail("statistics: members \(sum.members), not \(members)") }
        if sum.anonymous != anonymous {
            fail("statistics: anonymous \(sum.anonymous), not \(anonymous)")
        }
        for entry in sum.identifiers {
            let name = String(decoding: entry.name, as: UTF8.self)
            if entry.count != identifiers[name] ?? 0 {
                fail("statistics: \(name) \(entry.count), not \(identifiers[name] ?? 0)")
            }
            identifiers[name] = nil
        }
        if !identifiers.isEmpty { fail("statistics: a namespace is missing") }
        let totals = ModelTotals(
            accepted: sum.accepted, duplicate: sum.duplicate, forgotten: sum.forgotten,
            expiredOnArrival: sum.expiredOnArrival, quarantined: sum.quarantined,
            expired: sum.expired, merges: sum.mergesCompleted)
        if totals != oracle.totals { fail("statistics: \(totals), not \(oracle.totals)") }
    }
}

// MARK: - Words for a trace

extension Model {
    func trace(_ line: @autoclosure () -> String) {
        if isTracing { print(line()) }
    }

    func name(_ leaf: LeafID) -> String { name(index(leaf)) }

    func name(_ leaf: Int) -> String {
        guard leaf >= 0 else { return "-" }
        let kind =
            leaves[leaf].isQuarantine
            ? "q" : leaves[leaf].rank == 0 ? "u" : leaves[leaf].rank == 1 ? "c" : "a"
        return "\(kind)\(leaf)"
    }

    func show(_ record: Int) -> String {
        let view = views[record]
        let facets = view.facets.map {
            "\(name($0.leaf)).\(oracle.life[$0.leaf])\($0.flags.contains(.contested) ? "!" : "")=\($0.count)"
        }
        switch view.state {
        case .root: return "\(name(record)) root [\(facets.joined(separator: " "))]"
        case .sealed:
            return
                "\(name(record)) sealed v\(view.version) into \(name(view.parent)) [\(facets.joined(separator: " "))]"
        case .forward: return "\(name(record)) forward v\(view.version) to \(name(view.parent))"
        }
    }

    func show(_ operation: ModelOperation, _ attempt: ModelAttempt?) -> String {
        var text = "\(operation.type) \(name(operation.record))"
        switch operation.type {
        case .event:
            text =
                "event e\(attempt!.events[operation.event].key) of \(name(operation.leaf)) at \(name(operation.record))"
        case .seal:
            text +=
                " into \(name(operation.other)) ends \(name(operation.loserEnd)) \(name(operation.winnerEnd)) t\((operation.time - baseTime) / unit)"
        case .absorb: text += " of \(name(operation.other)) v\(operation.version)"
        case .forward: text += " v\(operation.version) to \(name(operation.other))"
        case .release, .reopen: text += " v\(operation.version)"
        case .contest, .refuse:
            text += " first \(name(operation.leaf)) other \(name(operation.other))"
        case .erase: text += " leaf \(name(operation.leaf))"
        default: break
        }
        return text
    }

    func show(_ outcome: Outcome) -> String {
        switch outcome {
        case .counted(let root, let open): "counted at \(name(root)) open \(open)"
        case .duplicate(let root, let open): "duplicate at \(name(root)) open \(open)"
        case .sealed(let leaf): "sealed \(name(leaf))"
        case .moved(let to, let version): "moved to \(name(to)) v\(version.rawValue)"
        case .released(let order): "released \(name(order.leaf)) v\(order.version.rawValue)"
        case .found(let finding):
            "found \(name(finding.root)) holds \(finding.holds) other \(finding.holdsOther)"
                + (finding.isContested ? " contested" : "")
                + (finding.forgetTime == never
                    ? "" : " forgotten t\((finding.forgetTime - baseTime) / unit)")
        case .merged(let root): "merged in \(name(root))"
        case .absorbed(let root): "absorbed by \(name(root))"
        case .sealedNow(let version): "sealed v\(version.rawValue)"
        default: "\(outcome)"
        }
    }
}
