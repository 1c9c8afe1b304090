public import KithBytes

// What nodes tell each other of data folders: which start of whom was the last, and how far logs
// went. By it an empty, an older or a copied folder is known for what it is.
//
//   StartList  number u64 · count u16 · ids u64 each, the newest last
//   NodeNews   count u8 · words
//   word       node u16 · number u64 · id u64 · count u16 · { group u16, index u64 } each

/// One start of a node: its number since the folder was made, from 1, and a random id.
public struct StartID: Hashable, Sendable {
    public var number: UInt64
    public var id: UInt64

    /// The greatest number, far beyond what a node can come to: so the next one is a number too.
    static let numberMax: UInt64 = 1 << 48

    public init(number: UInt64, id: UInt64) {
        self.number = number
        self.id = id
    }
}

/// The last starts of a data folder, newest last; never empty.
public struct StartList: Hashable, Sendable {
    /// The number of the newest.
    public var number: UInt64
    public var ids: [UInt64]

    /// Starts that a folder remembers.
    public static let startsMax = 1024

    /// A list; `ids` 1 to `startsMax`, and no more than `number`.
    public init(number: UInt64, ids: [UInt64]) {
        precondition(
            !ids.isEmpty && ids.count <= Self.startsMax && UInt64(ids.count) <= number,
            "\(ids.count) starts of \(number)")
        self.number = number
        self.ids = ids
    }

    public var newest: StartID { StartID(number: number, id: ids[ids.count - 1]) }

    /// Whether that start was one of this folder. O(starts).
    public func contains(_ start: StartID) -> Bool { ids.contains(start.id) }

    public init(decoding reader: inout ByteReader) throws(ByteError) {
        let offset = reader.offset
        number = try reader.u64()
        let count = Int(try reader.u16())
        guard 1...Self.startsMax ~= count, UInt64(count)...StartID.numberMax ~= number else {
            throw .malformed(offset: offset)
        }
        ids = []
        for _ in 0..<count { ids.append(try reader.u64()) }
    }

    public func encode(into writer: inout ByteWriter) {
        writer.u64(number)
        writer.u16(UInt16(ids.count))
        for id in ids { writer.u64(id) }
    }
}

/// What is known of one node.
public struct NodeWord: Hashable, Sendable {
    public var node: NodeID
    /// Its newest start.
    public var start: StartID
    /// Where the logs of its groups ended at least, ascending by group.
    public var ends: [GroupEnd]

    /// Where the log of one group ended at least.
    public struct GroupEnd: Hashable, Sendable {
        public var group: GroupID
        public var index: LogIndex

        /// The greatest index, which leaves the next ones room in an `OperationIndex`.
        static let indexMax: UInt64 = 1 << 43

        public init(group: GroupID, index: LogIndex) {
            self.group = group
            self.index = index
        }
    }

    public init(node: NodeID, start: StartID, ends: [GroupEnd] = []) {
        self.node = node
        self.start = start
        self.ends = ends
    }
}

/// What a node says of itself and has heard of others.
public struct NodeNews: Hashable, Sendable {
    /// A word a node, the speaker's own first.
    public var words: [NodeWord]

    /// News; at most `PeerLimits.wordsMax` words, with `PeerLimits.endsMax` ends over all of them.
    public init(words: [NodeWord]) {
        precondition(words.count <= PeerLimits.wordsMax, "\(words.count) words")
        self.words = words
    }

    /// Refuses news that name a node twice, groups that do not ascend, and numbers that no node
    /// comes to.
    public init(decoding reader: inout ByteReader) throws(ByteError) {
        let offset = reader.offset
        let count = Int(try reader.u8())
        guard count <= PeerLimits.wordsMax else { throw .malformed(offset: offset) }
        words = []
        var endsLeft = PeerLimits.endsMax
        for _ in 0..<count {
            let offset = reader.offset
            var word = NodeWord(
                node: NodeID(try reader.u16()),
                start: StartID(number: try reader.u64(), id: try reader.u64()))
            let ends = Int(try reader.u16())
            endsLeft -= ends
            guard endsLeft >= 0, word.start.number <= StartID.numberMax,
                !words.contains(where: { $0.node == word.node })
            else {
                throw .malformed(offset: offset)
            }
            for _ in 0..<ends {
                let end = NodeWord.GroupEnd(
                    group: GroupID(try reader.u16()), index: LogIndex(try reader.u64()))
                let isAscending = word.ends.last.map { $0.group < end.group } ?? true
                guard isAscending, end.index.rawValue <= NodeWord.GroupEnd.indexMax else {
                    throw .malformed(offset: offset)
                }
                word.ends.append(end)
            }
            words.append(word)
        }
    }

    public func encode(into writer: inout ByteWriter) {
        writer.u8(UInt8(words.count))
        for word in words {
            writer.u16(word.node.rawValue)
            writer.u64(word.start.number)
            writer.u64(word.start.id)
            writer.u16(UInt16(word.ends.count))
            for end in word.ends {
                writer.u16(end.group.rawValue)
                writer.u64(end.index.rawValue)
            }
        }
    }
}

/// What a node says of its own folder when it greets: which starts it had, and its news.
public struct FolderWord: Hashable, Sendable {
    public var starts: StartList
    public var news: NodeNews

    public init(starts: StartList, news: NodeNews) {
        self.starts = starts
        self.news = news
    }

    public init(decoding reader: inout ByteReader) throws(ByteError) {
        starts = try StartList(decoding: &reader)
        news = try NodeNews(decoding: &reader)
    }

    public func encode(into writer: inout ByteWriter) {
        starts.encode(into: &writer)
        news.encode(into: &writer)
    }
}

/// Answers a `PeerGreeting` that is taken, with the same of the node that answers.
public struct PeerGreetingReply: WireMessage, Hashable {
    public static let frameType = FrameType.peerGreetingReply

    public var folder: FolderWord

    public init(folder: FolderWord) { self.folder = folder }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        folder = try FolderWord(decoding: &reader)
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) { folder.encode(into: &writer) }
}

/// What a node says to every other each second, and at a start before anything is served; and the
/// same of the node that answers.
public struct HeartbeatMessage<Kind: HeartbeatKind>: WireMessage, Hashable {
    public static var frameType: FrameType { Kind.frameType }

    /// What its wall clock shows, believed or not.
    public var wall: LogTime
    public var news: NodeNews

    public init(wall: LogTime, news: NodeNews) {
        self.wall = wall
        self.news = news
    }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        wall = LogTime(try reader.i64())
        news = try NodeNews(decoding: &reader)
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        writer.i64(wall.rawValue)
        news.encode(into: &writer)
    }
}

/// Which of the two a heartbeat is.
public protocol HeartbeatKind: Sendable {
    static var frameType: FrameType { get }
}

/// Answered by `PeerHeartbeatReply`.
public typealias PeerHeartbeat = HeartbeatMessage<HeartbeatRequest>
/// Answers a `PeerHeartbeat`.
public typealias PeerHeartbeatReply = HeartbeatMessage<HeartbeatAnswer>

/// Asks.
public enum HeartbeatRequest: HeartbeatKind {
    public static let frameType = FrameType.peerHeartbeat
}

/// Answers.
public enum HeartbeatAnswer: HeartbeatKind {
    public static let frameType = FrameType.peerHeartbeatReply
}
