// What each kind of fault does to the world. What lasts is over at the fault's end, unless another
// fault has the same effect at that time; a clock that was set wrong stays so until all is healed.
// A fault counts as injected when it has taken effect.

internal import KithServer

extension ClusterRun {
    /// Makes the fault happen now.
    func inject(_ fault: Fault) {
        guard !isHealed else { return }
        note("fault \(fault)")
        switch fault.kind.group {
        case .network: injectNetwork(fault)
        case .process: injectProcess(fault)
        case .merge: watches.append(MergeWatch(fault, plan.settings))
        case .disk: injectDisk(fault)
        case .folder: injectFolder(fault)
        case .time: injectTime(fault)
        case .beyond: injectDamage(fault)
        }
        lookAfterFolders()
    }

    // MARK: Network

    private func injectNetwork(_ fault: Fault) {
        var chance = Xoshiro256(seed: fault.chance)
        let network = cluster.network
        let one = NetworkWeather.host(fault.node)
        let other = NetworkWeather.host(fault.other)
        let needsStreams = fault.kind == .reset || fault.kind == .halfOpen
        if !needsStreams || network.isConnected(from: one, to: other)
            || network.isConnected(from: other, to: one)
        {
            countInjected(fault)
        }
        network.inject(
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
        case .crash: crash(fault, isSilent: isSilent)
        case .kill: crash(fault, isSilent: false) { _ in .everything }
        case .crashAtOperation:
            crashAtOperation(
                fault.node, Int(chance.logarithmic(1...64)), of: nil, fault,
                down: fault.nanoseconds)
        case .crashBeforeSync:
            crashAtOperation(
                fault.node, Int(chance.logarithmic(1...8)), of: .sync, fault,
                down: fault.nanoseconds)
        case .crashAll:
            for number in 1...plan.settings.nodeCount
            where crash(number, down: fault.nanoseconds, isSilent: isSilent) {
                countInjected(fault)
            }
        case .restartStorm:
            let count = 1 + chance.below(4)
            keeper(fault.node).storm = (0..<count).map { _ in
                Int(chance.logarithmic(1...200))
            }
            crash(fault, isSilent: isSilent)
            countInjected(fault)
        case .pause:
            guard cluster.node(fault.node).life != nil else { return }
            countInjected(fault)
            keeper(fault.node).pauses.insert(fault.number)
            cluster.pause(fault.node)
            atEnd(of: fault) { run, keeper in
                // After a crash none is left.
                guard keeper.pauses.remove(fault.number) != nil, keeper.pauses.isEmpty else {
                    return
                }
                run.cluster.resume(fault.node)
            }
        case .stop: if stop(fault.node, down: fault.nanoseconds) { countInjected(fault) }
        case .tightBudgets: tighten(fault, &chance)
        case .deafClient: deafen(fault, &chance)
        default: break
        }
    }

    /// Has `body` undo what the fault does when it is over, unless all is healed by then.
    func atEnd(of fault: Fault, _ body: @escaping (ClusterRun, NodeKeeper) -> Void) {
        simulator.schedule(after: fault.nanoseconds, subject: UInt64(fault.node)) { [self] in
            if !isHealed { body(self, keeper(fault.node)) }
        }
    }

    /// The node dies, and is down for as long as the fault says. Where it is down already it is so
    /// for longer, which does not count.
    private func crash(
        _ fault: Fault, isSilent: Bool, keeping: ((UnsyncedWrite) -> KeptPart)? = nil
    ) {
        let isOver = crash(
            fault.node, down: fault.nanoseconds, isSilent: isSilent, keeping: keeping)
        if isOver { countInjected(fault) }
    }

