internal import KithBytes
internal import KithPorts
internal import KithStorage
internal import KithWire

/// What a node finds in its data folder when it starts, judged before anything is changed.
///
///     names ──▶ lock ──▶ identity, namespaces, starts ──▶ the other nodes ──▶ log ──▶ its ends
///
/// The port is opened before the others are asked, so that nodes which start together answer each
/// other. Once the log is recovered and found to be what it was, `store` writes: starts first,
/// identity last, for it says that the folder is one that was used. Where a folder is made anew
/// (`--new`) the starts are stored before there is a log: whatever comes between, the next start
/// finds them, and goes on above all that others have heard.
///
/// Who can be reached is asked before anybody is told of this start and before anything is written.
/// A folder that is refused stays what it was, however often it is started: else its log would grow
/// by each start until it passes for the one that was seen. And nobody who knows less takes it in
/// while somebody who knows more refuses it.
struct FolderEntrance {
    /// Whether a node has used it before.
    let isKnown: Bool
    private let namespaces: FolderNamespaces?
    private(set) var starts: FolderStarts
    /// What it remembers of the other nodes.
    let notes: FolderNotes
    /// Of this start.
    private let startID: UInt64
    /// What other nodes have heard of this one, by their numbers, where the folder is taken for
    /// what it is.
    private var heard: [(by: NodeID, word: NodeWord)] = []

    /// The names by which a folder is known for a node's, whole or begun, beside the starts in it.
    /// The lock is none of them: a start that was refused leaves it behind.
    private static let names = [
        LogFormat.folder, FolderIdentity.file.path, FolderNamespaces.file.path,
    ]

    static func open(
        _ settings: NodeSettings, _ ports: NodePorts, at place: ClusterConfiguration.Node
    ) async throws(NodeError) -> FolderEntrance {
        let (disk, loop) = (ports.disk, ports.loops[0])
        let hasNames: Bool
        do throws(DiskError) {
            hasNames = (try await disk.list(".")).contains { Self.names.contains($0) }
        } catch {
            throw .disk(error)
        }
        let starts = try await FolderStarts.load(disk: disk, loop: loop)
        let isEmpty = !hasNames && starts == nil
        if isEmpty, settings.folder == .asFound(mayMake: false) {
            mark(.folderEmpty)
            throw .folderEmpty
        }
        do throws(DiskError) {
            try await disk.lock("lock")
        } catch {
            guard error.isLockHeld else { throw .disk(error) }
            mark(.folderInUse)
            throw .folderInUse(error)
        }
        if isEmpty, settings.folder == .asFound(mayMake: true) {
            // Whatever ends this start, the next one knows that the folder was made for it.
            do throws(DiskError) {
                try await disk.makeDirectory(LogFormat.folder)
            } catch {
                throw .disk(error)
            }
        }
        let isKnown = try await FolderIdentity.check(settings, disk: disk, loop: loop)
        let namespaces = try await FolderNamespaces.check(
            settings, isKnown: isKnown, disk: disk, loop: loop)
        if isKnown, starts == nil { throw .identity(.corrupt(path: FolderStarts.file.path)) }
        if let port = settings.port, port != place.port,
            await PeerHandshake.answers(place, PeerIntroduction(settings), ports)
        {
            mark(.nodeRunsAlready)
            throw .runsAlready(node: place.id.rawValue, address: "\(place.host):\(place.port)")
        }
        if settings.folder == .new, isKnown { throw .folderNotEmpty }
        if settings.folder == .restored, !isKnown { throw .nothingRestored }
        return FolderEntrance(
            isKnown: isKnown, namespaces: namespaces, starts: starts ?? FolderStarts(),
            notes: try await FolderNotes.load(disk: disk, loop: loop),
            startID: ports.randomness.nextUInt64())
    }

    private init(
        isKnown: Bool, namespaces: FolderNamespaces?, starts: FolderStarts, notes: FolderNotes,
        startID: UInt64
    ) {
        self.isKnown = isKnown
        self.namespaces = namespaces
        self.starts = starts
        self.notes = notes
        self.startID = startID
    }

    // MARK: Asking

    /// Nanoseconds for which others that do not answer are asked again: they may be starting too.
    static let askNanosecondsMax: UInt64 = 60_000_000_000
    /// Nanoseconds between two rounds of asking.
    private static let askAgainNanoseconds: UInt64 = 500_000_000
    /// Nanoseconds between two lines of the log that say who does not answer.
    private static let askToldNanoseconds: UInt64 = 10_000_000_000

    /// What the others have heard of this node, before its log is opened: from all of them where a
    /// loss is meant, else from those who answer. Whoever does not says it when it greets or is
    /// greeted.
    mutating func hearOthers(
        _ settings: NodeSettings, _ ports: NodePorts, _ print: @Sendable (LogLine) -> Void
    ) async throws(NodeError) {
        switch settings.folder {
        case .asFound: try judge(await Self.answers(settings, ports), by: settings.nodeID)
        case .new, .restored: try await ask(settings, ports, print)
        }
    }

