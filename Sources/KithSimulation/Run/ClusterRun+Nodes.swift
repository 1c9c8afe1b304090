// Keeping nodes up: a node that died or ended is started again when its time has come. One that
// ends, or does not start, without a fault that excuses it breaks a rule.

internal import KithBytes
internal import KithServer
internal import KithStorage

extension ClusterRun {
    /// From the end of a process to its next start.
    private static let restartNanoseconds: UInt64 = 300_000_000
    /// From a start that failed to the next.
    private static let refusedNanoseconds: UInt64 = 500_000_000

    /// Room on a disk that is not full.
    static let roomBytes: UInt64 = 1 << 40

    func keeper(_ number: Int) -> NodeKeeper { keepers[number - 1] }

    /// Starts all nodes, and runs the world until they serve: each waits for the others.
    func startAll() throws {
        let rough = plan.faults.faults.filter { $0.kind == .roughStart }
        for fault in rough { roughen(fault) }
        let numbers = 1...plan.settings.nodeCount
        for number in numbers { begin(number) }
        try simulator.run(
            until: { keepers.allSatisfy(\.isServing) },
            maxSteps: 1_000_000 * plan.settings.nodeCount)
        for number in numbers {
            keeper(number).downUntil = 0
            countDiskFaults(number)
            guard rough.contains(where: { $0.node == number }) else { continue }
            // It may have failed just now, and the node not have ended yet.
            if cluster.node(number).disk.hasFailed { keeper(number).isExcused = true }
            cluster.node(number).disk.stopFailing()
            keeper(number).cuts = []
        }
    }

    /// Has something go wrong while a node makes its folder and its log.
    private func roughen(_ fault: Fault) {
        var chance = Xoshiro256(seed: fault.chance)
        note("fault \(fault)")
        let count = Int(chance.logarithmic(1...64))
        let disk = cluster.node(fault.node).disk
        switch chance.below(3) {
        case 0:
            crashAtOperation(fault.node, count, of: nil, fault, down: Self.restartNanoseconds)
        case 1: disk.failAt(.write, count: 1 + count % 12, fault: fault.number)
        default:
            let kept: KeptPart = chance.oneIn(2) ? .nothing : .sectors(chance.next())
            disk.failAt(.sync, count: 1 + count % 12, syncKeeps: kept, fault: fault.number)
        }
    }

    /// Starts the node after so long, where nothing keeps it down then.
    func startLater(_ number: Int, after nanoseconds: UInt64) {
        simulator.schedule(after: nanoseconds, subject: UInt64(number)) { [self] in
            guard cluster.node(number).life == nil, now >= keeper(number).downUntil else {
                return
            }
            begin(number)
        }
    }

    private func begin(_ number: Int) {
        let keeper = keeper(number)
        if isHealed, let backup = keeper.backup {
            keeper.backup = nil
            cluster.setDisk(backup, number)
            cluster.node(number).disk.setFreeBytes(Self.roomBytes)
            note("n\(number): the disk is put back")
        }
        if keeper.wrongFolder != nil { putBackUnlessKnown(number) }
        let disk = cluster.node(number).disk
        note("n\(number) starts")
        // What excused the lives before does not excuse this one.
        keeper.isExcused = keeper.backup != nil || !keeper.fulls.isEmpty
        let mustRefuse = !keeper.failingReads.isEmpty
        if mustRefuse {
            let read = keeper.failingReads.removeFirst()
            disk.failAt(.read, count: read.count, isPersistent: true, fault: read.fault)
        }
        // A disk that was taken away by a crash has lost what was to fail.
        for fault in keeper.unknownRooms.sorted() {
            disk.stopFailing(fault: fault)
            disk.failAt(.look, count: 1, isPersistent: true, fault: fault)
        }
        if !keeper.storm.isEmpty {
            crashAtOperation(
                number, keeper.storm.removeFirst(), of: nil, nil, down: Self.restartNanoseconds)
        }
        keeper.adjustedBy = keeper.adjusts.last?.fault
        keeper.hasAcceptedClock = isHealed || plan.acceptsClocks || keeper.acceptsClock
        keeper.acceptsClock = false
        let life = cluster.begin(number) { [adjust = keeper.adjusts.last?.body] settings in
            settings.acceptsClock = keeper.hasAcceptedClock
            adjust?(&settings)
            if let use = keeper.wrongFolder?.use ?? keeper.use { settings.folder = use }
        }
        life.onServing = { [self] in serves(number, mustRefuse && disk.hasFailed(.read)) }
        life.onEnd = { [self] failure in ended(number, failure) }
    }

