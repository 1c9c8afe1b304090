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
    private enum Failure: Error {
        /// That node has to be asked again.
        case interrupted(by: NodeID, why: String)
        case log(LogError)
    }

    /// Restores what the others know; returns when all of it is durable.
    func run() async throws(NodeError) {
        mark(.forwardsSearched)
        let began = ports.clock.monotonicNanoseconds()
        var toldAt: UInt64?
        var count = 0
        while true {
            let silent: (node: NodeID, why: String)
            do throws(Failure) {
                try await attempt(&count)
                let millis = (ports.clock.monotonicNanoseconds() - began) / 1_000_000
                print(
                    LogLine(
                        .info,
                        "starting: \(count) identifiers lead to profiles at other nodes again, "
                            + "found in \(millis) ms"))
                return
            } catch {
                switch error {
                case .log(let error): throw .log(error)
                case .interrupted(let node, let why): silent = (node, why)
                }
            }
            mark(.forwardsAskedAgain)
            waits.wait(for: [silent.node])
            let now = ports.clock.monotonicNanoseconds()
            if toldAt.map({ now - $0 >= Self.toldNanoseconds }) ?? true {
                toldAt = now
                print(LogLine(.info, "starting: \(waits.text) (\(silent.why))"))
            }
            do {
                try await ports.clock.sleep(
                    nanoseconds: Self.pauseNanoseconds, on: ports.loops[0])
            } catch {
                throw .nodeNotAsked(node: silent.node.rawValue, why: "the start was cancelled")
            }
        }
    }

    /// One round through all steps, at all groups of other nodes. A step is over everywhere before
    /// the next begins anywhere. Then the own groups, and the end.
    private func attempt(_ count: inout Int) async throws(Failure) {
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
                var request = PeerForwards(
                    group: group, search: number, step: step, lost: lostGroups)
                var cursor: UInt64? = 0
                while let from = cursor {
                    request.cursor = from
                    let (forwards, next) = try await ask(node, request)
                    count += try await restore(forwards)
                    cursor = next
                }
            }
        }
        for group in own {
            var cursor: UInt64? = 0
            while let from = cursor {
                let (forwards, next) = await group.lostForwards(of: lost.map(\.id), from: from)
                _ = try await restore(forwards)
                cursor = next
            }
        }
        do throws(LogError) {
            for group in lost { try await group.endRestoring() }
        } catch {
            throw .log(error)
        }
    }

    /// Has each group restore its own of them; how many.
    private func restore(_ forwards: [LostForward]) async throws(Failure) -> Int {
        var count = 0
        do throws(LogError) {
            for group in lost { count += try await group.restore(forwards) }
        } catch {
            throw .log(error)
        }
        return count
    }

    /// One step at one group.
    private func ask(
        _ node: ClusterConfiguration.Node, _ request: PeerForwards
    ) async throws(Failure) -> (forwards: [LostForward], next: UInt64?) {
        let answer = await PeerHandshake.ask(
            node, request, PeerIntroduction(settings), ports, millis: Self.stepMillisMax)
        switch answer {
        case .success(.found(let forwards, let next)):
            // An answer that leads nowhere would be asked for again for ever.
            guard next.map({ $0 > request.cursor }) ?? true else {
                throw .interrupted(by: node.id, why: "its answer is malformed")
            }
            return (forwards, next)
        case .success(.unknownSearch):
            throw .interrupted(by: node.id, why: "it does not know of this search any more")
        case .failure(let failure):
            throw .interrupted(by: node.id, why: failure.text)
        }
    }
}
