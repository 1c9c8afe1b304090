public import KithBytes
public import KithPorts

/// One node's `Clock`, made of virtual time.
///
///     wall time  = anchor + (virtual time since the anchor was set) × rate
///     monotonic  = virtual time + a base that differs from node to node
///     boot       = monotonic + time that has passed while nothing ran (`pass`)
///
/// The wall clock may be wrong, jump, drift and stand still; the others may not. Sleeping
/// follows the monotonic clock, so a jump of the wall wakes nobody.
///
/// `@unchecked Sendable`: touched on the simulation's thread, or from outside between runs.
public final class SimulatedClock: Clock, @unchecked Sendable {
    /// What wall clocks show at the beginning unless told otherwise: 1 January 2026, 00:00 UTC.
    public static let defaultStart = LogTime(1_767_225_600_000)

    private let simulator: Simulator
    private let monotonicBase: UInt64
    /// Nanoseconds that passed as for a machine that was suspended.
    private var suspended: UInt64 = 0
    /// All that the wall clock has shown.
    package private(set) var wall: WallClock

    /// The clock of the node called `node`, right at the beginning but for `skewMilliseconds`. The
    /// wall clock is taken to have shown `start` at virtual time 0.
    public init(
        _ simulator: Simulator, node: String, start: LogTime = SimulatedClock.defaultStart,
        skewMilliseconds: Int64 = 0
    ) {
        self.simulator = simulator
        wall = WallClock(wall: start.rawValue &+ skewMilliseconds)
        var random = simulator.random("clock of \(node)")
        monotonicBase = random.below(UInt64(1) << 50)
    }

    /// The wall clock, in milliseconds since 1970.
    public func wallTime() -> LogTime {
        LogTime(wall.current.wallTime(at: simulator.nanoseconds))
    }

    /// Nanoseconds that only go forward.
    public func monotonicNanoseconds() -> UInt64 {
        monotonicBase + simulator.nanoseconds
    }

    /// The monotonic clock, and what passed while nothing ran.
    public func bootNanoseconds() -> UInt64 { monotonicNanoseconds() &+ suspended }

    /// Has time pass as for a machine that is suspended: wall and boot clock go on, virtual time
    /// does not.
    public func pass(milliseconds: Int64) {
        suspended &+= UInt64(max(0, milliseconds)) &* 1_000_000
        wall.set(
            wall: wallTime().rawValue &+ milliseconds, drift: wall.current.drift,
            at: simulator.nanoseconds)
        wall.passHeldBack(milliseconds: max(0, milliseconds), at: simulator.nanoseconds)
    }

    /// Nodes guard against steps of their wall clocks: what they may believe instead is kept too.
    var isGuarded = false

    /// Sets the wall clock; it goes on from there.
    func setWallTime(_ time: LogTime) {
        if isGuarded {
            wall.step(to: time.rawValue, at: simulator.nanoseconds)
        } else {
            wall.set(wall: time.rawValue, drift: wall.current.drift, at: simulator.nanoseconds)
        }
    }

    /// No node believes from now on what the clock does not show.
    func endHeldBack() { wall.endHeldBack(at: simulator.nanoseconds) }

    /// Moves the wall clock by `milliseconds`, back if negative. Virtual time does not move.
    public func advance(by milliseconds: Int64) {
        setWallTime(LogTime(wallTime().rawValue &+ milliseconds))
    }

    /// How much too fast the wall clock goes from now on: 0 is right, −1,000,000 stands still.
    /// From −1,000,000 to 1,000,000.
    func setDrift(partsPerMillion: Int64) {
        precondition(
            (-1_000_000...1_000_000).contains(partsPerMillion), "no clock drifts \(partsPerMillion)"
        )
        wall.set(wall: wallTime().rawValue, drift: partsPerMillion, at: simulator.nanoseconds)
    }

    /// Returns after `nanoseconds` of virtual time; throws `CancellationError` in the very step in
    /// which the task is cancelled. `loop` must be a lane of this clock's simulation.
    public func sleep(nanoseconds: UInt64, on loop: any Loop) async throws {
        guard let lane = loop as? Lane, lane.simulator === simulator else {
            preconditionFailure("a simulated clock wakes simulated loops only")
        }
        try Task.checkCancellation()
        guard simulator.admits("sleep on lane \(lane.name)") else { throw CancellationError() }
        let sleeper = Sleeper(simulator)
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                sleeper.begin(continuation, nanoseconds: nanoseconds, lane: lane)
            }
        } onCancel: {
            sleeper.cancel()
        }
    }
}

/// One sleep: waiting for its event or for cancellation, whichever comes first.
///
/// `@unchecked Sendable`: the cancellation handler may run on any thread; `enter` lets only the
/// simulation's own through.
private final class Sleeper: @unchecked Sendable {
    private let simulator: Simulator
    private var continuation: UnsafeContinuation<Void, any Error>?
    private var event: EventID?

    /// A sleep that has not begun.
    init(_ simulator: Simulator) {
        self.simulator = simulator
    }

    /// Has `continuation` resumed after `nanoseconds`.
    func begin(
        _ continuation: UnsafeContinuation<Void, any Error>, nanoseconds: UInt64, lane: Lane
    ) {
        self.continuation = continuation
        event = simulator.schedule(after: nanoseconds, subject: UInt64(lane.number)) { [self] in
            self.continuation.take()?.resume()
        }
    }

    /// Ends the sleep with `CancellationError`, if it has not ended.
    func cancel() {
        simulator.enter("cancel a sleep") {
            if let event { simulator.cancel(event) }
            continuation.take()?.resume(throwing: CancellationError())
        }
    }
}