    private func serves(_ number: Int, _ readsFailed: Bool) {
        if keeper(number).wrongFolder != nil { return servesWrongFolder(number) }
        keeper(number).isServing = true
        keeper(number).use = nil
        note("n\(number) serves")
        cluster.noteServing(number)
        if readsFailed {
            broke("1 recovery", "n\(number) serves, though what it read failed")
        }
        if keeper(number).backup != nil {
            broke("1 recovery", "n\(number) serves, though its log is damaged")
        }
        if let down = keeper(number).stopsWhenServing {
            keeper(number).stopsWhenServing = nil
            stop(number, down: down)
        } else if keeper(number).adjustedBy != keeper(number).adjusts.last?.fault {
            // What it was started with was over, or another came, before it served.
            stop(number, down: 0)
        }
        servesAgain(number)
    }

    private func ended(_ number: Int, _ failure: NodeError?) {
        let keeper = keeper(number)
        countDiskFaults(number)
        // A disk that fails or is full is a reason to say so and to end, and for nothing else.
        let isExcused =
            keeper.backup != nil
            || (keeper.isExcused || cluster.node(number).disk.hasFailed)
                && failure.map(Self.isOfDisk) ?? true
        cluster.bury(number)
        if case .clock(_, let last)? = failure, last > 0, !keeper.hasAcceptedClock {
            // Whoever looks after the node reads that, and says that the clock is right.
            note("n\(number) does not believe its clock")
            keeper.acceptsClock = true
        } else if let failure, refuses(keeper, failure) {
            note("n\(number) refuses the folder: \(failure)")
        } else if let failure, isToBeStartedAgain(keeper, failure) {
            note("n\(number) did not begin: \(failure)")
        } else if let failure {
            note("n\(number) \(keeper.isServing ? "ended" : "did not start"): \(failure)")
            if !isExcused {
                broke("1 nodes go on", "n\(number) ended by itself: \(failure)")
            }
        } else {
            note("n\(number) stopped")
            if !keeper.isStopping { broke("1 nodes go on", "n\(number) ended without a reason") }
        }
        keepCopy(number, isClean: failure == nil)
        let pause = keeper.isServing ? Self.restartNanoseconds : Self.refusedNanoseconds
        keeper.isServing = false
        keeper.isStopping = false
        keeper.stopsWhenServing = nil
        startLater(number, after: max(pause, keeper.downUntil - min(now, keeper.downUntil)))
        lookAfterFolders()
    }

    /// What a node may say of a disk that does not do what it should, but has lost nothing.
    private static func isOfDisk(_ failure: NodeError) -> Bool {
        switch failure {
        case .disk, .identity(.disk), .identity(.failed), .log(.disk), .log(.failed),
            .log(.diskNearlyFull):
            true
        default: false
        }
    }

    /// Power loss or, where `keeping` keeps everything, the death of the process alone; the node is
    /// started again after `down`. Returns whether there was a life to end.
    @discardableResult
    func crash(
        _ number: Int, down: UInt64, isSilent: Bool,
        keeping: ((UnsyncedWrite) -> KeptPart)? = nil
    ) -> Bool {
        let isUp = cluster.node(number).isUp
        note("n\(number) crashes")
        countDiskFaults(number)
        if keeper(number).isServing {
            cluster.noteCrash(of: number, routers: routers, in: &crashes)
        }
        keeper(number).pauses = []
        cluster.resume(number)
        cluster.crash(number, isSilent: isSilent, keeping: keeping)
        keeper(number).isServing = false
        keeper(number).isStopping = false
        keeper(number).stopsWhenServing = nil
        keeper(number).restoring = nil
        keeper(number).downUntil = max(keeper(number).downUntil, now + down)
        startLater(number, after: keeper(number).downUntil - now)
        lookAfterFolders()
        return isUp
    }

