// Folders that are not what they were: the disk is not mounted, or an older copy was put in its
// place. The node dies, is started with the other folder as often as it ends, and then with its own
// again, as after a crash.
//
//   own folder ── crash ──▶ wrong folder: start ─▶ refused ─▶ start … ── the fault is over ──▶ own
//                                │
//                                └ nobody who knows better can be reached any more ─────────▶ own
//
// While somebody who knows better can be reached (`isKnown`), the node must not answer a client and
// must end by itself. What takes that away puts the own folder back at the same moment, before
// anything of the node runs: a node that can ask nobody cannot know.

internal import KithBytes
internal import KithClient
internal import KithCore
internal import KithServer
internal import KithWire

extension ClusterRun {
    /// Virtual time in which a node that serves with a wrong folder has ended.
    static let refusalNanosecondsMax: UInt64 = 5_000_000_000
    /// Between two looks at whether somebody knows better.
    static let folderLookNanoseconds: UInt64 = 1_000_000

    /// What a node says where its folder is not its own.
    func refuses(_ keeper: NodeKeeper, _ failure: NodeError) -> Bool {
        guard let wrong = keeper.wrongFolder else { return false }
        switch failure {
        case .folderEmpty: guard wrong.isKnownAtHome, !wrong.isForeign else { return false }
        case .otherCluster(key: "node", _, _): guard wrong.isForeign else { return false }
        case .folderRefused, .folderReplaced: guard !wrong.isForeign else { return false }
        default: return false
        }
        countInjected(wrong.fault)
        return true
    }

    /// What is done by hand is done to one node at a time, and what is meant to no other then.
    var isHandFree: Bool {
        copies.isEmpty
            && keepers.allSatisfy { $0.hasOwnFolder && $0.use == nil && $0.restoring == nil }
    }

    func injectFolder(_ fault: Fault) {
        var chance = Xoshiro256(seed: fault.chance)
        guard keepers.allSatisfy({ $0.use == nil && $0.restoring == nil }) else { return }
        switch fault.kind {
        case .copiedFolder: copyFolder(fault, &chance)
        case .newFolder: beginAnew(fault, &chance)
        case .restoredFolder: restore(fault)
        case .foreignFolder:
            let others = cluster.nodes.map(\.number).filter {
                $0 != fault.node && keeper($0).hasOwnFolder && keeper($0).isServing
            }
            let isPowerLoss = chance.oneIn(2)
            guard !others.isEmpty else { return }
            let other = others[chance.below(others.count)]
            let disk = cluster.node(other).disk.crash(keeping: { _ in .everything })
            replaceFolder(fault, disk, nil, nil, isPowerLoss: isPowerLoss)
        case .emptyFolder:
            let mayMake = chance.oneIn(2)
            replaceFolder(
                fault, SimulatedDisk(), nil, .asFound(mayMake: mayMake),
                isPowerLoss: chance.oneIn(2))
        case .olderFolder:
            let isPowerLoss = chance.oneIn(2)
            // A copy is less than a second old as often as more.
            let age = chance.logarithmic(1_000_000...10_000_000_000)
            guard keeper(fault.node).hasOwnFolder, keeper(fault.node).isServing,
                let node = cluster.node(fault.node).life?.node
            else { return }
            let disk = cluster.node(fault.node).disk.crash(keeping: { _ in .everything })
            guard let content = simulator.inspect({ node.inspectFolder() }) else { return }
            note("n\(fault.node): its folder is copied")
            simulator.schedule(after: age, subject: UInt64(fault.node)) { [self] in
                if isHealed { return }
                replaceFolder(fault, disk, content, nil, isPowerLoss: isPowerLoss)
            }
        default: break
        }
    }

    private func replaceFolder(
        _ fault: Fault, _ disk: SimulatedDisk, _ content: FolderWord?, _ use: FolderUse?,
        isPowerLoss: Bool
    ) {
        let keeper = keeper(fault.node)
        guard keeper.hasOwnFolder, keeper.use == nil, keeper.restoring == nil else { return }
        crash(
            fault.node, down: 0, isSilent: false,
            keeping: isPowerLoss ? nil : { _ in .everything })
        keeper.wrongFolder = WrongFolder(
            fault: fault, right: cluster.node(fault.node).disk, content: content, use: use)
        cluster.setDisk(disk, fault.node)
        cluster.node(fault.node).disk.setFreeBytes(Self.roomBytes)
        note("n\(fault.node) has another folder: \(fault.kind.rawValue)")
        atEnd(of: fault) { run, keeper in
            if keeper.wrongFolder?.fault.number == fault.number { run.putBack(fault.node) }
        }
        watchFolder(fault)
    }

