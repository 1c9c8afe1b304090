internal import Synchronization

/// A world in one thread, and a function of its seed.
///
///         lanes, one per (node, loop)           events, by virtual time
///         n1/0  ▢▢▢   n1/1  ▢   n2/0  ▢▢        timers · deliveries · disk
///            └──────────┬──────────┘                       │
///           the seed picks a lane,             what is due fires first; when no
///           its oldest job runs                lane has a job, time jumps to it
///                       └────────────── step ──────────────┘
///
/// The real node runs in it, actors and all: whatever a node asks of the world (`Loop`, `Clock`,
/// `Network`, `Disk`, `Randomness`) it gets from here, so that nothing else decides what happens.
/// Inside a lane jobs stay in order and calls between actors run inline, as in production.
///
/// Invariants:
/// - Everything happens on the thread that is inside (`enter`); one thread at a time. A job that
///   comes from elsewhere is recorded and fails the run: the seed no longer says what happened.
/// - Virtual time never goes back. A job takes `Settings.stepNanoseconds`, all else takes none.
/// - The trace hash is a function of the seed and the build. Debug and release differ, since the
///   optimiser removes executor hops.
///
/// `@unchecked Sendable`: `enter` admits one thread at a time, and all state is touched inside it.
public final class Simulator: @unchecked Sendable {
    /// How a simulated world is made. The seed says the rest.
    public struct Settings: Sendable {
        /// Virtual time that one job takes, so that timers fall due between the jobs of a busy
        /// lane.
        var stepNanoseconds: UInt64 = 1_000
        /// Gives each actor that takes its loop from `Loop.forActor` a lane of its own. Explores
        /// more interleavings than production has.
        public var hasLanePerActor = false
        /// Once in so many jobs the lane stands still for up to `holdNanosecondsMax`, as if its
        /// thread had lost the processor; 0 for never.
        var holdOneIn: UInt64 = 0
        /// Virtual time that a lane stands still at most.
        var holdNanosecondsMax: UInt64 = 2_000_000

        /// One lane a loop; a job takes one microsecond.
        public init() {}
    }

    /// Virtual time ends here (292 years). What is due later never happens.
    public static let nanosecondsMax = UInt64(Int64.max)

    /// Says everything that happens.
    public let seed: UInt64
    /// How this world was made.
    public let settings: Settings

    /// Virtual time since the beginning.
    public internal(set) var nanoseconds: UInt64 = 0
    /// Jobs run and events fired so far.
    var stepCount = 0
    /// Called with each line of the trace, when set. For finding where two runs part.
    public var onTrace: ((TraceRecord) -> Void)?

    /// Over the trace so far.
    var hash = TraceHash()
    /// Chooses lanes and breaks ties; nothing else draws from it.
    var random: Xoshiro256
    /// What is to happen, by time.
    var events = EventQueue()

    /// All lanes, by number. Emptied by `shutdown`.
    var lanes: [Lane] = []
    /// The lanes of the loops, for `lane(node:loop:)` only.
    var lanesByName: [String: Lane] = [:]
    /// Numbers of the lanes that have a job and are not paused, in no particular order.
    var runnable: [Int] = []
    /// The lane whose job is running; `nil` between jobs.
    var current: Lane?
    /// Somebody looks at the state of actors: `inspect`.
    var isInspecting = false
    /// True during a step, which may not begin another.
    var isStepping = false

    /// What `Lane.start` began and has not returned.
    var roots = RootTasks()
    /// In the order in which they were added.
    var reporters: [any WaitReporting] = []
    /// True after `shutdown`, for ever.
    var isShutDown = false

    private let isOccupied = Atomic<Bool>(false)
    private let hasIntruder = Atomic<Bool>(false)
    private let intrusion = Mutex<(operation: String, count: Int)>(("", 0))

    /// A world in which nothing has happened yet.
    public init(seed: UInt64, settings: Settings = Settings()) {
        self.seed = seed
        self.settings = settings
        random = Xoshiro256(seed: seed, label: "schedule")
    }

    /// A generator of its own for `label`; the numbers depend on the seed and the label only.
    public func random(_ label: String) -> Xoshiro256 {
        Xoshiro256(seed: seed, label: label)
    }

    /// The hash over the trace so far.
    var traceHash: UInt64 { hash.value }

