/// The versions of the protocol that this build speaks.
public enum ProtocolVersion {
    /// The version of every frame but the greetings.
    public static let current: UInt8 = 2
    /// Every version that this build can agree on.
    public static let supported: ClosedRange<UInt8> = current...current
    /// Every version that may stand in a frame's header before one is agreed on.
    public static let inHeaders: ClosedRange<UInt8> = hello...current
    /// The version in the header of a `Hello` and of what answers it, for ever: two builds must be
    /// able to read each other's greeting before they have agreed on anything.
    public static let hello: UInt8 = 1
}

/// The bounds that a node announces in its `HelloReply`. Nothing longer is allocated, sent or
/// taken.
public struct WireLimits: Hashable, Sendable {
    /// The highest value of a frame's length field, in bytes.
    public var frameBytesMax: UInt32
    /// The most items in one `Ingest`.
    public var batchEventsMax: UInt32
    /// The longest event, in bytes; a longer one is refused alone, as `event_too_large`.
    public var eventBytesMax: UInt32

    /// Limits with the defaults of docs/wire.md.
    @inlinable
    public init(
        frameBytesMax: UInt32 = 8 << 20,
        batchEventsMax: UInt32 = 65_536,
        eventBytesMax: UInt32 = 32 << 10
    ) {
        self.frameBytesMax = frameBytesMax
        self.batchEventsMax = batchEventsMax
        self.eventBytesMax = eventBytesMax
    }

    /// The highest length field until a connection's `Hello` is done, in bytes: a stranger cannot
    /// make a node hold more than this.
    public static let helloFrameBytesMax: UInt32 = 4 << 10
    /// The longest name (cluster, space, namespace, software) that a message carries, in bytes. A
    /// node's own rules for names are stricter.
    public static let nameBytesMax = 255
    /// The longest identifier value in a `Get`, in bytes, before it is trimmed and normalised.
    public static let valueBytesMax = 4 << 10
    /// The longest text of an `Error`, in bytes; a longer one is cut at a character.
    static let errorTextBytesMax = 2 << 10
    /// The most nodes that an `IngestReply` names as silent.
    public static let silentNodesMax = 64
    /// The longest reason of one, in bytes; a longer one is cut at a character.
    static let silenceBytesMax = 512
    /// The most groups in a token: there are never more groups than shards.
    static let tokenGroupsMax = 256
    /// The most names of namespaces and places that an `IngestReply` carries.
    static let noteTextsMax = 2_048
    /// The longest of them, in bytes.
    static let noteTextBytesMax = 1_024
}
