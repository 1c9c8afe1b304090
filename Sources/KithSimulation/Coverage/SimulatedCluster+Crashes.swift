// What is under way when a node dies: read from the records of all nodes, between two steps or from
// within one, before the node is cut off.

internal import KithBytes
internal import KithCore
internal import KithServer

extension SimulatedCluster {
    /// Enters each merge under way into the table: at which step it is, and what node `number`,
    /// which is about to die, has to do with it. `routers` says which nodes clients wait at for an
    /// answer about one of two leaves. Changes nothing, and takes no virtual time.
    func noteCrash(
        of number: Int, routers: (LeafID, LeafID) -> Set<Int> = { _, _ in [] },
        in matrix: inout CrashMatrix
    ) {
        let seen = mergesUnderWay()
        for merge in seen {
            let routers = routers(merge.merge.loser, merge.merge.into)
            let cell = CrashMatrix.Cell(merge.step, merge.role(of: number, routers: routers))
            matrix[cell] += 1
            if cell.role == .loser || cell.role == .both { mark(.worldSealedAtCrash) }
            if cell.role == .winner { mark(.worldWinnerDied) }
        }
        let others = nodes.filter { $0.number != number }
        if !seen.isEmpty, others.allSatisfy({ !$0.isUp }) { mark(.worldAllDown) }
    }

    /// Notes what is worth noting of a node that has just begun to serve.
    func noteServing(_ number: Int) {
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
    struct MergeUnderWay {
        let merge: OpenMerge
        /// The node that leads the loser's group, and the one that leads the winner's.
        let losers: Int
        let winners: Int
        let step: CrashMatrix.Step

        /// What a node has to do with it.
        func role(of number: Int, routers: Set<Int>) -> CrashMatrix.Role {
            switch (number == losers, number == winners) {
            case (true, true): .both
            case (true, false): .loser
            case (false, true): .winner
            case (false, false): routers.contains(number) ? .router : .other
            }
        }
    }

    /// All of them, at nodes that are up.
    func mergesUnderWay() -> [MergeUnderWay] {
        simulator.inspect {
            let isIdle = nodes.allSatisfy { place in
                !place.isUp || !(place.life?.node?.mayHaveOpenMerges ?? false)
            }
            if isIdle { return [] }
            let leaders = Leaders(settings.configuration())
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
                MergeUnderWay(
                    merge: merge, losers: node, winners: leaders.leader(of: merge.into),
                    step: step(of: merge, leaders))
            }
        } ?? []
    }

    /// Who leads what.
    private struct Leaders {
        private let configuration: ClusterConfiguration
        private let table: GroupTable

        init(_ configuration: ClusterConfiguration) {
            self.configuration = configuration
            table = GroupTable(groupCount: configuration.groups)
        }

        func leader(of leaf: LeafID) -> Int {
            Int(configuration.leader(of: table.group(of: leaf)).rawValue)
        }
    }

    private func step(of merge: OpenMerge, _ leaders: Leaders) -> CrashMatrix.Step {
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
            let place = node(leaders.leader(of: target))
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
