internal import KithBytes

/// A view over the body of an event: what is logged, and applied later by every replica.
///
/// Little-endian; `n×` repeats; `bytesN` is a length of N bits and as many bytes.
///
///     0   u8       type              EventType
///     1   u8       flags             1 hasAlias · 2 the message id was assigned on arrival
///                                    4 the time is the event's own
///                                    8 some of what it names is no identifier
///     2   u64      message hash      SipHash-2-4 of the message id
///     10  i64      time              ms since 1970
///     18  i64      stamp             ms since 1970, Int64.min for none
///     26  bytes8   message id
///         bytes16  counter name      the event's name for track, else the type's
///         bytes8   space
///         u8       identifier count  1 to 32
///     n×  u64 u64  leaf              high, low
///         u8       flags             1 unlisted · 2 alias end
///         u16      limit             of the namespace, a profile
///         bytes8   namespace
///         bytes16  value             normalised
///         u64 u64  quarantine leaf   high, low; zeros but for class 3
///         u16      trait count
///     n×  bytes16  key               each key once, in the order of their bytes
///         bytes32  value             one CBOR item
///         bytes32  rest              CBOR map: the members without a field above, as they came
///         u8       reason count      only with flag 8; 1 to 7
///     n×  u8       reason            IgnoredIdentifier, ascending
///         u32      count             identifiers ignored for it
///
/// Making the view checks this frame, every length and flag, once, so that reading from it cannot
/// fail. The CBOR inside was checked when the event was read; `CBORReader` takes it up safely
/// whatever it is.
struct EventBody: ~Escapable {
    /// Bytes of a body: an event, and the identifiers beside it.
    public static let bytesMax = 256 * 1024

    static let hasAliasFlag: UInt8 = 1
    static let assignedIDFlag: UInt8 = 2
    static let statedTimeFlag: UInt8 = 4
    static let ignoredFlag: UInt8 = 8
    private static let knownFlags = hasAliasFlag | assignedIDFlag | statedTimeFlag | ignoredFlag

    static let flagsOffset = 1
    static let messageHashOffset = 2
    static let timeOffset = 10
    static let stampOffset = 18
    static let messageIDOffset = 26

    let bytes: RawSpan
    public let messageHash: UInt64
    /// Event time in milliseconds since 1970.
    public let time: Int64
    private let stampOrNone: Int64
    // A view is handed on with each event, so places are no larger than they must be.
    private let counterNameStart: UInt32
    private let spaceStart: UInt32
    private let identifiersStart: UInt32
    private let traitsStart: UInt32
    private let restStart: UInt32
    private let restEnd: UInt32
    private let traitCount16: UInt16
    private let identifierCount8: UInt8
    public let type: EventType
    public let flags: UInt8

    /// As `EventHead.stamp`; nil for none.
    public var stamp: Int64? { stampOrNone == EventHead.noStamp ? nil : stampOrNone }
    /// Identifiers of the event, at least 1.
    public var identifierCount: Int { Int(identifierCount8) }
    var traitCount: Int { Int(traitCount16) }

