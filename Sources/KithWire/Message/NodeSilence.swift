public import KithBytes

/// A node that stood in the way of events since it did not do its part, and why.
public struct NodeSilence: Hashable, Sendable {
    /// What it did instead.
    public enum Conduct: UInt8, Hashable, Sendable, CaseIterable {
        case doesNotAnswer = 0
        case refuses = 1
        /// It replays its log.
        case isStarting = 2
    }

    public var node: NodeID
    public var conduct: Conduct
    /// For people; above `WireLimits.silenceBytesMax` bytes it is cut when it is encoded.
    public var reason: String

    public init(_ node: NodeID, _ conduct: Conduct = .doesNotAnswer, reason: String = "") {
        self.node = node
        self.conduct = conduct
        self.reason = reason
    }
}

extension ByteWriter {
    /// A list of at most `WireLimits.silentNodesMax`, ascending: u8 count, then u16, u8 and bytes16
    /// each.
    mutating func silentNodes(_ nodes: [NodeSilence]) {
        precondition(nodes.count <= WireLimits.silentNodesMax, "\(nodes.count) nodes")
        u8(UInt8(nodes.count))
        for node in nodes {
            u16(node.node.rawValue)
            u8(node.conduct.rawValue)
            text16(node.reason, cutTo: WireLimits.silenceBytesMax)
        }
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    mutating func silentNodes() throws(ByteError) -> [NodeSilence] {
        let count = Int(try u8())
        guard count <= WireLimits.silentNodesMax else {
            throw .tooLong(length: count, limit: WireLimits.silentNodesMax)
        }
        var nodes: [NodeSilence] = []
        for _ in 0..<count {
            let node = NodeID(try u16())
            if let last = nodes.last, last.node >= node { throw .malformed(offset: offset - 2) }
            let tag = try u8()
            guard let conduct = NodeSilence.Conduct(rawValue: tag) else {
                throw .unknownTag(tag, offset: offset - 1)
            }
            nodes.append(
                NodeSilence(
                    node, conduct, reason: try text16(limit: WireLimits.silenceBytesMax)))
        }
        return nodes
    }
}
