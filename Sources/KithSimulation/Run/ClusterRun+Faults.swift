// What each kind of fault does to the world. Everything that lasts is over at the fault's end, so
// that healing has nothing to undo but what other faults delayed.

internal import KithServer

extension ClusterRun {
    /// Makes the fault happen now.
    func inject(_ fault: Fault) {
        guard !isHealed else { return }
        injected[fault.kind, default: 0] += 1
        note("fault \(fault)")
        switch fault.kind.group {
        case .network: injectNetwork(fault)
        case .process: injectProcess(fault)
        case .merge: watches.append(MergeWatch(fault, plan.settings))
        case .disk: injectDisk(fault)
        case .time: injectTime(fault)
        case .beyond: injectDamage(fault)
        }
    }

    // MARK: Network

    private func injectNetwork(_ fault: Fault) {
        var chance = Xoshiro256(seed: fault.chance)
        cluster.network.inject(
            fault, &chance, now: simulator.nanoseconds, nodeCount: plan.settings.nodeCount)
        guard fault.kind == .staleBytes else { return }
        simulator.schedule(
            after: chance.logarithmic(100_000...10_000_000), subject: UInt64(fault.node)
        ) { [self] in
            crash(fault.node, down: 0, isSilent: true)
        }
    }

    // MARK: Processes

    private func injectProcess(_ fault: Fault) {
        var chance = Xoshiro256(seed: fault.chance)
        let isSilent = chance.oneIn(2)
        switch fault.kind {
        case .crash: crash(fault.node, down: fault.nanoseconds, isSilent: isSilent)
        case .kill:
            crash(fault.node, down: fault.nanoseconds, isSilent: false) { _ in .everything }
        case .crashAtOperation:
            crashAtOperation(fault.node, Int(chance.logarithmic(1...64)), of: nil)
        case .crashBeforeSync:
            crashAtOperation(fault.node, Int(chance.logarithmic(1...8)), of: .sync)
        case .crashAll:
            for number in 1...plan.settings.nodeCount {
                crash(number, down: fault.nanoseconds, isSilent: isSilent)
            }
        case .restartStorm:
            let count = 1 + chance.below(4)
            keeper(fault.node).storm = (0..<count).map { _ in
                Int(chance.logarithmic(1...200))
            }
            crash(fault.node, down: fault.nanoseconds, isSilent: isSilent)
        case .pause:
            guard cluster.node(fault.node).life != nil else { return }
            cluster.pause(fault.node)
            simulator.schedule(
                after: fault.nanoseconds, subject: UInt64(fault.node)
            ) { [self] in
                cluster.resume(fault.node)
            }
        case .stop: stop(fault.node, down: fault.nanoseconds)
        case .tightBudgets: tighten(fault, &chance)
        default: break
        }
    }

    private func tighten(_ fault: Fault, _ chance: inout Xoshiro256) {
        let pending = Int(chance.logarithmic(1_024...65_536))
        let frames = Int(chance.logarithmic(65_536...1_048_576))
        let connections = 2 + plan.settings.nodeCount * 2 + chance.below(8)
        keeper(fault.node).adjust = {
            $0.tuning.pendingBytesMax = pending
            $0.ingestBytesMax = frames
            $0.connectionsMax = connections
        }
        stop(fault.node, down: 0)
        simulator.schedule(after: fault.nanoseconds, subject: UInt64(fault.node)) { [self] in
            relax(fault.node)
        }
    }

    // MARK: Disks

    private func injectDisk(_ fault: Fault) {
        var chance = Xoshiro256(seed: fault.chance)
        let place = cluster.node(fault.node)
        let isSilent = chance.oneIn(2)
        switch fault.kind {
        case .tornWrite:
            crash(fault.node, down: fault.nanoseconds, isSilent: isSilent) { write in
                .prefix(chance.below(write.byteCount + 1))
            }
        case .lostWrites:
            crash(fault.node, down: fault.nanoseconds, isSilent: isSilent) { _ in .nothing }
        case .reorderedWrites:
            crash(fault.node, down: fault.nanoseconds, isSilent: isSilent) { write in
                write.order == 0 ? .nothing : .sectors(chance.next())
            }
        case .syncError:
            keeper(fault.node).isExcused = true
            let kept: KeptPart = chance.oneIn(2) ? .nothing : .sectors(chance.next())
            place.disk.failAt(.sync, count: Int(chance.logarithmic(1...8)), syncKeeps: kept)
        case .writeError:
            keeper(fault.node).isExcused = true
            place.disk.failAt(
                .write, count: Int(chance.logarithmic(1...8)), isPersistent: chance.oneIn(2))
        case .readError:
            keeper(fault.node).failingRead = Int(chance.logarithmic(1...32))
            crash(fault.node, down: fault.nanoseconds, isSilent: isSilent)
        case .cellRot:
            crash(fault.node, down: fault.nanoseconds, isSilent: isSilent)
            let disk = cluster.node(fault.node).disk
            // Only where both copies are whole: what one copy can stand is the loss of the other.
            guard keeper(fault.node).backup == nil,
                let cell = CellDamage.whole(in: disk, &chance)
            else { return }
            let slot = chance.below(2)
            let at = cell.place(&chance)
            disk.decay(cell.path) { cell.damage(&$0, slot, bit: at.bit, place: at.place) }
            note("n\(fault.node): copy \(slot) of \(cell.path) is damaged")
        case .unknownRoom:
            keeper(fault.node).isExcused = true
            place.disk.failAt(.look, count: 1, isPersistent: true)
            simulator.schedule(
                after: fault.nanoseconds, subject: UInt64(fault.node)
            ) {
                place.disk.stopFailing()
            }
        case .fullDisk:
            keeper(fault.node).isExcused = true
            place.disk.setFreeBytes(chance.logarithmic(1...4 << 20))
            simulator.schedule(
                after: fault.nanoseconds, subject: UInt64(fault.node)
            ) {
                self.cluster.node(fault.node).disk.setFreeBytes(Self.roomBytes)
            }
        case .slowDisk:
            place.trouble.extraNanoseconds = chance.logarithmic(1_000_000...1_000_000_000)
            simulator.schedule(
                after: fault.nanoseconds, subject: UInt64(fault.node)
            ) {
                place.trouble.extraNanoseconds = 0
            }
        default: break
        }
    }

