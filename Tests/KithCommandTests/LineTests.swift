import KithBytes
import KithWire
import Testing
import kith

@Suite struct LineSplitterTests {
    /// All lines of `text`, fed in chunks of `size` bytes; nil for a line that was too long.
    private static func lines(_ text: String, size: Int, max: Int) -> [String?] {
        var splitter = LineSplitter(lineBytesMax: max)
        var lines: [String?] = []
        func keep(_ line: LineSplitter.Line, _ splitter: borrowing LineSplitter) {
            #expect(line.number == lines.count + 1)
            lines.append(
                line.range.map { String(decoding: splitter.bytes($0).copied(), as: UTF8.self) })
        }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            splitter.append(Array(bytes.prefix(size)).span.bytes)
            bytes = bytes.dropFirst(size)
            while let line = splitter.next() { keep(line, splitter) }
        }
        if let line = splitter.last() { keep(line, splitter) }
        return lines
    }

    @Test(arguments: [1, 2, 3, 7, 8, 9, 16, 100])
    func `lines are the same whatever the chunks`(_ size: Int) {
        let text = "one\n\nthree is longer than a word of the machine\nfour\r\n\n\nlast"

        #expect(
            Self.lines(text, size: size, max: 100) == [
                "one", "", "three is longer than a word of the machine", "four\r", "", "", "last",
            ])
        #expect(Self.lines(text + "\n", size: size, max: 100).count == 7)
    }

    @Test(arguments: [1, 3, 8, 64])
    func `a line above the limit is reported and not kept`(_ size: Int) {
        let long = String(repeating: "x", count: 21)
        let text = "a\n\(long)\n" + String(repeating: "y", count: 20) + "\n\(long)"

        #expect(
            Self.lines(text, size: size, max: 20)
                == ["a", nil, String(repeating: "y", count: 20), nil])
    }
}

@Suite struct LineBatcherTests {
    private static let now: Int64 = 1_700_000_000_000

    private static func batcher(isStamped: Bool = false, eventBytesMax: Int = 200) -> LineBatcher {
        var settings = LineBatcher.Settings(
            space: "shop", eventBytesMax: eventBytesMax, runID: "run")
        settings.isStamped = isStamped
        settings.itemsMax = 4
        return LineBatcher(settings)
    }

    private static func add(_ lines: [String?], to batcher: inout LineBatcher) {
        for (place, line) in lines.enumerated() {
            let place = LinePlace(file: 0, line: place + 1)
            if let line {
                batcher.add(Array(line.utf8).span.bytes, at: place, arrival: now)
            } else {
                batcher.add(nil, at: place, arrival: now)
            }
        }
    }

    /// Kind, stamp and content of every item.
    private static func items(
        _ batch: LineBatch
    ) throws -> [(kind: IngestItemKind, stamp: Int64?, event: CBORValue?)] {
        let view = try IngestView(decoding: batch.payload.span.bytes)
        #expect(view.space == "shop")
        var items = view.items
        var found: [(kind: IngestItemKind, stamp: Int64?, event: CBORValue?)] = []
        while let item = try items.next() {
            let event = item.bytes.byteCount > 0 ? try CBORValue(decoding: item.bytes) : nil
            found.append((item.kind, item.stamp?.rawValue, event))
        }
        return found
    }

