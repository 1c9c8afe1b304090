public import KithBytes

/// An identifier spelt out: what a facet is labelled with. Travels where a facet may have to be
/// created by somebody who has not seen the event.
///
///     flags u8 · space bytes8 · namespace bytes8 · value bytes16        (bytes8: u8 length, bytes)
public struct IdentifierText: Equatable, Sendable {
    public var flags: FacetFlags
    public var space: [UInt8]
    public var namespace: [UInt8]
    public var value: [UInt8]

    public init(flags: FacetFlags, space: [UInt8], namespace: [UInt8], value: [UInt8]) {
        self.flags = flags
        self.space = space
        self.namespace = namespace
        self.value = value
    }

    public init(decoding reader: inout ByteReader) throws(ByteError) {
        flags = FacetFlags(rawValue: try reader.u8())
        space = try reader.take(Int(try reader.u8())).copied()
        namespace = try reader.take(Int(try reader.u8())).copied()
        value = try reader.bytes16().copied()
    }

    public func encode(into writer: inout ByteWriter) {
        precondition(space.count <= 255 && namespace.count <= 255 && value.count <= 0xffff)
        writer.u8(flags.rawValue)
        writer.u8(UInt8(space.count))
        writer.raw(space)
        writer.u8(UInt8(namespace.count))
        writer.raw(namespace)
        writer.bytes16(value)
    }
}
