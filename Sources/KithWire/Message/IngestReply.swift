public import KithBytes

/// Why an event was refused. The names are those that people see in `stats` and in error lines.
public enum RejectionReason: UInt8, Hashable, Sendable, CaseIterable {
    case invalidJSON = 1
    case invalidType = 2
    case missingEventName = 3
    case noIdentifier = 4
    case eventTooLarge = 5
    case invalidTimestamp = 6
    case missingPreviousID = 7

    /// As people see it.
    public var name: String {
        switch self {
        case .invalidJSON: "invalid_json"
        case .invalidType: "invalid_type"
        case .missingEventName: "missing_event_name"
        case .noIdentifier: "no_identifier"
        case .eventTooLarge: "event_too_large"
        case .invalidTimestamp: "invalid_timestamp"
        case .missingPreviousID: "missing_previous_id"
        }
    }

    /// The reason of that name.
    public init?(name: String) {
        guard let reason = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = reason
    }
}

/// What became of one event.
public enum IngestResult: Hashable, Sendable {
    /// Stored, and its links are settled.
    case ok
    /// Stored before, under the same message id.
    case duplicate
    /// Not stored, and never will be.
    case rejected(RejectionReason)
    /// Older than retention, for a profile that is not there any more.
    case expiredOnArrival
    /// From before its person asked to be forgotten.
    case forgotten
    /// Its person is suppressed.
    case suppressed
    /// May or may not be stored: to be sent again with the same message id, which is safe.
    case unknown
    /// Nothing was stored: to be sent again later.
    case overloaded

    /// Whether the event is to be sent again, with the same message id.
    @inlinable public var wantsRetry: Bool { self == .unknown || self == .overloaded }

    /// The code on the wire; `rejected` is followed by its reason.
    var code: UInt8 {
        switch self {
        case .ok: 0
        case .duplicate: 1
        case .rejected: 2
        case .expiredOnArrival: 3
        case .forgotten: 4
        case .suppressed: 5
        case .unknown: 6
        case .overloaded: 7
        }
    }

    init(reading reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        let code = try reader.u8()
        switch code {
        case 0: self = .ok
        case 1: self = .duplicate
        case 2:
            let tag = try reader.u8()
            guard let reason = RejectionReason(rawValue: tag) else {
                throw .unknownTag(tag, offset: start + 1)
            }
            self = .rejected(reason)
        case 3: self = .expiredOnArrival
        case 4: self = .forgotten
        case 5: self = .suppressed
        case 6: self = .unknown
        case 7: self = .overloaded
        default: throw .unknownTag(code, offset: start)
        }
    }
}

/// The answer to `Ingest`: one result an item, in the items' order.
public struct IngestReply: WireMessage, Hashable {
    public static let frameType = FrameType.ingestReply

    /// How far each group that took events had logged them.
    public var token: SessionToken
    /// When to send the overloaded events again, in milliseconds from now; 0 where there is no
    /// advice.
    public var retryAfterMillis: UInt32
    /// One for each item, in order.
    public var results: [IngestResult]
    /// The nodes that did not answer where items are `unknown` or `overloaded`, ascending.
    public var silentNodes: [NodeID]
    /// The nodes that took no events for want of room where items are `overloaded`, ascending.
    public var shortNodes: [ShortNode]
    /// What there is to tell of items, ascending by item; most batches have nothing.
    public var notes: [IngestNote]
    /// The namespaces and places that notes name.
    public var texts: [String]

    /// An answer. `silentNodes` and `shortNodes` at most `WireLimits.silentNodesMax` each, each
    /// node once, ascending.
    public init(
        token: SessionToken, retryAfterMillis: UInt32 = 0, results: [IngestResult],
        silentNodes: [NodeID] = [], shortNodes: [ShortNode] = [], notes: [IngestNote] = [],
        texts: [String] = []
    ) {
        precondition(silentNodes.count <= WireLimits.silentNodesMax)
        precondition(texts.count <= WireLimits.noteTextsMax)
        self.token = token
        self.retryAfterMillis = retryAfterMillis
        self.results = results
        self.silentNodes = silentNodes
        self.shortNodes = shortNodes
        self.notes = notes
        self.texts = texts
    }

    /// O(results). A result takes a byte at least, so the count is checked against what is left
    /// before anything is allocated.
    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        token = try SessionToken(reading: &reader)
        retryAfterMillis = try reader.u32()
        let count = Int(try reader.u32())
        guard count <= reader.remaining else {
            throw .truncated(needed: count, available: reader.remaining)
        }
        let noteCount = Int(try reader.u32())
        results = []
        results.reserveCapacity(count)
        for _ in 0..<count { results.append(try IngestResult(reading: &reader)) }
        let silent = Int(try reader.u8())
        guard silent <= WireLimits.silentNodesMax else {
            throw .tooLong(length: silent, limit: WireLimits.silentNodesMax)
        }
        silentNodes = []
        for _ in 0..<silent {
            let node = NodeID(try reader.u16())
            if let last = silentNodes.last, last >= node {
                throw .malformed(offset: reader.offset - 2)
            }
            silentNodes.append(node)
        }
        shortNodes = try reader.shortNodes()
        notes = []
        texts = []
        if noteCount > 0 { try readNotes(&reader, count: noteCount, itemCount: count) }
        try reader.expectEnd()
    }

    private mutating func readNotes(
        _ reader: inout ByteReader, count: Int, itemCount: Int
    ) throws(ByteError) {
        let textCount = Int(try reader.u16())
        guard textCount <= WireLimits.noteTextsMax else {
            throw .tooLong(length: textCount, limit: WireLimits.noteTextsMax)
        }
        for _ in 0..<textCount {
            texts.append(try reader.text16(limit: WireLimits.noteTextBytesMax))
        }
        guard count <= reader.remaining / IngestNote.bytesMin else {
            throw .truncated(needed: count * IngestNote.bytesMin, available: reader.remaining)
        }
        notes.reserveCapacity(count)
        for _ in 0..<count {
            let start = reader.offset
            let note = try IngestNote(reading: &reader, textCount: textCount)
            guard note.item >= notes.last?.item ?? 0, Int(note.item) < itemCount else {
                throw .malformed(offset: start)
            }
            notes.append(note)
        }
    }

    public func encode(into writer: inout ByteWriter) {
        token.encode(into: &writer)
        writer.u32(retryAfterMillis)
        writer.u32(UInt32(results.count))
        writer.u32(UInt32(notes.count))
        for result in results {
            writer.u8(result.code)
            if case .rejected(let reason) = result { writer.u8(reason.rawValue) }
        }
        writer.u8(UInt8(silentNodes.count))
        for node in silentNodes { writer.u16(node.rawValue) }
        writer.shortNodes(shortNodes)
        guard !notes.isEmpty else { return }
        writer.u16(UInt16(texts.count))
        for text in texts { writer.text16(text) }
        for note in notes { note.encode(into: &writer) }
    }
}
