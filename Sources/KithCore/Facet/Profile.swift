public import KithBytes

public struct Profile: Sendable, Equatable {
    public struct Identifier: Sendable, Equatable {
        public var identifierClass: IdentifierClass
        public var namespace: String
        public var value: String
        public var isContested: Bool
        public init(
            identifierClass: IdentifierClass, namespace: String, value: String, isContested: Bool
        ) {
            self.identifierClass = identifierClass
            self.namespace = namespace
            self.value = value
            self.isContested = isContested
        }
    }
    public struct Trait: Sendable, Equatable {
        public var name: String
        /// One CBOR item.
        public var value: [UInt8]
        public init(name: String, value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }
    public struct EventCount: Sendable, Equatable {
        public var name: String
        public var count: UInt64
        public init(name: String, count: UInt64) {
            self.name = name
            self.count = count
        }
    }
    public var id: LeafID
    public var space = ""
    public var isMember: Bool
    public var isQuarantine = false
    public var identifiers: [Identifier] = []
    public var traits: [Trait] = []
    public var firstSeen: Int64 = 0
    public var lastSeen: Int64 = 0
    public var expiresAt: Int64?
    public var eventsTotal: UInt64 = 0
    public var events: [EventCount] = []

    public init(id: LeafID) {
        self.id = id
        isMember = id.identifierClass != .anonymous
    }
    public func encode(into writer: inout ByteWriter) {}
    public init(decoding reader: inout ByteReader) throws(ByteError) {
        self.init(id: LeafID(high: try reader.u64(), low: try reader.u64()))
    }
}
