internal import KithBytes
internal import KithPorts
internal import KithStorage
internal import KithWire

/// What a running node knows of its own folder and of those of the others, and the judge of what
/// they say.
///
///     its word ──▶ is its folder what I have seen? ──▶ is mine what it has seen? ──▶ remembered
///                       no: it is refused                no: this node ends
///
/// Two nodes that say so of each other cannot both be right: each goes on only while no more nodes
/// contradict it than agree with it, so that one wrong folder does not end those that are right.
///
/// A start is durable here before it is answered, the ends of groups within a second (`save`).
actor FolderMemory {
    nonisolated let node: NodeID
    /// The starts of this folder, this one included.
    nonisolated let starts: StartList
    private nonisolated let loop: any Loop
    private nonisolated let configuration: ClusterConfiguration
    private nonisolated let groups: [Group]
    private nonisolated let hints: [HintCache]
    private let cell: DurableCell
    private var notes: FolderNotes
    private var isChanged = false
    /// Who agrees with this node and who contradicts it, in this life.
    private var votes = FolderVotes()

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    /// What became of another node's word.
    enum Verdict: Sendable, Equatable {
        case taken
        /// Its folder is not the one that this node has seen; a sentence.
        case otherIsWrong(String)
        /// This node's folder is not the one that the other has seen.
        case ownIsWrong(NodeError)
    }

    /// `notes`: those of the folder. `groups`: those that this node leads. `hints`: what must not
    /// outlive another node's log. Touches nothing yet.
    init(
        _ settings: NodeSettings, starts: StartList, notes: FolderNotes, groups: [Group],
        hints: [HintCache], disk: any Disk, loop: any Loop
    ) {
        cell = DurableCell(
            disk: disk, path: FolderNotes.file.path, loop: loop,
            valueBytes: FolderNotes.file.valueBytes)
        node = settings.nodeID
        configuration = settings.configuration
        self.starts = starts
        self.notes = notes
        self.groups = groups
        self.hints = hints
        self.loop = loop.forActor()
    }

    // MARK: Telling

    /// What this node says of itself and has heard of others.
    func news() async -> NodeNews {
        var own = NodeWord(node: node, start: starts.newest)
        for group in groups {
            own.ends.append(NodeWord.GroupEnd(group: group.id, index: await group.appliedIndex))
        }
        return NodeNews(words: [own] + notes.words.filter { $0.node != node })
    }

    /// The same, as a node greets.
    func word() async -> FolderWord { FolderWord(starts: starts, news: await news()) }

    /// What was heard of that node.
    func heard(of other: NodeID) -> NodeWord? { notes[other] }

    // MARK: Judging

    /// Judges what node `other` says, with the starts of its folder where it greets, and remembers
    /// it where it is taken.
    func hear(
        _ news: NodeNews, of starts: StartList?, from other: NodeID
    ) async throws(NodeError) -> Verdict {
        guard let word = news.words.first, word.node == other else {
            return .otherIsWrong("node \(other.rawValue) speaks for another node")
        }
        let own = news.words.first { $0.node == node }
        let ownDifference: FolderDifference? =
            if let own { await difference(from: own) } else { nil }
        let difference = starts.flatMap { differenceFromKnown(word, $0) }
        let isOwnStart = own?.start == self.starts.newest
        if difference == nil, let ownDifference, isOwnStart {
            // This log never ends earlier than it did: that was never seen.
            return .otherIsWrong(
                "node \(other.rawValue) says what cannot be of this node, which runs: "
                    + "\(ownDifference)")
        }
        let verdict = votes.count(other, own: ownDifference, other: difference)
        if let ownDifference,
            verdict == .ownIsWrong || verdict == .contradict && votes.isOutvoted
        {
            mark(.folderOwnWrong)
            return .ownIsWrong(.folderReplaced(seenBy: other.rawValue, how: ownDifference))
        }
        if let difference {
            mark(.folderOtherWrong)
            return .otherIsWrong(
                "node \(other.rawValue) has another data folder than before: \(difference); its own "
                    + "log says what to do")
        }
        if starts == nil, let known = notes[other], word.start.number < known.start.number {
            // A late word of an earlier start: nothing to learn from it.
            return .taken
        }
        let before = notes
        var isStart = false
        for word in news.words where word.node != node && configuration.node(word.node) != nil {
            let isNew = notes.hear(word) { configuration.leader(of: $0) == word.node }
            isStart = isStart || isNew
        }
        if notes != before { isChanged = true }
        if isStart {
            // Its log may be another one (`--new`, `--restored`), and where a leaf is rooted is for
            // the leaf's home to say.
            for cache in hints { cache.forget() }
            try await store()
        }
        return .taken
    }

    /// Judges the refusal of another node, which says `word` of its own folder: why this node ends;
    /// nil where the other's folder is not the one that was seen, and it is not outvoted.
    func judge(refusalBy other: NodeID, _ word: FolderWord, why: String) -> NodeError? {
        // It refuses, so this one's folder is not what it has seen; how, stands in `why`.
        let difference = word.news.words.first { $0.node == other }.flatMap {
            differenceFromKnown($0, word.starts)
        }
        let verdict = votes.count(other, own: .unknownStart, other: difference)
        if verdict == .contradict, !votes.isOutvoted {
            mark(.folderOtherWrong)
            return nil
        }
        return .folderRefused(by: other.rawValue, why: why)
    }

    private func differenceFromKnown(_ word: NodeWord, _ starts: StartList) -> FolderDifference? {
        notes[word.node].flatMap { Self.difference(word, starts, from: $0) }
    }

    /// How this folder differs from what another has seen of this node; nil where it does not.
    private func difference(from seen: NodeWord) async -> FolderDifference? {
        guard seen.start.number == 0 || Rules.isKnown(seen.start, in: starts) else {
            return .unknownStart
        }
        return await .of(groups, from: seen)
    }

    /// How another node's folder differs from what was seen of it; nil where it does not.
    static func difference(
        _ word: NodeWord, _ starts: StartList, from known: NodeWord
    ) -> FolderDifference? {
        guard known.start.number == 0 || Rules.isKnown(known.start, in: starts) else {
            return .unknownStart
        }
        // Within one start an end never falls, and words may overtake each other.
        guard word.start != known.start else { return nil }
        for end in known.ends {
            guard let now = word.ends.first(where: { $0.group == end.group }) else { continue }
            if !Rules.reaches(now.index, end.index) {
                return .shorterLog(
                    group: end.group.rawValue, seen: end.index.rawValue, end: now.index.rawValue)
            }
        }
        return nil
    }

    // MARK: Remembering

    /// Makes durable what was heard since the last call; cheap where that is nothing.
    func save() async throws(NodeError) {
        if isChanged { try await store() }
    }

    private func store() async throws(NodeError) {
        isChanged = false
        do throws(CellError) {
            try await cell.store(notes.encoded)
        } catch {
            throw .identity(error)
        }
    }

    /// Closes the file, after a last save.
    func close() async throws(NodeError) {
        try await save()
        await cell.close()
    }
}

/// How a data folder is not the one that was seen before.
public enum FolderDifference: Sendable, Equatable {
    /// A start that was seen is not one of this folder.
    case unknownStart
    /// A group's log went further when it was seen.
    case shorterLog(group: UInt16, seen: UInt64, end: UInt64)
}

extension FolderDifference {
    /// How the logs of the groups fall short of where others have seen them end; nil where they do
    /// not.
    static func of(_ groups: [Group], from seen: NodeWord) async -> FolderDifference? {
        for end in seen.ends {
            guard let group = groups.first(where: { $0.id == end.group }) else { continue }
            let index = await group.appliedIndex
            if !Rules.reaches(index, end.index) {
                return .shorterLog(
                    group: end.group.rawValue, seen: end.index.rawValue, end: index.rawValue)
            }
        }
        return nil
    }
}

extension FolderDifference: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unknownStart:
            "it does not know of a start that was seen, so it is empty, older, or a copy"
        case .shorterLog(let group, let seen, let end):
            "its log of group \(group) ends at entry \(end), and entry \(seen) was there before, so it "
                + "is older, or a copy"
        }
    }
}
