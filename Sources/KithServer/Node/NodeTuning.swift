public import KithCore
internal import KithWire

/// Bounds of a node's inside that no cluster file says. The defaults are those of every node; a
/// simulation makes them small, so that what is rare happens often.
public struct NodeTuning: Sendable {
    /// Bytes of operations that may wait for the log, for each group; above it `overloaded`.
    public var pendingBytesMax = Group.pendingBytesMax
    /// The same for all operations, of merges and of the node itself too.
    var pendingAllBytesMax = Group.pendingAllBytesMax
    /// Merges of a group's records that are not at their end; above it `overloaded`.
    var sealedMax = Group.sealedMax
    /// Who may wait for sealed records of a group at a time.
    public var waitsMax = Group.waitsMax
    /// Bytes of operations that one entry gathers; a larger submission is an entry by itself.
    public var entryBytesGoal = Group.entryBytesGoal
    /// Where leaves are taken to be rooted at first. Right or wrong: a hint is only a place to
    /// begin. A root must be below its leaf.
    public var hints: [(leaf: LeafID, root: LeafID)] = []
    /// Identifiers a profile may hold; the same at all nodes and in all lives of a cluster.
    public var identifiersMax = ShardMachine.identifiersMax
    /// Event names that a profile counts apart; the same at all nodes, in all lives of a cluster.
    public var eventNamesMax = FacetLimits.eventNamesMax
    /// Records that one reclaim operation handles at most.
    public var reclaimStep = Group.reclaimStep
    /// Answers that a client may have promised, waiting and being written.
    public var outboxBytesMax = Outbox.bytesMax
    /// Requests of a connection beside ingest that are answered at a time, in bytes.
    var answeringBytesMax = Connection.answeringBytesMax
    /// Bytes of operations that one submission of a round has, or one operation.
    public var submissionBytesGoal = Group.submissionBytesGoal
    /// Bytes of a run of events that stay together in both.
    public var runBytesMax = OperationWriter.runBytesMax
    /// Bytes of operations in one message to another node, or one operation.
    public var messageBytesGoal = PeerLimits.operationBytesGoal
    /// Finds in one message to another node; at most `PeerLimits.findsMax`.
    public var messageFindsMax = PeerLimits.findsMax
    /// Requests sent to another node and unanswered, for each connection; more wait.
    public var requestsInFlightMax = PeerLink.inFlightMax
    /// Requests that wait for that; more are refused.
    public var requestsWaitingMax = PeerLink.waitingMax
    /// Bytes of merges that one part of a round has, or one merge; nil for a share of the round.
    public var mergeBytesGoal: Int?
    /// Lost Forwards from which on one answer to another node's search looks at no further record.
    public var forwardsGoal = PeerLimits.forwardsGoal
    /// Records that one answer looks at.
    var scanStep = Group.scanStep
    /// The least time between two logged marks of a group, in nanoseconds.
    public var marksNanoseconds = MergeCoordinator.marksNanoseconds

    /// How far log time follows the wall clock by itself, in milliseconds; the same at all nodes.
    /// With `.max` every clock is believed.
    public var clockStepMillisMax = ClockGuard.stepMillisMax

    /// The defaults.
    public init() {}
}

extension GroupMachine {
    /// Bounds of a profile, the same at all nodes.
    mutating func setLimits(_ tuning: NodeTuning) {
        identifiersMax = tuning.identifiersMax
        eventNamesMax = tuning.eventNamesMax
    }
}
