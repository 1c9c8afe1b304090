internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithWire

/// The way from a connection to the groups, wherever they are led: which group a part of a round
/// goes to, and the loop that turns a batch's rounds into results. A value; it holds no state of
/// its own.
struct Router: Sendable {
    let table: GroupTable
    /// By group number.
    let places: [GroupPlace]
    let clock: any Clock
    /// Where refusals are counted: a group of this node, if it leads any.
    let countGroup: GroupID
    /// This node.
    let nodeID: NodeID

    init(table: GroupTable, places: [GroupPlace], clock: any Clock, nodeID: NodeID) {
        self.nodeID = nodeID
        self.table = table
        self.places = places
        self.clock = clock
        countGroup = GroupID(UInt16(places.firstIndex { $0.local != nil } ?? 0))
    }

    /// Milliseconds that one round of a batch may take.
    static let roundMillisMax: UInt64 = 5_000
    /// The same for merges, which are driven again and again.
    static let mergeMillisMax: UInt64 = 2_000
    /// Milliseconds that a read may take where the client does not say.
    static let readMillisMax: UInt64 = 8_000
    /// Milliseconds until totals that a group does not give fail.
    static let totalsMillisMax: UInt64 = 10_000

    /// That many milliseconds from now, in nanoseconds of the monotonic clock.
    func deadline(inMillis millis: UInt64) -> UInt64 {
        clock.monotonicNanoseconds() + millis * 1_000_000
    }

    /// The other node that leads a group; nil for a group that is led here.
    func node(of group: GroupID) -> NodeID? {
        if case .there(let peer, _) = places[Int(group.rawValue)] { peer.id } else { nil }
    }

    /// Sends the parts of a round side by side and fills in the answers. What comes back beside it
    /// are the nodes that did not answer. Where `isWaiting`, sealed records are waited for.
    func perform(
        _ round: Round, isIngest: Bool, isWaiting: Bool
    ) async -> (round: Round, silent: [SilentNode]) {
        var round = round
        var silent: [SilentNode] = []
        let deadline = deadline(inMillis: Self.roundMillisMax)
        let busy = round.parts.indices.filter { !round.parts[$0].isEmpty }
        if busy.count == 1 {
            let index = busy[0]
            let (answer, failure) = await places[index].perform(
                round.parts[index], isIngest: isIngest, isWaiting: isWaiting, deadline: deadline)
            round.parts[index].answer = answer
            if let failure { silent.append(failure) }
            return (round, silent)
        }
        await withTaskGroup(of: (Int, PartAnswer, SilentNode?).self) { tasks in
            for index in busy {
                let place = places[index]
                let part = round.parts[index]
                tasks.addTask {
                    let (answer, failure) = await place.perform(
                        part, isIngest: isIngest, isWaiting: isWaiting, deadline: deadline)
                    return (index, answer, failure)
                }
            }
            for await (index, answer, failure) in tasks {
                round.parts[index].answer = answer
                if let failure { silent.append(failure) }
            }
        }
        if !silent.isEmpty, silent.count < busy.count { mark(.routerHalfSilent) }
        return (round, silent)
    }

    /// What kept events of a batch from being taken, by node.
    struct Trouble {
        /// Nodes that did not answer, or refused, ascending.
        var silent: [NodeSilence] = []
        /// Nodes that lack room, ascending.
        var short: [ShortNode] = []

        /// Keeps the first word of a node.
        mutating func add(_ node: NodeSilence) {
            guard !silent.contains(where: { $0.node == node.node }) else { return }
            silent.insert(
                node, at: silent.firstIndex { node.node < $0.node } ?? silent.count)
        }

        /// Keeps the first shortage of a node.
        mutating func add(_ node: ShortNode) {
            guard !short.contains(where: { $0.node == node.node }) else { return }
            short.insert(node, at: short.firstIndex { node.node < $0.node } ?? short.count)
        }

        mutating func add(_ other: Trouble) {
            for node in other.silent { add(node) }
            for node in other.short { add(node) }
        }
    }

    /// Takes a batch through all its rounds. Returns which nodes stood in the way.
    /// `beforeRound` opens the machine's gate as far as it may, and with `true` waits first, since
    /// nothing else is left to do; `afterRound` sees what came of a round.
    func settle(
        _ machine: inout IngestMachine, beforeRound: (inout IngestMachine, Bool) async -> Void,
        afterRound: (IngestMachine) -> Void
    ) async -> Trouble {
        var trouble = Trouble()
        while !machine.isDone {
            await beforeRound(&machine, false)
            let round = machine.nextRound()
            if round.isEmpty {
                guard machine.isGated else { break }
                await beforeRound(&machine, true)
                continue
            }
            let isIngest = !machine.isOnlyCounting
            let answered = await perform(round, isIngest: isIngest, isWaiting: true)
            for node in answered.silent { trouble.add(node.silence) }
            for part in answered.round.parts {
                guard case .overloaded(_, let shortage) = part.answer, shortage != .busy else {
                    continue
                }
                trouble.add(ShortNode(node(of: part.group) ?? nodeID, shortage))
            }
            machine.take(answered.round)
            afterRound(machine)
        }
        return trouble
    }

