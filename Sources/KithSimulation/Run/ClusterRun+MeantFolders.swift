// Folders that are lost or go back, as somebody means them to: `--new` and `--restored`.
//
//   new        a node whose log holds nothing but Forwards ── dies, its disk is empty ─▶ --new
//   restored   clean stop ─▶ copy ─▶ serves ─┬ nothing came but Forwards ─▶ the copy ┐
//                                            └ else the folder as it is ─────────────┴▶ --restored
//
// What a loss takes with it the checkers cannot know, since with one copy of the data nobody else
// has it. So only what others know is lost: records that have gone to roots of theirs, without an
// event that was counted since (`OwnRecords`). Everything else is as after a crash and is judged by
// all rules. The node's groups go on far above what was heard of them, and others have heard of
// starts that the folder never had: that is what these faults are about.

internal import KithBytes
internal import KithServer
internal import KithWire

extension ClusterRun {
    /// Has the node, or the next one, that holds nothing but Forwards lose its folder; half of the
    /// faults wait for one that holds some.
    func beginAnew(_ fault: Fault, _ chance: inout Xoshiro256) {
        let isSilent = chance.oneIn(2)
        let wait = chance.oneIn(2) ? 0 : chance.logarithmic(1_000_000...3_000_000_000)
        beginAnew(fault, isSilent: isSilent, at: simulator.nanoseconds + wait)
    }

    private func beginAnew(_ fault: Fault, isSilent: Bool, at deadline: UInt64) {
        guard !isHealed, isHandFree else { return }
        let count = plan.settings.nodeCount
        let numbers = (0..<count).map { (fault.node - 1 + $0) % count + 1 }
        var known = numbers.filter { number in
            keeper(number).isServing
                && records(number)?.addsNothing(to: OwnRecords()) ?? false
        }
        if simulator.nanoseconds < deadline {
            known.removeAll {
                !(records($0)?.hasNewForwards(since: OwnRecords()) ?? false)
            }
        }
        guard let number = known.first else {
            guard simulator.nanoseconds < deadline else { return }
            let left = min(deadline - simulator.nanoseconds, Self.lookNanoseconds)
            simulator.schedule(after: left, subject: UInt64(fault.node)) { [self] in
                beginAnew(fault, isSilent: isSilent, at: deadline)
            }
            return
        }
        crash(number, down: 0, isSilent: isSilent)
        give(number, SimulatedDisk(), .new)
        note("n\(number) has lost its folder, and begins anew")
        countInjected(fault)
    }

    private func records(_ number: Int) -> OwnRecords? {
        guard let node = cluster.node(number).life?.node else { return nil }
        return simulator.inspect { node.inspectRecords() }
    }

    /// Has the node stop, for a copy of its folder.
    func restore(_ fault: Fault) {
        guard isHandFree, keeper(fault.node).isServing, stop(fault.node, down: 0) else { return }
        keeper(fault.node).restoring = RestoredFolder(fault: fault)
    }

    /// A life of the node has ended. Where that was the stop for a copy, there is one now.
    func keepCopy(_ number: Int, isClean: Bool) {
        guard let restoring = keeper(number).restoring else { return }
        guard isClean, restoring.disk == nil else {
            keeper(number).restoring = nil
            return
        }
        keeper(number).restoring?.disk = cluster.node(number).disk.copy()
    }

    /// The node serves. A copy of its folder, where there is one, becomes its own after a while; at
    /// once where records have gone to others since and nothing else has come.
    func servesAgain(_ number: Int) {
        guard let restoring = keeper(number).restoring, let disk = restoring.disk,
            let begun = records(number)
        else { return }
        var chance = Xoshiro256(seed: restoring.fault.chance)
        let wait = chance.logarithmic(1_000_000...3_000_000_000)
        putBack(disk, number, restoring.fault, since: begun, at: simulator.nanoseconds + wait)
    }

    private func putBack(
        _ disk: SimulatedDisk, _ number: Int, _ fault: Fault, since begun: OwnRecords,
        at deadline: UInt64
    ) {
        let left = deadline - min(deadline, simulator.nanoseconds)
        simulator.schedule(after: min(left, Self.lookNanoseconds), subject: UInt64(number)) {
            [self] in
            guard !isHealed, keeper(number).restoring?.fault.number == fault.number,
                keeper(number).isServing, keeper(number).hasOwnFolder, let now = records(number)
            else { return }
            let addsNothing = now.addsNothing(to: begun)
            let hasGone = addsNothing && now.hasNewForwards(since: begun)
            guard hasGone || simulator.nanoseconds >= deadline else {
                return putBack(disk, number, fault, since: begun, at: deadline)
            }
            crash(number, down: 0, isSilent: false) { _ in .everything }
            give(number, addsNothing ? disk : cluster.node(number).disk, .restored)
            note("n\(number) has \(addsNothing ? "a copy" : "its folder") put back, as is meant")
            countInjected(fault)
        }
    }

    /// Between two looks at what has come to a node.
    private static let lookNanoseconds: UInt64 = 5_000_000

    private func give(_ number: Int, _ disk: SimulatedDisk, _ use: FolderUse) {
        cluster.setDisk(disk, number)
        if keeper(number).fulls.isEmpty { cluster.node(number).disk.setFreeBytes(Self.roomBytes) }
        keeper(number).use = use
    }

    /// Whether what a node says that was to begin with another folder asks for another start.
    func isToBeStartedAgain(_ keeper: NodeKeeper, _ failure: NodeError) -> Bool {
        switch (keeper.use, failure) {
        case (.new, .nodeNotAsked), (.restored, .nodeNotAsked): return true
        case (.new, .folderNotEmpty):
            // It had begun before it ended.
            keeper.use = nil
            return true
        default: return false
        }
    }
}
