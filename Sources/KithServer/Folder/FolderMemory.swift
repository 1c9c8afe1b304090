internal import KithBytes
internal import KithPorts
internal import KithStorage
internal import KithWire

/// What a running node knows of its own folder and of those of the others, and the judge of what
/// they say.
///
///     another node's word ──▶ is mine what it has seen? ──▶ is its what I have seen? ──▶ remembered
///                                   no: this node ends          no: it is refused
///
/// A start is durable here before it is answered, the ends of groups within a second (`save`).
actor FolderMemory {
    nonisolated let node: NodeID
    /// The starts of this folder, this one included.
    nonisolated let starts: StartList
    private nonisolated let loop: any Loop
    private nonisolated let configuration: ClusterConfiguration
    private nonisolated let groups: [Group]
    private let cell: DurableCell
    private var notes: FolderNotes
    private var isChanged = false

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

    /// Reads the notes of the folder; changes nothing. `groups`: those that this node leads.
    static func open(
        _ settings: NodeSettings, starts: StartList, groups: [Group], disk: any Disk,
        loop: any Loop
    ) async throws(NodeError) -> FolderMemory {
        let cell = DurableCell(
            disk: disk, path: FolderNotes.path, loop: loop, valueBytes: FolderNotes.valueBytes)
        var notes = FolderNotes()
        do throws(CellError) {
            if let bytes = try await cell.load() {
                do throws(ByteError) {
                    notes = try FolderNotes(decoding: bytes)
                } catch {
                    throw .corrupt(path: FolderNotes.path)
                }
            }
        } catch {
            throw .identity(error)
        }
        return FolderMemory(
            settings, starts: starts, notes: notes, cell: cell, groups: groups, loop: loop)
    }

    private init(
        _ settings: NodeSettings, starts: StartList, notes: FolderNotes, cell: DurableCell,
        groups: [Group], loop: any Loop
    ) {
        node = settings.nodeID
        configuration = settings.configuration
        self.starts = starts
        self.notes = notes
        self.cell = cell
        self.groups = groups
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
        if let own = news.words.first(where: { $0.node == node }) {
            if let difference = await difference(from: own) {
                guard own.start != self.starts.newest else {
                    // This log never ends earlier than it did: that was never seen.
                    return .otherIsWrong(
                        "node \(other.rawValue) says what cannot be of this node, which runs: "
                            + "\(difference)")
                }
                mark(.folderOwnWrong)
                return .ownIsWrong(.folderReplaced(seenBy: other.rawValue, how: difference))
            }
        }
        guard let word = news.words.first, word.node == other else {
            return .otherIsWrong("node \(other.rawValue) speaks for another node")
        }
        if let known = notes[other], let starts,
            let difference = Self.difference(word, starts, from: known)
        {
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
        if isStart { try await store() }
        return .taken
    }

    /// How this folder differs from what another has seen of this node; nil where it does not.
    private func difference(from seen: NodeWord) async -> FolderDifference? {
        guard seen.start.number == 0 || starts.contains(seen.start) else {
            return .unknownStart
        }
        return await .of(groups, from: seen)
    }

    private static func difference(
        _ word: NodeWord, _ starts: StartList, from known: NodeWord
    ) -> FolderDifference? {
        guard known.start.number == 0 || starts.contains(known.start) else { return .unknownStart }
        // Within one start an end never falls, and words may overtake each other.
        guard word.start != known.start else { return nil }
        for end in known.ends {
            guard let now = word.ends.first(where: { $0.group == end.group }) else { continue }
            if now.index < end.index {
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
            if end.index > index {
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
