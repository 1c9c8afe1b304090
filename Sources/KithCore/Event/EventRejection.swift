/// What is said about something that somebody did: the type of a Segment event.
public enum EventType: UInt8, Hashable, Sendable, CaseIterable {
    case identify = 0
    case track = 1
    case page = 2
    case screen = 3
    case group = 4
    case alias = 5

    /// The type as events spell it, which also names the counter of all but `track`.
    public var name: String {
        switch self {
        case .identify: "identify"
        case .track: "track"
        case .page: "page"
        case .screen: "screen"
        case .group: "group"
        case .alias: "alias"
        }
    }
}

/// Why an event is refused; the rest of its batch is taken. The raw values are the reasons that
/// clients and statistics see. Where several apply, the first in this order is given, but for the
/// size, which is looked at before anything is read.
public enum EventRejection: String, Error, Hashable, Sendable, CaseIterable {
    /// Not one well-formed map, or nested deeper than `CBORReader.depthMax`.
    case invalidJSON = "invalid_json"
    /// `type` is none of the six.
    case invalidType = "invalid_type"
    /// A `track` without an `event` text.
    case missingEventName = "missing_event_name"
    /// No identifier of its own is left once the ignored ones are out.
    case noIdentifier = "no_identifier"
    /// More bytes than the reader's limit.
    case eventTooLarge = "event_too_large"
    /// A time that the rule uses is none, looks like seconds, or is before 1970 or after 9999.
    case invalidTimestamp = "invalid_timestamp"
    /// An `alias` without `previousId`, or with one that is no identifier.
    case missingPreviousID = "missing_previous_id"
}
