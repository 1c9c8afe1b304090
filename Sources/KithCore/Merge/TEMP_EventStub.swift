public import KithBytes
public struct EventHead: Sendable { public var position: UInt32; public var type: UInt8; public var time: Int64; public var stamp: Int64; public var messageHash: UInt64
  public var identifierStart: UInt32; public var identifierCount: UInt32; public var bodyStart: UInt32; public var bodyCount: UInt32; public var hasAlias: Bool }
public struct EventIdentifier: Sendable { public var leaf: LeafID; public var quarantineLeaf: LeafID; public var flags: UInt8; public var namespaceIndex: UInt8; public var limit: UInt16; public var valueStart: UInt32; public var valueCount: UInt32 }
public struct EventBatch: Sendable { public var heads: [EventHead]; public var identifiers: [EventIdentifier]; public var bytes: [UInt8]; public var ignored: [(reason: String, count: UInt32)] }
public struct EventBody: ~Escapable {
  @_lifetime(copy s) public init(_ s: RawSpan) throws(ByteError) { self.s = s }
  let s: RawSpan
  public var time: Int64 { 0 }
  public var messageHash: UInt64 { 0 }
  public var identifierCount: Int { 0 }
  public var space: RawSpan { @_lifetime(copy self) get { s } }
  public var counterName: RawSpan { @_lifetime(copy self) get { s } }
  public var messageID: RawSpan { @_lifetime(copy self) get { s } }
  public var traitCount: Int { 0 }
  public struct Identifier: ~Escapable { let s: RawSpan
    public var leaf: LeafID { LeafID(high: 0, low: 0) }
    public var quarantineLeaf: LeafID { LeafID(high: 0, low: 0) }
    public var isUnlisted: Bool { false }
    public var isAliasEnd: Bool { false }
    public var limit: UInt16 { 0 }
    @_lifetime(copy s) init(s: RawSpan) { self.s = s }
    public var namespace: RawSpan { @_lifetime(copy self) get { s } }
    public var value: RawSpan { @_lifetime(copy self) get { s } } }
  @_lifetime(copy self) public func identifier(at: Int) -> Identifier { Identifier(s: s) }
  public struct Trait: ~Escapable { let s: RawSpan
    @_lifetime(copy s) init(s: RawSpan) { self.s = s }
    public var name: RawSpan { @_lifetime(copy self) get { s } }
    public var value: RawSpan { @_lifetime(copy self) get { s } } }
  public struct Traits: ~Escapable { let s: RawSpan
    @_lifetime(copy s) init(s: RawSpan) { self.s = s }
    @_lifetime(copy self) public mutating func next() -> Trait? { nil } }
  @_lifetime(copy self) public func traits() -> Traits { Traits(s: s) }
  public func isAliasLink(from: Int, to: Int) -> Bool { false }
}
