public import KithBytes

/// One person as Kith answers for them: the fold of the facets at a root.
///
/// Identifiers are sorted by class, namespace and value, traits and events by name, each bytewise.
/// The encoding, little-endian, a text being its UTF-8 bytes after their length in two:
///
/// | bytes | field |
/// |-------|-------|
/// | 16 | id of the root, high half first |
/// | 2 + n | space |
/// | 1 | 1: member, 2: quarantine, 4: has an expiry time |
/// | 8, 8 | first and last seen, milliseconds since 1970 |
/// | 8 | expiry time, where it has one |
/// | 8 | events counted |
/// | 4, then n | identifiers: class, 1 if contested, namespace, value |
/// | 4, then n | traits: name, value (4 + n; one CBOR item) |
/// | 4, then n | events: name, count u64 |
public struct Profile: Sendable, Equatable {
    /// A leaf of the profile, as people wrote it.
    public struct Identifier: Sendable, Equatable {
        public var identifierClass: IdentifierClass
        public var namespace: String
        public var value: String
        /// More than one account claimed it.
        public var isContested: Bool

        public init(
            identifierClass: IdentifierClass, namespace: String, value: String, isContested: Bool
        ) {
            self.identifierClass = identifierClass
            self.namespace = namespace
            self.value = value
            self.isContested = isContested
        }
    }

    /// What is known of a person under one name.
    public struct Trait: Sendable, Equatable {
        public var name: String
        /// One CBOR item.
        public var value: [UInt8]

        public init(name: String, value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    /// How often one event happened.
    public struct EventCount: Sendable, Equatable {
        public var name: String
        public var count: UInt64

        public init(name: String, count: UInt64) {
            self.name = name
            self.count = count
        }
    }

    /// The leaf id of the root.
    public var id: LeafID
    public var space = ""
    /// Whether it holds more than anonymous identifiers; a member never expires.
    public var isMember: Bool
    /// Whether it is the profile of a contested device on its own.
    public var isQuarantine = false
    public var identifiers: [Identifier] = []
    public var traits: [Trait] = []
    /// Milliseconds since 1970; `Int64.max` without facets.
    public var firstSeen = Int64.max
    /// Milliseconds since 1970; `Int64.min` without facets.
    public var lastSeen = Int64.min
    /// When an anonymous profile expires, in milliseconds since 1970.
    public var expiresAt: Int64?
    public var eventsTotal: UInt64 = 0
    public var events: [EventCount] = []

    /// The CBOR null: as a trait's value, its deletion.
    static let deletion: UInt8 = 0xF6

    /// A profile without facets.
    public init(id: LeafID) {
        self.id = id
        isMember = id.identifierClass != .anonymous
    }
}

extension Profile.Identifier: Comparable {
    /// By class, then namespace, then value, bytewise.
    public static func < (a: Self, b: Self) -> Bool {
        if a.identifierClass != b.identifierClass { return a.identifierClass < b.identifierClass }
        if !a.namespace.utf8.elementsEqual(b.namespace.utf8) {
            return a.namespace.utf8.lexicographicallyPrecedes(b.namespace.utf8)
        }
        return a.value.utf8.lexicographicallyPrecedes(b.value.utf8)
    }
}

// MARK: - Encoding

extension Profile {
    /// An encoding without its lists' entries, with the longest space.
    static let headBytesMax = 16 + 2 + FacetLimits.scopeBytesMax + 1 + 8 + 8 + 8 + 8 + 4 + 4 + 4

    enum Flag {
        static let member: UInt8 = 1
        static let quarantine: UInt8 = 2
        static let expires: UInt8 = 4
    }
    /// The fewest bytes of one entry of each list: bounds what a count may claim.
    static let identifierBytesMin = 6
    static let traitBytesMin = 6
    static let eventBytesMin = 10

