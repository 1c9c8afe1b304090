public import KithBytes
public import KithCore

/// A node that took no events since it lacks something, and what.
public struct ShortNode: Hashable, Sendable {
    public var node: NodeID
    public var shortage: Shortage

    public init(_ node: NodeID, _ shortage: Shortage) {
        self.node = node
        self.shortage = shortage
    }
}

extension ByteWriter {
    /// A list of at most `WireLimits.silentNodesMax`, ascending: u8 count, then u16 and u8 each.
    mutating func shortNodes(_ nodes: [ShortNode]) {
        precondition(nodes.count <= WireLimits.silentNodesMax, "\(nodes.count) nodes")
        u8(UInt8(nodes.count))
        for node in nodes {
            u16(node.node.rawValue)
            u8(node.shortage.rawValue)
        }
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    mutating func shortNodes() throws(ByteError) -> [ShortNode] {
        let count = Int(try u8())
        guard count <= WireLimits.silentNodesMax else {
            throw .tooLong(length: count, limit: WireLimits.silentNodesMax)
        }
        var nodes: [ShortNode] = []
        for _ in 0..<count {
            let node = NodeID(try u16())
            if let last = nodes.last, last.node >= node { throw .malformed(offset: offset - 2) }
            nodes.append(ShortNode(node, try shortage()))
        }
        return nodes
    }

    /// One byte.
    @_lifetime(self: copy self)
    mutating func shortage() throws(ByteError) -> Shortage {
        let tag = try u8()
        guard let shortage = Shortage(rawValue: tag) else {
            throw .unknownTag(tag, offset: offset - 1)
        }
        return shortage
    }
}
