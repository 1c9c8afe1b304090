import KithBytes
import Testing
import kith

@testable import KithWire

@Suite struct BatchDeliveryTests {
    /// A batch of the lines, of which events may have at most 60 bytes.
    private static func batch(_ lines: [String]) -> LineBatch {
        var batcher = LineBatcher(
            LineBatcher.Settings(space: "shop", eventBytesMax: 60, runID: "run"))
        for (place, line) in lines.enumerated() {
            batcher.add(
                Array(line.utf8).span.bytes, at: LinePlace(file: 0, line: place + 1), arrival: 0)
        }
        return batcher.take(bytesTaken: 0)
    }

    /// What a payload holds; null for a line that is no event.
    private static func events(_ payload: [UInt8]) throws -> [CBORValue] {
        let view = try IngestView(decoding: payload.span.bytes)
        var items = view.items
        var events: [CBORValue] = []
        while let item = try items.next() {
            let bytes = item.bytes
            events.append(item.kind.isEvent ? try CBORValue(decoding: bytes) : .null)
        }
        return events
    }

    typealias Outcomes = (tries: [LineOutcome], end: LineOutcome)

    static let outcomes: [Outcomes] = [
        ([.unsent], .unsent), ([.answered(.overloaded)], .answered(.overloaded)),
        ([.answered(.unknown)], .answered(.unknown)),
        ([.answered(.overloaded), .unsent], .unsent),
        ([.unsent, .answered(.overloaded)], .answered(.overloaded)),
        ([.answered(.unknown), .unsent], .answered(.unknown)),
        ([.answered(.unknown), .answered(.overloaded)], .answered(.unknown)),
        ([.unsent, .answered(.unknown), .answered(.overloaded), .unsent], .answered(.unknown)),
        ([.answered(.unknown), .unsent, .answered(.duplicate)], .answered(.duplicate)),
        ([.unsent, .answered(.ok)], .answered(.ok)),
        (
            [.answered(.unknown), .answered(.rejected(.noIdentifier))],
            .answered(.rejected(.noIdentifier))
        ),
    ]

    @Test(arguments: outcomes)
    func `what was unknown once stays so until the answer is certain`(_ outcomes: Outcomes) {
        var delivery = BatchDelivery(Self.batch([#"{"a":1}"#]))

        var settled: [BatchDelivery.Settled] = []
        for outcome in outcomes.tries {
            #expect(settled.isEmpty)
            settled += delivery.take(.all(outcome))
        }
        settled += delivery.giveUp()

        #expect(settled == [BatchDelivery.Settled(item: 0, outcome: outcomes.end)])
        #expect(delivery.isDone)
    }

    @Test func `only what is open is sent again, and places are those of the batch`() throws {
        var delivery = BatchDelivery(Self.batch([#"{"a":1}"#, #"{"a":2}"#, "{", #"{"a":3}"#]))
        let whole = try Self.events(delivery.payload)

        let first = delivery.take(.results([.unknown, .ok, .overloaded, .unknown]))
        let again = try Self.events(delivery.payload)
        let second = delivery.take(.results([.ok, .rejected(.invalidJSON), .overloaded]))
        let third = try Self.events(delivery.payload)

        #expect(first == [.init(item: 1, outcome: .answered(.ok))])
        #expect(again == [whole[0], .null, whole[3]])
        #expect(
            second == [
                .init(item: 0, outcome: .answered(.ok)),
                .init(item: 2, outcome: .answered(.rejected(.invalidJSON))),
            ])
        #expect(third == [whole[3]])
        #expect(delivery.giveUp() == [.init(item: 3, outcome: .answered(.unknown))])
    }

    @Test func `a refused line without an answer is judged here and not sent again`() throws {
        let large = #"{"a":"\#(String(repeating: "x", count: 60))"}"#
        var delivery = BatchDelivery(Self.batch(["{", #"{"a":1}"#, large]))
        let whole = try Self.events(delivery.payload)

        let settled = delivery.take(.all(.answered(.unknown)))

        #expect(
            settled == [
                .init(item: 0, outcome: .answered(.rejected(.invalidJSON))),
                .init(item: 2, outcome: .answered(.rejected(.eventTooLarge))),
            ])
        #expect(try Self.events(delivery.payload) == [whole[1]])
    }

    @Test func `an event without room for a message id is sent again only while it is not stored`()
        throws
    {
        let bare = #"{"a":"\#(String(repeating: "x", count: 40))"}"#
        let named = #"{"messageId":"\#(String(repeating: "m", count: 40))"}"#
        let batch = Self.batch([bare, named, "[1]"])
        #expect(batch.unnamed == [0])
        var delivery = BatchDelivery(batch)
        let whole = try Self.events(delivery.payload)

        #expect(delivery.take(.all(.unsent)).isEmpty)
        #expect(delivery.take(.all(.answered(.overloaded))).isEmpty)
        #expect(try Self.events(delivery.payload) == whole)
        #expect(
            delivery.take(.all(.answered(.unknown)))
                == [.init(item: 0, outcome: .answered(.unknown))])
        #expect(try Self.events(delivery.payload) == [whole[1], whole[2]])
    }
}
