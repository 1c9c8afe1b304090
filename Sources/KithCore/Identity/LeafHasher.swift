public import KithBytes

/// Where an identifier lies in the identity graph.
///
/// The hash runs over each part behind its own length, so that no two identifiers give the same
/// input:
///
///     identifier   u8 n · space[n] · u8 n · namespace[n] · u16 n · value[n]
///     quarantine   u8 n · space[n] · u8 11 · "~quarantine" · u8 n · namespace[n] · u16 n · value[n]
///
/// `~` is in no namespace's name, so a quarantine leaf meets no identifier. Values are the
/// normalised ones. None of this may ever change: ids are kept for ever.
public struct LeafHasher: Sendable {
    @usableFromInline let key: HashKey

    @inlinable
    public init(key: HashKey) { self.key = key }

    /// The namespace that quarantine leaves lie under.
    public static let quarantineNamespace = "~quarantine"

    /// The hash over a space and a namespace: what all identifiers of one kind share. Names have
    /// at most 64 bytes.
    public func prefix(space: RawSpan, namespace: RawSpan) -> SipHash128 {
        var hasher = Rules.hash(key, in: space)
        Self.feed(namespace, to: &hasher)
        return hasher
    }

    /// The same for the quarantine leaves of a namespace.
    func quarantinePrefix(space: RawSpan, namespace: RawSpan) -> SipHash128 {
        var hasher = Rules.hash(key, in: space)
        hasher.update(UInt8(Self.quarantineNamespace.utf8.count))
        for byte in Self.quarantineNamespace.utf8 { hasher.update(byte) }
        Self.feed(namespace, to: &hasher)
        return hasher
    }

    /// The leaf of a value of at most 65,535 bytes. O(n).
    @inlinable
    public static func leaf(
        class identifierClass: IdentifierClass, prefix: SipHash128, value: RawSpan
    ) -> LeafID {
        precondition(value.byteCount <= Int(UInt16.max), "a value of \(value.byteCount) bytes")
        var hasher = prefix
        hasher.update(UInt16(truncatingIfNeeded: value.byteCount))
        hasher.update(value)
        return LeafID(class: identifierClass, hash: hasher.finish())
    }

    /// The leaf of an identifier. O(n); where many share a namespace, keep its `prefix`.
    public func leaf(
        class identifierClass: IdentifierClass, space: RawSpan, namespace: RawSpan, value: RawSpan
    ) -> LeafID {
        Self.leaf(
            class: identifierClass, prefix: prefix(space: space, namespace: namespace),
            value: value)
    }

    /// The leaf of the anonymous profile that takes a contested identifier's lone events.
    public func quarantineLeaf(space: RawSpan, namespace: RawSpan, value: RawSpan) -> LeafID {
        Self.leaf(
            class: .anonymous, prefix: quarantinePrefix(space: space, namespace: namespace),
            value: value)
    }

    /// A name, with its length before it: no two rows of names feed the same bytes.
    static func feed(_ name: RawSpan, to hasher: inout SipHash128) {
        precondition(name.byteCount <= Int(UInt8.max), "a name of \(name.byteCount) bytes")
        hasher.update(UInt8(truncatingIfNeeded: name.byteCount))
        hasher.update(name)
    }
}
