public import KithBytes
public import KithCore

/// What a read may miss.
public enum Consistency: Hashable, Sendable {
    /// Nothing that was acknowledged to anybody before the read was sent.
    case linearizable
    /// Nothing that this session has seen: what the token says, at least.
    case session(SessionToken)
    /// Anything; the answer says how old it may be.
    case stale
}

/// Asks for the merged profile of an identifier.
public struct Get: WireMessage, Hashable {
    public static let frameType = FrameType.get

    /// The space that the identifier belongs to.
    public var space: String
    /// The identifier's namespace; it must be configured.
    public var namespace: String
    /// As a person wrote it; the node normalises.
    public var value: String
    /// Whether a contested device's quarantine profile is meant.
    public var wantsQuarantine: Bool
    /// What the answer may miss.
    public var consistency: Consistency
    /// How long the node may try, in milliseconds from when it has the request; 0 for its default.
    public var deadlineMillis: UInt32

    /// A read. `space` and `namespace` must be at most `WireLimits.nameBytesMax` bytes and `value`
    /// `WireLimits.valueBytesMax`: the node refuses longer ones.
    public init(
        space: String, namespace: String, value: String, wantsQuarantine: Bool = false,
        consistency: Consistency = .linearizable, deadlineMillis: UInt32 = 0
    ) {
        self.space = space
        self.namespace = namespace
        self.value = value
        self.wantsQuarantine = wantsQuarantine
        self.consistency = consistency
        self.deadlineMillis = deadlineMillis
    }

    private static let quarantineFlag: UInt8 = 1 << 0

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        space = try reader.text16(limit: WireLimits.nameBytesMax)
        namespace = try reader.text16(limit: WireLimits.nameBytesMax)
        value = try reader.text16(limit: WireLimits.valueBytesMax)
        let flags = try reader.u8()
        guard flags & ~Self.quarantineFlag == 0 else {
            throw .unknownTag(flags, offset: reader.offset - 1)
        }
        wantsQuarantine = flags & Self.quarantineFlag != 0
        let tag = try reader.u8()
        let tagOffset = reader.offset - 1
        deadlineMillis = try reader.u32()
        switch tag {
        case 0: consistency = .linearizable
        case 1: consistency = .session(try SessionToken(reading: &reader))
        case 2: consistency = .stale
        default: throw .unknownTag(tag, offset: tagOffset)
        }
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        writer.text16(space)
        writer.text16(namespace)
        writer.text16(value)
        writer.u8(wantsQuarantine ? Self.quarantineFlag : 0)
        switch consistency {
        case .linearizable: writer.u8(0)
        case .session: writer.u8(1)
        case .stale: writer.u8(2)
        }
        writer.u32(deadlineMillis)
        if case .session(let token) = consistency { token.encode(into: &writer) }
    }
}

/// The answer to `Get`.
public struct ProfileReply: WireMessage, Hashable {
    public static let frameType = FrameType.profile

    /// The profile in KithCore's binary encoding, opaque here; `nil` where there is none.
    public var profile: [UInt8]?
    /// Why the value is never an identifier, and so nobody's; nil where it may be one.
    public var ignored: IgnoredIdentifier?
    /// How far the node had applied the groups that it read; feeds the session's token.
    public var token: SessionToken
    /// How old the answer may be, in milliseconds: 0 for a linearizable read.
    var ageMillis: UInt32

    /// An answer.
    public init(
        profile: [UInt8]?, ignored: IgnoredIdentifier? = nil, token: SessionToken = SessionToken(),
        ageMillis: UInt32 = 0
    ) {
        precondition(profile == nil || ignored == nil, "the profile of no identifier")
        self.profile = profile
        self.ignored = ignored
        self.token = token
        self.ageMillis = ageMillis
    }

    /// Copies the profile's bytes, of which there are never more than the frame had.
    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        let tag = try reader.u8()
        switch tag {
        case 0, 1: ignored = nil
        case 2:
            let reason = try reader.u8()
            guard let ignored = IgnoredIdentifier(rawValue: reason) else {
                throw .unknownTag(reason, offset: 1)
            }
            self.ignored = ignored
        default: throw .unknownTag(tag, offset: 0)
        }
        ageMillis = try reader.u32()
        token = try SessionToken(reading: &reader)
        let start = reader.offset
        let bytes = try reader.bytes32(limit: payload.byteCount)
        guard tag == 1 || bytes.byteCount == 0 else { throw .malformed(offset: start) }
        profile = tag == 1 ? bytes.copied() : nil
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        if let ignored {
            writer.u8(2)
            writer.u8(ignored.rawValue)
        } else {
            writer.u8(profile == nil ? 0 : 1)
        }
        writer.u32(ageMillis)
        token.encode(into: &writer)
        writer.bytes32(profile ?? [])
    }
}
