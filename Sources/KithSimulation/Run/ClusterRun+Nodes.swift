// Keeping nodes up: a node that died or ended is started again when its time has come. One that
// ends, or does not start, without a fault that excuses it breaks a rule.

internal import KithBytes
internal import KithServer

extension ClusterRun {
    /// From the end of a process to its next start.
    private static let restartNanoseconds: UInt64 = 300_000_000
    /// From a start that failed to the next.
    private static let refusedNanoseconds: UInt64 = 500_000_000

    /// Room on a disk that is not full.
    static let roomBytes: UInt64 = 1 << 40

    func keeper(_ number: Int) -> NodeKeeper { keepers[number - 1] }

    /// Starts a node, and runs the world until it serves.
    func startFirst(_ number: Int) throws {
        let rough = plan.faults.faults.filter { $0.kind == .roughStart && $0.node == number }
        for fault in rough { roughen(fault) }
        begin(number)
        try simulator.run(until: { keeper(number).isServing }, maxSteps: 1_000_000)
        keeper(number).downUntil = 0
        guard !rough.isEmpty else { return }
        keeper(number).isExcused = false
        cluster.node(number).disk.stopFailing()
        cluster.node(number).trouble.onOperation = nil
    }

    /// Has something go wrong while a node makes its folder and its log.
    private func roughen(_ fault: Fault) {
        var chance = Xoshiro256(seed: fault.chance)
        injected[fault.kind, default: 0] += 1
        note("fault \(fault)")
        let count = Int(chance.logarithmic(1...64))
        let disk = cluster.node(fault.node).disk
        switch chance.below(3) {
        case 0: crashAtOperation(fault.node, count, of: nil)
        case 1: disk.failAt(.write, count: 1 + count % 12)
        default:
            let kept: KeptPart = chance.oneIn(2) ? .nothing : .sectors(chance.next())
            disk.failAt(.sync, count: 1 + count % 12, syncKeeps: kept)
        }
        keeper(fault.node).isExcused = true
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
        let disk = cluster.node(number).disk
        note("n\(number) starts")
        let mustRefuse = keeper.failingRead != nil
        if let read = keeper.failingRead {
            keeper.failingRead = nil
            keeper.isExcused = true
            disk.failAt(.read, count: read, isPersistent: true)
        }
        if !keeper.storm.isEmpty {
            crashAtOperation(number, keeper.storm.removeFirst(), of: nil)
        }
        keeper.isAdjusted = keeper.adjust != nil
        let life = cluster.begin(number, adjusting: keeper.adjust ?? { _ in })
        life.onServing = { [self] in serves(number, mustRefuse && disk.hasFailed) }
        life.onEnd = { [self] failure in ended(number, failure) }
    }

    private func serves(_ number: Int, _ readsFailed: Bool) {
        keeper(number).isServing = true
        note("n\(number) serves")
        cluster.noteServing(number)
        if readsFailed {
            broke("1 recovery", "n\(number) serves, though what it read failed")
        }
        if keeper(number).backup != nil {
            broke("1 recovery", "n\(number) serves, though its log is damaged")
        }
        // What it was started with was over before it served.
        if keeper(number).isAdjusted, keeper(number).adjust == nil { stop(number, down: 0) }
    }

    private func ended(_ number: Int, _ failure: NodeError?) {
        let keeper = keeper(number)
        cluster.bury(number)
        if let failure {
            note("n\(number) \(keeper.isServing ? "ended" : "did not start"): \(failure)")
            if !keeper.isExcused {
                broke("1 nodes go on", "n\(number) ended by itself: \(failure)")
            }
        } else {
            note("n\(number) stopped")
            if !keeper.isStopping { broke("1 nodes go on", "n\(number) ended without a reason") }
        }
        let pause = keeper.isServing ? Self.restartNanoseconds : Self.refusedNanoseconds
        keeper.isServing = false
        keeper.isStopping = false
        if isHealed { keeper.isExcused = false }
        startLater(number, after: max(pause, keeper.downUntil - min(now, keeper.downUntil)))
    }

    /// Power loss or, where `keeping` keeps everything, the death of the process alone; the node is
    /// started again after `down`.
    func crash(
        _ number: Int, down: UInt64, isSilent: Bool,
        keeping: ((UnsyncedWrite) -> KeptPart)? = nil
    ) {
        note("n\(number) crashes")
        if keeper(number).isServing {
            cluster.noteCrash(of: number, routers: routers, in: &crashes)
        }
        cluster.resume(number)
        cluster.node(number).trouble.onOperation = nil
        cluster.crash(number, isSilent: isSilent, keeping: keeping)
        keeper(number).isServing = false
        keeper(number).isStopping = false
        keeper(number).isExcused = keeper(number).backup != nil
        keeper(number).downUntil = max(keeper(number).downUntil, now + down)
        startLater(number, after: keeper(number).downUntil - now)
    }

    /// The power fails right before the n-th operation from now, of that kind or of any.
    func crashAtOperation(_ number: Int, _ count: Int, of kind: DiskOperation.Kind?) {
        var left = count
        cluster.node(number).trouble.onOperation = { [self] operation in
            if let kind, operation.kind != kind { return }
            left -= 1
            guard left == 0 else { return }
            note("n\(number): power fails before \(operation.kind) of \(operation.path)")
            crash(number, down: Self.restartNanoseconds, isSilent: random.oneIn(2))
        }
    }

    /// A clean stop; the node is started again after `down`.
    func stop(_ number: Int, down: UInt64) {
        guard let life = cluster.node(number).life, let node = life.node, life.end == nil else {
            return
        }
        keeper(number).isStopping = true
        keeper(number).downUntil = max(keeper(number).downUntil, now + down)
        cluster.node(number).lanes[0].start { await node.stop() }
    }

    /// Starts the node again with settings of its own no more, where it had any.
    func relax(_ number: Int) {
        guard keeper(number).adjust != nil else { return }
        keeper(number).adjust = nil
        stop(number, down: 0)
    }

    /// How fast all wall clocks go, against a right one.
    func setClocks(partsPerMillion: Int64) {
        cluster.clientClock.setDrift(partsPerMillion: partsPerMillion)
        for node in cluster.nodes { node.clock.setDrift(partsPerMillion: partsPerMillion) }
    }

    func measureClocks() {}

    /// Ends all faults. Wall clocks stand still from now on: all at the latest time that one of
    /// them has shown or, in part of the runs, each where it is. A group's log time is that of its
    /// one leader, and never goes back.
    func heal() {
        note("all is healed")
        isHealed = true
        cluster.network.weather.clear()
        setClocks(partsPerMillion: -1_000_000)
        if !plan.keepsClocks {
            let clocks = [cluster.clientClock] + cluster.nodes.map(\.clock)
            let latest = LogTime(clocks.map { $0.wall.greatest(to: .max) }.max() ?? 0)
            cluster.clientClock.setWallTime(latest)
            for place in cluster.nodes { place.clock.setWallTime(latest) }
        }
        watches = []
        for place in cluster.nodes {
            place.trouble.extraNanoseconds = 0
            place.trouble.onOperation = nil
            place.disk.stopFailing()
            place.disk.setFreeBytes(Self.roomBytes)
            cluster.resume(place.number)
            keeper(place.number).storm = []
            keeper(place.number).failingRead = nil
            keeper(place.number).downUntil = 0
            relax(place.number)
            if place.life == nil { startLater(place.number, after: 0) }
        }
    }
}
