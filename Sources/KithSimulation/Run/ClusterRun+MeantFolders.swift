// Folders that are lost or go back, as somebody means them to: `--new` and `--restored`.
//
//   new        a node whose log says nothing but that it began ── dies, its disk is empty ─▶ --new
//   restored   clean stop ─▶ copy ─▶ serves ─┬ nothing but that was logged ▶ the copy ┐
//                                            └ else the folder as it is ──────────────┴▶ --restored
//
// What a loss takes with it the checkers cannot know, since with one copy of the data nobody else
// has it. So only what is known to the entry is lost: a log without a record and a count, or the
// entries with which a life began. Everything else is as after a crash and is judged by all rules.
// The node's groups go on far above what was heard of them, and others have heard of starts that
// the folder never had: that is what these faults are about.

internal import KithBytes
internal import KithServer
internal import KithWire

extension ClusterRun {
    /// Has the node, or the next one, that holds nothing yet lose its folder.
    func beginAnew(_ fault: Fault, _ chance: inout Xoshiro256) {
        let isSilent = chance.oneIn(2)
        guard isHandFree else { return }
        let count = plan.settings.nodeCount
        let numbers = (0..<count).map { (fault.node - 1 + $0) % count + 1 }
        guard let number = numbers.first(where: holdsNothing) else { return }
        crash(number, down: 0, isSilent: isSilent)
        give(number, SimulatedDisk(), .new)
        note("n\(number) has lost its folder, and begins anew")
        countInjected(fault)
    }

    private func holdsNothing(_ number: Int) -> Bool {
        guard keeper(number).isServing, let node = cluster.node(number).life?.node else {
            return false
        }
        return simulator.inspect { node.inspectHoldsNothing() } ?? false
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

    /// The node serves. A copy of its folder, where there is one, becomes its own after a while.
    func servesAgain(_ number: Int) {
        guard let restoring = keeper(number).restoring, let disk = restoring.disk,
            let begun = folderEnds(number)
        else { return }
        var chance = Xoshiro256(seed: restoring.fault.chance)
        let wait = chance.logarithmic(1_000_000...3_000_000_000)
        simulator.schedule(after: wait, subject: UInt64(number)) { [self] in
            guard !isHealed, keeper(number).restoring?.fault.number == restoring.fault.number,
                keeper(number).isServing, keeper(number).hasOwnFolder, let ends = folderEnds(number)
            else { return }
            let lacksNothing = ends == begun
            crash(number, down: 0, isSilent: false) { _ in .everything }
            give(number, lacksNothing ? disk : cluster.node(number).disk, .restored)
            note(
                "n\(number) has \(lacksNothing ? "a copy" : "its folder") put back, as is meant")
            countInjected(restoring.fault)
        }
    }

    /// Where the logs of the node's groups end, with what is on the way to the disk.
    private func folderEnds(_ number: Int) -> [NodeWord.GroupEnd]? {
        guard let node = cluster.node(number).life?.node else { return nil }
        return simulator.inspect { node.inspectFolder() }?.news.words.first?.ends
    }

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
