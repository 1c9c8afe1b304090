// What a node does after a loss and before it serves: its records that had become Forwards are
// found again at the other nodes, which hold the facets (`LostForward`). Without them who asks for
// such an identifier would be told that there is nobody, and its events would begin a second
// profile.
//
//   begin at all ──▶ scan all ──▶ what was noted at all ──▶ restored
//     ▲                │                │
//     └── one is silent, starts, or has lost the search: again after a pause, for as long as it takes
//
// The groups remember in their log that this is due: a start that ends before it is done is
// followed by one that does it, with or without `--new`.

internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithStorage
internal import KithWire

/// One search, over all groups of this node that lost a part of their log.
struct ForwardSearch: Sendable {
    let settings: NodeSettings
    let ports: NodePorts
    /// The groups that lost a part of their log, opened and not running.
    let lost: [Group]
    /// All that this node leads: a merge from one into another may be sealed still in a copy.
    let own: [Group]
    /// Names the search at the others.
    let number: UInt64
    let waits: StartWaits
    let print: @Sendable (LogLine) -> Void

    /// Milliseconds that one step may take, of one group.
    private static let stepMillisMax: UInt64 = 10_000
    /// Nanoseconds between two tries.
    private static let pauseNanoseconds: UInt64 = 500_000_000
    /// Nanoseconds between two lines of the log that say who is waited for.
    private static let toldNanoseconds: UInt64 = 10_000_000_000

    /// Why a try came to nothing.
    private struct Interruption: Error {
        let node: NodeID
        let why: String
    }

    /// Restores what the others know; returns when all of it is durable.
    func run() async throws(NodeError) {
        mark(.forwardsSearched)
        let began = ports.clock.monotonicNanoseconds()
        var toldAt: UInt64?
        var count = 0
        while true {
            let interruption: Interruption
            switch await attempt(&count) {
            case .success(let failure):
                if let failure { throw failure }
                do throws(LogError) {
                    for group in lost { try await group.endRestoring() }
                } catch {
                    throw .log(error)
                }
                let millis = (ports.clock.monotonicNanoseconds() - began) / 1_000_000
                print(
                    LogLine(
                        .info,
                        "starting: \(count) identifiers lead to profiles at other nodes again, "
                            + "found in \(millis) ms"))
                return
            case .failure(let reason): interruption = reason
            }
            mark(.forwardsAskedAgain)
            waits.wait(for: [interruption.node])
            let now = ports.clock.monotonicNanoseconds()
            if toldAt.map({ now - $0 >= Self.toldNanoseconds }) ?? true {
                toldAt = now
                print(LogLine(.info, "starting: \(waits.text) (\(interruption.why))"))
            }
            do {
                try await ports.clock.sleep(
                    nanoseconds: Self.pauseNanoseconds, on: ports.loops[0])
            } catch {
                throw .nodeNotAsked(
                    node: interruption.node.rawValue, why: "the start was cancelled")
            }
        }
    }

    /// One round through all steps, at all groups of other nodes. A step is over everywhere before
    /// the next begins anywhere.
    private func attempt(_ count: inout Int) async -> Result<NodeError?, Interruption> {
        let configuration = settings.configuration
        waits.wait(for: [])
        var lostGroups: [PeerForwards.LostGroup] = []
        for group in lost { lostGroups.append(await group.lostGroup) }
        for step in PeerForwards.Step.allCases where Rules.takes(step) {
            for group in GroupTable(groupCount: configuration.groups).groups {
                let leader = configuration.leader(of: group)
                guard leader != settings.nodeID, let node = configuration.node(leader) else {
                    continue
                }
                let request = PeerForwards(
                    group: group, search: number, step: step, lost: lostGroups)
                switch await finish(request, at: node) {
                case .success(let forwards):
                    count += forwards
                case .failure(.interrupted(let interruption)): return .failure(interruption)
                case .failure(.log(let error)): return .success(.log(error))
                }
            }
        }
        do throws(LogError) {
            try await searchOwn()
            return .success(nil)
        } catch {
            return .success(.log(error))
        }
    }

    private func searchOwn() async throws(LogError) {
        for group in own {
            var cursor: UInt64? = 0
            while let from = cursor {
                let (forwards, next) = await group.ownForwards(of: lost.map(\.id), from: from)
                for other in lost { _ = try await other.restore(forwards) }
                cursor = next
            }
        }
    }

    private enum Failure: Error {
        case interrupted(Interruption)
        case log(LogError)
    }

    /// One step at one group, to its end; how many Forwards it restored.
    private func finish(
        _ first: PeerForwards, at node: ClusterConfiguration.Node
    ) async -> Result<Int, Failure> {
        var request = first
        var count = 0
        while true {
            switch await ask(node, request) {
            case .failure(let interruption): return .failure(.interrupted(interruption))
            case .success((let forwards, let next)):
                do throws(LogError) {
                    for group in lost { count += try await group.restore(forwards) }
                } catch {
                    return .failure(.log(error))
                }
                guard let next else { return .success(count) }
                request.cursor = next
            }
        }
    }
}

extension ForwardSearch {
    /// One step at one group.
    private func ask(
        _ node: ClusterConfiguration.Node, _ request: PeerForwards
    ) async -> Result<(forwards: [LostForward], next: UInt64?), Interruption> {
        let answer = await PeerHandshake.ask(
            node, request, PeerIntroduction(settings), ports, millis: Self.stepMillisMax)
        switch answer {
        case .success(.found(let forwards, let next)):
            // An answer that leads nowhere would be asked for again for ever.
            guard next.map({ $0 > request.cursor }) ?? true else {
                return .failure(Interruption(node: node.id, why: "its answer is malformed"))
            }
            return .success((forwards, next))
        case .success(.unknownSearch):
            return .failure(
                Interruption(node: node.id, why: "it does not know of this search any more"))
        case .failure(let failure):
            return .failure(Interruption(node: node.id, why: failure.text))
        }
    }
}
