import KithWire
import Testing

@testable import KithServer

/// What an answer holds of the node's budgets, from its promise until the kernel has taken it.
@Suite struct OutboxTests {
    private static let charges = Outbox.Charges(frames: 70_000, replies: 9_000)

    private func outbox(_ room: ReplyRoom = ReplyRoom(bytesMax: 1 << 20)) -> Outbox {
        Outbox(room, clientBytesMax: 1 << 20)
    }

    /// An answer of about `byteCount` bytes.
    private func answer(_ byteCount: Int) -> ErrorReply {
        ErrorReply(code: .malformed, text: String(repeating: "x", count: byteCount))
    }

    @Test func `an answer as long as promised gives the room of its frame back at once`() {
        var outbox = outbox()
        outbox.promise(1_000)

        let freed = outbox.keep(
            answer(500), 1, version: nil, promised: 1_000, charges: Self.charges)

        #expect(freed == Outbox.Charges(frames: Self.charges.frames))
        _ = outbox.take()
        #expect(outbox.written() == Outbox.Charges(replies: Self.charges.replies))
        #expect(outbox.heldBytes == 0)
    }

    @Test func `a longer one holds the room of its frame until it is taken`() {
        var outbox = outbox()
        outbox.promise(100)

        let freed = outbox.keep(answer(500), 1, version: nil, promised: 100, charges: Self.charges)

        #expect(freed == Outbox.Charges())
        #expect(outbox.heldBytes > 500)
        #expect(outbox.take().count == outbox.writingBytes)
        // One that is kept meanwhile is not given back with it.
        outbox.promise(100)
        #expect(
            outbox.keep(answer(400), 2, version: nil, promised: 100, charges: Self.charges)
                == Outbox.Charges())
        #expect(outbox.written() == Self.charges)
        #expect(outbox.written() == Outbox.Charges())
        _ = outbox.take()
        #expect(outbox.written() == Self.charges)
        #expect(outbox.heldBytes == 0)
    }

    @Test func `who is gone gives everything back, once`() {
        let room = ReplyRoom(bytesMax: 1 << 20)
        var outbox = outbox(room)
        outbox.promise(100)
        _ = outbox.keep(answer(500), 1, version: nil, promised: 100, charges: Self.charges)
        _ = outbox.take()
        outbox.promise(100)
        _ = outbox.keep(answer(500), 2, version: nil, promised: 100, charges: Self.charges)
        #expect(room.heldBytes == outbox.heldBytes && room.heldBytes > 1_000)

        #expect(outbox.drop() == Self.charges)
        #expect(outbox.drop() == Outbox.Charges())
        #expect(outbox.written() == Self.charges)
        #expect(outbox.heldBytes == 0 && room.heldBytes == 0)
    }
}
