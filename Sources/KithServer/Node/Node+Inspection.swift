public import KithBytes
internal import KithConsensus
public import KithWire

// What a simulation reads of a node.

extension Node {
    /// What connections hold of memory, as they count it: frames that are read and not answered,
    /// answers that are not taken. Only where nothing of the node runs at the moment.
    /// O(connections).
    public nonisolated func inspectConnections() -> ConnectionMemory {
        var memory = ConnectionMemory()
        memory.poolBytes = pools.reduce(0) { $0 + $1.byteCount }
        memory.longReplies = shared.longReplies.takenBytes
        for connection in shared.places.all {
            let (bytes, replies) = connection.assumeIsolated { ($0.memoryBytes, $0.heldReplies) }
            memory.connections += 1
            memory.byteCount += bytes
            memory.greatest = max(memory.greatest, bytes)
            if replies.isOfNode {
                memory.repliesToNode = max(memory.repliesToNode, replies.byteCount)
            } else {
                memory.repliesToClient = max(memory.repliesToClient, replies.byteCount)
            }
        }
        return memory
    }

    /// What this node would say of its own folder, with the ends that its logs have at most: what
    /// is on the way to the disk counts. Only where nothing of the node runs at the moment.
    public nonisolated func inspectFolder() -> FolderWord {
        var own = NodeWord(node: folder.node, start: folder.starts.newest)
        for group in groups {
            let index = group.assumeIsolated { $0.consensus.last }
            own.ends.append(NodeWord.GroupEnd(group: group.id, index: index))
        }
        return FolderWord(starts: folder.starts, news: NodeNews(words: [own]))
    }

    /// What the logs of this node's groups hold. Only where nothing of the node runs at the moment.
    /// O(bytes of records).
    public nonisolated func inspectRecords() -> OwnRecords {
        var records = OwnRecords()
        for group in groups { group.assumeIsolated { records.add($0) } }
        return records
    }

    /// What this node has heard of another's folder; nil where that is nothing. Only where nothing
    /// of the node runs at the moment.
    public nonisolated func inspectHeard(of other: NodeID) -> NodeWord? {
        folder.assumeIsolated { $0.heard(of: other) }
    }

    /// What connections hold, in bytes.
    public struct ConnectionMemory: Sendable {
        public var connections = 0
        /// Of all connections together.
        public var byteCount = 0
        /// Of the one that holds most.
        public var greatest = 0
        /// Answers that one client has asked for and not taken, at most; promised ones are counted.
        var repliesToClient = 0
        /// The same of nodes.
        var repliesToNode = 0
        /// Of the room that the long answers of all clients share.
        var longReplies = 0
        /// Kept for whoever reads next.
        var poolBytes = 0

        /// Of no connections.
        public init() {}

        /// The rule that a node broke, for people; nil where it broke none. `clientBytesMax` is
        /// what a client may hold. An answer is at most so much longer than was promised for it.
        public func excess(clientBytesMax: Int) -> String? {
            let mostOfClient = max(clientBytesMax, Self.longAnswerBytes) + Self.slackBytes
            if repliesToClient > mostOfClient {
                return "a client holds \(repliesToClient) bytes of answers, not \(mostOfClient)"
            }
            let mostOfNode = max(Outbox.toNodeBytesMax, Self.longAnswerBytes) + Self.slackBytes
            if repliesToNode > mostOfNode {
                return "a node holds \(repliesToNode) bytes of answers, not \(mostOfNode)"
            }
            return nil
        }

        /// One answer by itself may be so long in a simulation.
        private static let longAnswerBytes = 256 << 10
        private static let slackBytes = 64 << 10
    }
}
