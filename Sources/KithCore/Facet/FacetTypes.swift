/// Where a facet lies: its record and the byte offset in the record's payload. Valid until the
/// next mutation of that record, except mutations of this very facet, which keep its start.
public struct FacetRef: Hashable, Sendable {
    public let slot: SlotIndex
    @usableFromInline let offset: UInt32

    @inlinable
    init(slot: SlotIndex, offset: UInt32) {
        self.slot = slot
        self.offset = offset
    }
}

/// What the identity rules say about one facet.
public struct FacetFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// A link with this identifier was refused.
    @inlinable public static var contested: FacetFlags { FacetFlags(rawValue: 1) }
    /// Events of this identifier are dropped.
    @inlinable public static var suppressed: FacetFlags { FacetFlags(rawValue: 2) }
    /// Left out of a profile's identifiers.
    @inlinable public static var unlisted: FacetFlags { FacetFlags(rawValue: 4) }
    /// The facet of a device's quarantine profile.
    @inlinable public static var quarantine: FacetFlags { FacetFlags(rawValue: 8) }
}

/// What became of a trait that an event carries.
public enum TraitOutcome: Sendable {
    /// The cell now holds it.
    case set
    /// The cell holds a greater or the same one; nothing changed.
    case older
    /// The record has 256 trait keys already, or its profile no room; nothing changed.
    case limit
}

/// How many identifiers of one namespace a record holds.
public struct IdentifierCount: Hashable, Sendable {
    /// The namespace as UTF-8.
    public let namespace: [UInt8]
    public let count: Int

    public init(namespace: [UInt8], count: Int) {
        self.namespace = namespace
        self.count = count
    }
}
