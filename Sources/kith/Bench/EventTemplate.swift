// An event that is encoded but for a few holes of fixed width, so that a load generator makes the
// next event by one copy and some digits.
//
//   hole        width  filled with
//   visitor        10  the visitor's number, in decimal digits
//   person         10  the person's number, in decimal digits
//   messageID      36  a UUID: 16 hex digits of the run, 16 of the event
//   timestamp      24  2026-11-22T20:15:00.123Z
//
// A hole is drawn in the template as that many equal characters, which stand nowhere else in it.

import KithBytes

/// One kind of event.
package struct EventTemplate: Sendable {
    /// What a hole is for.
    enum Hole: UInt8, CaseIterable {
        case visitor = 0x01
        case person = 0x02
        case messageID = 0x03
        case timestamp = 0x04

        var width: Int {
            switch self {
            case .visitor, .person: 10
            case .messageID: 36
            case .timestamp: 24
            }
        }

        /// As it stands in a template's texts.
        var text: String {
            String(repeating: Character(Unicode.Scalar(rawValue)), count: width)
        }
    }

    /// The event as CBOR, holes unfilled.
    let bytes: [UInt8]
    /// Every hole and where it starts, by offset.
    let holes: [(hole: Hole, offset: Int)]

    /// A template of `event`, whose `properties` are padded until the event is `jsonBytes` of
    /// compact JSON; one that is longer already stays as it is.
    init(_ event: [CBORMember], properties: [CBORMember], jsonBytes: Int) {
        func whole(_ padding: String) -> CBORValue {
            .map(
                event + [
                    CBORMember(
                        "properties", .map(properties + [CBORMember("notes", .text(padding))]))
                ])
        }
        // A hole's characters are escaped in JSON: six bytes where there will be one.
        let holeBytes = Self.holes(in: whole("").encoded()).reduce(0) { $0 + $1.hole.width }
        let bare = JSONText.make(whole("")).utf8.count - 5 * holeBytes
        bytes = whole(Self.padding(max(0, jsonBytes - bare))).encoded()
        holes = Self.holes(in: bytes)
    }

    private static func padding(_ count: Int) -> String {
        let words = "the quick brown fox jumps over the lazy dog "
        return String(
            String(repeating: words, count: count / words.utf8.count + 1).prefix(count))
    }

    private static func holes(in bytes: [UInt8]) -> [(hole: Hole, offset: Int)] {
        var holes: [(hole: Hole, offset: Int)] = []
        var place = 0
        while place < bytes.count {
            // A single byte of these values is an integer or part of a length; a hole is a run.
            if let hole = Hole(rawValue: bytes[place]), place + hole.width <= bytes.count,
                bytes[place..<(place + hole.width)].allSatisfy({ $0 == hole.rawValue })
            {
                holes.append((hole, place))
                place += hole.width
            } else {
                place += 1
            }
        }
        return holes
    }
}