    private func tighten(_ fault: Fault, _ chance: inout Xoshiro256) {
        let pending = Int(chance.logarithmic(1_024...65_536))
        let frames = Int(chance.logarithmic(65_536...1_048_576))
        let connections = 2 + plan.settings.nodeCount * 2 + chance.below(8)
        let adjust: NodeKeeper.Adjustment = {
            $0.tuning.pendingBytesMax = pending
            $0.ingestBytesMax = frames
            $0.connectionsMax = connections
        }
        keeper(fault.node).adjusts.append((fault.number, adjust))
        countInjected(fault)
        stop(fault.node, down: 0)
        atEnd(of: fault) { run, keeper in
            keeper.adjusts.removeAll { $0.fault == fault.number }
            if keeper.adjustedBy == fault.number { run.stop(fault.node, down: 0) }
        }
    }

    // MARK: Disks

    private func injectDisk(_ fault: Fault) {
        var chance = Xoshiro256(seed: fault.chance)
        let place = cluster.node(fault.node)
        let isSilent = chance.oneIn(2)
        switch fault.kind {
        case .tornWrite:
            crash(fault, isSilent: isSilent) { write in
                .prefix(chance.below(write.byteCount + 1))
            }
        case .lostWrites:
            crash(fault, isSilent: isSilent) { _ in .nothing }
        case .reorderedWrites:
            crash(fault, isSilent: isSilent) { write in
                write.order == 0 ? .nothing : .sectors(chance.next())
            }
        case .syncError:
            let kept: KeptPart = chance.oneIn(2) ? .nothing : .sectors(chance.next())
            place.disk.failAt(
                .sync, count: Int(chance.logarithmic(1...8)), syncKeeps: kept, fault: fault.number)
        case .writeError:
            place.disk.failAt(
                .write, count: Int(chance.logarithmic(1...8)), isPersistent: chance.oneIn(2),
                fault: fault.number)
        case .readError:
            keeper(fault.node).failingReads.append(
                (fault.number, Int(chance.logarithmic(1...32))))
            crash(fault.node, down: fault.nanoseconds, isSilent: isSilent)
        case .cellRot:
            crash(fault.node, down: fault.nanoseconds, isSilent: isSilent)
            let disk = cluster.node(fault.node).disk
            // Only where both copies are whole: what one copy can stand is the loss of the other.
            guard keeper(fault.node).hasOwnFolder,
                let cell = CellDamage.whole(in: disk, &chance)
            else { return }
            let slot = chance.below(2)
            let at = cell.place(&chance)
            disk.decay(cell.path) { cell.damage(&$0, slot, bit: at.bit, place: at.place) }
            countInjected(fault)
            note("n\(fault.node): copy \(slot) of \(cell.path) is damaged")
        case .unknownRoom:
            keeper(fault.node).unknownRooms.insert(fault.number)
            place.disk.failAt(.look, count: 1, isPersistent: true, fault: fault.number)
            atEnd(of: fault) { run, keeper in
                keeper.unknownRooms.remove(fault.number)
                run.cluster.node(fault.node).disk.stopFailing(fault: fault.number)
            }
        case .fullDisk:
            countInjected(fault)
            keeper(fault.node).isExcused = true
            keeper(fault.node).fulls.insert(fault.number)
            place.disk.setFreeBytes(chance.logarithmic(1...4 << 20))
            atEnd(of: fault) { run, keeper in
                keeper.fulls.remove(fault.number)
                guard keeper.fulls.isEmpty else { return }
                run.cluster.node(fault.node).disk.setFreeBytes(Self.roomBytes)
            }
        case .slowDisk:
            countInjected(fault)
            keeper(fault.node).slows[fault.number] = chance.logarithmic(
                1_000_000...1_000_000_000)
            place.trouble.extraNanoseconds = keeper(fault.node).extraNanoseconds
            atEnd(of: fault) { run, keeper in
                keeper.slows[fault.number] = nil
                run.cluster.node(fault.node).trouble.extraNanoseconds = keeper.extraNanoseconds
            }
        default: break
        }
    }