    /// The lane of loop `loop` of the node called `node`; always the same object. Lanes are
    /// numbered in the order in which they are first asked for.
    public func lane(node: String, loop: Int = 0) -> Lane {
        let name = "\(node)/\(loop)"
        if let lane = lanesByName[name] { return lane }
        let lane = addLane(name: name, family: lanes.count)
        lanesByName[name] = lane
        return lane
    }

    /// A further lane. `family` is the number of the lane of its loop.
    func addLane(name: String, family: Int) -> Lane {
        let lane = Lane(simulator: self, number: lanes.count, family: family, name: name)
        lanes.append(lane)
        return lane
    }

    /// Has `reporter` asked what waits when the world comes to a halt. Held until `shutdown`.
    func addReporter(_ reporter: any WaitReporting) {
        enter("addReporter") { reporters.append(reporter) }
    }

    // MARK: The one thread

    /// Runs `body` as the simulation's own thread. When another thread is inside, `body` is not
    /// run, the intrusion is recorded, and the result is `nil`.
    @discardableResult
    func enter<R>(_ operation: @autoclosure () -> String, _ body: () -> R) -> R? {
        if SimulationThread.isInside(self) { return body() }
        guard !SimulationThread.isInsideAny,
            isOccupied.compareExchange(expected: false, desired: true, ordering: .acquiring)
                .exchanged
        else {
            recordIntrusion(operation())
            return nil
        }
        SimulationThread.enter(self)
        defer {
            SimulationThread.leave()
            isOccupied.store(false, ordering: .releasing)
        }
        return body()
    }

    /// Reads the state of actors from outside, between two jobs or from within one that is about to
    /// suspend: inside `body`, `actor.assumeIsolated` holds for every actor of every lane. For
    /// checkers.
    @discardableResult
    func inspect<R>(_ body: () -> R) -> R? {
        enter("inspect") {
            let before = isInspecting
            isInspecting = true
            defer { isInspecting = before }
            return body()
        }
    }

    /// True on the thread that is inside. What only a job may do asks this first.
    func admits(_ operation: @autoclosure () -> String) -> Bool {
        if SimulationThread.isInside(self) { return true }
        recordIntrusion(operation())
        return false
    }

    /// Fails the world: `operation` was tried by a thread that is not inside.
    func recordIntrusion(_ operation: String) {
        intrusion.withLock { intrusion in
            if intrusion.count == 0 { intrusion.operation = operation }
            intrusion.count += 1
        }
        hasIntruder.store(true, ordering: .releasing)
    }

    /// What a foreign thread did, if one did.
    public var failure: SimulationError? {
        guard hasIntruder.load(ordering: .acquiring) else { return nil }
        return intrusion.withLock { .foreignThread(operation: $0.operation, count: $0.count) }
    }

    // MARK: Trace

    /// Writes `note` and `value` into the trace, and so into its hash: what a checker saw, what a
    /// node decided. Cost: one pass over the text.
    public func trace(_ note: String, _ value: UInt64 = 0) {
        enter("trace") {
            var text: UInt64 = 0xcbf2_9ce4_8422_2325
            for byte in note.utf8 { text = (text ^ UInt64(byte)) &* 0x100_0000_01b3 }
            record(.note, text, value, note)
        }
    }

    /// Tells who follows the trace, if anybody does, what is no part of it: the hash is the same
    /// whether or not somebody looks.
    func tell(_ text: @autoclosure () -> String) {
        guard let onTrace else { return }
        onTrace(
            TraceRecord(
                step: stepCount, nanoseconds: nanoseconds, kind: .note, subject: 0, detail: 0,
                text: text()))
    }

    /// Adds one line to the trace.
    func record(_ kind: TraceKind, _ subject: UInt64, _ detail: UInt64, _ text: String = "") {
        hash.mix(kind, subject, detail, at: nanoseconds)
        guard let onTrace else { return }
        onTrace(
            TraceRecord(
                step: stepCount, nanoseconds: nanoseconds, kind: kind, subject: subject,
                detail: detail, text: text))
    }
}

/// Something that knows who waits in it: a network, a disk, a lock.
protocol WaitReporting: AnyObject {
    /// One line for each that waits, in an order that the seed decides or none does.
    var waits: [String] { get }
    /// Ends all waiting and lets go of everything: the simulation is being shut down.
    func abandon()
}
