public import KithBytes

/// Why a node did not do what was asked. A struct, not an enum: a code from a later node keeps its
/// number. docs/wire.md says what each means.
public struct ErrorCode: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let notHello = ErrorCode(rawValue: 1)
    public static let unsupportedVersion = ErrorCode(rawValue: 2)
    public static let wrongCluster = ErrorCode(rawValue: 3)
    public static let malformed = ErrorCode(rawValue: 4)
    public static let tooLarge = ErrorCode(rawValue: 5)
    public static let unknownType = ErrorCode(rawValue: 6)
    public static let unknownNamespace = ErrorCode(rawValue: 7)
    public static let badSpace = ErrorCode(rawValue: 8)
    public static let unavailable = ErrorCode(rawValue: 9)
    public static let overloaded = ErrorCode(rawValue: 10)
    public static let shuttingDown = ErrorCode(rawValue: 11)
    public static let internalError = ErrorCode(rawValue: 12)
    public static let wrongClock = ErrorCode(rawValue: 13)
    public static let deadlineExceeded = ErrorCode(rawValue: 14)
    public static let starting = ErrorCode(rawValue: 15)
    public static let clock = ErrorCode(rawValue: 16)
    public static let wrongFolder = ErrorCode(rawValue: 17)
    public static let wrongToken = ErrorCode(rawValue: 18)

    /// Every code of this version, with its name.
    public static let names: [(code: ErrorCode, name: String)] = [
        (.notHello, "notHello"), (.unsupportedVersion, "unsupportedVersion"),
        (.wrongCluster, "wrongCluster"), (.malformed, "malformed"), (.tooLarge, "tooLarge"),
        (.unknownType, "unknownType"), (.unknownNamespace, "unknownNamespace"),
        (.badSpace, "badSpace"), (.unavailable, "unavailable"), (.overloaded, "overloaded"),
        (.shuttingDown, "shuttingDown"), (.internalError, "internal"),
        (.wrongClock, "wrongClock"), (.deadlineExceeded, "deadlineExceeded"),
        (.starting, "starting"), (.clock, "clock"), (.wrongFolder, "wrongFolder"),
        (.wrongToken, "wrongToken"),
    ]
}

extension ErrorCode {
    /// What the other side is told, before the connection is closed, about bytes that are no
    /// frames.
    public init(_ error: FrameError) {
        switch error {
        case .tooLong: self = .tooLarge
        case .unsupportedVersion: self = .unsupportedVersion
        case .noMemory: self = .overloaded
        case .tooShort, .badChecksum: self = .malformed
        }
    }
}

extension ErrorCode: CustomStringConvertible {
    public var description: String {
        Self.names.first { $0.code == self }?.name ?? "error \(rawValue)"
    }
}

/// The answer to any request that failed as a whole. With request id 0 it is about the connection,
/// which its sender closes after it.
public struct ErrorReply: WireMessage, Hashable {
    public static let frameType = FrameType.error

    /// What went wrong, for a program.
    public var code: ErrorCode
    /// For a person. Never holds a trait value or an identifier.
    public var text: String
    /// When to try again, in milliseconds from now; 0 where there is no advice.
    public var retryAfterMillis: UInt32

    /// An error; a text above `WireLimits.errorTextBytesMax` bytes is cut when it is encoded.
    public init(code: ErrorCode, text: String, retryAfterMillis: UInt32 = 0) {
        self.code = code
        self.text = text
        self.retryAfterMillis = retryAfterMillis
    }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        code = ErrorCode(rawValue: try reader.u16())
        text = try reader.text16(limit: WireLimits.errorTextBytesMax)
        retryAfterMillis = try reader.u32()
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        writer.u16(code.rawValue)
        writer.text16(text, cutTo: WireLimits.errorTextBytesMax)
        writer.u32(retryAfterMillis)
    }
}
