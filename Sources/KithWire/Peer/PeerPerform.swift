public import KithBytes
public import KithCore

/// A node's part of a round for a group that another node leads: operations to log, finds to
/// answer, records to wait for. Answered by `PeerPerformReply`.
public struct PeerPerform: WireMessage, Equatable {
    public static let frameType = FrameType.peerPerform

    /// The group that all of it is of.
    public var group: GroupID
    /// The operations are events, to be refused before the group is overloaded.
    public var isIngest: Bool
    /// A sealed record is waited for; otherwise it is reported as such at once.
    public var isWaiting: Bool
    /// How long waits may take, in milliseconds.
    public var deadlineMillis: UInt32
    /// As the other side says; `OperationWriter(checking:count:)` counts them.
    public var operationCount: Int
    /// As `OperationWriter` wrote them.
    public var operations: [UInt8]
    /// Answered from applied state, after the operations.
    public var finds: [FindRequest]
    /// Records to wait for until they are no longer sealed, last.
    public var waits: [LeafID]

    /// A part; `operations` at most `PeerLimits.operationBytesMax` bytes, `finds` at most
    /// `PeerLimits.findsMax`, `waits` at most `PeerLimits.waitsMax`.
    public init(
        group: GroupID, isIngest: Bool, isWaiting: Bool, deadlineMillis: UInt32,
        operations: OperationWriter, finds: [FindRequest], waits: [LeafID]
    ) {
        self.group = group
        self.isIngest = isIngest
        self.isWaiting = isWaiting
        self.deadlineMillis = deadlineMillis
        operationCount = operations.count
        self.operations = operations.bytes
        self.finds = finds
        self.waits = waits
    }

    private static let ingestFlag: UInt8 = 1
    private static let waitingFlag: UInt8 = 2
    private static let findBytes = 64
    private static let leafBytes = 16

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        group = GroupID(try reader.u16())
        let flags = try reader.flags(below: 4)
        isIngest = flags & Self.ingestFlag != 0
        isWaiting = flags & Self.waitingFlag != 0
        deadlineMillis = try reader.u32()
        operationCount = try reader.count32(
            of: OperationWriter.headerBytes, limit: PeerLimits.operationsMax)
        operations = try reader.bytes32(limit: PeerLimits.operationBytesMax).copied()
        let findCount = try reader.count16(of: Self.findBytes, limit: PeerLimits.findsMax)
        finds = []
        finds.reserveCapacity(findCount)
        for _ in 0..<findCount {
            finds.append(
                FindRequest(
                    record: try reader.leaf(), leaf: try reader.leaf(), other: try reader.leaf(),
                    proof: OperationIndex(rawValue: try reader.u64()), stamp: try reader.i64()))
        }
        let waitCount = try reader.count16(of: Self.leafBytes, limit: PeerLimits.waitsMax)
        waits = []
        waits.reserveCapacity(waitCount)
        for _ in 0..<waitCount { waits.append(try reader.leaf()) }
        try reader.expectEnd()
    }

    public func encode(into writer: inout ByteWriter) {
        precondition(finds.count <= PeerLimits.findsMax && waits.count <= PeerLimits.waitsMax)
        writer.u16(group.rawValue)
        writer.u8((isIngest ? Self.ingestFlag : 0) | (isWaiting ? Self.waitingFlag : 0))
        writer.u32(deadlineMillis)
        writer.u32(UInt32(operationCount))
        writer.bytes32(operations)
        writer.u16(UInt16(finds.count))
        for find in finds {
            writer.leaf(find.record)
            writer.leaf(find.leaf)
            writer.leaf(find.other)
            writer.u64(find.proof.rawValue)
            writer.i64(find.stamp)
        }
        writer.u16(UInt16(waits.count))
        for leaf in waits { writer.leaf(leaf) }
    }
}

/// The answer to `PeerPerform`. Lists may be shorter than what was asked; the rest is unknown.
public struct PeerPerformReply: WireMessage {
    public static let frameType = FrameType.peerPerformReply

    /// What the group's leader made of the part.
    public var answer: PartAnswer

    /// Carries an answer; `unanswered` travels as `unknown`.
    public init(_ answer: PartAnswer) {
        self.answer = answer
    }

    public init(decoding payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        let tag = try reader.u8()
        switch tag {
        case 0:
            let token = LogIndex(try reader.u64())
            let operations = try Self.outcomes(&reader, limit: PeerLimits.operationsMax)
            let finds = try Self.outcomes(&reader, limit: PeerLimits.findsMax)
            var waits: [Bool] = []
            let count = try reader.count16(of: 1, limit: PeerLimits.waitsMax)
            waits.reserveCapacity(count)
            for _ in 0..<count { waits.append(try reader.flag()) }
            answer = .answered(operations: operations, finds: finds, waits: waits, token: token)
        case 1:
            answer = .overloaded(
                retryAfterMillis: try reader.u32(), shortage: try reader.shortage())
        case 2: answer = .unknown
        default: throw .unknownTag(tag, offset: 0)
        }
        try reader.expectEnd()
    }

    /// The list grows as outcomes are read, never by what its count promises.
    private static func outcomes(
        _ reader: inout ByteReader, limit: Int
    ) throws(ByteError) -> [Outcome] {
        let count = try reader.count32(of: 1, limit: limit)
        var outcomes: [Outcome] = []
        for _ in 0..<count { outcomes.append(try reader.outcome()) }
        return outcomes
    }

    public func encode(into writer: inout ByteWriter) {
        switch answer {
        case .answered(let operations, let finds, let waits, let token):
            let start = writer.count
            writer.u8(0)
            writer.u64(token.rawValue)
            for list in [operations, finds] {
                let place = writer.count
                writer.u32(0)
                var written = 0
                for outcome in list where writer.count - start < PeerLimits.replyBytesGoal {
                    writer.outcome(outcome)
                    written += 1
                }
                writer.patchU32(UInt32(written), at: place)
            }
            writer.u16(UInt16(clamping: waits.count))
            for isFree in waits.prefix(Int(UInt16.max)) { writer.u8(isFree ? 1 : 0) }
        case .overloaded(let retryAfterMillis, let shortage):
            writer.u8(1)
            writer.u32(retryAfterMillis)
            writer.u8(shortage.rawValue)
        case .unknown, .unanswered:
            writer.u8(2)
        }
    }
}
