// What one connection has to send, and what it has promised to send. One owner of both, since who
// may ask on depends on nothing else.
//
//   request ──▶ gate ──promise──▶ in work ──keep──▶ waiting ──take──▶ being written ──written──▶ sent
//                ▲                                                                          │
//                └────────────────────────── room again ────────────────────────────────────┘
//
// Invariant: a request of any kind begins only where its promise fits beside all that is promised,
// waits or is being written, or where there is nothing of that. So a client that never reads costs
// the room of its outbox, and what answers are longer than was promised for them. Of the two kinds
// that may be, a profile is made only when there is room for all of it, and what a batch has to be
// told is bounded (`IngestReply.bytesMax`), and where it is large holds the room of its frame.

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
    /// Of what is promised, waits and is being written, what long answers are.
    private var long = (promised: 0, waiting: 0, writing: 0)
    private var waitingCharges = Charges()
    private var writingCharges = Charges()
    /// The other side is a node, whose answers others wait for.
    private var isToNode = false
    /// By default the constant below.
    private let clientBytesMax: Int

    /// What answers hold of the node's budgets while they wait or are being written.
    struct Charges: Equatable {
        /// Of the budget of large frames: what the request held, where its answer is longer than
        /// was promised. It is about as long as the request at most.
        var frames = 0
        /// Of the budget of long answers.
        var replies = 0
    }

    /// Bytes that a client may have promised, waiting and being written.
    static let bytesMax = 1 << 20
    /// The same for another node, which asks for all of its clients; long answers beside.
    static let toNodeBytesMax = 4 << 20
    /// Bytes of long answers to another node; one by itself may be longer. Apart from the others,
    /// so that a long profile waits for none of them and they go on beside it.
    static let longToNodeBytesMax = 4 << 20
    /// Bytes beside that for answers to heartbeats, which say that this node is there.
    static let heartbeatBytesMax = 64 << 10
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
        let held = isToNode ? heldBytes - longBytes : heldBytes
        if held == 0 { return true }
        if isToNode { return Rules.isWithinGate(held + byteCount, Self.toNodeBytesMax) }
        let most = share.isTight ? min(Self.shareBytesMax, clientBytesMax) : clientBytesMax
        return Rules.isWithinGate(held + byteCount, most)
    }

    /// The same for an answer that is longer than was promised to it.
    func hasRoom(forLong byteCount: Int) -> Bool {
        guard isToNode else { return hasRoom(for: byteCount) }
        return longBytes == 0
            || Rules.isWithinGate(longBytes + byteCount, Self.longToNodeBytesMax)
    }

    private var longBytes: Int { long.promised + long.waiting + long.writing }

    /// From here on the other side is a node, and its answers are not counted among the clients'.
    mutating func becomeToNode() {
        guard !isToNode else { return }
        share.add(-heldBytes)
        isToNode = true
    }

    /// A request begins, or one goes on whose answer is long.
    mutating func promise(_ byteCount: Int, isLong: Bool = false) {
        if isLong { long.promised += byteCount }
        count { $0.promisedBytes += byteCount }
    }

    /// A promise that no answer will be kept for.
    mutating func withdraw(_ byteCount: Int, isLong: Bool) {
        if isLong { long.promised -= byteCount }
        count { $0.promisedBytes -= byteCount }
    }

    /// The answer to a request is there: it takes the place of its promise. `charges` are those of
    /// request and answer; what the answer does not need of them is returned. `version` is that of
    /// its header, where the message does not say. `isLong` as it was promised.
    mutating func keep(
        _ message: any WireMessage, _ requestID: UInt64, version: UInt8?, promised: Int,
        isLong: Bool = false, charges: Charges = Charges()
    ) -> Charges {
        let before = waiting.count
        count { box in
            box.promisedBytes -= promised
            FrameWriter.write(
                message, requestID: requestID, version: version, into: &box.waiting)
        }
        if isLong {
            long.promised -= promised
            long.waiting += waiting.count - before
        }
        waitingCharges.replies += charges.replies
        guard waiting.count - before > promised else { return Charges(frames: charges.frames) }
        waitingCharges.frames += charges.frames
        return Charges()
    }

    /// Everything that waits, to be written now.
    mutating func take() -> [UInt8] {
        let bytes = waiting.bytes
        waiting = ByteWriter()
        writingBytes = bytes.count
        long.writing = long.waiting
        long.waiting = 0
        writingCharges = waitingCharges
        waitingCharges = Charges()
        return bytes
    }

    /// The kernel has taken what was being written. Returns the charges to be given back.
    mutating func written() -> Charges {
        count { $0.writingBytes = 0 }
        long.writing = 0
        defer { writingCharges = Charges() }
        return writingCharges
    }

    /// The other side is gone: what waits for it goes too. Returns the charges to be given back.
    mutating func drop() -> Charges {
        count { $0.waiting = ByteWriter() }
        long.waiting = 0
        defer { waitingCharges = Charges() }
        return waitingCharges
    }

    /// Keeps the node's count beside what `body` changes.
    private mutating func count(_ body: (inout Outbox) -> Void) {
        let before = heldBytes
        body(&self)
        precondition(promisedBytes >= 0, "a promise was kept twice")
        if !isToNode, heldBytes != before { share.add(heldBytes - before) }
    }
}
