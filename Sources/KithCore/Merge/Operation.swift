public import KithBytes

/// What a log entry is made of: operations, each a compare-and-set whose outcome is decided when it
/// is applied. The same bytes travel from a router to a group's leader, lie in the log and are
/// applied by every replica.
///
///     type u8 · length u32 (of what follows the stamp) · stamp i64 · payload
///
/// `stamp` raises log time before the operation is judged where the retention clock is `event`; the
/// least value means none. Payloads (leaf = 16 bytes: high u64, low u64):
///
///     event    record leaf · proof u64 · ordinal u8 · flags u8 (1 quarantine, 2 even if contested,
///              4 an alias joins no accounts, 8 joins the run before it, 16 depends on it,
///              bits 5 to 7 which try it is, `EventTry`)
///              · event body (`EventBody`)
///     seal     loser leaf · winner leaf · loser's end leaf · winner's end leaf · event time i64
///              · flags u8 (1 loser's end listed, 2 winner's end listed, 4 winner holds its end)
///              · loser's text · winner's text
///     absorb   `AbsorbOrder`
///     forward  loser leaf · version u64 · parent leaf
///     release  leaf · version u64 · marks u16 count, u64 each · ledger bytes32
///     contest  root leaf · end leaf · first leaf
///     refuse   root leaf · first leaf · other leaf · rule u8 · u8 1: other is counted as ignored
///     erase    record leaf · leaf · proof u64
///     touch    record leaf
///     reclaim  shard u8 · limit u32 · exact u8
///     marks    u16 count, u64 each
///     count    rejected u16 count, {name bytes8, u32} each
///              · ignored u16 count, {name bytes8, u32} each
///     settings retention in milliseconds i64
///     time     (nothing: the stamp, or the entry's own time)
///     answered root leaf · leaf · version u64
///     reopen   loser leaf · version u64
///     restore  leaf · version u64 · holder leaf
///     restored (nothing)
public enum OperationType: UInt8, Sendable, CaseIterable {
    case event = 1
    case seal = 2
    case absorb = 3
    case forward = 4
    case release = 5
    case contest = 6
    case refuse = 7
    case erase = 8
    case touch = 9
    case reclaim = 10
    case marks = 11
    case count = 12
    case settings = 13
    case time = 14
    case answered = 15
    case reopen = 16
    case restore = 17
    case restored = 18
}

/// An event's operation, decoded: everything about it that can be told without looking at a
/// record. A view, since the body stays where it is; making one allocates nothing. Nearly all
/// operations are events, so they are not a case of `Operation`, which would be moved and destroyed
/// for each.
struct EventOperation: ~Escapable {
    let target: ShardMachine.EventTarget
    let body: EventBody

    /// Decodes a payload, all of it.
    @_lifetime(copy payload)
    init(_ payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        let record = try reader.leaf()
        let proof = OperationIndex(rawValue: try reader.u64())
        let ordinal = Int(try reader.u8())
        let flags = try reader.u8()
        body = try EventBody(payload.extracting(reader.offset..<payload.byteCount))
        guard ordinal < body.identifierCount, let attempt = EventTry(rawValue: flags >> 5) else {
            throw .malformed(offset: 24)
        }
        target = ShardMachine.EventTarget(
            record: record, ordinal: ordinal, isQuarantine: flags & 1 != 0,
            evenIfContested: flags & 2 != 0, aliasJoinsAccounts: flags & 4 == 0,
            proof: proof, place: ShardMachine.RunPlace(flags: flags), attempt: attempt)
    }
}

/// One operation that is no event, decoded: everything about it that can be told without looking at
/// a record. A view, since lists of counts stay where they are.
enum Operation: ~Escapable {
    case seal(SealOrder)
    case absorb(AbsorbOrder)
    case forward(loser: LeafID, version: OperationIndex, parent: LeafID)
    case release(ReleaseOrder)
    case contest(root: LeafID, end: LeafID, first: LeafID)
    case refuse(root: LeafID, first: LeafID, other: LeafID, rule: RefusalRule, isIgnored: Bool)
    case erase(record: LeafID, leaf: LeafID, proof: OperationIndex)
    case touch(record: LeafID)
    case reclaim(ShardID, limit: Int, exact: Bool)
    case marks([OperationIndex])
    /// Both lists, whole.
    case count(RawSpan)
    case settings(retentionMillis: Int64)
    case time
    case answered(root: LeafID, Ledger.Release)
    case reopen(loser: LeafID, version: OperationIndex)
    case restore(LostForward)
    case restored

