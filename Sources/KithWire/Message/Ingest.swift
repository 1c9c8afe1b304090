// A batch of events on its way to a node: the hot message. Its payload:
//
//   offset  size  field
//        0     2  space length s
//        2     s  space
//      2+s     1  flags        bit 0: every item carries a stamp
//      3+s     4  count
//      7+s        count items: kind u8 · stamp i64, if bit 0 · length u32 · as many bytes
//
// `IngestView` reads it in place: the node walks the items without copying one. Making the view
// walks all lengths once, so a batch is taken whole or refused whole, before anything took effect.
// `IngestBatchWriter` makes it, once, before a client sends it; sending it again is the same bytes.

public import KithBytes

/// What an item of a batch is.
public enum IngestItemKind: UInt8, Hashable, Sendable, CaseIterable {
    /// The bytes are one event as CBOR.
    case event = 0
    /// A line that was not JSON: the node counts and answers `invalid_json`. The bytes are not
    /// looked at and may be empty.
    case invalidJSON = 1
    /// An event above the node's `eventBytesMax` that was not sent: the node counts and answers
    /// `event_too_large`. The bytes are not looked at and may be empty.
    case tooLarge = 2
    // An import by wall clock sends what was expired, or had a link void by age, again when all
    // else is in, and each event is to count once.
    /// An event that comes again where it is expired: that is not counted yet.
    case provisional = 3
    /// The same, sent before.
    case provisionalAgain = 4
    /// An event that was expired before, for the last time: what becomes of it is counted.
    case last = 5
    /// An event that was taken before: it drives its links, and counts nothing.
    case links = 6

    /// Whether the bytes are an event.
    var isEvent: Bool { self == .event || rawValue >= Self.provisional.rawValue }
}

/// One item of a batch, borrowed from its frame.
public struct IngestItem: ~Escapable {
    /// What the bytes are.
    public let kind: IngestItemKind
    /// The greatest event time of the lines up to and including this one; `nil` in a batch without
    /// stamps.
    public let stamp: LogTime?
    /// As long as the frame says; not yet judged by `eventBytesMax`.
    public let bytes: RawSpan

    @inlinable
    @_lifetime(copy bytes)
    init(kind: IngestItemKind, stamp: LogTime?, bytes: RawSpan) {
        self.kind = kind
        self.stamp = stamp
        self.bytes = bytes
    }
}

/// The items of a batch in their order. No allocation.
public struct IngestItems: ~Escapable {
    @usableFromInline var reader: ByteReader
    @usableFromInline var remaining: Int
    @usableFromInline let hasStamps: Bool

    @inlinable
    @_lifetime(copy bytes)
    init(_ bytes: RawSpan, count: Int, hasStamps: Bool) {
        reader = ByteReader(bytes)
        remaining = count
        self.hasStamps = hasStamps
    }

    /// The next item; `nil` after the last. Does not throw on the items of an `IngestView`, which
    /// has walked them before.
    @inlinable
    @_lifetime(copy self)
    public mutating func next() throws(ByteError) -> IngestItem? {
        guard remaining > 0 else {
            guard reader.isAtEnd else { throw .malformed(offset: reader.offset) }
            return nil
        }
        let start = reader.offset
        let tag = try reader.u8()
        guard let kind = IngestItemKind(rawValue: tag) else {
            throw .unknownTag(tag, offset: start)
        }
        var stamp: LogTime?
        if hasStamps { stamp = LogTime(try reader.i64()) }
        let length = Int(try reader.u32())
        let bytes = try reader.take(length)
        remaining &-= 1
        return IngestItem(kind: kind, stamp: stamp, bytes: bytes)
    }
}

/// A batch, read in place.
public struct IngestView: ~Escapable {
    public static let frameType = FrameType.ingest

    /// The space that all items belong to.
    public let space: String
    /// How many items there are.
    public let count: Int
    /// Whether each item carries a stamp.
    public let hasStamps: Bool
    @usableFromInline let itemBytes: RawSpan

