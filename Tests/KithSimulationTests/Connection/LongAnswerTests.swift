import KithPorts
import KithSimulation
import KithWire
import Testing

@testable import KithServer

/// What a connection may promise: to a node, long answers and all others apart.
@Suite struct LongAnswerTests {
    private static let long = 4_100_000

    private func box() -> Outbox {
        Outbox(ReplyRoom(bytesMax: 128 << 20), clientBytesMax: Outbox.bytesMax)
    }

    @Test func `a node's long answer waits for no other, and lets others begin`() {
        var box = box()
        box.becomeToNode()
        box.promise(Outbox.toNodeBytesMax)
        #expect(!box.hasRoom(for: 1))
        #expect(box.hasRoom(forLong: Self.long))

        box.promise(Self.long, isLong: true)
        #expect(!box.hasRoom(forLong: Self.long))
        box.withdraw(Outbox.toNodeBytesMax / 2, isLong: false)
        #expect(box.hasRoom(for: Outbox.toNodeBytesMax / 2))
        #expect(!box.hasRoom(for: Outbox.toNodeBytesMax / 2 + 1))
    }

    @Test func `a long answer has its room until the other side has taken it`() {
        var box = box()
        box.becomeToNode()
        box.promise(Self.long, isLong: true)
        let reply = ProfileReply(profile: [UInt8](repeating: 0, count: Self.long))
        _ = box.keep(reply, 1, version: nil, promised: Self.long, isLong: true)
        #expect(!box.hasRoom(forLong: Self.long))
        #expect(box.hasRoom(for: Outbox.toNodeBytesMax))
        _ = box.take()
        #expect(!box.hasRoom(forLong: Self.long))
        _ = box.written()

        #expect(box.hasRoom(forLong: Self.long))
        #expect(box.heldBytes == 0)
    }

    @Test func `a client's long answer is one of all its answers`() {
        var box = box()
        box.promise(1)
        #expect(!box.hasRoom(forLong: Outbox.bytesMax))
        box.withdraw(1, isLong: false)
        #expect(box.hasRoom(forLong: Self.long))

        box.promise(Self.long, isLong: true)
        #expect(!box.hasRoom(for: 1))
    }
}
