// One step: an event that is due, else a job of a lane that the seed picks, else a jump of virtual
// time to the next event. The choice of the lane is the whole of the scheduler; a bias for some
// lanes, or a preference for the youngest job, would go into `pickLane`.

extension Simulator {
    /// Does one thing: fires one event or runs one job. `false` when there is nothing to do until
    /// someone from outside starts something, and when the world has failed.
    @discardableResult
    public func step() -> Bool {
        enter("step") { failure == nil && stepInside(until: Self.nanosecondsMax) } ?? false
    }

    /// One step that does not let virtual time jump past `limit`.
    func stepInside(until limit: UInt64) -> Bool {
        precondition(!isStepping, "a simulated job cannot itself run the simulation")
        isStepping = true
        defer { isStepping = false }
        if let due = events.firstDue, due <= nanoseconds {
            fireFirst()
        } else if !runnable.isEmpty {
            runJob(of: pickLane())
        } else if let due = events.firstDue, due <= limit, due < Self.nanosecondsMax {
            nanoseconds = due
            fireFirst()
        } else {
            return false
        }
        return true
    }

    /// The place in `runnable` of the lane whose job is next.
    private func pickLane() -> Int {
        runnable.count == 1 ? 0 : random.below(runnable.count)
    }

    private func runJob(of place: Int) {
        let lane = lanes[runnable[place]]
        guard let entry = lane.jobs.popFirst() else {
            preconditionFailure("lane \(lane.name) is runnable without a job")
        }
        if lane.jobs.isEmpty { removeRunnable(at: place) }
        stepCount += 1
        record(.lane, UInt64(lane.number), UInt64(lane.jobs.count))
        current = lane
        // Naming both facets is what lets the tasks of this lane call from actor to actor inline.
        switch entry.role {
        case .serial:
            entry.job.runSynchronously(
                isolatedTo: lane.asUnownedSerialExecutor(),
                taskExecutor: lane.tasks.asUnownedTaskExecutor())
        case .task:
            entry.job.runSynchronously(on: lane.tasks.asUnownedTaskExecutor())
        }
        current = nil
        nanoseconds = min(nanoseconds + settings.stepNanoseconds, Self.nanosecondsMax)
        if settings.holdOneIn > 0, random.oneIn(settings.holdOneIn) { hold(lane) }
    }

    /// Has the lane stand still for a while.
    private func hold(_ lane: Lane) {
        guard !lane.isHeld else { return }
        lane.isHeld = true
        if !lane.isPaused, !lane.jobs.isEmpty,
            let place = runnable.firstIndex(of: lane.number)
        {
            removeRunnable(at: place)
        }
        let delay = 1 + random.below(max(1, settings.holdNanosecondsMax))
        schedule(after: delay, subject: UInt64(lane.number)) { [self] in
            lane.isHeld = false
            if !lane.isPaused, !lane.jobs.isEmpty { runnable.append(lane.number) }
        }
    }

    private func fireFirst() {
        guard let event = events.popFirst() else { return }
        stepCount += 1
        record(event.kind, event.subject, event.due)
        event.action()
    }

    // MARK: Runnable lanes

    /// Takes a job for lane `number`. From a thread that is not inside, the job is dropped and the
    /// world fails: to run it would be to go on with something that the seed did not decide. After
    /// `shutdown` there are no lanes, and jobs are dropped.
    func admit(_ job: UnownedJob, toLane number: Int, as role: Lane.Role) {
        guard admits("enqueue on lane \(number)"), !isShutDown else { return }
        let lane = lanes[number]
        lane.jobs.append(Lane.Entry(job: job, role: role))
        if lane.jobs.count == 1 && !lane.isPaused && !lane.isHeld { runnable.append(number) }
    }

    /// Stops or goes on choosing the lanes of a loop, those of its actors too.
    func setPaused(_ isPaused: Bool, family: Int) {
        for lane in lanes where lane.family == family { setPaused(isPaused, lane) }
    }

    /// Stops or goes on choosing `lane`.
    func setPaused(_ isPaused: Bool, _ lane: Lane) {
        guard lane.isPaused != isPaused else { return }
        lane.isPaused = isPaused
        guard !lane.jobs.isEmpty, !lane.isHeld else { return }
        if isPaused {
            guard let place = runnable.firstIndex(of: lane.number) else { return }
            removeRunnable(at: place)
        } else {
            runnable.append(lane.number)
        }
    }

    private func removeRunnable(at place: Int) {
        runnable.swapAt(place, runnable.count - 1)
        runnable.removeLast()
    }
}
