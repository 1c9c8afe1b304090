// What became of an event beside its result: told to who sent it, so that nothing is dropped in
// silence. Notes name fields, namespaces and reasons, never a value.

/// A field of an event that a refusal is about.
public enum EventField: UInt8, Hashable, Sendable, CaseIterable {
    case type = 1
    /// The name of a `track`.
    case event = 2
    case previousID = 3
    case timestamp = 4
    case originalTimestamp = 5
    case sentAt = 6
    case receivedAt = 7

    /// As events spell it.
    public var name: String {
        switch self {
        case .type: "type"
        case .event: "event"
        case .previousID: "previousId"
        case .timestamp: "timestamp"
        case .originalTimestamp: "originalTimestamp"
        case .sentAt: "sentAt"
        case .receivedAt: "receivedAt"
        }
    }
}

/// What is wrong with a field.
public enum FieldProblem: UInt8, Hashable, Sendable, CaseIterable {
    case absent = 1
    case isNull = 2
    // What is there is of this kind, and should not be.
    case isBoolean = 3
    case isNumber = 4
    case isArray = 5
    case isObject = 6
    /// Nothing but blanks.
    case isEmpty = 7
    /// A text that is none of those known.
    case isOtherText = 8
    /// A text that is no ISO 8601 time; `EventFault.place` tells where it goes wrong.
    case isNoTime = 9
    /// A number of 0 to 10¹¹: seconds most likely, where milliseconds are expected.
    case looksLikeSeconds = 10
    case before1970 = 11
    case after9999 = 12
    /// A value that is never an identifier, or none of its namespace.
    case isNoIdentifier = 13
    /// CBOR that JSON has no word for.
    case isOther = 14
}

/// Why an event was refused, where that is one field's fault.
public struct EventFault: Hashable, Sendable {
    public var field: EventField
    public var problem: FieldProblem
    /// The byte of the value, from 1, at which it goes wrong; 0 where that says nothing.
    public var place: UInt8

    public init(_ field: EventField, _ problem: FieldProblem, place: UInt8 = 0) {
        self.field = field
        self.problem = problem
        self.place = place
    }
}

/// Why there was nothing to link.
public enum LinkVoid: UInt8, Hashable, Sendable, CaseIterable {
    /// The event is older than retention, and an end was not there.
    case age = 0
    /// An end was forgotten after the event.
    case forgotten = 1

    public var text: String {
        switch self {
        case .age: "age"
        case .forgotten: "forgotten"
        }
    }
}

/// Where an event carries an identifier.
public enum IdentifierPlace: Hashable, Sendable {
    /// One of the paths of a namespace, all of which are numbered: by namespace, then in order.
    case path(UInt16)
    case externalIDs
    case previousID
}

/// An object of an event that the reader looks into for traits and identifiers.
public enum EventContainer: Hashable, Sendable {
    case context
    case contextTraits
    case traits
    /// The first `steps` steps of a path that is numbered as in `IdentifierPlace`, not all of them.
    case beginning(of: UInt16, steps: UInt8)
}

/// Something to tell about one event.
public struct EventNote: Hashable, Sendable {
    /// What there is to tell.
    public enum About: Hashable, Sendable {
        case fault(EventFault)
        /// `count` identifiers were none. The namespace is nil where no configured one is named.
        case ignored(IgnoredIdentifier, namespace: UInt8?, at: IdentifierPlace, count: UInt16)
        /// Of an event without identifiers: `null` stands there.
        case isNull(at: IdentifierPlace)
        /// The link to its identifier of that namespace was refused, now or before.
        case linkRefused(RefusalRule, namespace: UInt8)
        /// The link was not made, since there was nothing to link.
        case linkVoid(LinkVoid, namespace: UInt8)
        /// Its time was later than its arrival, and is its arrival now.
        case timeMoved
        /// It has no message id that could tell a second try from a second event.
        case noMessageID
        /// So many of its traits were not kept, since the profile is full.
        case traitsRefused(UInt16)
        /// Something else is where an object belongs, so that none of it was read.
        case wrongKind(EventContainer, FieldProblem)
    }

    /// The event's place in the client's batch, from 0.
    public var position: UInt32
    public var about: About

    public init(position: UInt32, _ about: About) {
        self.position = position
        self.about = about
    }
}

extension EventBatch {
    /// Counts an ignored identifier, and tells of it.
    mutating func ignore(
        _ reason: IgnoredIdentifier, namespace: Int?, at place: IdentifierPlace,
        position: UInt32
    ) {
        ignoredHere.add(reason)
        let namespace = namespace.map { UInt8($0) }
        var index = notes.count
        while index > 0, notes[index - 1].position == position {
            index -= 1
            guard case .ignored(reason, namespace, at: place, let count) = notes[index].about else {
                continue
            }
            renote(
                .ignored(
                    reason, namespace: namespace, at: place,
                    count: count &+ (count < .max ? 1 : 0)),
                at: index)
            return
        }
        note(
            EventNote(
                position: position,
                .ignored(reason, namespace: namespace, at: place, count: 1)))
    }
}