    /// Decodes a payload, all of it; that of an event is none.
    @_lifetime(copy payload)
    init(_ type: OperationType, _ payload: RawSpan) throws(ByteError) {
        var reader = ByteReader(payload)
        switch type {
        case .event: throw .malformed(offset: 0)
        case .seal: self = .seal(try SealOrder(decoding: &reader))
        case .absorb: self = .absorb(try AbsorbOrder(decoding: &reader))
        case .forward:
            self = .forward(
                loser: try reader.leaf(), version: OperationIndex(rawValue: try reader.u64()),
                parent: try reader.leaf())
        case .release:
            let leaf = try reader.leaf()
            let version = OperationIndex(rawValue: try reader.u64())
            let marks = try reader.marks()
            let ledger = try reader.bytes32(limit: ShardMachine.absorbBytesMax).copied()
            self = .release(
                ReleaseOrder(leaf: leaf, version: version, ledger: ledger, marks: marks))
        case .contest:
            self = .contest(
                root: try reader.leaf(), end: try reader.leaf(), first: try reader.leaf())
        case .refuse:
            let root = try reader.leaf()
            let first = try reader.leaf()
            let other = try reader.leaf()
            let tag = try reader.u8()
            guard let rule = RefusalRule(rawValue: tag) else {
                throw .unknownTag(tag, offset: reader.offset - 1)
            }
            let flag = try reader.u8()
            guard flag <= 1 else { throw .unknownTag(flag, offset: reader.offset - 1) }
            self = .refuse(
                root: root, first: first, other: other, rule: rule, isIgnored: flag != 0)
        case .erase:
            self = .erase(
                record: try reader.leaf(), leaf: try reader.leaf(),
                proof: OperationIndex(rawValue: try reader.u64()))
        case .touch: self = .touch(record: try reader.leaf())
        case .reclaim:
            self = .reclaim(
                ShardID(try reader.u8()), limit: Int(try reader.u32()),
                exact: try reader.u8() != 0)
        case .marks: self = .marks(try reader.marks())
        case .count:
            for _ in 0..<2 {
                for _ in 0..<(try reader.u16()) {
                    try reader.skip(Int(try reader.u8()))
                    try reader.skip(4)
                }
            }
            self = .count(payload)
        case .settings: self = .settings(retentionMillis: try reader.i64())
        case .time: self = .time
        case .answered:
            self = .answered(
                root: try reader.leaf(),
                Ledger.Release(
                    leaf: try reader.leaf(), version: OperationIndex(rawValue: try reader.u64())))
        case .reopen:
            self = .reopen(
                loser: try reader.leaf(), version: OperationIndex(rawValue: try reader.u64()))
        case .restore: self = .restore(try LostForward(decoding: &reader))
        case .restored: self = .restored
        }
        guard reader.isAtEnd else { throw .malformed(offset: reader.offset) }
    }

    /// Whether the record that it is about, if it is about one, is one of the group's.
    func belongs(to group: GroupID, _ table: GroupTable) -> Bool {
        switch self {
        case .seal(let order): table.group(of: order.loser) == group
        case .absorb(let order): table.group(of: order.target) == group
        case .release(let order): table.group(of: order.leaf) == group
        case .restore(let forward): table.group(of: forward.leaf) == group
        case .forward(let leaf, _, _), .contest(let leaf, _, _), .refuse(let leaf, _, _, _, _),
            .erase(let leaf, _, _), .touch(let leaf), .answered(let leaf, _),
            .reopen(let leaf, _):
            table.group(of: leaf) == group
        case .reclaim(let shard, _, _): table.group(of: shard) == group
        case .marks, .count, .settings, .time, .restored: true
        }
    }
}