    /// The profile that holds `leaf`, following pointers from its home. Where a hint leads to a
    /// root that holds the leaf's facet, that is its profile: the facet is in one place. A root
    /// without it proves nothing, and the way begins at the home. One of more than `bytesMax`
    /// bytes is not given, and its size told. The answer includes what the session of
    /// `token` has seen.
    func read(
        _ leaf: LeafID, _ hints: HintCache, _ token: SessionToken, atMost bytesMax: Int,
        deadline: UInt64
    ) async -> ReadAnswer {
        var record = leaf
        var isByHint = false
        if let hint = hints.withEntries({ $0.root(of: leaf) }) {
            record = hint
            isByHint = true
        }
        for hop in 0..<Self.hopsMax {
            if hop == 3 { mark(.routerReadHops) }
            let group = table.group(of: record)
            let answer = await places[Int(group.rawValue)].read(
                leaf, at: record, seen: token.index(of: group) ?? .zero, atMost: bytesMax,
                deadline: deadline)
            switch answer {
            case .success(.unseen): return .unseen(group)
            case .success(.profile(let profile)):
                if record != leaf { hints.withEntries { $0.learn(leaf, record) } }
                return .profile(profile)
            case .success(.tooLong(let byteCount)):
                if record != leaf { hints.withEntries { $0.learn(leaf, record) } }
                return .tooLong(byteCount)
            case .success(.absent):
                guard Rules.asksHome(afterHint: isByHint) else { return .absent }
                mark(.routerHintStale)
                hints.withEntries { $0.learn(leaf, leaf) }
                record = leaf
                isByHint = false
            case .success(.moved(let parent)):
                record = parent
            case .success(.waiting(let winner)): return .waiting(for: table.group(of: winner))
            case .success(.busy(let retryAfter)):
                return .notLogged(.overloaded(retryAfterMillis: retryAfter))
            case .success(nil): return .notLogged(.stopping)
            case .failure(let silent):
                // What a hint says may be long past: the home knows which node it takes.
                guard isByHint else { return .silent(silent) }
                mark(.routerHintSilent)
                record = leaf
                isByHint = false
            }
        }
        return .endless
    }

    /// Pointers fall with every hop; more than this is no chain that merges make.
    static let hopsMax = 256

    enum ReadAnswer {
        /// The encoding of the `Profile`.
        case profile([UInt8])
        /// There is one, of so many bytes.
        case tooLong(Int)
        case absent
        /// A merge into that group has not come through in time.
        case waiting(for: GroupID)
        /// This node could not log what the answer needs.
        case notLogged(Group.NotLogged)
        /// More pointers than merges make.
        case endless
        case silent(SilentNode)
        /// The log of that group does not have what the session has seen of it.
        case unseen(GroupID)
    }

    /// Has every group log the stamp. Nil where all have; else who has not.
    func advance(to stamp: LogTime) async -> AdvanceFailure? {
        var round = Round(groupCount: places.count)
        for index in round.parts.indices {
            round.parts[index].operations.time(stamp: stamp.rawValue)
        }
        let answered = await perform(round, isIngest: false, isWaiting: false)
        if let silent = answered.silent.first { return .silent(silent) }
        for part in answered.round.parts {
            switch part.answer {
            case .answered(let outcomes, _, _, _) where outcomes.count == 1: break
            case .overloaded(let retryAfter, _):
                return .notLogged(.overloaded(retryAfterMillis: retryAfter))
            default: return .notLogged(.stopping)
            }
        }
        return nil
    }

    enum AdvanceFailure {
        case silent(SilentNode)
        case notLogged(Group.NotLogged)
    }

    /// The settled mark of each group, as the group itself knows it; `none` of one that does not
    /// answer.
    func marks() async -> [OperationIndex] {
        let deadline = deadline(inMillis: Self.roundMillisMax)
        var marks: [OperationIndex] = []
        for place in places { marks.append(await place.mark(deadline: deadline) ?? .none) }
        return marks
    }

    /// Totals of all groups, each at one index and log time; fails where one cannot answer.
    func totals() async -> Result<Statistics, GroupPlace.NoTotals> {
        let deadline = deadline(inMillis: Self.totalsMillisMax)
        return await withTaskGroup(of: (Int, Result<Statistics, GroupPlace.NoTotals>).self) {
            tasks in
            for (index, place) in places.enumerated() {
                tasks.addTask { (index, await place.totals(deadline: deadline)) }
            }
            var sum = Statistics()
            var answers: [Int: Result<Statistics, GroupPlace.NoTotals>] = [:]
            for await (index, answer) in tasks { answers[index] = answer }
            for index in places.indices {
                switch answers[index] {
                case .success(let statistics)?: sum.add(statistics)
                case .failure(let reason)?: return .failure(reason)
                case nil: return .failure(.notLogged(.stopping))
                }
            }
            return .success(sum)
        }
    }
}
