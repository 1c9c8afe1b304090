internal import KithBytes

/// When an event happened. Three clocks make the best answer; where one of them is not given, what
/// the event says of itself counts:
///
///     receivedAt, sentAt, originalTimestamp   receivedAt − (sentAt − originalTimestamp)
///     timestamp                               that
///     originalTimestamp                       that
///     none                                    its arrival
///
/// Arrival is `receivedAt`, else the wall clock of who asks; nothing happens after its arrival.
/// Only the fields that the rule uses are judged. A corrected time before 1970 or after 9999 says
/// that a clock was wrong, and becomes the arrival.
public enum EventTime: Equatable, Sendable {
    case time(Int64, Source)
    case fault(EventFault)

    /// Where a time comes from.
    public enum Source: Equatable, Sendable {
        /// The event's own fields.
        case stated
        /// The event says nothing: the wall clock of who asks.
        case arrival
        /// It was later than its arrival, and is its arrival now.
        case moved
    }

    /// The rule. `reading` gives what a field says, nil where it is absent or null; `arrival` is a
    /// wall clock in milliseconds since 1970.
    @inlinable
    public static func of(
        arrival: Int64, _ reading: (EventField) -> Timestamp.Reading?
    ) -> EventTime {
        var arrival = min(max(arrival, 0), Timestamp.max)
        let received = reading(.receivedAt)
        switch received {
        case .time(let time): arrival = time
        case .wrong(let problem, let place):
            return .fault(EventFault(.receivedAt, problem, place: place))
        case nil: break
        }
        if received != nil, let sent = reading(.sentAt), let original = reading(.originalTimestamp)
        {
            return of(sent, .sentAt) { sent in
                of(original, .originalTimestamp) { original in
                    let time = Timestamp.inRange(arrival - (sent - original)) ?? arrival
                    return bounded(time, by: arrival)
                }
            }
        }
        for field in [EventField.timestamp, .originalTimestamp] {
            guard let stated = reading(field) else { continue }
            return of(stated, field) { bounded($0, by: arrival) }
        }
        return .time(arrival, received == nil ? .arrival : .stated)
    }

    @inlinable
    static func bounded(_ time: Int64, by arrival: Int64) -> EventTime {
        time > arrival ? .time(arrival, .moved) : .time(time, .stated)
    }

    @inlinable
    static func of(
        _ reading: Timestamp.Reading, _ field: EventField, _ body: (Int64) -> EventTime
    ) -> EventTime {
        switch reading {
        case .time(let time): body(time)
        case .wrong(let problem, let place): .fault(EventFault(field, problem, place: place))
        }
    }
}