    private func watchFolder(_ fault: Fault) {
        guard !isOver, keeper(fault.node).wrongFolder?.fault.number == fault.number else { return }
        putBackUnlessKnown(fault.node)
        simulator.schedule(after: Self.folderLookNanoseconds, subject: UInt64(fault.number)) {
            [self] in
            watchFolder(fault)
        }
    }

    /// The node has its own folder again, where it had another; what ran with that dies.
    func putBack(_ number: Int) {
        guard let wrong = keeper(number).wrongFolder else { return }
        keeper(number).wrongFolder = nil
        note("n\(number): its own folder is put back")
        if cluster.node(number).isUp { crash(number, down: 0, isSilent: false) }
        cluster.setDisk(wrong.right, number)
        if keeper(number).fulls.isEmpty {
            cluster.node(number).disk.setFreeBytes(Self.roomBytes)
        }
        startLater(number, after: 0)
    }

    /// Puts own folders back where nobody who could refuse the other can be reached any more. To be
    /// called at whatever may have changed that.
    func lookAfterFolders() {
        for place in cluster.nodes where keeper(place.number).wrongFolder != nil {
            putBackUnlessKnown(place.number)
        }
        for copy in copies { endUnlessKnown(copy) }
    }

    func putBackUnlessKnown(_ number: Int) {
        guard let wrong = keeper(number).wrongFolder, !isKnown(wrong, number) else { return }
        putBack(number)
    }

    /// Whether the node itself, or another that it reaches, knows that the folder is wrong.
    private func isKnown(_ wrong: WrongFolder, _ number: Int) -> Bool {
        if wrong.isKnownAtHome { return true }
        return hasWitness(of: cluster.node(number), wrong.isRefused)
    }

    /// Whether another node that this process reaches has heard of its node what `isRefused` says
    /// is more than its folder has.
    func hasWitness(of process: SimulatedNode, _ isRefused: (NodeWord) -> Bool) -> Bool {
        cluster.nodes.contains { other in
            guard other.number != process.number, let node = reached(other, by: process) else {
                return false
            }
            let id = NodeID(UInt16(process.number))
            let heard = simulator.inspect { node.inspectHeard(of: id) }
            return heard.flatMap { $0 }.map(isRefused) ?? false
        }
    }

    /// The node where nothing keeps it from answering that process.
    func reached(_ other: SimulatedNode, by process: SimulatedNode) -> Node? {
        let keeper = keeper(other.number)
        guard keeper.isServing, !keeper.isStopping, keeper.pauses.isEmpty, keeper.fulls.isEmpty,
            !other.disk.hasFailed, let life = other.life, life.end == nil,
            cluster.network.weather.isFine(
                between: other.name, process.name, now: simulator.nanoseconds)
        else { return nil }
        return life.node
    }

    // MARK: What must not be

    /// A node serves with a folder that is not its own: it must find that out before it answers
    /// anybody, and end.
    func servesWrongFolder(_ number: Int) {
        guard let wrong = keeper(number).wrongFolder else { return }
        note("n\(number) listens, with a folder that is not its own")
        keeper(number).wrongFolder?.lives += 1
        let life = wrong.lives + 1
        let isSame: @Sendable () -> Bool = { [self] in
            guard let now = keeper(number).wrongFolder else { return false }
            return now.fault.number == wrong.fault.number && now.lives == life
                && cluster.node(number).isUp && isKnown(now, number)
        }
        if wrong.isKnownAtHome {
            broke("17 folders are known", "n\(number) takes a folder that is empty or foreign")
        }
        if let value = cluster.nobody(at: number) {
            let get = Get(
                space: "nobody", namespace: plan.settings.identity.namespaces[0].name, value: value)
            let client = client(at: number)
            start { [self] in
                // Refused, or cut off where the node ends.
                guard (try? await client.get(get, retries: 0)) != nil, isSame() else { return }
                broke("17 folders are known", "n\(number) answers out of a folder not its own")
            }
        }
        simulator.schedule(after: Self.refusalNanosecondsMax, subject: UInt64(number)) { [self] in
            guard isSame() else { return }
            broke("17 folders are known", "n\(number) goes on with a folder that is not its own")
        }
    }
}
