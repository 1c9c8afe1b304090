public import KithBytes

// A group's totals on their way from the node that leads it:
//
//     members, anonymous i64 · 7 event and merge counters u64 · refusals by rule u8 count, u64 each
//     · expired, traits refused u64 · three lists: u16 count, {name bytes16, count i64} each

extension Statistics {
    /// Names in a list at most: `namesMax` and `(other)`.
    private static let listMax = namesMax + 1

    /// Appends the encoding above.
    public func encode(into writer: inout ByteWriter) {
        writer.i64(members)
        writer.i64(anonymous)
        for count in [
            accepted, duplicate, expiredOnArrival, forgotten, suppressed, quarantined,
            mergesCompleted,
        ] { writer.u64(count) }
        writer.u8(UInt8(refusals.count))
        for count in refusals { writer.u64(count) }
        writer.u64(expired)
        writer.u64(traitsRefused)
        for list in [identifiers, rejected, ignored] {
            writer.u16(UInt16(list.count))
            for entry in list {
                writer.bytes16(entry.name)
                writer.i64(entry.count)
            }
        }
    }

    /// Reads one encoding; leaves the reader behind it.
    public init(decoding reader: inout ByteReader) throws(ByteError) {
        self.init()
        members = try reader.i64()
        anonymous = try reader.i64()
        accepted = try reader.u64()
        duplicate = try reader.u64()
        expiredOnArrival = try reader.u64()
        forgotten = try reader.u64()
        suppressed = try reader.u64()
        quarantined = try reader.u64()
        mergesCompleted = try reader.u64()
        let rules = try reader.u8()
        guard Int(rules) == refusals.count else {
            throw .unknownTag(rules, offset: reader.offset - 1)
        }
        for rule in refusals.indices { refusals[rule] = try reader.u64() }
        expired = try reader.u64()
        traitsRefused = try reader.u64()
        identifiers = try Self.list(&reader)
        rejected = try Self.list(&reader)
        ignored = try Self.list(&reader)
    }

    private static func list(_ reader: inout ByteReader) throws(ByteError) -> [NamedCount] {
        let count = Int(try reader.u16())
        guard count <= listMax else { throw .tooLong(length: count, limit: listMax) }
        var list: [NamedCount] = []
        for _ in 0..<count {
            list.append(
                NamedCount(
                    name: try reader.bytes16(limit: NameTable.nameBytesMax).copied(),
                    count: try reader.i64()))
        }
        return list
    }
}
