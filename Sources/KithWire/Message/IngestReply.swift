public import KithBytes
public import KithCore

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
    /// The nodes that did not answer, or refused, where items are `unknown` or `overloaded`,
    /// ascending.
    public var silentNodes: [NodeSilence]
    /// The nodes that took no events for want of room where items are `overloaded`, ascending.
    public var shortNodes: [ShortNode]
    /// What there is to tell of items, ascending by item; most batches have nothing.
    public var notes: [EventNote]
    /// How much more there was to tell: a batch of many small mistakes has more than an answer
    /// takes.
    public var notesLeftOut: UInt32
    /// The namespaces and places that notes name.
    public var names: NoteNames

    /// An answer. `silentNodes` and `shortNodes` at most `WireLimits.silentNodesMax` each, each
    /// node once, ascending; `notes` at most `EventBatch.notesMax`.
    public init(
        token: SessionToken, retryAfterMillis: UInt32 = 0, results: [IngestResult],
        silentNodes: [NodeSilence] = [], shortNodes: [ShortNode] = [], notes: [EventNote] = [],
        notesLeftOut: UInt32 = 0, names: NoteNames = .none
    ) {
        precondition(silentNodes.count <= WireLimits.silentNodesMax)
        precondition(notes.count <= EventBatch.notesMax)
        self.token = token
        self.retryAfterMillis = retryAfterMillis
        self.results = results
        self.silentNodes = silentNodes
        self.shortNodes = shortNodes
        self.notes = notes
        self.notesLeftOut = notesLeftOut
        self.names = names
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
        silentNodes = try reader.silentNodes()
        shortNodes = try reader.shortNodes()
        notes = []
        notesLeftOut = 0
        names = .none
        if noteCount > 0 { try readNotes(&reader, count: noteCount, itemCount: count) }
        try reader.expectEnd()
    }

    private mutating func readNotes(
        _ reader: inout ByteReader, count: Int, itemCount: Int
    ) throws(ByteError) {
        guard count <= EventBatch.notesMax else {
            throw .tooLong(length: count, limit: EventBatch.notesMax)
        }
        notesLeftOut = try reader.u32()
        names = try NoteNames(reading: &reader)
        guard count <= reader.remaining / EventNote.bytesMin else {
            throw .truncated(needed: count * EventNote.bytesMin, available: reader.remaining)
        }
        notes.reserveCapacity(count)
        for _ in 0..<count {
            let start = reader.offset
            let note = try EventNote(reading: &reader, names)
            guard note.position >= notes.last?.position ?? 0, Int(note.position) < itemCount else {
                throw .malformed(offset: start)
            }
            notes.append(note)
        }
    }

    /// Bytes of an item's result at most.
    static let resultBytesMax = 2
    /// What most items have at most, with what is told of them: a result, an ignored identifier, a
    /// time moved and no message id.
    public static let usualItemBytes =
        resultBytesMax + EventNote.bytesMax + 2 * EventNote.bytesMin

    /// Bytes of an answer to so many items at most, whatever there is to tell of them.
    public static func bytesMax(itemCount: Int) -> Int {
        let names = WireLimits.noteTextsMax * (2 + WireLimits.noteTextBytesMax)
        let nodes = 2 + WireLimits.silentNodesMax * (5 + WireLimits.silenceBytesMax + 3)
        return 2 + 10 * WireLimits.tokenGroupsMax + 12 + resultBytesMax * itemCount + nodes
            + 4 + 3 + names + EventNote.bytesMax * EventBatch.notesMax
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
        writer.silentNodes(silentNodes)
        writer.shortNodes(shortNodes)
        guard !notes.isEmpty else { return }
        writer.u32(notesLeftOut)
        names.encode(into: &writer)
        for note in notes { note.encode(into: &writer) }
    }
}
