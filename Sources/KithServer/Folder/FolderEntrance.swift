internal import KithBytes
internal import KithPorts
internal import KithStorage
internal import KithWire

/// What a node finds in its data folder when it starts, judged before anything is changed.
///
///     names ──▶ lock ──▶ identity, namespaces, starts ──▶ the other nodes, where a loss is meant
///
/// Then the log is recovered and the port opened, and only then `store` writes: starts first,
/// identity last, for it says that the folder is one that was used.
struct FolderEntrance {
    /// Whether a node has used it before.
    let isKnown: Bool
    private let namespaces: FolderNamespaces?
    /// This start included.
    let starts: FolderStarts
    let list: StartList

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
        switch settings.folder {
        case .asFound: break
        case .new:
            if isKnown { throw .folderNotEmpty }
            starts.adopt(try await ask(settings, introduction, ports))
        case .restored:
            if !isKnown { throw .nothingRestored }
            starts.adopt(try await ask(settings, introduction, ports))
        }
        starts.begin(ports.randomness.nextUInt64())
        guard let list = starts.list else { preconditionFailure("a start without a list") }
        return FolderEntrance(isKnown: isKnown, namespaces: namespaces, starts: starts, list: list)
    }

    private init(
        isKnown: Bool, namespaces: FolderNamespaces?, starts: FolderStarts, list: StartList
    ) {
        self.isKnown = isKnown
        self.namespaces = namespaces
        self.starts = starts
        self.list = list
    }

    /// What every other node has heard of this one. All must answer: the one that does not may be
    /// the one that knows most.
    private static func ask(
        _ settings: NodeSettings, _ introduction: PeerIntroduction, _ ports: NodePorts
    ) async throws(NodeError) -> [NodeWord] {
        mark(.folderAsks)
        var words: [NodeWord] = []
        for other in settings.configuration.nodes where other.id != settings.nodeID {
            switch await PeerHandshake.ask(other, introduction, ports) {
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
