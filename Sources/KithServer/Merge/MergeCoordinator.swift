internal import KithBytes
internal import KithCore
internal import KithPorts

/// The identity-merge coordinator of one led group: reconciles the group's sealed records with the
/// groups of their winners, and tells the homes of dropped leaves that they are free.
///
/// All it decides is in `MergeDriver`; this actor sends the driver's rounds and hands the answers
/// back. It owns no truth: thrown away at any moment, its successor begins again from the records.
actor MergeCoordinator {
    private nonisolated let loop: any Loop
    private let group: Group
    private let router: Router
    private let clock: any Clock
    private var driver: MergeDriver
    /// Groups whose node did not answer last time.
    private var silent: Set<GroupID> = []

    /// How long a round waits that could not get on; where nothing could even be asked, twice as
    /// long each time, up to the greatest.
    static let pauseNanosecondsMin: UInt64 = 1_000_000
    static let pauseNanosecondsMax: UInt64 = 16_000_000

    init(_ group: Group, router: Router, clock: any Clock, table: GroupTable) {
        self.group = group
        self.router = router
        self.clock = clock
        loop = group.loop
        driver = MergeDriver(group: group.id, table: table)
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    /// Drives until the group stops.
    func run() async {
        var pause = Self.pauseNanosecondsMin
        while true {
            if !driver.isBusy {
                guard await group.mergeWork() else { return }
            }
            let next = await group.nextRound(of: driver)
            driver = next.driver
            let answered = await router.perform(
                next.round, isIngest: false, isWaiting: false, millis: Router.mergeMillisMax)
            let mustPause = driver.take(answered.round)
            await noteSilent(answered.round, answered.silent)
            guard await !group.isStopped else { return }
            guard mustPause else {
                pause = Self.pauseNanosecondsMin
                continue
            }
            do {
                try await clock.sleep(nanoseconds: pause, on: loop)
            } catch {
                return  // cancelled: the node stops
            }
            pause =
                next.round.isEmpty
                ? min(pause * 2, Self.pauseNanosecondsMax) : Self.pauseNanosecondsMin
        }
    }

    /// Keeps the group told of which groups do not answer, so that nobody waits for a merge into
    /// them. Only what was asked in this round says anything new.
    private func noteSilent(_ round: Round, _ nodes: [SilentNode]) async {
        let before = silent
        for part in round.parts where !part.isEmpty {
            if let node = router.node(of: part.group), nodes.contains(where: { $0.id == node }) {
                silent.insert(part.group)
            } else {
                silent.remove(part.group)
            }
        }
        if silent != before { mark(silent.isEmpty ? .silenceOver : .silenceNoted) }
        if silent != before { await group.setSilent(silent) }
    }

    /// Logs the settled marks of all groups in this one, at most once a minute and only where an
    /// absorb was taken since: its ledgers wait for them to let absorbed entries go.
    func shareMarks() async {
        while await group.marksWork() {
            do {
                try await clock.sleep(nanoseconds: Self.marksNanoseconds, on: loop)
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