/// An operation that cannot be carried out by this program, whatever the records hold.
public struct OperationFault: Error, Equatable, Sendable {
    /// Its place among the entry's operations, from 0.
    public let ordinal: Int
    /// Its type, as it stands there.
    public let tag: UInt8
    public let reason: Reason

    /// What is wrong with it.
    public enum Reason: Equatable, Sendable {
        /// No type that this program knows.
        case unknownType
        /// Its bytes are no operation of that type.
        case malformed(ByteError)
        /// It is about a record of another group.
        case otherGroup
    }
}

extension OperationFault: CustomStringConvertible {
    public var description: String {
        switch reason {
        case .unknownType:
            "operation \(ordinal) has type \(tag), which this version of kith does not know"
        case .malformed(let error):
            "operation \(ordinal) of type \(tag) is malformed: \(error)"
        case .otherGroup:
            "operation \(ordinal) of type \(tag) is about a record of another group"
        }
    }
}

/// Goes through the operations of an entry one after the other.
struct OperationReader: ~Escapable {
    private var reader: ByteReader
    private let bytes: RawSpan
    private(set) var ordinal = -1
    /// Of the operation read last.
    private(set) var stamp: Int64 = 0
    private(set) var type = OperationType.time

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan) {
        self.bytes = bytes
        reader = ByteReader(bytes)
    }

    /// The payload of the next operation; nil at the end.
    @_lifetime(copy self)
    mutating func next() throws(OperationFault) -> RawSpan? {
        guard !reader.isAtEnd else { return nil }
        ordinal += 1
        var tag: UInt8 = 0
        do throws(ByteError) {
            tag = try reader.u8()
            let length = Int(try reader.u32())
            stamp = try reader.i64()
            let start = reader.offset
            try reader.skip(length)
            guard let type = OperationType(rawValue: tag) else {
                throw .unknownTag(tag, offset: 0)
            }
            self.type = type
            return bytes.extracting(start..<(start + length))
        } catch {
            let isUnknown = OperationType(rawValue: tag) == nil
            throw OperationFault(
                ordinal: ordinal, tag: tag, reason: isUnknown ? .unknownType : .malformed(error))
        }
    }

    /// The event whose payload was read last, if it is one of the group's.
    @_lifetime(copy payload)
    func event(
        _ payload: RawSpan, of group: GroupID, _ table: GroupTable
    ) throws(OperationFault) -> EventOperation {
        let event: EventOperation
        do throws(ByteError) {
            event = try EventOperation(payload)
        } catch {
            throw fault(.malformed(error))
        }
        guard table.group(of: event.target.record) == group else { throw fault(.otherGroup) }
        return event
    }

    /// The operation whose payload was read last, no event, if it is one of the group's.
    @_lifetime(copy payload)
    func operation(
        _ payload: RawSpan, of group: GroupID, _ table: GroupTable
    ) throws(OperationFault) -> Operation {
        let operation: Operation
        do throws(ByteError) {
            operation = try Operation(type, payload)
        } catch {
            throw fault(.malformed(error))
        }
        guard operation.belongs(to: group, table) else { throw fault(.otherGroup) }
        return operation
    }

    private func fault(_ reason: OperationFault.Reason) -> OperationFault {
        OperationFault(ordinal: ordinal, tag: type.rawValue, reason: reason)
    }
}

extension OperationFault {
    /// What is wrong with operations that are to be logged by that group; nil where nothing is.
    /// Such a fault must never come into a log: it would stop every node that reads it. O(n).
    public init?(in operations: RawSpan, of group: GroupID, _ table: GroupTable) {
        var reader = OperationReader(operations)
        do throws(OperationFault) {
            while let payload = try reader.next() {
                if reader.type == .event {
                    _ = try reader.event(payload, of: group, table)
                } else {
                    _ = try reader.operation(payload, of: group, table)
                }
            }
            return nil
        } catch {
            self = error
        }
    }
}
