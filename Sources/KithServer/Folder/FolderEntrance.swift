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

    /// Nanoseconds for which others that do not answer are asked again where a loss is meant: they
    /// may be starting too.
    static let askNanosecondsMax: UInt64 = 60_000_000_000
    /// Nanoseconds between two rounds of asking, at first and at most.
    private static let askAgainNanoseconds: (first: UInt64, most: UInt64) = (
        20_000_000, 500_000_000
    )
    /// Nanoseconds until the log says who does not answer, and from then on between two such lines.
    private static let askToldNanoseconds: (first: UInt64, next: UInt64) = (
        1_000_000_000, 10_000_000_000
    )

    /// Whether nothing in the folder says that a node was ever started on it.
    private var isFirst: Bool { !isKnown && starts.list == nil }

    /// What the others have heard of this node, before its log is opened.
    ///
    /// A folder that was used is judged by those who answer: whoever does not says it when it
    /// greets or is greeted. One that knows of no start has nothing of its own to go by: it may be
    /// a first one, or one that was removed, and only the others can tell. So all are waited for,
    /// for as long as it takes. Where a loss is meant all must answer within a minute.
    mutating func hearOthers(
        _ settings: NodeSettings, _ ports: NodePorts, _ waits: StartWaits,
        _ print: @Sendable (LogLine) -> Void
    ) async throws(NodeError) {
        switch settings.folder {
        case .asFound where isFirst:
            _ = try await askAll(settings, ports, waits, isMeant: false, print)
        case .asFound:
            let others = settings.configuration.nodes.filter { $0.id != settings.nodeID }
            let answers = await Self.answers(
                of: others, settings, ports, millis: PeerHandshake.answerMillisMax)
            try Self.expectOwnFile(answers)
            try judge(Self.words(answers), by: settings.nodeID)
        case .new, .restored:
            mark(.folderAsks)
            let words = try await askAll(settings, ports, waits, isMeant: true, print)
            starts.adopt(
                words.flatMap(\.word.news.words).filter { $0.node == settings.nodeID })
            if !isKnown { try await begun.store(disk: ports.disk, loop: ports.loops[0]) }
        }
    }

    /// Refuses a start with another cluster file than the others have: by its own retention and
    /// identity the node would drop and join what they keep. Who comes gives way, unless more nodes
    /// have its file than have not, itself among them; who does not answer counts for neither.
    private static func expectOwnFile(_ answers: [Answer]) throws(NodeError) {
        var agree = 1
        var differ: [(by: NodeID, why: String)] = []
        for answer in answers {
            switch answer.said {
            case .success: agree += 1
            case .failure(.refused(let text, code: .wrongCluster)): differ.append((answer.by, text))
            case .failure: break
            }
        }
        guard let first = differ.first, differ.count >= agree else { return }
        let code = "\(ErrorCode.wrongCluster): "
        throw .fileDiffers(
            from: first.by.rawValue,
            why: first.why.hasPrefix(code) ? String(first.why.dropFirst(code.count)) : first.why)
    }

    /// Whether this folder is the one that others have seen. Whoever is not what this one has seen
    /// does not decide that by itself, only where more nodes contradict this one than agree.
    private mutating func judge(
        _ answers: [(by: NodeID, word: FolderWord)], by node: NodeID
    ) throws(NodeError) {
        var votes = FolderVotes()
        var first: NodeID?
        heard = []
        for (other, said) in answers {
            guard let seen = said.news.words.first(where: { $0.node == node }) else { continue }
            let isUnknown = seen.start.number > 0 && !Rules.isKnown(seen.start, in: starts.list)
            let difference = notes[other].flatMap { known in
                said.news.words.first { $0.node == other }.flatMap {
                    FolderMemory.difference($0, said.starts, from: known)
                }
            }
            switch votes.count(other, own: isUnknown ? .unknownStart : nil, other: difference) {
            case .agree: heard.append((other, seen))
            case .otherIsWrong: break
            case .ownIsWrong:
                mark(.folderOwnWrong)
                throw .folderReplaced(seenBy: other.rawValue, how: .unknownStart)
            case .contradict: first = first ?? other
            }
        }
        if let first, votes.isOutvoted {
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

    /// What a node answered that was asked, or why it did not.
    private typealias Answer = (by: NodeID, said: Result<FolderWord, PeerFailure>)
    private typealias Word = (by: NodeID, word: FolderWord)

    /// What those nodes say, asked side by side, by their numbers.
    private static func answers(
        of others: [ClusterConfiguration.Node], _ settings: NodeSettings, _ ports: NodePorts,
        millis: UInt64
    ) async -> [Answer] {
        let introduction = PeerIntroduction(settings)
        return await withTaskGroup(of: Answer.self) { tasks in
            for other in others {
                tasks.addTask {
                    (
                        other.id,
                        await PeerHandshake.ask(other, introduction, ports, millis: millis)
                    )
                }
            }
            var answers: [Answer] = []
            for await answer in tasks { answers.append(answer) }
            return answers.sorted { $0.by < $1.by }
        }
    }

    private static func words(_ answers: [Answer]) -> [Word] {
        answers.compactMap { answer in
            guard case .success(let word) = answer.said else { return nil }
            return (answer.by, word)
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

    /// What every other node has heard of this one, by their numbers. All must answer: the one that
    /// does not may be the one that knows most. Where the loss is not meant, who answers is judged
    /// at once, and a node with another cluster file has nothing to say of this one.
    private mutating func askAll(
        _ settings: NodeSettings, _ ports: NodePorts, _ waits: StartWaits, isMeant: Bool,
        _ print: @Sendable (LogLine) -> Void
    ) async throws(NodeError) -> [Word] {
        var missing = settings.configuration.nodes.filter { $0.id != settings.nodeID }
        var words: [Word] = []
        let began = ports.clock.monotonicNanoseconds()
        var toldAt = began + Self.askToldNanoseconds.first
        var pause = Self.askAgainNanoseconds.first
        while true {
            let answers = await Self.answers(
                of: missing, settings, ports, millis: PeerHandshake.askMillisMax)
            words = (words + Self.words(answers)).sorted { $0.by < $1.by }
            if !isMeant { try judge(words, by: settings.nodeID) }
            let silent = answers.compactMap { answer -> (node: NodeID, why: String)? in
                switch answer.said {
                case .success: nil
                case .failure(.refused(_, code: .wrongCluster)) where !isMeant: nil
                case .failure(let failure): (answer.by, failure.text)
                }
            }
            guard let first = silent.first else {
                // Those that answered before have the same file.
                let earlier = words.map { Answer($0.by, .success($0.word)) }
                try Self.expectOwnFile(earlier + answers.filter { Self.words([$0]).isEmpty })
                return words
            }
            missing.removeAll { other in !silent.contains { $0.node == other.id } }
            waits.wait(for: silent.map(\.node))
            let now = ports.clock.monotonicNanoseconds()
            guard !isMeant || now - began < Self.askNanosecondsMax else {
                throw .nodeNotAsked(node: first.node.rawValue, why: first.why)
            }
            if now >= toldAt {
                mark(.folderWaits)
                toldAt = now + Self.askToldNanoseconds.next
                print(LogLine(.info, "starting: \(waits.text) (\(first.why))"))
            }
            do {
                try await ports.clock.sleep(nanoseconds: pause, on: ports.loops[0])
            } catch {
                throw .nodeNotAsked(node: first.node.rawValue, why: "the start was cancelled")
            }
            pause = min(2 * pause, Self.askAgainNanoseconds.most)
        }
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
