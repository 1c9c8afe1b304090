// A second process of a node, with a copy of its folder, on another machine and at another port.
//
//   folder ── copied while it serves ──▶ copy: start ─▶ refused ─▶ start … ── the fault is over
//                                          │
//                                          └ nobody who knows better can be reached any more
//
// It must end by itself, and the node itself must not, while that one answers the copy at its own
// address, or somebody can be reached who has heard more of the node than the copy has (a later
// start, or a log that goes further). Where neither holds, the later start would win, which is what
// `CopiedFolderTests` are about: here the copy is taken away at that moment, for what the node has
// acknowledged since would be lost by hand.

internal import KithBytes
internal import KithClient
internal import KithCore
internal import KithServer
internal import KithWire

extension ClusterRun {
    /// From the end of a copy's life to its next start.
    private static let againNanoseconds: UInt64 = 500_000_000

    func copyFolder(_ fault: Fault, _ chance: inout Xoshiro256) {
        // A copy is less than a second old as often as more.
        let age = chance.logarithmic(1_000_000...10_000_000_000)
        let isCut = chance.oneIn(3)
        let place = cluster.node(fault.node)
        guard keeper(fault.node).hasOwnFolder, keeper(fault.node).isServing,
            let node = place.life?.node
        else { return }
        let disk = place.disk.crash(keeping: { _ in .everything })
        guard let content = simulator.inspect({ node.inspectFolder() }) else { return }
        note("n\(fault.node): its folder is copied")
        simulator.schedule(after: age, subject: UInt64(fault.node)) { [self] in
            guard !isHealed, !isOver, !copies.contains(where: { $0.place.number == fault.node })
            else { return }
            let copy = FolderCopy(fault, cluster.copy(of: fault.node, on: disk), content)
            if isCut {
                cluster.network.weather.refuse(
                    from: copy.place.name, to: place.name,
                    until: simulator.nanoseconds + fault.nanoseconds)
            }
            copies.append(copy)
            begin(copy)
            watchCopy(copy)
            atEnd(of: fault) { run, _ in run.end(copy) }
        }
    }

    private func begin(_ copy: FolderCopy) {
        guard isThere(copy), copy.place.life == nil else { return }
        copy.isAnswered = isAnswered(copy)
        endUnlessKnown(copy)
        guard isThere(copy) else { return }
        copy.lives += 1
        note("\(copy.place.name) starts, \(copy.isAnswered ? "answered" : "not answered")")
        let life = cluster.begin(copy.place) { [port = copy.place.port] in
            $0.port = port
            $0.folder = .asFound(mayMake: false)
        }
        life.onServing = { [self] in serves(copy) }
        life.onEnd = { [self] failure in ended(copy, failure) }
    }

    private func watchCopy(_ copy: FolderCopy) {
        guard isThere(copy) else { return }
        endUnlessKnown(copy)
        simulator.schedule(after: Self.folderLookNanoseconds, subject: UInt64(copy.fault.number)) {
            [self] in watchCopy(copy)
        }
    }

    private func isThere(_ copy: FolderCopy) -> Bool {
        !isOver && copies.contains { $0 === copy }
    }

    /// Whether the node itself answers its copy: not where its places are few, and taken.
    private func isAnswered(_ copy: FolderCopy) -> Bool {
        let own = cluster.node(copy.place.number)
        return keeper(own.number).adjusts.isEmpty && reached(own, by: copy.place) != nil
    }

    /// Takes the copy away where nobody can be reached who knows better.
    func endUnlessKnown(_ copy: FolderCopy) {
        if copy.isAnswered, !isAnswered(copy) { copy.isAnswered = false }
        guard !copy.isAnswered, !hasWitness(of: copy.place, copy.content.isRefused) else { return }
        end(copy)
    }

    /// No copy runs any more.
    func endCopies() {
        for copy in copies { end(copy) }
    }

    private func end(_ copy: FolderCopy) {
        guard let place = copies.firstIndex(where: { $0 === copy }) else { return }
        copies.remove(at: place)
        note("\(copy.place.name) is taken away")
        cluster.kill(copy.place)
    }

    private func ended(_ copy: FolderCopy, _ failure: NodeError?) {
        guard isThere(copy) else { return }
        cluster.bury(copy.place)
        note("\(copy.place.name) ended: \(failure.map { "\($0)" } ?? "without a reason")")
        switch failure {
        case .runsAlready, .folderRefused, .folderReplaced: countInjected(copy.fault)
        default:
            broke(
                "17 folders are known",
                "\(copy.place.name) does not say why it ends: \(failure.map { "\($0)" } ?? "")")
        }
        simulator.schedule(after: Self.againNanoseconds, subject: UInt64(copy.fault.number)) {
            [self] in begin(copy)
        }
    }

    /// The copy serves: it must find out before it answers anybody, and end.
    private func serves(_ copy: FolderCopy) {
        guard isThere(copy) else { return }
        note("\(copy.place.name) listens, with a copy of the folder")
        if copy.isAnswered {
            broke("17 folders are known", "\(copy.place.name) starts, though its node answers it")
        }
        let life = copy.lives
        let isSame: @Sendable () -> Bool = { [self] in
            isThere(copy) && copy.lives == life && copy.place.isUp
        }
        if let value = cluster.nobody(at: copy.place.number) {
            let get = Get(
                space: "nobody", namespace: plan.settings.identity.namespaces[0].name, value: value)
            let client = cluster.client(atCopy: copy.place)
            start { [self] in
                // Refused, or cut off where the process ends.
                guard (try? await client.get(get, retries: 0)) != nil, isSame() else { return }
                broke("17 folders are known", "\(copy.place.name) answers out of a copy")
            }
        }
        simulator.schedule(
            after: Self.refusalNanosecondsMax, subject: UInt64(copy.place.number)
        ) { [self] in
            guard isSame() else { return }
            broke("17 folders are known", "\(copy.place.name) goes on with a copy")
        }
    }
}
