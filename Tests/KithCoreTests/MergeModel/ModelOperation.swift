import KithBytes
import KithCore

/// A logged operation as the oracle sees it: decoded here again, from the format that
/// `Operation.swift` documents, so that the check does not lean on the decoder it checks.
struct ModelOperation {
    var type = OperationType.time
    /// The record it is addressed to: root, loser or target. −1 where there is none.
    var record = -1
    /// event, erase, release: the leaf. contest, refuse: the event's first identifier.
    var leaf = -1
    /// seal: the winner. absorb: the loser. contest, refuse: the other end. forward: the parent.
    var other = -1
    var loserEnd = -1
    var winnerEnd = -1
    var version: UInt64 = 0
    /// Event time, where it has one.
    var time: Int64 = 0
    var ordinal = 0
    var isQuarantine = false
    var isEvenIfContested = false
    var rule: RefusalRule?
    /// event: the event it counts.
    var event = -1
}

extension Model {
    /// The operations of a part, each as the bytes of one entry.
    func split(_ bytes: [UInt8]) -> [[UInt8]] {
        var parts: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            let length =
                Int(bytes[start + 1]) | Int(bytes[start + 2]) << 8 | Int(bytes[start + 3]) << 16
                | Int(bytes[start + 4]) << 24
            let end = start + OperationWriter.headerBytes + length
            parts.append(Array(bytes[start..<end]))
            start = end
        }
        return parts
    }

    func decode(_ bytes: [UInt8], _ attempt: ModelAttempt?) -> ModelOperation {
        var operation = ModelOperation()
        var reader = ByteReader(bytes.span.bytes)
        do {
            operation.type = OperationType(rawValue: try reader.u8())!
            try reader.skip(12)
            switch operation.type {
            case .event:
                operation.record = index(try reader.leaf())
                try reader.skip(8)
                operation.ordinal = Int(try reader.u8())
                let flags = try reader.u8()
                operation.isQuarantine = flags & 1 != 0
                operation.isEvenIfContested = flags & 2 != 0
                try reader.skip(2)
                let hash = try reader.u64()
                operation.time = try reader.i64()
                let event = attempt!.events.firstIndex { $0.messageHash == hash }!
                operation.event = event
                let leaf = attempt!.events[event].identifiers[operation.ordinal]
                operation.leaf = operation.isQuarantine ? leaves[leaf].quarantine : leaf
            case .seal:
                operation.record = index(try reader.leaf())
                operation.other = index(try reader.leaf())
                operation.loserEnd = index(try reader.leaf())
                operation.winnerEnd = index(try reader.leaf())
                operation.time = try reader.i64()
            case .absorb:
                operation.record = index(try reader.leaf())
                operation.other = index(try reader.leaf())
                try reader.skip(2)
                operation.version = try reader.u64()
            case .forward, .restore:
                operation.record = index(try reader.leaf())
                operation.version = try reader.u64()
                operation.other = index(try reader.leaf())
            case .reopen:
                operation.record = index(try reader.leaf())
                operation.version = try reader.u64()
            case .release:
                operation.record = index(try reader.leaf())
                operation.leaf = operation.record
                operation.version = try reader.u64()
            case .contest:
                operation.record = index(try reader.leaf())
                operation.other = index(try reader.leaf())
                operation.leaf = index(try reader.leaf())
            case .refuse:
                operation.record = index(try reader.leaf())
                operation.leaf = index(try reader.leaf())
                operation.other = index(try reader.leaf())
                operation.rule = RefusalRule(rawValue: try reader.u8())
            case .erase:
                operation.record = index(try reader.leaf())
                operation.leaf = index(try reader.leaf())
            case .touch, .answered:
                operation.record = index(try reader.leaf())
            case .reclaim, .marks, .count, .settings, .time, .restored:
                break
            }
        } catch {
            fail("an operation does not decode")
        }
        return operation
    }
}
