internal import KithBytes
internal import KithCore

/// The way from a connection to the groups: which group a part of a round goes to, and the loop
/// that turns a batch's rounds into results. A value; it holds no state of its own.
struct Router: Sendable {
    let table: GroupTable
    let groups: [Group]

    /// Sends the parts of a round side by side and fills in the answers.
    func perform(_ round: Round, isIngest: Bool, waiting: Bool) async -> Round {
        var round = round
        let busy = round.parts.indices.filter { !round.parts[$0].isEmpty }
        if busy.count == 1 {
            let index = busy[0]
            let part = round.parts[index]
            round.parts[index].answer = await groups[index].perform(
                part, isIngest: isIngest, waiting: waiting)
            return round
        }
        await withTaskGroup(of: (Int, PartAnswer).self) { tasks in
            for index in busy {
                let group = groups[index]
                let part = round.parts[index]
                tasks.addTask {
                    (index, await group.perform(part, isIngest: isIngest, waiting: waiting))
                }
            }
            for await (index, answer) in tasks { round.parts[index].answer = answer }
        }
        return round
    }

    /// Takes a batch through all its rounds.
    func settle(_ machine: inout IngestMachine) async {
        while !machine.isDone {
            let round = machine.nextRound()
            if round.isEmpty { break }
            let isIngest = !machine.isOnlyCounting
            machine.take(await perform(round, isIngest: isIngest, waiting: true))
        }
    }

    /// The profile that holds `leaf`, following pointers from its home. `.none` where it is absent.
    func read(_ leaf: LeafID) async -> ReadAnswer {
        var record = leaf
        for _ in 0..<Self.hopsMax {
            let group = groups[Int(table.group(of: record).rawValue)]
            switch await group.read(leaf, at: record, byHint: false) {
            case .profile(let profile): return .profile(profile)
            case .some(.none), .unknownFacet: return .absent
            case .moved(let parent): record = parent
            case .sealed, nil: return .unavailable
            }
        }
        return .unavailable
    }

    /// Pointers fall with every hop; more than this is no chain that merges make.
    static let hopsMax = 256

    enum ReadAnswer {
        case profile(Profile)
        case absent
        case unavailable
    }

    /// Has every group log the stamp.
    func advance(to stamp: LogTime) async -> Bool {
        for group in groups {
            guard await group.advance(to: stamp) else { return false }
        }
        return true
    }

    /// The settled mark of each group, as the group itself knows it.
    func marks() async -> [OperationIndex] {
        var marks: [OperationIndex] = []
        for (number, group) in groups.enumerated() { marks.append(await group.marks[number]) }
        return marks
    }

    /// Totals of all groups, each at one index and log time; nil where one cannot answer.
    func totals() async -> [Group.Totals]? {
        var all: [Group.Totals] = []
        for group in groups {
            guard let totals = await group.totals() else { return nil }
            all.append(totals)
        }
        return all
    }
}
