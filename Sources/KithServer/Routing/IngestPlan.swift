internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithWire

/// What becomes of one `Ingest` frame: which of its items are read, refused or settled, in pieces
/// of bounded size. Results are kept by the item's place in the frame.
struct IngestPlan {
    let space: [UInt8]
    let hasStamps: Bool
    private let count: Int
    private var next = 0
    private var offset = 0
    private var results: [IngestResult]
    private var token = SessionToken()
    private var retryAfterMillis: UInt32 = 0
    private var rejected: [UInt32]
    /// The items of the piece at hand that were refused, by their place in the frame.
    private var refused: [Int] = []
    private var trouble = Router.Trouble()
    private var notes: [EventNote] = []
    private var notesLeftOut: UInt32 = 0
    private let names: NoteNames
    private let arrival: Int64

    /// Bytes of event bodies that one piece takes before it is sent on.
    static let pieceBytesGoal = 1 << 20

    /// `arrivedAt`: what events have for their time that say none, or a later one.
    init(
        _ frame: Frame, arrivedAt arrival: LogTime, _ service: Service
    ) throws(ByteError) {
        let view = try IngestView(decoding: frame.payload, limits: service.limits)
        space = Array(view.space.utf8)
        hasStamps = view.hasStamps
        count = view.count
        results = Array(repeating: .unknown, count: count)
        rejected = Array(repeating: 0, count: RejectionReason.allCases.count + 1)
        names = service.noteNames
        self.arrival = arrival.rawValue
    }

    var isDone: Bool { next >= count }

    /// Reads the next events into `batch`, up to the piece's size.
    mutating func readPiece(
        _ frame: Frame, _ reader: inout EventReader, _ batch: inout EventBatch, _ service: Service
    ) throws(ByteError) {
        batch.removeAll()
        let view = try IngestView(decoding: frame.payload, limits: service.limits)
        var items = view.items
        var place = 0
        while let item = try items.next() {
            defer { place += 1 }
            if place < next { continue }
            if batch.byteCount >= Self.pieceBytesGoal { return }
            next = place + 1
            switch item.kind {
            case .invalidJSON: refuse(place, .invalidJSON)
            case .tooLarge: refuse(place, .eventTooLarge)
            case .event, .provisional, .provisionalAgain, .last, .links:
                do throws(EventRejection) {
                    try unsafe reader.read(
                        item.bytes, position: UInt32(place), space: space.span.bytes,
                        arrival: arrival, stamp: item.stamp?.rawValue, into: &batch,
                        assignMessageID: { service.assignMessageID() })
                    switch item.kind {
                    case .provisional: batch.setAttempt(.provisional)
                    case .provisionalAgain: batch.setAttempt(.provisionalAgain)
                    case .last: batch.setAttempt(.last)
                    case .links: batch.setAttempt(.links)
                    default: break
                    }
                } catch {
                    refuse(place, RejectionReason(name: error.rawValue) ?? .invalidJSON)
                }
            }
        }
        next = count
    }

    private mutating func refuse(_ place: Int, _ reason: RejectionReason) {
        mark(.connectionEventRefused)
        results[place] = .rejected(reason)
        refused.append(place)
        rejected[Int(reason.rawValue)] += 1
    }

    /// The refusals since the last call, to be counted in the log.
    mutating func takeRejected() -> [(name: [UInt8], count: UInt32)] {
        var list: [(name: [UInt8], count: UInt32)] = []
        for reason in RejectionReason.allCases where rejected[Int(reason.rawValue)] > 0 {
            list.append((name: Array(reason.name.utf8), count: rejected[Int(reason.rawValue)]))
            rejected[Int(reason.rawValue)] = 0
        }
        return list
    }

    /// Keeps a piece's results, and which nodes stood in the way of some of them.
    mutating func take(_ machine: IngestMachine, _ batch: EventBatch, _ trouble: Router.Trouble) {
        self.trouble.add(trouble)
        tell(batch.notes, leftOut: batch.notesLeftOut)
        tell(machine.notes)
        for (head, result) in zip(batch.heads, machine.results) {
            results[Int(head.position)] = Rules.result(of: result)
        }
        for place in refused where machine.refusal != .rejected {
            results[place] = machine.refusal == .overloaded ? .overloaded : .unknown
        }
        refused.removeAll(keepingCapacity: true)
        for (group, index) in machine.tokens.enumerated() where index > .zero {
            token.raise(GroupID(UInt16(group)), to: index)
        }
        retryAfterMillis = max(retryAfterMillis, machine.retryAfterMillis)
    }

    private mutating func tell(_ more: [EventNote], leftOut: UInt32 = 0) {
        let room = min(more.count, EventBatch.notesMax - notes.count)
        notes += more.prefix(room)
        notesLeftOut += leftOut + UInt32(more.count - room)
    }

    /// By item, in the order in which they came.
    private var sortedNotes: [EventNote] {
        guard !notes.isEmpty else { return [] }
        return notes.enumerated().sorted { left, right in
            (left.element.position, left.offset) < (right.element.position, right.offset)
        }.map(\.element)
    }

    var reply: IngestReply {
        IngestReply(
            token: token, retryAfterMillis: retryAfterMillis,
            results: Rules.results(ofItems: results),
            silentNodes: Array(trouble.silent.prefix(WireLimits.silentNodesMax)),
            shortNodes: Array(trouble.short.prefix(WireLimits.silentNodesMax)),
            notes: sortedNotes, notesLeftOut: notesLeftOut, names: notes.isEmpty ? .none : names)
    }
}
