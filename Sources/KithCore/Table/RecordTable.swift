public import KithBytes

public struct RecordTable: ~Copyable, Sendable {
    public init() {}
    public var count: Int { 0 }
    public var memoryBytes: Int { 0 }
    public func find(_ id: LeafID) -> SlotIndex? { nil }
    public mutating func insert(_ id: LeafID) -> SlotIndex { SlotIndex(rawValue: 0) }
    public mutating func remove(_ slot: SlotIndex) {}
    public func id(_ slot: SlotIndex) -> LeafID { LeafID(high: 0, low: 0) }
    public func state(_ slot: SlotIndex) -> RecordState { .root }
    public mutating func setState(_ slot: SlotIndex, _ state: RecordState) {}
    public func parent(_ slot: SlotIndex) -> LeafID { LeafID(high: 0, low: 0) }
    public mutating func setParent(_ slot: SlotIndex, _ parent: LeafID) {}
    public func version(_ slot: SlotIndex) -> OperationIndex { .none }
    public mutating func setVersion(_ slot: SlotIndex, _ version: OperationIndex) {}
    public func sealTime(_ slot: SlotIndex) -> Int64 { 0 }
    public mutating func setSealTime(_ slot: SlotIndex, _ time: Int64) {}
    public func sealFlags(_ slot: SlotIndex) -> UInt8 { 0 }
    public mutating func setSealFlags(_ slot: SlotIndex, _ flags: UInt8) {}
    public func facetCount(_ slot: SlotIndex) -> Int { 0 }
    public func lastSeen(_ slot: SlotIndex) -> Int64 { Int64.min }
    public func ledger(_ slot: SlotIndex) -> [UInt8] { [] }
    public func hasLedger(_ slot: SlotIndex) -> Bool { false }
    public mutating func setLedger(_ slot: SlotIndex, _ bytes: [UInt8]) {}
    public func forEachSlot(_ body: (SlotIndex) -> Void) {}
    public func checkInvariants() {}

    public func hasFacet(_ slot: SlotIndex, _ leaf: LeafID) -> Bool { false }
    public func facet(_ slot: SlotIndex, _ leaf: LeafID) -> FacetRef? { nil }
    public mutating func addFacet(
        _ slot: SlotIndex, leaf: LeafID, life: OperationIndex, group: GroupID, seen: Int64,
        flags: FacetFlags, forgetTime: Int64?, space: RawSpan, namespace: RawSpan, value: RawSpan
    ) -> FacetRef { FacetRef(slot: slot, offset: 0) }
    public mutating func removeAllFacets(_ slot: SlotIndex) {}
    public func forEachFacet(_ slot: SlotIndex, _ body: (FacetRef, LeafID) -> Void) {}
    public func leaf(_ facet: FacetRef) -> LeafID { LeafID(high: 0, low: 0) }
    public func life(_ facet: FacetRef) -> OperationIndex { .none }
    public func lifeGroup(_ facet: FacetRef) -> GroupID { GroupID(0) }
    public mutating func addGroup(_ facet: inout FacetRef, _ group: GroupID) {}
    public func groups(_ facet: FacetRef) -> [GroupID] { [] }
    public func forgetTime(_ facet: FacetRef) -> Int64? { nil }
    public mutating func setForgetTime(_ facet: FacetRef, _ time: Int64?) {}
    public func flags(_ facet: FacetRef) -> FacetFlags { [] }
    public mutating func setFlags(_ facet: FacetRef, _ flags: FacetFlags) {}
    public func sealVersion(_ facet: FacetRef) -> OperationIndex { .none }
    public mutating func setSealVersion(_ facet: FacetRef, _ version: OperationIndex) {}
    public func firstSeen(_ facet: FacetRef) -> Int64 { 0 }
    public func lastSeen(_ facet: FacetRef) -> Int64 { 0 }
    public mutating func touch(_ facet: FacetRef, eventTime: Int64) {}
    public func eventCount(_ facet: FacetRef) -> UInt64 { 0 }
    public func windowContains(_ facet: FacetRef, messageHash: UInt64) -> Bool { false }
    public mutating func addToWindow(
        _ facet: inout FacetRef, messageHash: UInt64, at time: LogTime
    ) {}
    public mutating func count(_ facet: inout FacetRef, name: RawSpan) {}
    public mutating func setTrait(
        _ facet: inout FacetRef, name: RawSpan, time: Int64, messageID: RawSpan, value: RawSpan
    ) -> TraitOutcome { .older }
    public func namespaceCount(_ slot: SlotIndex, namespace: RawSpan) -> Int { 0 }
    public func identifiers(_ slot: SlotIndex) -> [IdentifierCount] { [] }
    public func payloadBytes(_ slot: SlotIndex) -> Int { 0 }
    public func exportFacets(_ slot: SlotIndex, into writer: inout ByteWriter) {}
    public mutating func importFacets(
        _ slot: SlotIndex, _ reader: inout ByteReader
    ) throws(ByteError) {}
    public func fold(_ slot: SlotIndex, retentionMillis: Int64) -> Profile { Profile(id: id(slot)) }

    public mutating func file(_ slot: SlotIndex, day: Int32) {}
    public mutating func unfile(_ slot: SlotIndex) {}
    public func filedDay(_ slot: SlotIndex) -> Int32? { nil }
    public func earliestFiledDay() -> Int32? { nil }
    public func firstFiled(day: Int32) -> SlotIndex? { nil }
    public func nextFiled(_ slot: SlotIndex) -> SlotIndex? { nil }
}
