// What one connection has to send, and what it has promised to send. One owner of both, since who
// may ask on depends on nothing else.
//
//   request ──▶ gate ──promise──▶ in work ──keep──▶ waiting ──take──▶ being written ──written──▶ sent
//                ▲                                                                          │
//                └────────────────────────── room again ────────────────────────────────────┘
//
// Invariant: a request of any kind begins only where its promise fits beside all that is promised,
// waits or is being written, or where there is nothing of that. So a client that never reads costs
// the room of its outbox, and what answers are longer than was promised for them: little, since the
// one kind of answer that may be long, a profile, is made only when there is room for all of it.

internal import KithBytes
internal import KithWire

/// The answers of one connection, from promise to kernel. Touched by its connection only.
struct Outbox {
    private let share: ReplyRoom
    private var waiting = ByteWriter()
    /// For requests in work.
    private(set) var promisedBytes = 0
    /// Handed to the kernel and not taken yet.
    private(set) var writingBytes = 0
    /// Of `FrameBudget`, for long answers that wait or are being written.
    private var waitingCharge = 0
    private var writingCharge = 0
    /// The other side is a node, whose answers others wait for.
    private var isToNode = false
    /// By default the constant below.
    private let clientBytesMax: Int

    /// Bytes that a client may have promised, waiting and being written.
    static let bytesMax = 1 << 20
    /// The same for another node, which asks for all of its clients.
    static let toNodeBytesMax = 4 << 20
    /// What a client may have of them while all clients together are beyond the node's room.
    static let shareBytesMax = 64 << 10

    init(_ share: ReplyRoom, clientBytesMax: Int) {
        self.share = share
        self.clientBytesMax = clientBytesMax
    }

    /// Bytes that the other side has asked for and not taken.
    var heldBytes: Int { promisedBytes + waiting.count + writingBytes }

    /// Nothing waits to be written.
    var isEmpty: Bool { waiting.count == 0 }

    /// Whether the other side is a node.
    var isOfNode: Bool { isToNode }

    /// Memory of what waits and is being written. O(1).
    var memoryBytes: Int { waiting.bytes.capacity + writingBytes }

    /// Whether a request whose answer is so long may begin. Where nothing else is held any may.
    func hasRoom(for byteCount: Int) -> Bool {
        let held = heldBytes
        if held == 0 || planted(.gateOpen) { return true }
        if isToNode { return held + byteCount <= Self.toNodeBytesMax }
        let most = share.isTight ? min(Self.shareBytesMax, clientBytesMax) : clientBytesMax
        return held + byteCount <= most
    }

    /// From here on the other side is a node, and its answers are not counted among the clients'.
    mutating func becomeToNode() {
        guard !isToNode else { return }
        share.add(-heldBytes)
        isToNode = true
    }

    /// A request begins.
    mutating func promise(_ byteCount: Int) { count { $0.promisedBytes += byteCount } }

    /// A promise that no answer will be kept for.
    mutating func withdraw(_ byteCount: Int) { count { $0.promisedBytes -= byteCount } }

    /// The answer to a request is there: it takes the place of its promise. `charge` is what it
    /// holds of the budget of long answers; `version` that of its header, where the message does
    /// not say.
    mutating func keep(
        _ message: any WireMessage, _ requestID: UInt64, version: UInt8?, promised: Int,
        charge: Int = 0
    ) {
        count { box in
            box.promisedBytes -= promised
            FrameWriter.write(
                message, requestID: requestID, version: version, into: &box.waiting)
        }
        waitingCharge += charge
    }

    /// Everything that waits, to be written now.
    mutating func take() -> [UInt8] {
        let bytes = waiting.bytes
        waiting = ByteWriter()
        writingBytes = bytes.count
        writingCharge = waitingCharge
        waitingCharge = 0
        return bytes
    }

    /// The kernel has taken what was being written. Returns the charge to be given back.
    mutating func written() -> Int {
        count { $0.writingBytes = 0 }
        defer { writingCharge = 0 }
        return writingCharge
    }

    /// The other side is gone: what waits for it goes too. Returns the charge to be given back.
    mutating func drop() -> Int {
        count { $0.waiting = ByteWriter() }
        defer { waitingCharge = 0 }
        return waitingCharge
    }

    /// Keeps the node's count beside what `body` changes.
    private mutating func count(_ body: (inout Outbox) -> Void) {
        let before = heldBytes
        body(&self)
        precondition(promisedBytes >= 0, "a promise was kept twice")
        if !isToNode, heldBytes != before { share.add(heldBytes - before) }
    }
}
