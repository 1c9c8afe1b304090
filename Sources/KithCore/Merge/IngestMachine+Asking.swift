internal import KithBytes

// What each step of an event asks of which group.

extension IngestMachine {
    /// Counts go to the first shard of their group.
    mutating func askCounts(_ round: inout Round) {
        guard counts == .due else { return }
        let ignored = batch.ignoredOfRefused.present.map {
            (name: Array($0.reason.name.utf8), count: $0.count)
        }
        round.parts[countGroup].operations.count(rejected: rejected, ignored: ignored)
        round.parts[countGroup].operationOwners.append(Round.Owner(event: -1, role: .none))
        counts = .underWay
    }

    func group(_ leaf: LeafID) -> Int { Int(table.group(of: leaf).rawValue) }

    mutating func ask(_ event: Int, _ place: ShardMachine.RunPlace, _ round: inout Round) {
        let head = batch.heads[event]
        let stamp = isStamped ? head.stamp : OperationWriter.noStamp
        if tracks[event].phase == .place {
            let cursor = tracks[event].cursor
            let owner = Round.Owner(event: Int32(event), role: .event)
            switch cursor.step {
            case .ask:
                let part = group(cursor.record)
                let target = ShardMachine.EventTarget(
                    record: cursor.record, ordinal: Int(tracks[event].ordinal),
                    isQuarantine: tracks[event].isQuarantine,
                    evenIfContested: tracks[event].evenIfContested,
                    aliasJoinsAccounts: policy.aliasJoinsAccounts, proof: cursor.proof,
                    place: place, attempt: head.attempt)
                unsafe round.parts[part].operations.event(
                    target, body: batch.body(event, in: batch.bytes.span.bytes), stamp: stamp)
                round.parts[part].operationOwners.append(owner)
            case .wait, .release:
                ask(cursor, owner, &round)
            }
            return
        }
        guard let link = tracks[event].link else { return }
        let owner = Round.Owner(event: Int32(event), role: .link)
        switch link.step {
        case .find:
            if link.foundA == nil {
                find(link.a, other: link.other, stamp, event, .firstEnd, &round)
            }
            if link.foundB == nil {
                find(link.b, other: link.first, stamp, event, .otherEnd, &round)
            }
        case .wait(let leaf):
            round.parts[group(leaf)].waits.append(leaf)
            round.parts[group(leaf)].waitOwners.append(owner)
        case .seal(let order):
            let part = group(order.loser)
            round.parts[part].operations.seal(order, stamp: stamp)
            round.parts[part].operationOwners.append(owner)
            // The answer comes when the merge has, not before: one trip less.
            round.parts[part].waits.append(order.loser)
            round.parts[part].waitOwners.append(owner)
        case .contest(let root):
            let part = group(root)
            round.parts[part].operations.contest(
                link.other, at: root, first: link.first, stamp: stamp)
            round.parts[part].operationOwners.append(owner)
        case .refuse(let rule, let root):
            let part = group(root)
            round.parts[part].operations.refuse(
                at: root, first: link.first, other: link.other, rule: rule,
                isIgnored: link.ignoresOther, stamp: stamp)
            round.parts[part].operationOwners.append(owner)
        }
    }

    func ask(_ cursor: Cursor, _ owner: Round.Owner, _ round: inout Round) {
        switch cursor.step {
        case .ask: break
        case .wait:
            let part = group(cursor.record)
            round.parts[part].waits.append(cursor.record)
            round.parts[part].waitOwners.append(owner)
        case .release(let order):
            let part = group(order.leaf)
            round.parts[part].operations.release(order)
            round.parts[part].operationOwners.append(owner)
        }
    }

    func find(
        _ cursor: Cursor, other: LeafID, _ stamp: Int64, _ event: Int, _ role: Round.Owner.Role,
        _ round: inout Round
    ) {
        let owner = Round.Owner(event: Int32(event), role: role)
        guard case .ask = cursor.step else { return ask(cursor, owner, &round) }
        let part = group(cursor.record)
        round.parts[part].finds.append(
            FindRequest(
                record: cursor.record, leaf: cursor.leaf, other: other, proof: cursor.proof,
                stamp: stamp))
        round.parts[part].findOwners.append(owner)
    }
}