    /// Appends the encoding above. Texts are at most 65,535 bytes each.
    public func encode(into writer: inout ByteWriter) {
        writer.u64(id.high)
        writer.u64(id.low)
        writer.text16(space)
        writer.u8(
            (isMember ? Flag.member : 0) | (isQuarantine ? Flag.quarantine : 0)
                | (expiresAt != nil ? Flag.expires : 0))
        writer.i64(firstSeen)
        writer.i64(lastSeen)
        if let expiresAt { writer.i64(expiresAt) }
        writer.u64(eventsTotal)
        writer.u32(UInt32(identifiers.count))
        for identifier in identifiers {
            writer.u8(identifier.identifierClass.rawValue)
            writer.u8(identifier.isContested ? 1 : 0)
            writer.text16(identifier.namespace)
            writer.text16(identifier.value)
        }
        writer.u32(UInt32(traits.count))
        for trait in traits {
            writer.text16(trait.name)
            writer.bytes32(trait.value)
        }
        writer.u32(UInt32(events.count))
        for event in events {
            writer.text16(event.name)
            writer.u64(event.count)
        }
    }

    /// Reads one encoding; leaves the reader behind it.
    public init(decoding reader: inout ByteReader) throws(ByteError) {
        self.init(id: LeafID(high: try reader.u64(), low: try reader.u64()))
        space = try Self.text(&reader)
        let flags = try reader.u8()
        guard flags < 8 else { throw .unknownTag(flags, offset: reader.offset - 1) }
        guard (flags & Flag.member != 0) == isMember else {
            throw .malformed(offset: reader.offset - 1)
        }
        isQuarantine = flags & Flag.quarantine != 0
        firstSeen = try reader.i64()
        lastSeen = try reader.i64()
        if flags & Flag.expires != 0 { expiresAt = try reader.i64() }
        eventsTotal = try reader.u64()
        for _ in 0..<(try Self.count(&reader, bytesMin: Self.identifierBytesMin)) {
            let tag = try reader.u8()
            guard let identifierClass = IdentifierClass(rawValue: tag) else {
                throw .unknownTag(tag, offset: reader.offset - 1)
            }
            let contested = try reader.u8()
            guard contested < 2 else { throw .unknownTag(contested, offset: reader.offset - 1) }
            identifiers.append(
                Identifier(
                    identifierClass: identifierClass, namespace: try Self.text(&reader),
                    value: try Self.text(&reader), isContested: contested == 1))
        }
        for _ in 0..<(try Self.count(&reader, bytesMin: Self.traitBytesMin)) {
            let name = try Self.text(&reader)
            let value = try reader.bytes32(limit: reader.remaining).copied()
            traits.append(Trait(name: name, value: value))
        }
        for _ in 0..<(try Self.count(&reader, bytesMin: Self.eventBytesMin)) {
            events.append(
                EventCount(name: try Self.text(&reader), count: try reader.u64()))
        }
    }

    /// Whether the bytes are one encoding; allocates nothing.
    public static func isEncoding(_ bytes: RawSpan) -> Bool {
        var reader = ByteReader(bytes)
        do throws(ByteError) {
            let id = LeafID(high: try reader.u64(), low: try reader.u64())
            guard try reader.bytes16().isUTF8() else { return false }
            let flags = try reader.u8()
            guard flags < 8, (flags & Flag.member != 0) == (id.identifierClass != .anonymous)
            else { return false }
            try reader.skip(24 + (flags & Flag.expires != 0 ? 8 : 0))
            for _ in 0..<(try count(&reader, bytesMin: identifierBytesMin)) {
                guard IdentifierClass(rawValue: try reader.u8()) != nil, try reader.u8() < 2,
                    try reader.bytes16().isUTF8(), try reader.bytes16().isUTF8()
                else { return false }
            }
            for _ in 0..<(try count(&reader, bytesMin: traitBytesMin)) {
                guard try reader.bytes16().isUTF8() else { return false }
                _ = try reader.bytes32(limit: reader.remaining)
            }
            for _ in 0..<(try count(&reader, bytesMin: eventBytesMin)) {
                guard try reader.bytes16().isUTF8() else { return false }
                try reader.skip(8)
            }
            return reader.isAtEnd
        } catch {
            return false
        }
    }

    private static func count(
        _ reader: inout ByteReader, bytesMin: Int
    ) throws(ByteError) -> Int {
        let count = Int(try reader.u32())
        guard count <= reader.remaining / bytesMin else {
            throw .truncated(needed: count * bytesMin, available: reader.remaining)
        }
        return count
    }

    private static func text(_ reader: inout ByteReader) throws(ByteError) -> String {
        let at = reader.offset
        guard let text = try reader.bytes16().text() else { throw .malformed(offset: at) }
        return text
    }
}
