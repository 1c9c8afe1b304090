/// A member of a `CBORValue.map`.
public struct CBORMember: Equatable, Sendable {
    public var key: CBORValue
    public var value: CBORValue

    public init(_ key: CBORValue, _ value: CBORValue) {
        self.key = key
        self.value = value
    }
}

/// A CBOR item as a tree: for the edges, where JSON comes in and goes out, and for tests. Ingest
/// and storage walk bytes with `CBORReader` instead.
///
/// `simple` never holds 20 to 22, which are `bool` and `null`. Maps keep the order of their
/// members, doubles and all.
public indirect enum CBORValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case unsigned(UInt64)
    /// The integer −1 − n.
    case negative(UInt64)
    case double(Double)
    case text(String)
    case bytes([UInt8])
    case array([CBORValue])
    case map([CBORMember])
    case tag(UInt64, CBORValue)
    case simple(UInt8)

    /// An integer of either sign.
    public static func integer(_ value: Int64) -> CBORValue {
        value < 0 ? .negative(UInt64(bitPattern: ~value)) : .unsigned(UInt64(value))
    }

    /// The value of the last member with that text as its key.
    public subscript(key: String) -> CBORValue? {
        guard case .map(let members) = self else { return nil }
        return members.last { $0.key == .text(key) }?.value
    }
}

extension CBORValue {
    /// The one item that `bytes` hold; bytes after it are `malformed`. O(n) time and memory.
    public init(decoding bytes: RawSpan) throws(ByteError) {
        var reader = CBORReader(bytes)
        self = try CBORValue(&reader)
        guard reader.isAtEnd else { throw .malformed(offset: reader.offset) }
    }

    /// The next item of `reader`, which `depth` containers enclose already.
    ///
    /// Recurses one level a container, to `CBORReader.depthMax`. Collections grow as items are
    /// read, never by what a head promises.
    public init(_ reader: inout CBORReader, depth: Int = 0) throws(ByteError) {
        switch try reader.kind() {
        case .unsigned: self = .unsigned(try reader.head().argument)
        case .negative: self = .negative(try reader.head().argument)
        case .bytes: self = .bytes(try Self.chunks(&reader))
        case .text: self = .text(String(decoding: try Self.chunks(&reader), as: UTF8.self))
        case .bool: self = .bool(try reader.bool())
        case .float: self = .double(try reader.float())
        case .null:
            _ = try reader.simple()
            self = .null
        case .undefined, .simple: self = .simple(try reader.simple())
        case .tag:
            try Self.checkDepth(depth)
            let number = try reader.tag()
            self = .tag(number, try CBORValue(&reader, depth: depth + 1))
        case .array:
            try Self.checkDepth(depth)
            var count = try reader.array()
            var items: [CBORValue] = []
            while try reader.next(in: &count) {
                items.append(try CBORValue(&reader, depth: depth + 1))
            }
            self = .array(items)
        case .map:
            try Self.checkDepth(depth)
            var count = try reader.map()
            var members: [CBORMember] = []
            while try reader.next(in: &count) {
                let key = try CBORValue(&reader, depth: depth + 1)
                members.append(CBORMember(key, try CBORValue(&reader, depth: depth + 1)))
            }
            self = .map(members)
        }
    }

    private static func checkDepth(_ depth: Int) throws(ByteError) {
        guard depth < CBORReader.depthMax else {
            throw .tooLong(length: depth + 1, limit: CBORReader.depthMax)
        }
    }

    /// The content of a string, its chunks put together.
    private static func chunks(_ reader: inout CBORReader) throws(ByteError) -> [UInt8] {
        var string = CBORReader(try reader.item())
        let head = try string.head()
        guard head.isIndefinite else { return try string.content(head).copied() }
        var content = ByteWriter()
        while string.remaining > 1 {
            let chunk = try string.head()
            content.raw(try string.content(chunk))
        }
        return content.bytes
    }

    /// Appends the item in deterministic form, the members of maps in their own order.
    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .null: writer.cborNull()
        case .bool(let value): writer.cborBool(value)
        case .unsigned(let value): writer.cborUnsigned(value)
        case .negative(let value): writer.cborNegative(value)
        case .double(let value): writer.cborDouble(value)
        case .text(let text): writer.cborText(text)
        case .bytes(let bytes): unsafe writer.cborBytes(bytes.span.bytes)
        case .array(let items):
            writer.cborArray(count: items.count)
            for item in items { item.encode(into: &writer) }
        case .map(let members):
            writer.cborMap(count: members.count)
            for member in members {
                member.key.encode(into: &writer)
                member.value.encode(into: &writer)
            }
        case .tag(let number, let value):
            writer.cborTag(number)
            value.encode(into: &writer)
        case .simple(let number): writer.cborSimple(number)
        }
    }

    /// The item in deterministic form.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }
}

extension CBORValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(stringLiteral value: String) { self = .text(value) }
    public init(arrayLiteral items: CBORValue...) { self = .array(items) }
    public init(dictionaryLiteral members: (CBORValue, CBORValue)...) {
        self = .map(members.map { CBORMember($0.0, $0.1) })
    }
}
