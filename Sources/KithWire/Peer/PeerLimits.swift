/// The bounds of messages between nodes.
public enum PeerLimits {
    /// The highest value of a frame's length field between nodes: one log entry of the greatest
    /// size and what stands around it.
    public static let frameBytesMax: UInt32 = 16 << 20
    /// The highest value of that field until the greeting is done: above the longest.
    public static let greetingBytesMax: UInt32 = 16 << 10
    /// Nodes of which one tells another.
    public static let wordsMax = 64
    /// Groups of which one tells another, over all nodes.
    public static let endsMax = 256
    /// Bytes of operations that one `PeerPerform` is to have, or one operation.
    public static let operationBytesGoal = 4 << 20
    /// Bytes of operations that one `PeerPerform` may have: above an absorb of the greatest size,
    /// below what a log takes as one entry.
    static let operationBytesMax = 6 << 20
    /// Operations in one `PeerPerform`, and outcomes in its answer: as many of the smallest size
    /// as fit, and some. What a small frame of small outcomes can make a node hold ends here.
    static let operationsMax = 1 << 19
    /// Finds in one `PeerPerform`; as many findings of the greatest size fit a reply.
    public static let findsMax = 1024
    /// Lost Forwards that one answer has at most: `forwardsGoal` and those of one record.
    static let forwardsMax = 128 << 10
    /// Lost Forwards from which on an answer looks at no further record.
    public static let forwardsGoal = 8192
    /// Waits in one `PeerPerform`.
    public static let waitsMax = 65_535
    /// Bytes of a reply to `PeerPerform` from which on it leaves answers out: who asked takes what
    /// is missing for unknown.
    static let replyBytesGoal = 8 << 20
    /// Namespaces in a finding.
    public static let namespacesMax = 256
    /// Bytes of a record's payload that a finding may tell of.
    public static let payloadBytesMax = 1 << 30
    /// The greatest counter in a `PeerTotalsReply`, either side of zero: the sum over all names of
    /// all groups is still a number.
    static let countMax = 1 << 44
    /// The longest profile in a `PeerReadReply`, in bytes.
    public static let profileBytesMax = 8 << 20
}
