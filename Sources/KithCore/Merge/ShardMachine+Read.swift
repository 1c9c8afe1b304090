internal import KithBytes

/// What a read of one record came to.
public enum ReadOutcome: Sendable, Equatable {
    /// The encoding of the `Profile`.
    case profile([UInt8])
    /// The identifier is absent: no event, expired, or forgotten.
    case none
    /// Ask the next record down.
    case moved(to: LeafID)
    /// Ask again once its absorb is done.
    case sealed(LeafID)
    /// A hint led to a root without the facet: start again at the home.
    case unknownFacet
}

extension ShardMachine {
    /// Every record with a digest of what it holds, for who looks on. O(bytes).
    public func inspect(_ body: (LeafID, RecordState, UInt64) -> Void) {
        table.forEachSlot { slot in
            var writer = ByteWriter()
            table.exportFacets(slot, into: &writer)
            if table.hasLedger(slot) { ledger(slot).encode(into: &writer) }
            let bytes = writer.bytes
            let digest = unsafe SipHash64.hash(bytes.span.bytes, key: key)
            body(table.id(slot), table.state(slot), digest)
        }
    }

    /// Bytes that most profiles fit in.
    private static let profileBytesUsual = 512

    /// Reads the profile that holds `leaf` at record `w`. A sealed record never answers: its frozen
    /// half is not the profile. Writes nothing.
    public func read(_ leaf: LeafID, at w: LeafID, byHint: Bool, _ context: ApplyContext)
        -> ReadOutcome
    {
        guard let slot = table.find(w) else { return w == leaf || !byHint ? .none : .unknownFacet }
        if let elsewhere = Rules.readElsewhere(w, table.state(slot), table.parent(slot)) {
            mark(table.state(slot) == .sealed ? .readSealed : .readMoved)
            return elsewhere
        }
        let isOverdue =
            w.identifierClass == .anonymous && table.facetCount(slot) > 0
            && context.isOverdue(table.lastSeen(slot))
        if isOverdue { mark(.expiryAtRead) }
        guard !isOverdue, table.hasFacet(slot, leaf) else {
            return w == leaf || !byHint ? .none : .unknownFacet
        }
        var writer = ByteWriter(capacity: Self.profileBytesUsual)
        table.encodeProfile(slot, retentionMillis: context.retentionMillis, into: &writer)
        return .profile(writer.bytes)
    }
}