    /// Damages a log, where it is such that the node must notice, and keeps a copy.
    private func injectDamage(_ fault: Fault) {
        var chance = Xoshiro256(seed: fault.chance)
        let keeper = keeper(fault.node)
        crash(fault.node, down: fault.nanoseconds, isSilent: chance.oneIn(2))
        guard keeper.backup == nil else { return }
        let disk = cluster.node(fault.node).disk
        let before = disk.copy()
        switch fault.kind {
        case .headerRot:
            guard let place = LogDamage.header(in: disk, &chance) else { return }
            let bit = UInt8(chance.below(8))
            disk.decay(place.path) { $0[place.offset] ^= 1 << bit }
            note("n\(fault.node): byte \(place.offset) of \(place.path) changes")
        case .lostSegment:
            let followed = LogDamage.segments(of: disk).dropLast()
            guard !followed.isEmpty else { return }
            let path = followed[chance.below(followed.count)]
            disk.lose(path)
            note("n\(fault.node): \(path) is gone")
        case .cellLost:
            guard let cell = CellDamage.whole(in: disk, &chance) else { return }
            for slot in 0..<2 {
                let at = cell.place(&chance)
                disk.decay(cell.path) { cell.damage(&$0, slot, bit: at.bit, place: at.place) }
            }
        case .bitRot:
            guard let place = LogDamage.place(in: disk, &chance) else { return }
            let bit = UInt8(chance.below(8))
            disk.decay(place.path) { $0[place.offset] ^= 1 << bit }
            note("n\(fault.node): bit \(bit) of byte \(place.offset) of \(place.path) changes")
        case .lostLog:
            for path in LogDamage.segments(of: disk) { disk.lose(path) }
        default: return
        }
        keeper.backup = before
        keeper.isExcused = true
    }

    // MARK: Clocks

    private func injectTime(_ fault: Fault) {
        var chance = Xoshiro256(seed: fault.chance)
        let clock = cluster.node(fault.node).clock
        measureClocks()
        defer { measureClocks() }
        switch fault.kind {
        case .skew:
            let millis = Int64(chance.logarithmic(1...60_000))
            clock.advance(by: chance.oneIn(2) ? millis : -millis)
        case .drift:
            let rate = Int64(chance.logarithmic(10...500_000))
            clock.setDrift(partsPerMillion: chance.oneIn(2) ? rate : -rate)
        case .jumpForward: clock.advance(by: 91 * 86_400_000)
        case .jumpBack: clock.advance(by: -Int64(chance.logarithmic(1...86_400_000)))
        case .freeze: clock.setDrift(partsPerMillion: -1_000_000)
        case .swing: swing(fault, &chance)
        default: break
        }
    }

    /// Ahead, past the end of all anonymous profiles, or by little, so that some end and most do
    /// not; then back by as much, and so on until the fault is over.
    private func swing(_ fault: Fault, _ chance: inout Xoshiro256) {
        let drawn =
            switch chance.below(4) {
            case 0: 91 * 86_400_000 as UInt64
            case 1: chance.logarithmic(60_000...91 * 86_400_000)
            default: chance.logarithmic(1...60_000)
            }
        let millis = Int64(drawn)
        let phases = (0..<Self.swingsMax).map { _ in chance.logarithmic(200_000...20_000_000) }
        swing(fault, by: millis, phases[...], until: simulator.nanoseconds + fault.nanoseconds)
    }

    /// How often a clock swings in one fault.
    private static let swingsMax = 32

    private func swing(
        _ fault: Fault, by millis: Int64, _ phases: ArraySlice<UInt64>, until end: UInt64
    ) {
        guard !isHealed, let phase = phases.first, simulator.nanoseconds < end else { return }
        setAhead(fault.node, by: millis)
        simulator.schedule(after: phase, subject: UInt64(fault.node)) { [self] in
            guard !isHealed else { return }
            setAhead(fault.node, by: -millis)
            simulator.schedule(after: phase, subject: UInt64(fault.node)) { [self] in
                swing(fault, by: millis, phases.dropFirst(), until: end)
            }
        }
    }

    private func setAhead(_ number: Int, by millis: Int64) {
        measureClocks()
        cluster.node(number).clock.advance(by: millis)
        measureClocks()
    }
}