    @Test func `a line is an event, no JSON, too large, or nothing`() throws {
        var batcher = Self.batcher()
        let large = #"{"messageId":"m","a":""# + String(repeating: "x", count: 300) + "\"}"

        Self.add([#"{"messageId":"m"}"#, "", " \t\r", "{", large, nil], to: &batcher)
        #expect(batcher.isFull)
        let batch = batcher.take(bytesTaken: 7)

        #expect(try Self.items(batch).map(\.kind) == [.event, .invalidJSON, .tooLarge, .tooLarge])
        #expect(batch.places.map(\.line) == [1, 4, 5, 6])
        #expect(batch.notes == [1: "the text ends too early, at byte 2"])
        #expect(batch.refused == [1, 2, 3])
        #expect(batch.bytesTaken == 7)
        #expect(batcher.isEmpty)
    }

    @Test func `an event without a message id gets one, and no other does`() throws {
        var batcher = Self.batcher()

        Self.add(
            [
                #"{"a":1}"#, #"{"messageId":""}"#, #"{"messageId":"m"}"#, "[1]",
                #"{"messageId":7}"#, #"{"messageId":"null"}"#,
            ], to: &batcher)

        #expect(
            try Self.items(batcher.take(bytesTaken: 0)).map(\.event) == [
                ["a": 1, "messageId": "run-0"],
                .map([CBORMember("messageId", ""), CBORMember("messageId", "run-1")]),
                ["messageId": "m"], .array([1]), ["messageId": 7],
                .map([CBORMember("messageId", "null"), CBORMember("messageId", "run-2")]),
            ])
    }

    @Test func `a message id is appended to a map of any size`() throws {
        for count in [0, 22, 23, 24, 255, 256] {
            let members = (0..<count).map { CBORMember(.text("k\($0)"), .integer(Int64($0))) }
            var event = ByteWriter()
            CBORValue.map(members).encode(into: &event)

            try EventPeek.append(name: "messageId", text: "m", to: &event)

            #expect(
                try CBORValue(decoding: event.bytes.span.bytes)
                    == .map(members + [CBORMember("messageId", "m")]))
        }
    }

    @Test func `a stamp is the greatest time of all lines so far`() throws {
        let (second, third): (Int64, Int64) = (1_600_000_002_000, 1_600_000_003_000)
        var batcher = Self.batcher(isStamped: true)

        Self.add(
            [
                #"{"timestamp":1600000002000}"#, #"{"timestamp":"1970-01-01T00:00:01Z"}"#, "broken",
                #"{"timestamp":"never"}"#,
            ], to: &batcher)
        let first = batcher.take(bytesTaken: 0)
        Self.add([#"{"a":1}"#, #"{"timestamp":1600000003000}"#], to: &batcher)

        #expect(try Self.items(first).map(\.stamp) == [second, second, second, second])
        #expect(first.stamp == LogTime(second))
        #expect(try Self.items(batcher.take(bytesTaken: 0)).map(\.stamp) == [second, third])
        #expect(batcher.greatestTime == LogTime(third))
    }

    @Test func `with the wall clock there are no stamps`() throws {
        var batcher = Self.batcher()

        Self.add([#"{"timestamp":2000}"#], to: &batcher)
        let batch = batcher.take(bytesTaken: 0)

        #expect(try Self.items(batch).map(\.stamp) == [nil])
        #expect(batch.stamp == nil)
    }

    /// A day in 2023.
    private static let day: Int64 = 1_700_000_000_000

    static let times: [(CBORValue, Int64?)] = [
        (["timestamp": .integer(day)], day), (["receivedAt": .integer(day)], day),
        (["timestamp": .integer(day + 1), "receivedAt": .integer(day)], day),
        (["originalTimestamp": .integer(day)], day),
        (
            [
                "receivedAt": .integer(day), "sentAt": .integer(day - 1_000),
                "originalTimestamp": .integer(day - 1_500), "timestamp": "no matter",
            ], day - 500
        ),
        (
            [
                "receivedAt": .integer(day), "sentAt": .integer(day - 2_000),
                "originalTimestamp": .integer(day - 1_500),
            ], day
        ),
        (["sentAt": "x", "originalTimestamp": true, "timestamp": .integer(day)], day),
        (["timestamp": .integer(now + 1)], now), (["timestamp": 5000], nil),
        (["timestamp": true], nil), (["timestamp": nil], nil), (.map([]), nil),
        (.array([1]), nil),
    ]

    @Test(arguments: times)
    func `an event's time is the one that the node will find`(
        _ event: CBORValue, _ time: Int64?
    ) {
        let bytes = event.encoded()

        #expect(EventPeek(bytes.span.bytes, arrival: Self.now).time == time)
        #expect(EventPeek(bytes.span.bytes, arrival: nil).time == nil)
    }
}