    /// Whether this folder is the one that others have seen. Whoever is not what this one has seen
    /// does not decide that by itself, only where more nodes contradict this one than agree.
    private mutating func judge(
        _ answers: [(by: NodeID, word: FolderWord)], by node: NodeID
    ) throws(NodeError) {
        var contradicting: [NodeID] = []
        for (other, said) in answers {
            let seen = said.news.words.first { $0.node == node }
            let isWrong =
                notes[other].flatMap { known in
                    said.news.words.first { $0.node == other }.flatMap {
                        FolderMemory.difference($0, said.starts, from: known)
                    }
                } != nil
            if let seen, seen.start.number > 0, !Rules.isKnown(seen.start, in: starts.list) {
                contradicting.append(other)
                if isWrong { continue }
                mark(.folderOwnWrong)
                throw .folderReplaced(seenBy: other.rawValue, how: .unknownStart)
            }
            if let seen, !isWrong { heard.append((other, seen)) }
        }
        if let first = contradicting.first, contradicting.count > heard.count {
            mark(.folderOwnWrong)
            throw .folderReplaced(seenBy: first.rawValue, how: .unknownStart)
        }
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

    /// What other nodes say that answer at once, by their numbers.
    private static func answers(
        _ settings: NodeSettings, _ ports: NodePorts
    ) async -> [(by: NodeID, word: FolderWord)] {
        let introduction = PeerIntroduction(settings)
        return await withTaskGroup(of: (NodeID, FolderWord?).self) { tasks in
            for other in settings.configuration.nodes where other.id != settings.nodeID {
                tasks.addTask {
                    let answer = await PeerHandshake.ask(
                        other, introduction, ports, millis: PeerHandshake.answerMillisMax)
                    guard case .success(let said) = answer else { return (other.id, nil) }
                    return (other.id, said)
                }
            }
            var answers: [(by: NodeID, word: FolderWord)] = []
            for await (other, word) in tasks { word.map { answers.append((other, $0)) } }
            return answers.sorted { $0.by < $1.by }
        }
    }

    /// What this node says of itself and of others while it asks, or replays its log.
    func word(of node: NodeID) -> FolderWord {
        let starts = begun.list
        guard let starts else { preconditionFailure("a start without a list") }
        let own = NodeWord(node: node, start: starts.newest)
        return FolderWord(
            starts: starts, news: NodeNews(words: [own] + notes.words.filter { $0.node != node }))
    }

    /// The starts of the folder with this one.
    private var begun: FolderStarts {
        var starts = starts
        starts.begin(startID)
        return starts
    }

    /// Has the starts begin with what every other node has heard of this one. All must answer: the
    /// one that does not may be the one that knows most.
    private mutating func ask(
        _ settings: NodeSettings, _ ports: NodePorts, _ print: @Sendable (LogLine) -> Void
    ) async throws(NodeError) {
        mark(.folderAsks)
        let introduction = PeerIntroduction(settings)
        let loop = ports.loops[0]
        let others = settings.configuration.nodes.filter { $0.id != settings.nodeID }
        var words: [NodeID: FolderWord] = [:]
        let began = ports.clock.monotonicNanoseconds()
        var toldAt = began
        while true {
            var missing: (node: NodeID, why: String)?
            for other in others where words[other.id] == nil {
                switch await PeerHandshake.ask(
                    other, introduction, ports, millis: PeerHandshake.askMillisMax)
                {
                case .success(let word): words[other.id] = word
                case .failure(let failure): missing = missing ?? (other.id, failure.text)
                }
            }
            guard let missing else { break }
            let now = ports.clock.monotonicNanoseconds()
            guard now - began < Self.askNanosecondsMax else {
                throw .nodeNotAsked(node: missing.node.rawValue, why: missing.why)
            }
            if now - toldAt >= Self.askToldNanoseconds {
                toldAt = now
                print(
                    LogLine(
                        .info,
                        "starting: node \(missing.node.rawValue) must be asked what it has heard of "
                            + "this one, and does not answer yet: \(missing.why)"))
            }
            do {
                try await ports.clock.sleep(nanoseconds: Self.askAgainNanoseconds, on: loop)
            } catch {
                throw .nodeNotAsked(node: missing.node.rawValue, why: "the start was cancelled")
            }
        }
        starts.adopt(
            others.flatMap { words[$0.id]?.news.words ?? [] }.filter { $0.node == settings.nodeID })
        if !isKnown { try await begun.store(disk: ports.disk, loop: loop) }
    }

    /// Adds this start; returns all that the folder remembers.
    mutating func begin() -> StartList {
        starts = begun
        guard let list = starts.list else { preconditionFailure("a start without a list") }
        return list
    }

    /// Which of the files that every used folder has is not there; nil where all are, or the disk
    /// does not answer.
    static func missing(_ disk: any Disk) async -> String? {
        let paths = [
            FolderIdentity.file.path, FolderNamespaces.file.path, FolderStarts.file.path,
        ]
        // A disk that does not answer proves nothing.
        guard let sizes = try? await disk.sizes(of: paths) else { return nil }
        return zip(paths, sizes).first { $0.1 ?? 0 == 0 }?.0
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
