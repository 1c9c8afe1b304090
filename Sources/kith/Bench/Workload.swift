// The events of a load test. Batch N of a seed is a function of the settings, the seed and N, but
// for the run's tag in the message ids and the time; so batches need not be kept to be sent again,
// and two clients with one seed speak of the same people.
//
// Visitors are drawn by a Zipf distribution. Each has an anonymous id and belongs to a person, who
// has one, two or three devices in turn:
//
//   visitor   0    1 2    3 4 5    6    7 8    9 …
//   person    0     1       2      3     4     5 …
//
// A share of the events are logins: an `identify` with the visitor's id, the person's user id and
// e-mail address. The first login of a device merges its profile into the person's. All other
// events are a visitor's `page` or `track`, under twenty names.

package import KithBytes
import KithSimulation
import KithWire

/// Makes the batches of a load test.
package struct Workload: Sendable {
    /// What is stated of a workload.
    package struct Settings: Equatable, Sendable {
        package var space = "default"
        package var seed: UInt64 = 1
        package var visitors = 100_000
        /// The exponent of the Zipf distribution; 0 for all visitors alike.
        package var skew = 0.99
        /// Share of events that are logins, 0 to 1.
        package var logins = 0.02
        /// Bytes of an event as compact JSON; an event is somewhat smaller as the CBOR that is
        /// sent.
        package var eventBytes = 300
        /// Events of a batch.
        package var batch = 1_000

        package init() {}
    }

    /// Visitors have ten digits.
    static let visitorsMax = 1_000_000_000
    private static let timestampSpreadMillis: Int64 = 60_000
    private static let timestampTexts = 1_024

    package let settings: Settings
    private let runTag: UInt64
    private let zipf: ZipfSampler
    private let loginThreshold: UInt64
    private let login: EventTemplate
    private let visits: [EventTemplate]
    /// Times within the minute before `now`, as texts one after the other.
    private let timestamps: [UInt8]

    /// A workload whose message ids begin with `runTag`: one tag for each run, or a second run of
    /// the same seed is all duplicates. `now` is in milliseconds since 1970.
    package init(_ settings: Settings, runTag: UInt64, now: Int64) {
        precondition(
            1...Self.visitorsMax ~= settings.visitors && settings.batch > 0,
            "\(settings.visitors) visitors in batches of \(settings.batch)")
        self.settings = settings
        self.runTag = runTag
        zipf = ZipfSampler(count: settings.visitors, skew: settings.skew)
        loginThreshold =
            settings.logins >= 1 ? .max : UInt64(max(0, settings.logins) * 0x1p64)
        let head = Self.head(seed: settings.seed)
        login = EventTemplate(
            head + [
                CBORMember("type", "identify"),
                CBORMember("userId", .text(Self.userIDPrefix(settings.seed) + Hole.person.text)),
                CBORMember(
                    "traits",
                    [
                        "email": .text(
                            Self.userIDPrefix(settings.seed) + Hole.person.text + "@example.com"),
                        "plan": "standard",
                    ]),
            ], properties: [], jsonBytes: settings.eventBytes)
        visits =
            Self.pages.map { name in
                EventTemplate(
                    head + [CBORMember("type", "page"), CBORMember("name", .text(name))],
                    properties: [CBORMember("path", "/shop")], jsonBytes: settings.eventBytes)
            }
            + Self.tracks.map { name in
                EventTemplate(
                    head + [CBORMember("type", "track"), CBORMember("event", .text(name))],
                    properties: [CBORMember("price", .double(19.95))],
                    jsonBytes: settings.eventBytes)
            }
        timestamps = (0..<Self.timestampTexts).flatMap { place in
            // Never on a whole second, which has a shorter text.
            let time =
                now - Self.timestampSpreadMillis
                + Int64(place) * Self.timestampSpreadMillis / Int64(Self.timestampTexts)
            return Array(Words.time(time % 1_000 == 0 ? time + 1 : time).utf8)
        }
    }

    private typealias Hole = EventTemplate.Hole

    private static let pages = ["Home", "Search", "Category", "Product", "Cart", "Help"]
    private static let tracks = [
        "Product Viewed", "Product List Viewed", "Products Searched", "Product Added",
        "Product Removed", "Cart Viewed", "Checkout Started", "Coupon Applied", "Order Completed",
        "Order Refunded", "Article Read", "Video Played", "Newsletter Opened", "Store Visited",
    ]

    private static func head(seed: UInt64) -> [CBORMember] {
        [
            CBORMember("messageId", .text(Hole.messageID.text)),
            CBORMember("anonymousId", .text(visitorIDPrefix(seed) + Hole.visitor.text)),
            CBORMember("timestamp", .text(Hole.timestamp.text)),
        ]
    }

    private static func visitorIDPrefix(_ seed: UInt64) -> String { "v\(seed)-" }
    private static func userIDPrefix(_ seed: UInt64) -> String { "u\(seed)-" }

    /// The anonymous id of a visitor.
    package func visitorID(_ visitor: Int) -> String {
        let digits = String(visitor)
        return Self.visitorIDPrefix(settings.seed)
            + String(repeating: "0", count: Hole.visitor.width - digits.utf8.count) + digits
    }

    /// Whose device a visitor is.
    package static func person(of visitor: Int) -> Int {
        visitor / 6 * 3 + [0, 1, 1, 2, 2, 2][visitor % 6]
    }

    /// Bytes of an average event as it is sent, its place in the batch included.
    package var eventBytesSent: Int {
        let visit = visits.reduce(0) { $0 + $1.bytes.count } / visits.count
        let share = settings.logins
        return 5 + Int(share * Double(login.bytes.count) + (1 - share) * Double(visit))
    }

    /// Visitors to read, drawn as those of the events are.
    package func reads(_ count: Int) -> [Int] {
        // Any other stream than the events' own.
        zipf.draws(count, seed: settings.seed ^ 0x7265_6164)
    }

    /// Appends the payload of an `Ingest`: the first `count` events of batch `number`. About 0.2 µs
    /// an event, no allocation beyond the writer's.
    package func append(batch number: Int, count: Int, to writer: inout ByteWriter) {
        // Any odd factor but that of the generator's own seeding, which would make batches alike.
        var random = Xoshiro256(
            seed: settings.seed ^ (UInt64(number) + 1) &* 0xd134_2543_de82_ef95)
        writer.text16(settings.space)
        writer.u8(0)
        writer.u32(UInt32(count))
        for place in 0..<count {
            let visitor = zipf.next(&random)
            let choice = random.next()
            let details = random.next()
            let template =
                choice < loginThreshold ? login : visits[Int(details >> 32) % visits.count]
            writer.u8(IngestItemKind.event.rawValue)
            writer.u32(UInt32(template.bytes.count))
            let start = writer.count
            writer.raw(template.bytes)
            let timestamp = Int(truncatingIfNeeded: details & 0xffff) % Self.timestampTexts
            fill(
                template, at: start, visitor: visitor,
                event: UInt64(number * settings.batch + place), timestamp: timestamp, &writer)
        }
    }

    private func fill(
        _ template: EventTemplate, at start: Int, visitor: Int, event: UInt64, timestamp: Int,
        _ writer: inout ByteWriter
    ) {
        var bytes = writer.bytes.mutableSpan
        for (hole, offset) in template.holes {
            let place = start + offset
            switch hole {
            case .visitor: Self.putDecimal(visitor, at: place, &bytes)
            case .person: Self.putDecimal(Self.person(of: visitor), at: place, &bytes)
            case .messageID: putMessageID(event, at: place, &bytes)
            case .timestamp:
                let from = timestamp * Hole.timestamp.width
                for index in 0..<Hole.timestamp.width {
                    bytes[place + index] = timestamps[from + index]
                }
            }
        }
    }

    private static func putDecimal(_ number: Int, at place: Int, _ bytes: inout MutableSpan<UInt8>)
    {
        var rest = UInt64(number)
        for index in stride(from: Hole.visitor.width - 1, through: 0, by: -1) {
            bytes[place + index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }

    private func putMessageID(_ event: UInt64, at place: Int, _ bytes: inout MutableSpan<UInt8>) {
        var digit = 0
        for index in 0..<Hole.messageID.width {
            if index == 8 || index == 13 || index == 18 || index == 23 {
                bytes[place + index] = UInt8(ascii: "-")
                continue
            }
            let word = digit < 16 ? runTag : event
            let nibble = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (digit & 15))) & 15
            bytes[place + index] =
                nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
            digit += 1
        }
    }
}
