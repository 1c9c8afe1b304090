public import KithBytes

// Operations as bytes from another node, and in pieces that a log entry takes.

extension OperationType {
    /// Whether a node may ask another node's group to log it. What concerns a group as a whole is
    /// its own leader's to say.
    var isForPeers: Bool {
        switch self {
        case .event, .seal, .absorb, .release, .contest, .refuse, .erase, .touch, .count, .time:
            true
        case .forward, .reopen, .reclaim, .marks, .settings, .answered, .restore, .restored:
            false
        }
    }
}

extension OperationWriter {
    /// Bytes of a run of events that stay together: below what may wait for a log, and what a
    /// message between nodes may have.
    public static let runBytesMax = 5 << 20

    /// Takes over operations from outside: they must be exactly `count`, whole, and each of a type
    /// that `isForPeers`. What they say is judged when they are applied. O(n).
    public init(checking bytes: RawSpan, count: Int) throws(ByteError) {
        var reader = ByteReader(bytes)
        var found = 0
        while !reader.isAtEnd {
            let offset = reader.offset
            let tag = try reader.u8()
            let length = Int(try reader.u32())
            _ = try reader.i64()
            try reader.skip(length)
            guard let type = OperationType(rawValue: tag), type.isForPeers else {
                throw .unknownTag(tag, offset: offset)
            }
            found += 1
        }
        guard found == count else { throw .malformed(offset: reader.offset) }
        self.init(bytes: bytes.copied(), count: count)
    }

    /// The same operations in order, in pieces of at most `goal` bytes, or of one operation, or of
    /// one run of events. One piece, without a copy, where all of it fits. A run of more than
    /// `runBytesMax` is cut: what depends on its first part is then asked for again. O(n).
    public func pieces(
        goal: Int, runBytesMax: Int = OperationWriter.runBytesMax
    ) -> [OperationWriter] {
        guard byteCount > goal else { return [self] }
        var pieces: [OperationWriter] = []
        var start = 0
        var end = 0
        var held = 0
        while end < byteCount {
            let length = (0..<4).reduce(0) { $0 | Int(bytes[end + 1 + $1]) << (8 * $1) }
            let next = end + Self.headerBytes + length
            let isTooLong = next - start > max(goal, runBytesMax)
            if held > 0, next - start > goal, isTooLong || !isInRun(at: end) {
                pieces.append(OperationWriter(bytes: Array(bytes[start..<end]), count: held))
                start = end
                held = 0
            }
            held += 1
            end = next
        }
        pieces.append(OperationWriter(bytes: Array(bytes[start..<end]), count: held))
        return pieces
    }

    /// Whether the operation that begins there is an event that joins the run before it.
    private func isInRun(at start: Int) -> Bool {
        guard bytes[start] == OperationType.event.rawValue else { return false }
        let flags = start + Self.headerBytes + Self.eventFlagsOffset
        guard flags < byteCount else { return false }
        return ShardMachine.RunPlace(flags: bytes[flags]) != .alone
    }

    /// Where an event's flags lie in its payload.
    private static var eventFlagsOffset: Int { 25 }
}
