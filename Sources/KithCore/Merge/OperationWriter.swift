public import KithBytes

/// Appends operations to a buffer that becomes the payload of a log entry.
public struct OperationWriter: Sendable {
    public private(set) var writer: ByteWriter
    /// Operations written.
    public private(set) var count: Int

    /// Bytes before an operation's payload.
    public static let headerBytes = 13
    /// Bytes of an event's payload before its body.
    static let eventBytes = 26
    /// Bytes of an event's operation before its body.
    static let eventHeadBytes = headerBytes + eventBytes
    /// No stamp.
    public static let noStamp = Int64.min

    public init(capacity: Int = 0) {
        writer = ByteWriter(capacity: capacity)
        count = 0
    }

    /// Operations that are written already; `bytes` must be exactly `count` of them.
    init(bytes: [UInt8], count: Int) {
        writer = ByteWriter()
        writer.bytes = bytes
        self.count = count
    }

    public var bytes: [UInt8] { writer.bytes }
    public var byteCount: Int { writer.count }
    public var isEmpty: Bool { count == 0 }

    /// Room for `byteCount` bytes in all.
    mutating func reserve(_ byteCount: Int) { writer.bytes.reserveCapacity(byteCount) }

    public mutating func removeAll() {
        writer.removeAll()
        count = 0
    }

    /// Adds all operations of another buffer. To an empty one: O(1).
    public mutating func append(_ other: OperationWriter) {
        if isEmpty { return self = other }
        writer.raw(other.writer.bytes)
        count += other.count
    }

    @inline(__always)
    private mutating func operation(
        _ type: OperationType, _ stamp: Int64, _ body: (inout ByteWriter) -> Void
    ) {
        writer.u8(type.rawValue)
        let place = writer.count
        writer.u32(0)
        writer.i64(stamp)
        let start = writer.count
        body(&writer)
        writer.patchU32(UInt32(writer.count - start), at: place)
        count += 1
    }

    public mutating func event(
        _ target: ShardMachine.EventTarget, body: RawSpan, stamp: Int64
    ) {
        let flags: UInt8 =
            (target.isQuarantine ? 1 : 0) | (target.evenIfContested ? 2 : 0)
            | (target.aliasJoinsAccounts ? 0 : 4) | target.place.rawValue
            | target.attempt.rawValue << 5
        var head = ByteBlock(byteCount: Self.eventHeadBytes)
        head.store(OperationType.event.rawValue, at: 0)
        head.store(UInt32(Self.eventBytes + body.byteCount), at: 1)
        head.store(stamp, at: 5)
        head.store(target.record.high, at: 13)
        head.store(target.record.low, at: 21)
        head.store(target.proof.rawValue, at: 29)
        head.store(UInt8(target.ordinal), at: 37)
        head.store(flags, at: 38)
        writer.raw(head)
        writer.raw(body)
        count += 1
    }

    public mutating func seal(_ order: SealOrder, stamp: Int64) {
        operation(.seal, stamp) { writer in
            writer.leaf(order.loser)
            writer.leaf(order.winner)
            writer.leaf(order.loserEnd.leaf)
            writer.leaf(order.winnerEnd.leaf)
            writer.i64(order.eventTime)
            writer.u8(
                (order.loserEnd.isListed ? 1 : 0) | (order.winnerEnd.isListed ? 2 : 0)
                    | (order.winnerHolds ? 4 : 0))
            order.loserText.encode(into: &writer)
            order.winnerText.encode(into: &writer)
        }
    }

    public mutating func absorb(_ order: AbsorbOrder, stamp: Int64 = noStamp) {
        operation(.absorb, stamp) { order.encode(into: &$0) }
    }

    public mutating func forward(_ loser: LeafID, version: OperationIndex, to parent: LeafID) {
        operation(.forward, Self.noStamp) { writer in
            writer.leaf(loser)
            writer.u64(version.rawValue)
            writer.leaf(parent)
        }
    }

    public mutating func reopen(_ loser: LeafID, version: OperationIndex) {
        operation(.reopen, Self.noStamp) { writer in
            writer.leaf(loser)
            writer.u64(version.rawValue)
        }
    }

    public mutating func restore(_ forward: LostForward) {
        operation(.restore, Self.noStamp) { forward.encode(into: &$0) }
    }

    public mutating func restored() {
        operation(.restored, Self.noStamp) { _ in }
    }

    public mutating func release(_ order: ReleaseOrder) {
        operation(.release, Self.noStamp) { writer in
            writer.leaf(order.leaf)
            writer.u64(order.version.rawValue)
            writer.marks(order.marks)
            writer.bytes32(order.ledger)
        }
    }

    public mutating func contest(_ end: LeafID, at root: LeafID, first: LeafID, stamp: Int64) {
        operation(.contest, stamp) { writer in
            writer.leaf(root)
            writer.leaf(end)
            writer.leaf(first)
        }
    }

    public mutating func refuse(
        at root: LeafID, first: LeafID, other: LeafID, rule: RefusalRule, isIgnored: Bool,
        stamp: Int64
    ) {
        operation(.refuse, stamp) { writer in
            writer.leaf(root)
            writer.leaf(first)
            writer.leaf(other)
            writer.u8(rule.rawValue)
            writer.u8(isIgnored ? 1 : 0)
        }
    }

    public mutating func erase(_ leaf: LeafID, at record: LeafID, proof: OperationIndex) {
        operation(.erase, Self.noStamp) { writer in
            writer.leaf(record)
            writer.leaf(leaf)
            writer.u64(proof.rawValue)
        }
    }

    public mutating func touch(_ record: LeafID, stamp: Int64 = noStamp) {
        operation(.touch, stamp) { $0.leaf(record) }
    }

    public mutating func reclaim(_ shard: ShardID, limit: Int, exact: Bool) {
        operation(.reclaim, Self.noStamp) { writer in
            writer.u8(shard.rawValue)
            writer.u32(UInt32(clamping: limit))
            writer.u8(exact ? 1 : 0)
        }
    }

    public mutating func marks(_ marks: [OperationIndex]) {
        operation(.marks, Self.noStamp) { $0.marks(marks) }
    }

    /// Counts what no profile counts: refused events and the identifiers ignored in them, by
    /// reason. At most 65,535 reasons of each, names up to 255 bytes (longer ones are cut).
    public mutating func count(
        rejected: [(name: [UInt8], count: UInt32)], ignored: [(name: [UInt8], count: UInt32)]
    ) {
        operation(.count, Self.noStamp) { writer in
            for list in [rejected, ignored] {
                let list = list.prefix(Int(UInt16.max))
                writer.u16(UInt16(list.count))
                for entry in list {
                    let name = entry.name.prefix(255)
                    writer.u8(UInt8(name.count))
                    writer.raw(Array(name))
                    writer.u32(entry.count)
                }
            }
        }
    }

    public mutating func settings(retentionMillis: Int64) {
        operation(.settings, Self.noStamp) { $0.i64(retentionMillis) }
    }

    public mutating func time(stamp: Int64 = noStamp) {
        operation(.time, stamp) { _ in }
    }

    public mutating func answered(root: LeafID, _ entry: Ledger.Release) {
        operation(.answered, Self.noStamp) { writer in
            writer.leaf(root)
            writer.leaf(entry.leaf)
            writer.u64(entry.version.rawValue)
        }
    }
}
