public import KithPorts

/// One loop of one simulated node: the `Loop` port made of a seeded queue.
///
/// The jobs of a lane run in the order in which they came, one at a time, whichever facet they came
/// through; between the lanes the seed chooses. Calls from one actor of the lane to another run
/// inline, without a job, in every task that began on this lane. In a task that visits from another
/// lane each such call is a job of its own: the runtime compares the task's preferred executor with
/// that of the running job as well, and a visitor prefers the lane that it came from.
///
/// The lane is the serial facet; `tasks` is a second object for the task facet, since an executor
/// that plays both roles cannot tell why a job came.
///
/// `@unchecked Sendable`: all state belongs to the simulator and is touched on its thread.
public final class Lane: Loop, @unchecked Sendable {
    /// Which facet a job came through, and so how it is run.
    enum Role {
        case serial
        case task
    }

    /// A job that waits.
    struct Entry {
        let job: UnownedJob
        let role: Role
    }

    /// The world that this lane is part of.
    let simulator: Simulator
    /// The node's name and the loop's number, for reports.
    public let name: String
    /// The place in the order in which lanes were made. Stands for the lane in the trace.
    public let number: Int
    /// The number of the lane of the loop; the same for all lanes of its actors.
    let family: Int

    /// Waiting jobs, the oldest first.
    var jobs = FIFO<Entry>()
    /// True between `pause` and `resume`.
    var isPaused = false
    /// True while it has lost the processor.
    var isHeld = false
    private var actorLanes = 0
    private let taskFacet: LaneTasks

    /// A lane without jobs. Made by `Simulator.lane` and `forActor`.
    init(simulator: Simulator, number: Int, family: Int, name: String) {
        self.simulator = simulator
        self.number = number
        self.family = family
        self.name = name
        taskFacet = LaneTasks(simulator: simulator, number: number)
    }

    /// The same lane as a task executor.
    public var tasks: any TaskExecutor { taskFacet }

    /// The lane for one actor of this loop: this lane, or with `Settings.hasLanePerActor` a new one
    /// beside it. Actors of one loop may rely on each other's isolation either way.
    public func forActor() -> Lane {
        guard simulator.settings.hasLanePerActor else { return self }
        actorLanes += 1
        let lane = simulator.addLane(name: "\(name).\(actorLanes)", family: family)
        lane.isPaused = isPaused
        return lane
    }

    /// Takes a job of an actor that is pinned here.
    public func enqueue(_ job: consuming ExecutorJob) {
        simulator.admit(UnownedJob(job), toLane: number, as: .serial)
    }

    /// True while a job of this loop runs, and between jobs, when nothing does.
    public func isIsolatingCurrentContext() -> Bool? {
        guard SimulationThread.isInside(simulator) else { return false }
        guard let current = simulator.current, !simulator.isInspecting else { return true }
        return current.family == family
    }

    /// Traps outside this loop.
    public func checkIsolated() {
        precondition(
            isIsolatingCurrentContext() == true, "not isolated to lane \(name) of the simulation")
    }

    /// Begins a root task of this lane. Called from outside between runs, or from a job.
    public func start(_ body: @escaping @Sendable () async -> Void) {
        simulator.enter("start on lane \(name)") {
            let number = simulator.roots.open(lane: name)
            let task = Task(executorPreference: tasks, priority: .medium) { [simulator] in
                await body()
                simulator.roots.close(number)
            }
            simulator.roots.attach(task, to: number)
        }
    }

    /// Cancels the root tasks that began here, in the order in which they began.
    func cancelRootTasks() {
        simulator.enter("cancel on lane \(name)") {
            simulator.roots.cancelAll(onLane: name)
        }
    }

    /// Runs no job of this loop until `resume`: a stopped process or a hung thread. Jobs gather.
    public func pause() {
        simulator.enter("pause lane \(name)") { simulator.setPaused(true, family: family) }
    }

    /// Ends `pause`.
    public func resume() {
        simulator.enter("resume lane \(name)") { simulator.setPaused(false, family: family) }
    }
}

/// The task facet of a lane: what `Task(executorPreference:)` needs. Feeds the lane's one queue.
/// Knows its lane by number, since the two would otherwise keep each other alive.
final class LaneTasks: TaskExecutor {
    private let simulator: Simulator
    private let number: Int

    /// The facet of lane `number`.
    init(simulator: Simulator, number: Int) {
        self.simulator = simulator
        self.number = number
    }

    /// Takes a job that is pinned to no actor, or to one without an executor of its own.
    func enqueue(_ job: consuming ExecutorJob) {
        simulator.admit(UnownedJob(job), toLane: number, as: .task)
    }
}
