internal import KithBytes

/// Which try of an event this is, where an import sends it again when all else is in (C16): what
/// becomes of it must count once.
public enum EventTry: UInt8, Hashable, Sendable {
    /// The only one.
    case only = 0
    /// Where it is expired, it comes again: that is not counted yet.
    case provisional = 1
    /// It was counted before: it drives its links, and counts nothing.
    case links = 2
    /// As `provisional`, once more.
    case provisionalAgain = 3
    /// It was expired before; where it is so again, that is counted.
    case last = 4

    /// Whether it was expired before. What it may find by now is who its visitor turned out to be,
    /// and never the quarantine of a device.
    var wasExpired: Bool { self == .provisionalAgain || self == .last }
}

/// What a shard needs to know of an event before its body is applied.
public struct EventHead: Hashable, Sendable {
    /// The event's place in the client's batch, from 0.
    public var position: UInt32
    public var type: EventType
    /// Whether an alias names what the person was called before: some identifier is
    /// `EventIdentifier.unlisted` or `aliasEnd`.
    public var hasAlias: Bool
    /// Event time in milliseconds since 1970.
    public var time: Int64
    /// The greatest event time up to here in a replayed history; `EventHead.noStamp` without.
    public var stamp: Int64
    /// What the message id is remembered by.
    public var messageHash: UInt64
    /// Where the identifiers begin in `EventBatch.identifiers`; the event counts at the first.
    public var identifierStart: Int
    public var identifierCount: Int
    /// Where the body begins in `EventBatch.bytes`.
    public var bodyStart: Int
    public var bodyCount: Int
    public var attempt = EventTry.only

    public static let noStamp = Int64.min

    @inlinable
    public init(
        position: UInt32, type: EventType, hasAlias: Bool, time: Int64, stamp: Int64,
        messageHash: UInt64, identifierStart: Int, identifierCount: Int, bodyStart: Int,
        bodyCount: Int
    ) {
        self.position = position
        self.type = type
        self.hasAlias = hasAlias
        self.time = time
        self.stamp = stamp
        self.messageHash = messageHash
        self.identifierStart = identifierStart
        self.identifierCount = identifierCount
        self.bodyStart = bodyStart
        self.bodyCount = bodyCount
    }

    @inlinable public var identifierRange: Range<Int> {
        identifierStart..<(identifierStart + identifierCount)
    }
    @inlinable public var bodyRange: Range<Int> { bodyStart..<(bodyStart + bodyCount) }
}

/// An identifier of an event.
public struct EventIdentifier: Hashable, Sendable {
    public var leaf: LeafID
    public var flags: UInt8
    /// The place of the namespace in `IdentityRules.namespaces`.
    public var namespaceIndex: UInt8
    /// How many of the namespace one profile may hold.
    public var limit: UInt16
    /// Where the normalised value begins in `EventBatch.bytes`, inside the event's body.
    public var valueStart: Int
    public var valueCount: Int

    /// Named only as what the person was called before: not listed in a profile until an event
    /// carries it as its own.
    public static let unlisted: UInt8 = 1
    /// The previous `user_id` of an alias whose event has one of its own. The link between these
    /// two, and no other, may join two accounts.
    public static let aliasEnd: UInt8 = 2

    @inlinable
    public init(
        leaf: LeafID, flags: UInt8, namespaceIndex: UInt8, limit: UInt16, valueStart: Int,
        valueCount: Int
    ) {
        self.leaf = leaf
        self.flags = flags
        self.namespaceIndex = namespaceIndex
        self.limit = limit
        self.valueStart = valueStart
        self.valueCount = valueCount
    }

    @inlinable public var isUnlisted: Bool { flags & Self.unlisted != 0 }
    @inlinable public var isAliasEnd: Bool { flags & Self.aliasEnd != 0 }
    @inlinable public var valueRange: Range<Int> { valueStart..<(valueStart + valueCount) }
}

/// Events that were read and taken, as a structure of arrays. Empty it with `removeAll()` and use
/// it again: after the first batches, reading allocates nothing.
public struct EventBatch: Sendable {
    /// The events in the order read.
    public internal(set) var heads: [EventHead] = []
    public internal(set) var identifiers: [EventIdentifier] = []
    /// The bodies, one after another, in the format of `EventBody`.
    public var bytes: [UInt8] { body.bytes }
    /// Bytes of all bodies.
    public var byteCount: Int { body.count }
    /// What refused events named that was no identifier. What others did is in their bodies, and
    /// counts with them.
    public internal(set) var ignoredOfRefused = IgnoredIdentifierCounts()
    /// The same of the event at hand.
    var ignoredHere = IgnoredIdentifierCounts()
    /// What is to be told of events, also of refused ones; empty for most batches.
    public private(set) var notes: [EventNote] = []
    /// How much more there was to tell when that list was full.
    public private(set) var notesLeftOut: UInt32 = 0

    var body = ByteWriter()

    /// Notes of one batch, and of the answer to one; what is more is only counted. Four an event of
    /// the most events: only who looks for it comes to it.
    public static let notesMax = 262_144

    public init() {}

    /// Has something told.
    mutating func note(_ note: EventNote) {
        guard notes.count < Self.notesMax else {
            notesLeftOut += 1
            return
        }
        notes.append(note)
    }

    /// Puts a note in the place of another one of that event.
    mutating func renote(_ note: EventNote.About, at index: Int) { notes[index].about = note }

    /// Says of the event read last which try it is.
    public mutating func setAttempt(_ attempt: EventTry) {
        heads[heads.count - 1].attempt = attempt
    }

    /// The event at hand is refused.
    mutating func refuse() {
        ignoredOfRefused.add(ignoredHere)
        ignoredHere.removeAll()
    }

    /// Memory that the batch holds, full or empty.
    public var memoryBytes: Int {
        heads.capacity * MemoryLayout<EventHead>.stride
            + identifiers.capacity * MemoryLayout<EventIdentifier>.stride + body.bytes.capacity
            + notes.capacity * MemoryLayout<EventNote>.stride
    }

    /// Empties the batch and keeps its memory.
    public mutating func removeAll() {
        heads.removeAll(keepingCapacity: true)
        identifiers.removeAll(keepingCapacity: true)
        body.removeAll()
        ignoredOfRefused.removeAll()
        ignoredHere.removeAll()
        notes.removeAll(keepingCapacity: true)
        notesLeftOut = 0
    }
}
