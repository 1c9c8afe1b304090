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
                case .messageID: hasMessageID = Self.isText(value)
                case .timestamp: times.stated = Time(value)
                case .originalTimestamp: times.original = Time(value)
                case .sentAt: times.sent = Time(value)
                case .receivedAt: times.received = Time(value)
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

    /// A member that should be a time.
    private enum Time {
        case absent
        case given(Int64)
        case invalid

        init(_ value: RawSpan) {
            var reader = CBORReader(value)
            let time: Int64?
            do throws(ByteError) {
                switch try reader.kind() {
                case .null, .undefined:
                    self = .absent
                    return
                case .text: time = Timestamp.parse(try reader.text())
                case .unsigned: time = Timestamp.inRange(try reader.int64())
                case .float: time = Timestamp.inRange(try reader.float())
                default: time = nil
                }
            } catch {
                time = nil
            }
            self = time.map { .given($0) } ?? .invalid
        }
    }

    /// The four times of an event, and the rule that makes one of them.
    private struct Times {
        var stated = Time.absent
        var original = Time.absent
        var sent = Time.absent
        var received = Time.absent

        func eventTime(arrival: Int64) -> Int64? {
            var arrival = arrival
            for time in [stated, original, sent, received] {
                if case .invalid = time { return nil }
            }
            if case .given(let received) = received { arrival = received }
            var time = arrival
            if case .given(let received) = received, case .given(let sent) = sent,
                case .given(let original) = original
            {
                time = received - (sent - original)
            } else if case .given(let stated) = stated {
                time = stated
            } else if case .absent = received {
                return nil
            }
            return Timestamp.inRange(min(time, arrival))
        }
    }

    private static func isText(_ value: RawSpan) -> Bool {
        var reader = CBORReader(value)
        do throws(ByteError) {
            return try reader.text().byteCount > 0
        } catch {
            return false
        }
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