    /// Checks the frame. O(identifiers + traits).
    @_lifetime(copy span)
    public init(_ span: RawSpan) throws(ByteError) {
        guard span.byteCount <= Self.bytesMax else {
            throw .tooLong(length: span.byteCount, limit: Self.bytesMax)
        }
        bytes = span
        var reader = ByteReader(span)
        let typeByte = try reader.u8()
        guard let type = EventType(rawValue: typeByte) else {
            throw .unknownTag(typeByte, offset: 0)
        }
        self.type = type
        flags = try reader.u8()
        guard flags & ~Self.knownFlags == 0 else {
            throw .unknownTag(flags, offset: Self.flagsOffset)
        }
        messageHash = try reader.u64()
        time = try reader.i64()
        stampOrNone = try reader.i64()
        try reader.skip(Int(try reader.u8()))
        let nameCount = Int(try reader.u16())
        counterNameStart = UInt32(reader.offset)
        try reader.skip(nameCount)
        let spaceCount = Int(try reader.u8())
        spaceStart = UInt32(reader.offset)
        try reader.skip(spaceCount)
        guard spaceCount <= IdentityRules.nameBytesMax else {
            throw .tooLong(length: spaceCount, limit: IdentityRules.nameBytesMax)
        }

        identifierCount8 = try reader.u8()
        let identifierCount = Int(identifierCount8)
        guard identifierCount >= 1 else { throw .malformed(offset: reader.offset - 1) }
        guard identifierCount <= EventReader.identifiersMax else {
            throw .tooLong(length: identifierCount, limit: EventReader.identifiersMax)
        }
        identifiersStart = UInt32(reader.offset)
        for _ in 0..<identifierCount {
            try reader.skip(16)
            let flags = try reader.u8()
            guard flags <= EventIdentifier.unlisted | EventIdentifier.aliasEnd else {
                throw .unknownTag(flags, offset: reader.offset - 1)
            }
            try reader.skip(2)
            try reader.skip(Int(try reader.u8()))
            try reader.skip(Int(try reader.u16()))
            try reader.skip(16)
        }

        traitCount16 = try reader.u16()
        traitsStart = UInt32(reader.offset)
        for _ in 0..<traitCount16 {
            try reader.skip(Int(try reader.u16()))
            try reader.skip(Int(try reader.u32()))
        }
        let restCount = Int(try reader.u32())
        restStart = UInt32(reader.offset)
        try reader.skip(restCount)
        restEnd = UInt32(reader.offset)
        if flags & Self.ignoredFlag != 0 { try Self.checkIgnored(&reader) }
        guard reader.isAtEnd else { throw .malformed(offset: reader.offset) }
    }

    private static func checkIgnored(_ reader: inout ByteReader) throws(ByteError) {
        let count = try reader.u8()
        guard count > 0 else { throw .malformed(offset: reader.offset - 1) }
        var last: UInt8?
        for _ in 0..<count {
            let reason = try reader.u8()
            guard IgnoredIdentifier(rawValue: reason) != nil else {
                throw .unknownTag(reason, offset: reader.offset - 1)
            }
            if let last, reason <= last { throw .malformed(offset: reader.offset - 1) }
            last = reason
            try reader.skip(4)
        }
    }

    /// Whether the event is an alias that names what the person was called before.
    public var hasAlias: Bool { flags & Self.hasAliasFlag != 0 }
    /// Whether the client gave no message id, so that a retry cannot be recognised.
    var isMessageIDAssigned: Bool { flags & Self.assignedIDFlag != 0 }

    /// Whether the event's own fields say its time: its sender is told where the log moves it.
    var isTimeStated: Bool { flags & Self.statedTimeFlag != 0 }

    /// The message id, UTF-8.
    public var messageID: RawSpan {
        @_lifetime(copy self) get {
            let start = Self.messageIDOffset + 1
            return bytes.extracting(start..<(start + Int(bytes[start - 1])))
        }
    }
    /// The name under which the event is counted, UTF-8.
    var counterName: RawSpan {
        @_lifetime(copy self) get {
            let start = Int(counterNameStart)
            return bytes.extracting(start..<(start + bytes.length16(at: start - 2)))
        }
    }
    /// The space, ASCII.
    public var space: RawSpan {
        @_lifetime(copy self) get {
            let start = Int(spaceStart)
            return bytes.extracting(start..<(start + Int(bytes[start - 1])))
        }
    }
    /// The members without a field of their own: a CBOR map.
    public var rest: RawSpan {
        @_lifetime(copy self) get { bytes.extracting(Int(restStart)..<Int(restEnd)) }
    }

    /// Whether the event names something that is no identifier.
    var hasIgnored: Bool { flags & Self.ignoredFlag != 0 }