    /// The power fails right before the n-th operation from now, of that kind or of any, in this
    /// life or a later one.
    func crashAtOperation(
        _ number: Int, _ count: Int, of kind: DiskOperation.Kind?, _ fault: Fault?, down: UInt64
    ) {
        keeper(number).cuts.append(
            NodeKeeper.PowerCut(fault: fault, kind: kind, left: count, down: down))
        cluster.node(number).trouble.onOperation = { [self] in cutPower(of: number, before: $0) }
    }

    private func cutPower(of number: Int, before operation: DiskOperation) {
        let keeper = keeper(number)
        var due: NodeKeeper.PowerCut?
        for place in keeper.cuts.indices
        where keeper.cuts[place].kind == nil || keeper.cuts[place].kind == operation.kind {
            keeper.cuts[place].left -= 1
            if keeper.cuts[place].left == 0 { due = due ?? keeper.cuts[place] }
        }
        guard let due else { return }
        keeper.cuts.removeAll { $0.left == 0 }
        note("n\(number): power fails before \(operation.kind) of \(operation.path)")
        if let fault = due.fault { countInjected(fault) }
        crash(number, down: due.down, isSilent: random.oneIn(2))
    }

    /// A clean stop; the node is started again after `down`. One that does not serve yet stops
    /// when it does. Returns whether there was a life to stop.
    @discardableResult
    func stop(_ number: Int, down: UInt64) -> Bool {
        guard let life = cluster.node(number).life, life.end == nil else { return false }
        guard let node = life.node else {
            keeper(number).stopsWhenServing = max(keeper(number).stopsWhenServing ?? 0, down)
            return true
        }
        keeper(number).isStopping = true
        keeper(number).downUntil = max(keeper(number).downUntil, now + down)
        cluster.node(number).lanes[0].start { await node.stop() }
        lookAfterFolders()
        return true
    }

    /// The fault has taken effect; counts once, however often it does.
    func countInjected(_ fault: Fault) {
        guard keeper(fault.node).counted.insert(fault.number).inserted else { return }
        injected[fault.kind, default: 0] += 1
    }

    /// Counts the faults whose failures have happened on the node's present disk.
    private func countDiskFaults(_ number: Int) {
        for fired in cluster.node(number).disk.takeFired() {
            guard let fault = plan.faults.faults.first(where: { $0.number == fired }) else {
                continue
            }
            countInjected(fault)
        }
    }

    /// How fast all wall clocks go, against a right one.
    func setClocks(partsPerMillion: Int64) {
        cluster.clientClock.setDrift(partsPerMillion: partsPerMillion)
        for node in cluster.nodes { node.clock.setDrift(partsPerMillion: partsPerMillion) }
    }

    /// Ends all faults. Wall clocks stand still from now on: all at the latest time that one of
    /// them has shown or, in part of the runs, each where it is. A group's log time is that of its
    /// one leader, and never goes back.
    func heal() {
        note("all is healed")
        isHealed = true
        for place in cluster.nodes { putBack(place.number) }
        endCopies()
        cluster.network.weather.clear()
        setClocks(partsPerMillion: -1_000_000)
        if !plan.keepsClocks {
            let clocks = [cluster.clientClock] + cluster.nodes.map(\.clock)
            let latest = LogTime(clocks.map { $0.wall.greatestShown }.max() ?? 0)
            cluster.clientClock.setWallTime(latest)
            for place in cluster.nodes {
                place.clock.setWallTime(latest)
                place.clock.endHeldBack()
            }
        }
        watches = []
        for place in cluster.nodes {
            let keeper = keeper(place.number)
            countDiskFaults(place.number)
            // What has failed may be on its way to end this life.
            if place.disk.hasFailed { keeper.isExcused = true }
            keeper.forgetFaults()
            place.trouble.extraNanoseconds = 0
            place.trouble.onOperation = nil
            place.disk.stopFailing()
            place.disk.setFreeBytes(Self.roomBytes)
            cluster.resume(place.number)
            if !keeper.adjusts.isEmpty {
                keeper.adjusts = []
                stop(place.number, down: 0)
            }
            // Its clock is right now, and it may be alone: nobody else can tell it. One that is
            // still starting has heard the wrong one.
            if let life = place.life, life.node?.doubtsClock ?? true { stop(place.number, down: 0) }
            if place.life == nil { startLater(place.number, after: 0) }
        }
    }
}
