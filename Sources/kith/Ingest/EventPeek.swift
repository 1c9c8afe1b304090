// What `kith ingest` has to know of an event that it sends: whether it has a message id, and, with
// the event clock, when it happened. Both are read off the top members of its CBOR.

package import KithBytes
import KithCore

/// A look at an event's top members.
package struct EventPeek: Equatable, Sendable {
    /// Whether the bytes are a map at all.
    package var isMap = false
    /// Whether it has a message id that a node will take.
    package var hasMessageID = false
    /// The time at which the event happened, in milliseconds since 1970; nil where it does not say,
    /// or says no time.
    package var time: Int64?

    /// Looks at `event`, which is one well-formed item. O(bytes).
    ///
    /// `arrival` is the wall clock; nil where times are of no interest.
    package init(_ event: RawSpan, arrival: Int64?) {
        var reader = CBORReader(event)
        var times = Times()
        do throws(ByteError) {
            guard try reader.kind() == .map else { return }
            isMap = true
            var count = try reader.map()
            while try reader.next(in: &count) {
                let name = Name(try reader.text(), isTimed: arrival != nil)
                let value = try reader.item()
                switch name {
                case .messageID: hasMessageID = Self.isMessageID(value)
                case .timestamp: times.stated = Self.reading(value)
                case .originalTimestamp: times.original = Self.reading(value)
                case .sentAt: times.sent = Self.reading(value)
                case .receivedAt: times.received = Self.reading(value)
                case .other: break
                }
            }
        } catch {
            // Not well-formed, so nothing is known of it; the node will say what is wrong.
            return
        }
        if let arrival { time = times.eventTime(arrival: arrival) }
    }

    private enum Name {
        case messageID, timestamp, originalTimestamp, sentAt, receivedAt, other

        init(_ name: RawSpan, isTimed: Bool) {
            switch name.byteCount {
            case 9 where name.isEqual(to: "messageId".utf8.span.bytes): self = .messageID
            case 9 where isTimed && name.isEqual(to: "timestamp".utf8.span.bytes):
                self = .timestamp
            case 17 where isTimed && name.isEqual(to: "originalTimestamp".utf8.span.bytes):
                self = .originalTimestamp
            case 6 where isTimed && name.isEqual(to: "sentAt".utf8.span.bytes): self = .sentAt
            case 10 where isTimed && name.isEqual(to: "receivedAt".utf8.span.bytes):
                self = .receivedAt
            default: self = .other
            }
        }
    }

    /// The four times of an event, as far as they are given.
    private struct Times {
        var stated: Timestamp.Reading?
        var original: Timestamp.Reading?
        var sent: Timestamp.Reading?
        var received: Timestamp.Reading?

        func eventTime(arrival: Int64) -> Int64? {
            if stated == nil, original == nil, received == nil { return nil }
            let time = EventTime.of(arrival: arrival) { field in
                switch field {
                case .receivedAt: received
                case .sentAt: sent
                case .originalTimestamp: original
                default: stated
                }
            }
            if case .time(let time, _) = time { return time }
            return nil
        }
    }

    /// What a member says of time; nil for null, which says nothing.
    private static func reading(_ value: RawSpan) -> Timestamp.Reading? {
        let reading = Timestamp.reading(item: value)
        return reading == .wrong(.isNull, place: 0) ? nil : reading
    }

    /// The standard rules: what they block is no message id. A cluster file may block others.
    private static let normaliser = IdentifierNormaliser(.standard)

    /// Whether a node takes the item for a message id.
    private static func isMessageID(_ value: RawSpan) -> Bool {
        EventReader.withMessageID(value) { normaliser.isMessageID($0) } ?? false
    }

    /// Appends a member to the map that `event` holds from its first byte to its last.
    package static func append(
        name: String, text: String, to event: inout ByteWriter
    ) throws(ByteError) {
        var reader = CBORReader(event.bytes.span.bytes)
        let head = try reader.head()
        let headCount = reader.offset
        var longer = ByteWriter(capacity: 9)
        longer.cborMap(count: Int(head.argument) + 1)
        event.bytes.replaceSubrange(..<headCount, with: longer.bytes)
        event.cborText(name)
        event.cborText(text)
    }
}
