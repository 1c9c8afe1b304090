internal import KithBytes
internal import KithCore
internal import KithPorts

/// The identity-merge coordinator of one led group: reconciles the group's sealed records with the
/// groups of their winners, and tells the homes of dropped leaves that they are free.
///
/// All it decides is in `MergeDriver`, which the group holds and steps beside its records; this
/// actor sends the parts of the driver's rounds, each by itself, and hands the answers back as they
/// come. A node that does not answer keeps nobody else
/// waiting. It owns no truth: thrown away at any moment, its successor begins again from the
/// records.
///
///     work that is new, an answer, the end of a rest ──▶ next round ──▶ a task for each part
actor MergeCoordinator {
    private nonisolated let loop: any Loop
    private let group: Group
    private let router: Router
    private let clock: any Clock
    private let marksNanoseconds: UInt64
    /// Groups whose node did not answer last time.
    private var silent: Set<GroupID> = []

    /// How long the next round waits after an answer that did not get a merge on; where only
    /// resting merges are left, twice as long each time, up to the greatest.
    static let pauseNanosecondsMin: UInt64 = 1_000_000
    static let pauseNanosecondsMax: UInt64 = 16_000_000

    init(_ group: Group, router: Router, clock: any Clock, tuning: NodeTuning = NodeTuning()) {
        self.group = group
        self.router = router
        self.clock = clock
        loop = group.loop.forActor()
        marksNanoseconds = tuning.marksNanoseconds
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    /// Drives until the group stops.
    func run() async {
        await withTaskGroup(of: News.self) { tasks in
            var state = Driving()
            // What recovery found sealed is not seen yet.
            await ask(&tasks, &state)
            while let news = await tasks.next() {
                switch news {
                case .work(true):
                    state.isWatching = false
                case .answered(let part, let isSilent):
                    let mustPause = await group.takeMerges(part)
                    await noteSilent(part.group, isSilent)
                    state.pause = Self.pauseNanosecondsMin
                    if mustPause, !state.isPausing {
                        state.isPausing = true
                        rest(.paused, Self.pauseNanosecondsMin, &tasks)
                    }
                case .paused: state.isPausing = false
                case .rested: state.isResting = false
                case .work(false), .cancelled:
                    return tasks.cancelAll()  // the node stops
                }
                if !state.isPausing { await ask(&tasks, &state) }
            }
        }
    }

    /// What the coordinator waits for.
    private enum News: Sendable {
        /// The group has work that no round has seen; false where it stops.
        case work(Bool)
        case answered(Round.Part, isSilent: Bool)
        /// The pause is over before which there is no other round.
        case paused
        /// It is time for a round that nothing else brought about.
        case rested
        case cancelled
    }

    /// Which tasks are out beside the parts of rounds, one of a kind at most.
    private struct Driving {
        var isWatching = false
        var isPausing = false
        var isResting = false
        /// How long the next rest is, in nanoseconds.
        var pause = MergeCoordinator.pauseNanosecondsMin
    }

    /// Makes the next round and sends its parts.
    private func ask(_ tasks: inout TaskGroup<News>, _ state: inout Driving) async {
        let next = await group.nextMerges()
        if !state.isWatching {
            state.isWatching = true
            tasks.addTask { [group] in .work(await group.mergeWork()) }
        }
        for part in next.round.parts where !part.isEmpty { send(part, &tasks) }
        guard next.wantsLaterRound, !state.isResting else { return }
        if next.round.isEmpty { state.pause = min(state.pause * 2, Self.pauseNanosecondsMax) }
        state.isResting = true
        rest(.rested, state.pause, &tasks)
    }

    private func send(_ part: Round.Part, _ tasks: inout TaskGroup<News>) {
        let place = router.places[Int(part.group.rawValue)]
        let deadline = router.deadline(inMillis: Router.mergeMillisMax)
        tasks.addTask {
            let (answer, failure) = await place.perform(
                part, isIngest: false, isWaiting: false, deadline: deadline)
            var part = part
            part.answer = answer
            return .answered(part, isSilent: failure != nil)
        }
    }

    private func rest(_ news: News, _ nanoseconds: UInt64, _ tasks: inout TaskGroup<News>) {
        tasks.addTask { [clock, loop] in
            do {
                try await clock.sleep(nanoseconds: nanoseconds, on: loop)
                return news
            } catch {
                return .cancelled
            }
        }
    }

    /// Keeps the group told of which groups do not answer, so that nobody waits for a merge into
    /// them.
    private func noteSilent(_ id: GroupID, _ isSilent: Bool) async {
        guard silent.contains(id) != isSilent else { return }
        if isSilent { silent.insert(id) } else { silent.remove(id) }
        mark(silent.isEmpty ? .silenceOver : .silenceNoted)
        await group.setSilent(silent)
    }

    /// Logs the settled marks of all groups in this one, at most once a minute and only where an
    /// absorb was taken since: its ledgers wait for them to let absorbed entries go.
    func shareMarks() async {
        while await group.marksWork() {
            do {
                try await clock.sleep(nanoseconds: marksNanoseconds, on: loop)
            } catch {
                return  // cancelled: the node stops
            }
            let marks = await router.marks()
            mark(.marksShared)
            guard await group.logMarks(marks) else { return }
        }
    }

    /// The least time between two logged marks of a group.
    static let marksNanoseconds: UInt64 = 60_000_000_000
}