    /// Damages what a node cannot do without, where it is such that the node must notice, and keeps
    /// a copy. Where the node has nothing of the kind yet, the next one suffers, and so on.
    private func injectDamage(_ fault: Fault) {
        var chance = Xoshiro256(seed: fault.chance)
        let nodeCount = plan.settings.nodeCount
        for number in (0..<nodeCount).map({ (fault.node - 1 + $0) % nodeCount + 1 })
        where keeper(number).hasOwnFolder {
            // It tries to start in what is left of the fault's time.
            crash(number, down: fault.nanoseconds / 4, isSilent: chance.oneIn(2))
            let disk = cluster.node(number).disk
            let before = disk.copy()
            // A folder that is to begin anew has nothing yet that could be missed.
            guard keeper(number).use == nil, damage(disk, fault, number, &chance) else { continue }
            keeper(number).backup = before
            return countInjected(fault)
        }
    }

    /// Whether there was something to damage.
    private func damage(
        _ disk: SimulatedDisk, _ fault: Fault, _ number: Int, _ chance: inout Xoshiro256
    ) -> Bool {
        switch fault.kind {
        case .headerRot:
            guard let place = LogDamage.header(in: disk, &chance) else { return false }
            let bit = UInt8(chance.below(8))
            disk.decay(place.path) { $0[place.offset] ^= 1 << bit }
            note("n\(number): byte \(place.offset) of \(place.path) changes")
        case .lostSegment:
            let followed = LogDamage.segments(of: disk).dropLast()
            guard !followed.isEmpty else { return false }
            let path = followed[chance.below(followed.count)]
            disk.lose(path)
            note("n\(number): \(path) is gone")
        case .cellLost:
            guard let cell = CellDamage.whole(in: disk, &chance) else { return false }
            for slot in 0..<2 {
                let at = cell.place(&chance)
                disk.decay(cell.path) { cell.damage(&$0, slot, bit: at.bit, place: at.place) }
            }
        case .bitRot:
            guard let place = LogDamage.place(in: disk, &chance) else { return false }
            let bit = UInt8(chance.below(8))
            disk.decay(place.path) { $0[place.offset] ^= 1 << bit }
            note("n\(number): bit \(bit) of byte \(place.offset) of \(place.path) changes")
        case .lostLog:
            let segments = LogDamage.segments(of: disk)
            for path in segments { disk.lose(path) }
            return !segments.isEmpty
        default: return false
        }
        return true
    }

    // MARK: Clocks

    private func injectTime(_ fault: Fault) {
        var chance = Xoshiro256(seed: fault.chance)
        let clock = cluster.node(fault.node).clock
        countInjected(fault)
        switch fault.kind {
        case .skew:
            let millis = Int64(chance.logarithmic(1...60_000))
            clock.advance(by: chance.oneIn(2) ? millis : -millis)
        case .drift:
            let rate = Int64(chance.logarithmic(10...500_000))
            drift(fault, chance.oneIn(2) ? rate : -rate)
        case .jumpForward: clock.advance(by: 91 * 86_400_000)
        case .jumpBack: clock.advance(by: -Int64(chance.logarithmic(1...86_400_000)))
        case .freeze: drift(fault, -1_000_000)
        case .swing: swing(fault, &chance)
        default: break
        }
    }

    /// The clock goes at another rate until the fault is over, and stays as wrong as that made it.
    private func drift(_ fault: Fault, _ partsPerMillion: Int64) {
        keeper(fault.node).drifts.append((fault.number, partsPerMillion))
        setDrift(of: fault.node)
        atEnd(of: fault) { run, keeper in
            keeper.drifts.removeAll { $0.fault == fault.number }
            run.setDrift(of: fault.node)
        }
    }

    private func setDrift(of number: Int) {
        let right: Int64 = plan.hasRunningClocks ? 0 : -1_000_000
        cluster.node(number).clock.setDrift(
            partsPerMillion: keeper(number).drifts.last?.partsPerMillion ?? right)
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
        cluster.node(fault.node).clock.advance(by: millis)
        simulator.schedule(after: phase, subject: UInt64(fault.node)) { [self] in
            guard !isHealed else { return }
            cluster.node(fault.node).clock.advance(by: -millis)
            simulator.schedule(after: phase, subject: UInt64(fault.node)) { [self] in
                swing(fault, by: millis, phases.dropFirst(), until: end)
            }
        }
    }
}
