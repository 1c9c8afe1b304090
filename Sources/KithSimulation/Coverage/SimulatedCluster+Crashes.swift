// What is under way when a node dies: read from the records of all nodes, between two steps or from
// within one, before the node is cut off.

internal import KithBytes
internal import KithCore
internal import KithServer

extension SimulatedCluster {
    /// Enters each merge under way into the table: at which step it is, and what node `number`,
    /// which is about to die, has to do with it. Changes nothing, and takes no virtual time.
    public func noteCrash(of number: Int, in matrix: inout CrashMatrix) {
        let seen = survey()
        for merge in seen {
            let cell = CrashMatrix.Cell(merge.step, role(of: number, in: merge))
            matrix[cell] += 1
            if cell.role == .loser || cell.role == .both { mark(.worldSealedAtCrash) }
            if cell.role == .winner { mark(.worldWinnerDied) }
        }
        let others = nodes.filter { $0.number != number }
        if !seen.isEmpty, others.allSatisfy({ !$0.isUp }) { mark(.worldAllDown) }
    }

    /// Notes what is worth noting of a node that has just begun to serve.
    public func noteServing(_ number: Int) {
        simulator.inspect {
            guard let running = node(number).life?.node else { return }
            if running.openMerges.contains(where: { $0.unlogged != .seal }) {
                mark(.worldRestartSealed)
            }
        }
        if node(number).said.lines.last(where: { $0.hasPrefix("log: cut") }) != nil {
            mark(.worldTornThenServed)
        }
    }

    /// A merge under way, as the nodes that are up see it.
    private struct Seen {
        let merge: OpenMerge
        /// The node that leads the loser's group, and the one that leads the winner's.
        let losers: Int
        let winners: Int
        let step: CrashMatrix.Step
    }

    private func role(of number: Int, in seen: Seen) -> CrashMatrix.Role {
        switch (number == seen.losers, number == seen.winners) {
        case (true, true): .both
        case (true, false): .loser
        case (false, true): .winner
        case (false, false): .other
        }
    }

    private func survey() -> [Seen] {
        simulator.inspect {
            var all: [(node: Int, merge: OpenMerge)] = []
            for place in nodes where place.isUp {
                guard let node = place.life?.node else { continue }
                all += node.openMerges.map { (place.number, $0) }
            }
            for (_, merge) in all where merge.unlogged != .seal {
                let next = all.first { $0.merge.loser == merge.into && $0.merge.unlogged != .seal }
                guard let next else { continue }
                if all.contains(where: { $0.merge.loser == next.merge.into }) {
                    mark(.worldChainOfThree)
                }
            }
            return all.map { node, merge in
                Seen(
                    merge: merge, losers: node, winners: leader(of: merge.into),
                    step: step(of: merge))
            }
        } ?? []
    }

    private func leader(of leaf: LeafID) -> Int {
        let configuration = settings.configuration()
        let group = GroupTable(groupCount: configuration.groups).group(of: leaf)
        return Int(configuration.leader(of: group).rawValue)
    }

    private func step(of merge: OpenMerge) -> CrashMatrix.Step {
        switch merge.unlogged {
        case .seal: return .sealAsked
        case .forward: return .forwardAsked
        case .reopen: return .reopenAsked
        case nil: break
        }
        var target = merge.into
        var first: CrashMatrix.Step?
        // Pointers fall with every hop.
        for _ in 0..<Self.pointersFollowed {
            let place = node(leader(of: target))
            guard place.isUp, let node = place.life?.node,
                let state = node.absorbState(of: merge.loser, version: merge.version, at: target)
            else { return first ?? .winnerDown }
            switch state {
            case .unlogged: return .absorbAsked
            case .absorbed: return .absorbed
            case .declined: return .declined
            case .none: return first ?? .sealed
            case .empty: return first ?? .winnerEmpty
            case .sealed(let into):
                first = first ?? .winnerSealed
                target = into
            case .moved(let parent):
                first = first ?? .winnerMoved
                target = parent
            }
        }
        return first ?? .sealed
    }

    private static var pointersFollowed: Int { 64 }
}