    /// Reads the head and walks the items once. O(count), allocates the space's name only. An
    /// item's length is bounded by the frame; whether it is above `eventBytesMax` is for the node
    /// to judge, item by item.
    @_lifetime(copy payload)
    public init(decoding payload: RawSpan, limits: WireLimits = WireLimits()) throws(ByteError) {
        var reader = ByteReader(payload)
        space = try reader.text16(limit: WireLimits.nameBytesMax)
        let flags = try reader.u8()
        guard flags & ~Self.stampsFlag == 0 else {
            throw .unknownTag(flags, offset: reader.offset - 1)
        }
        hasStamps = flags & Self.stampsFlag != 0
        count = Int(try reader.u32())
        guard count <= Int(limits.batchEventsMax) else {
            throw .tooLong(length: count, limit: Int(limits.batchEventsMax))
        }
        itemBytes = try reader.take(reader.remaining)
        var items = IngestItems(itemBytes, count: count, hasStamps: hasStamps)
        while try items.next() != nil {}
    }

    /// The items from the first.
    @inlinable
    public var items: IngestItems {
        @_lifetime(copy self)
        get { IngestItems(itemBytes, count: count, hasStamps: hasStamps) }
    }

    /// How many items a payload claims to have, without a look at them. O(1).
    public static func itemCount(of payload: [UInt8]) throws(ByteError) -> Int {
        var reader = unsafe ByteReader(payload.span.bytes)
        _ = try reader.bytes16(limit: WireLimits.nameBytesMax)
        try reader.skip(1)
        return Int(try reader.u32())
    }

    /// How many items a payload has at most, whatever it claims and whether or not it is right.
    /// O(1).
    public static func itemCountMax(of payload: RawSpan) -> Int {
        do throws(ByteError) {
            var reader = ByteReader(payload)
            _ = try reader.bytes16(limit: WireLimits.nameBytesMax)
            try reader.skip(1)
            let claimed = Int(try reader.u32())
            return min(claimed, reader.remaining / itemBytesMin)
        } catch {
            return 0
        }
    }

    /// An item without stamp and bytes.
    private static let itemBytesMin = 5
    static let stampsFlag: UInt8 = 1 << 0
}

/// Makes the payload of one `Ingest`, item by item, in memory.
public struct IngestBatchWriter: Sendable {
    private var writer: ByteWriter
    private let hasStamps: Bool
    private let countOffset: Int
    /// How many items were appended.
    public private(set) var count = 0

    /// An empty batch for `space`, which must be at most `WireLimits.nameBytesMax` bytes.
    /// `capacity` is the expected size of the whole payload in bytes.
    public init(space: String, hasStamps: Bool = false, capacity: Int = 0) {
        writer = ByteWriter(capacity: capacity)
        self.hasStamps = hasStamps
        writer.text16(space)
        writer.u8(hasStamps ? IngestView.stampsFlag : 0)
        countOffset = writer.count
        writer.u32(0)
    }

    /// Size of the payload so far, in bytes.
    public var byteCount: Int { writer.count }

    /// Bytes that an item with `count` bytes adds to the payload.
    func itemByteCount(_ count: Int) -> Int {
        count + (hasStamps ? 13 : 5)
    }

    /// Appends an item. A batch with stamps needs one for each, a batch without takes none.
    public mutating func append(
        _ kind: IngestItemKind = .event, stamp: LogTime? = nil, bytes: RawSpan
    ) {
        appendHead(kind, stamp: stamp)
        writer.bytes32(bytes)
    }

    /// Appends an item. A batch with stamps needs one for each, a batch without takes none.
    public mutating func append(
        _ kind: IngestItemKind = .event, stamp: LogTime? = nil, bytes: [UInt8] = []
    ) {
        appendHead(kind, stamp: stamp)
        writer.bytes32(bytes)
    }

    private mutating func appendHead(_ kind: IngestItemKind, stamp: LogTime?) {
        precondition(hasStamps == (stamp != nil), "all items of a batch carry a stamp, or none")
        writer.u8(kind.rawValue)
        if let stamp { writer.i64(stamp.rawValue) }
        count += 1
        writer.patchU32(UInt32(count), at: countOffset)
    }

    /// The payload with the items so far. No copy, unless the writer is used further.
    public var payload: [UInt8] { writer.bytes }

    /// Takes all items out, keeping space and stamps, for the next batch.
    public mutating func removeAll() {
        writer.bytes.removeSubrange((countOffset + 4)...)
        count = 0
        writer.patchU32(0, at: countOffset)
    }
}
