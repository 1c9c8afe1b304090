internal import KithBytes
internal import KithPorts
internal import KithStorage
internal import KithWire

/// What a node finds in its data folder when it starts, judged before anything is changed.
///
///     names ──▶ lock ──▶ identity, namespaces, starts ──▶ the other nodes ──▶ log ──▶ its ends
///
/// Then the port is opened and the log recovered, and only then `store` writes: starts first,
/// identity last, for it says that the folder is one that was used.
///
/// Who can be reached is asked before anybody is told of this start and before anything is written.
/// A folder that is refused stays what it was, however often it is started: else its log would grow
/// by each start until it passes for the one that was seen. And nobody who knows less takes it in
/// while somebody who knows more refuses it.
struct FolderEntrance {
    /// Whether a node has used it before.
    let isKnown: Bool
    private let namespaces: FolderNamespaces?
    /// This start included.
    let starts: FolderStarts
    let list: StartList
    /// What other nodes have heard of this one, by their numbers, where the folder is taken for
    /// what it is.
    private let heard: [(by: NodeID, word: NodeWord)]

    /// The files by which a folder is known for a node's, whole or begun.
    private static let names = [
        "lock", "log", FolderIdentity.path, FolderNamespaces.path, FolderStarts.path,
    ]

    static func open(
        _ settings: NodeSettings, _ ports: NodePorts, at place: ClusterConfiguration.Node
    ) async throws(NodeError) -> FolderEntrance {
        let loop = ports.loops[0]
        let names: [String]
        do throws(DiskError) {
            names = try await ports.disk.list(".")
        } catch {
            throw .disk(error)
        }
        if settings.folder == .asFound(mayMake: false),
            !names.contains(where: { Self.names.contains($0) })
        {
            mark(.folderEmpty)
            throw .folderEmpty
        }
        do throws(DiskError) {
            try await ports.disk.lock("lock")
        } catch {
            guard error.isLockHeld else { throw .disk(error) }
            mark(.folderInUse)
            throw .folderInUse(error)
        }
        let isKnown = try await FolderIdentity.check(settings, disk: ports.disk, loop: loop)
        let namespaces = try await FolderNamespaces.check(settings, disk: ports.disk, loop: loop)
        var starts: FolderStarts
        if isKnown {
            guard let found = try await FolderStarts.load(disk: ports.disk, loop: loop) else {
                throw .identity(.corrupt(path: FolderStarts.path))
            }
            starts = found
        } else {
            starts = FolderStarts()
        }
        let introduction = PeerIntroduction(settings)
        if let port = settings.port, port != place.port,
            await PeerHandshake.answers(place, introduction, ports)
        {
            mark(.nodeRunsAlready)
            throw .runsAlready(node: place.id.rawValue, address: "\(place.host):\(place.port)")
        }
        var heard: [(by: NodeID, word: NodeWord)] = []
        switch settings.folder {
        case .asFound:
            heard = await hear(settings, introduction, ports)
            for (other, word) in heard where word.start.number > 0 {
                guard starts.list?.contains(word.start) ?? false else {
                    mark(.folderOwnWrong)
                    throw .folderReplaced(seenBy: other.rawValue, how: .unknownStart)
                }
            }
        case .new:
            if isKnown { throw .folderNotEmpty }
            starts.adopt(try await ask(settings, introduction, ports))
        case .restored:
            if !isKnown { throw .nothingRestored }
            starts.adopt(try await ask(settings, introduction, ports))
        }
        starts.begin(ports.randomness.nextUInt64())
        guard let list = starts.list else { preconditionFailure("a start without a list") }
        return FolderEntrance(
            isKnown: isKnown, namespaces: namespaces, starts: starts, list: list, heard: heard)
    }

    private init(
        isKnown: Bool, namespaces: FolderNamespaces?, starts: FolderStarts, list: StartList,
        heard: [(by: NodeID, word: NodeWord)]
    ) {
        self.isKnown = isKnown
        self.namespaces = namespaces
        self.starts = starts
        self.list = list
        self.heard = heard
    }

    /// Compares the recovered log with how far others have seen it go, but for groups that are
    /// about to rise above that. Changes nothing.
    func compare(_ groups: [Group]) async throws(NodeError) {
        for (other, word) in heard {
            var word = word
            word.ends.removeAll { end in
                starts.floors.contains { $0.group == end.group && $0.index >= end.index }
            }
            if let difference = await FolderDifference.of(groups, from: word) {
                mark(.folderOwnWrong)
                throw .folderReplaced(seenBy: other.rawValue, how: difference)
            }
        }
    }

    /// What the others have heard of this node, as far as they answer. Whoever does not says it
    /// when it greets or is greeted.
    private static func hear(
        _ settings: NodeSettings, _ introduction: PeerIntroduction, _ ports: NodePorts
    ) async -> [(by: NodeID, word: NodeWord)] {
        await withTaskGroup(of: (NodeID, NodeWord?).self) { tasks in
            for other in settings.configuration.nodes where other.id != settings.nodeID {
                tasks.addTask {
                    let answer = await PeerHandshake.ask(
                        other, introduction, ports, millis: PeerHandshake.answerMillisMax)
                    guard case .success(let said) = answer else { return (other.id, nil) }
                    return (other.id, said.news.words.first { $0.node == settings.nodeID })
                }
            }
            var heard: [(by: NodeID, word: NodeWord)] = []
            for await (other, word) in tasks { word.map { heard.append((other, $0)) } }
            return heard.sorted { $0.by < $1.by }
        }
    }

    /// What every other node has heard of this one. All must answer: the one that does not may be
    /// the one that knows most.
    private static func ask(
        _ settings: NodeSettings, _ introduction: PeerIntroduction, _ ports: NodePorts
    ) async throws(NodeError) -> [NodeWord] {
        mark(.folderAsks)
        var words: [NodeWord] = []
        for other in settings.configuration.nodes where other.id != settings.nodeID {
            switch await PeerHandshake.ask(
                other, introduction, ports, millis: PeerHandshake.askMillisMax)
            {
            case .success(let word):
                words += word.news.words.filter { $0.node == settings.nodeID }
            case .failure(let failure):
                throw .nodeNotAsked(node: other.id.rawValue, why: failure.text)
            }
        }
        return words
    }

    /// Has the folder remember what is new; durable when it returns.
    func store(
        _ settings: NodeSettings, disk: any Disk, loop: any Loop
    ) async throws(NodeError) {
        try await namespaces?.store(disk: disk, loop: loop)
        try await starts.store(disk: disk, loop: loop)
        if !isKnown { try await FolderIdentity.store(settings, disk: disk, loop: loop) }
    }
}