    /// Hands over how many identifiers were ignored, reason by reason.
    func forEachIgnored(_ apply: (_ reason: IgnoredIdentifier, _ count: UInt32) -> Void) {
        guard hasIgnored else { return }
        var offset = Int(restEnd) + 1
        for _ in 0..<bytes[offset - 1] {
            if let reason = IgnoredIdentifier(rawValue: bytes[offset]) {
                apply(reason, UInt32(bytes.length32(at: offset + 1)))
            }
            offset += 5
        }
    }

    /// The identifier at `index`, from 0; the event counts at the first. O(index).
    @_lifetime(copy self)
    public func identifier(at index: Int) -> EventBodyIdentifier {
        precondition(0..<identifierCount ~= index, "identifier \(index) of \(identifierCount)")
        var offset = Int(identifiersStart)
        for _ in 0..<index { offset = EventBodyIdentifier.end(bytes, offset) }
        return EventBodyIdentifier(bytes, offset)
    }

    /// Hands each trait to `apply`: its key and its value as a CBOR item, `f6` for a deletion.
    /// Each key comes once, in the order of their bytes.
    func forEachTrait<Failure: Error>(
        _ apply: (_ key: RawSpan, _ value: RawSpan) throws(Failure) -> Void
    ) throws(Failure) {
        var offset = Int(traitsStart)
        for _ in 0..<traitCount {
            let keyStart = offset + 2
            let valueStart = keyStart + bytes.length16(at: offset) + 4
            let end = valueStart + bytes.length32(at: valueStart - 4)
            try apply(
                bytes.extracting(keyStart..<(valueStart - 4)), bytes.extracting(valueStart..<end))
            offset = end
        }
    }
}

/// An identifier in an event's body.
public struct EventBodyIdentifier: ~Escapable {
    public let leaf: LeafID
    /// `EventIdentifier.unlisted` and `aliasEnd`.
    public let flags: UInt8
    /// How many of the namespace one profile may hold.
    public let limit: UInt16
    /// The namespace's name, ASCII.
    public let namespace: RawSpan
    /// The normalised value, UTF-8.
    public let value: RawSpan
    /// Where the identifier's lone events go once it is contested; nil but for class 3.
    public let quarantineLeaf: LeafID?

    /// The identifier at `offset` of a body whose frame was checked.
    @_lifetime(copy bytes)
    init(_ bytes: RawSpan, _ offset: Int) {
        leaf = bytes.leaf(at: offset)
        flags = bytes[offset + 16]
        limit = UInt16(bytes.length16(at: offset + 17))
        let namespaceStart = offset + 20
        let valueStart = namespaceStart + Int(bytes[offset + 19]) + 2
        let valueEnd = valueStart + bytes.length16(at: valueStart - 2)
        namespace = bytes.extracting(namespaceStart..<(valueStart - 2))
        value = bytes.extracting(valueStart..<valueEnd)
        quarantineLeaf = leaf.identifierClass == .anonymous ? bytes.leaf(at: valueEnd) : nil
    }

    /// Where the identifier at `offset` ends.
    static func end(_ bytes: RawSpan, _ offset: Int) -> Int {
        let valueStart = offset + 20 + Int(bytes[offset + 19]) + 2
        return valueStart + bytes.length16(at: valueStart - 2) + 16
    }

    public var isUnlisted: Bool { flags & EventIdentifier.unlisted != 0 }
    public var isAliasEnd: Bool { flags & EventIdentifier.aliasEnd != 0 }
}

extension RawSpan {
    fileprivate func length16(at offset: Int) -> Int {
        Int(self[offset]) | Int(self[offset + 1]) << 8
    }

    fileprivate func length32(at offset: Int) -> Int {
        length16(at: offset) | length16(at: offset + 2) << 16
    }

    fileprivate func leaf(at offset: Int) -> LeafID {
        let high = unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
        let low = unsafe unsafeLoadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
        return LeafID(high: UInt64(littleEndian: high), low: UInt64(littleEndian: low))
    }
}
