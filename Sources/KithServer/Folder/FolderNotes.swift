internal import KithBytes
internal import KithPorts
internal import KithWire

// What a node notes in its folder while it runs.
//
//   version u8 (1) · NodeNews (what was heard of the other nodes)
//
// A cell of its own: written when something has changed, at most once a second.

/// What a folder remembers of the other nodes.
struct FolderNotes: Equatable {
    /// A word a node, ascending by node.
    private(set) var words: [NodeWord] = []

    /// With the bytes of the encoding at most.
    static let file = FolderFile(
        path: "notes",
        valueBytes: 1 + 1 + 20 * PeerLimits.wordsMax + 10 * PeerLimits.endsMax)

    init() {}

    init(decoding bytes: [UInt8]) throws(ByteError) {
        var reader = unsafe ByteReader(bytes.span.bytes)
        let version = try reader.u8()
        guard version == 1 else { throw .unknownTag(version, offset: 0) }
        words = try NodeNews(decoding: &reader).words
        guard reader.isAtEnd else { throw .malformed(offset: reader.offset) }
    }

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.u8(1)
        NodeNews(words: words).encode(into: &writer)
        return writer.bytes
    }

    /// What the folder remembers; nothing where it has none. Changes nothing.
    static func load(disk: any Disk, loop: any Loop) async throws(NodeError) -> FolderNotes {
        try await file.load(disk, loop) { bytes throws(ByteError) in
            try FolderNotes(decoding: bytes)
        } ?? FolderNotes()
    }

    subscript(node: NodeID) -> NodeWord? { words.first { $0.node == node } }

    /// Takes what was heard of a node: the later of two starts, and of each group's ends the
    /// greater, of the groups that the node leads. True where that is a start that was not known.
    mutating func hear(_ word: NodeWord, leads: (GroupID) -> Bool) -> Bool {
        guard word.start.number > 0 else { return false }
        var known = self[word.node] ?? NodeWord(node: word.node, start: StartID(number: 0, id: 0))
        let isLater = word.start.number > known.start.number
        if isLater { known.start = word.start }
        for end in word.ends where leads(end.group) {
            if let place = known.ends.firstIndex(where: { $0.group == end.group }) {
                known.ends[place].index = max(known.ends[place].index, end.index)
            } else {
                known.ends.append(end)
                known.ends.sort { $0.group < $1.group }
            }
        }
        words.removeAll { $0.node == word.node }
        words.append(known)
        words.sort { $0.node < $1.node }
        return isLater
    }
}
