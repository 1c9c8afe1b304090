import KithBytes

@testable import KithCore

/// One facet as another node would spell it, right or wrong.
struct PortableBytes {
    var leaf: LeafID
    var lifeGroup: UInt16 = 0
    var groups: [UInt16] = [0]
    var counters: [(name: String, count: UInt64)] = []
    var traits: [String] = []
    /// Bytes of each trait's value.
    var traitBytes = 1
    var windowFirst: Int64 = 0
    var window: [(hash: UInt64, after: UInt32)] = []

    /// What `importFacets` reads.
    static func encoded(_ facets: [PortableBytes]) -> [UInt8] {
        var writer = ByteWriter()
        writer.u32(UInt32(facets.count))
        for facet in facets.sorted(by: { $0.leaf < $1.leaf }) {
            let at = writer.count
            writer.u32(0)
            facet.encode(into: &writer)
            writer.patchU32(UInt32(writer.count - at - 4), at: at)
        }
        return writer.bytes
    }

    private func encode(into writer: inout ByteWriter) {
        writer.u64(leaf.high)
        writer.u64(leaf.low)
        writer.u64(1)
        writer.u16(lifeGroup)
        writer.u8(0)
        writer.u64(1)
        writer.i64(5)
        writer.i64(5)
        writer.u8(0)
        for text in ["default", "anonymous_id", "v"] { writer.text16(text) }
        writer.u16(UInt16(groups.count))
        for group in groups { writer.u16(group) }
        writer.u32(UInt32(counters.count))
        for counter in counters {
            writer.text16(counter.name)
            writer.u64(counter.count)
        }
        writer.u32(UInt32(traits.count))
        for name in traits {
            writer.text16(name)
            writer.i64(1)
            writer.u8(1)
            writer.u8(UInt8(ascii: "m"))
            writer.bytes32([UInt8](repeating: 1, count: traitBytes))
        }
        writer.u16(UInt16(window.count))
        if !window.isEmpty { writer.i64(windowFirst) }
        for message in window {
            writer.u64(message.hash)
            writer.u32(message.after)
        }
    }
}
