// Running until something is so, and the end of a world.

extension Simulator {
    /// Steps until `condition` holds; it is asked before the first step and after each. Throws when
    /// nothing can happen any more, when `maxSteps` were not enough, when only events behind
    /// `maxNanoseconds` from now are left, and when a foreign thread reached in. A world with a
    /// periodic timer comes to no other halt than that. Inside `condition` the state of every actor
    /// may be read (see `inspect`).
    public func run(
        until condition: () -> Bool, maxSteps: Int = 1_000_000,
        maxNanoseconds: UInt64 = Simulator.nanosecondsMax
    ) throws(SimulationError) {
        let limit = min(Self.nanosecondsMax, nanoseconds.addingSaturated(maxNanoseconds))
        let end = try runInside(maxSteps: maxSteps, limit: limit, until: condition)
        guard end == .idle else { return }
        if let due = events.firstDue, due < Self.nanosecondsMax {
            throw .timeLimit(nanoseconds: maxNanoseconds, waiting: waiting)
        }
        throw .deadlock(step: stepCount, waiting: waiting)
    }

    /// Lets `nanoseconds` of virtual time pass. A world without work just gets older.
    public func run(
        nanoseconds span: UInt64, maxSteps: Int = 1_000_000
    ) throws(SimulationError) {
        let limit = min(Self.nanosecondsMax, nanoseconds.addingSaturated(span))
        let end = try runInside(maxSteps: maxSteps, limit: limit) { nanoseconds >= limit }
        if end == .idle { nanoseconds = max(nanoseconds, limit) }
    }

    /// Runs what is runnable and all that is due, until nothing is left. A world with a periodic
    /// timer never gets there.
    func runUntilIdle(maxSteps: Int = 1_000_000) throws(SimulationError) {
        _ = try runInside(maxSteps: maxSteps, limit: Self.nanosecondsMax) { false }
    }

    /// Runs `body` as a root task on `lane`, and the world until it has returned. What `body`
    /// throws is thrown here, as is every `SimulationError`.
    public func run<Value: Sendable>(
        on lane: Lane, maxSteps: Int = 1_000_000,
        maxNanoseconds: UInt64 = Simulator.nanosecondsMax,
        _ body: @escaping @Sendable () async throws -> Value
    ) throws -> Value {
        let outcome = Outcome<Value>()
        lane.start {
            do {
                outcome.result = .success(try await body())
            } catch {
                outcome.result = .failure(error)
            }
        }
        try run(
            until: { outcome.result != nil }, maxSteps: maxSteps, maxNanoseconds: maxNanoseconds)
        guard let result = outcome.result else { throw SimulationError.shutDown }
        return try result.get()
    }

    /// Why a run stopped where it did.
    private enum End {
        case met
        case idle
    }

    private func runInside(
        maxSteps: Int, limit: UInt64, until condition: () -> Bool
    ) throws(SimulationError) -> End {
        let result: Result<End, SimulationError>? = enter("run") {
            let first = stepCount
            while true {
                if isShutDown { return .failure(.shutDown) }
                if let failure { return .failure(failure) }
                if condition() { return .success(.met) }
                if stepCount - first >= maxSteps {
                    return .failure(.stepLimit(steps: maxSteps, nanoseconds: nanoseconds))
                }
                if !stepInside(until: limit) { return .success(.idle) }
            }
        }
        // Another thread is inside: the attempt to run is the intrusion.
        guard let result else { throw failure ?? .shutDown }
        return try result.get()
    }

    /// One line for each root task that has not finished and each wait that a reporter knows.
    public var waiting: [String] {
        var lines = roots.descriptions
        for reporter in reporters { lines += reporter.waits }
        for lane in lanes where lane.isPaused && !lane.jobs.isEmpty {
            lines.append("lane \(lane.name) is paused with \(lane.jobs.count) jobs")
        }
        if !events.isEmpty { lines.append("\(events.count) events later than that") }
        return lines
    }

    /// Cancels every root task, ends every wait that a reporter knows, and steps until all tasks
    /// have returned; then lets go of lanes and reporters, without which a world lives for ever.
    /// Throws `stepLimit` or `deadlock` when tasks do not end, and lets go all the same.
    func shutdown(maxSteps: Int = 1_000_000) throws(SimulationError) {
        guard !isShutDown else { return }
        enter("shutdown") {
            for lane in lanes { setPaused(false, lane) }
            roots.cancelAll()
            for reporter in reporters { reporter.abandon() }
        }
        var error: SimulationError?
        do {
            try run(until: { roots.isEmpty }, maxSteps: maxSteps)
        } catch let failure {
            error = failure
        }
        isShutDown = true
        lanes = []
        lanesByName = [:]
        runnable = []
        reporters = []
        events = EventQueue()
        if let error { throw error }
    }
}

extension UInt64 {
    /// The sum, or the greatest number there is.
    fileprivate func addingSaturated(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}

/// Where a root task leaves its result. Touched inside the simulation only.
private final class Outcome<Value: Sendable>: @unchecked Sendable {
    /// `nil` until the task has returned.
    var result: Result<Value, any Error>?
}
