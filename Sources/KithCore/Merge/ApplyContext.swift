public import KithBytes

/// Everything outside a shard that applying one operation may depend on. All of it comes from the
/// log, so that every replica applies alike.
public struct ApplyContext: Sendable {
    public var group: GroupID
    /// The operation's own place in the log: versions and lives are named by it.
    public var at: OperationIndex
    /// Log time of the group, after this operation's stamp.
    public var now: LogTime
    /// How long an anonymous profile lives after its last activity, in milliseconds.
    public var retentionMillis: Int64
    /// Event times are taken as they are (event clock); else none is later than log time.
    var takesEventTimes: Bool
    /// The settled marks this group holds, its own included; by group number.
    public var marks: [OperationIndex]
    public let table: GroupTable
    /// Identifiers a profile may hold.
    public var identifiersMax = ShardMachine.identifiersMax
    /// Event names that a profile counts apart.
    public var eventNamesMax = FacetLimits.eventNamesMax

    public init(
        group: GroupID, at: OperationIndex, now: LogTime, retentionMillis: Int64,
        takesEventTimes: Bool, marks: [OperationIndex], table: GroupTable
    ) {
        self.group = group
        self.at = at
        self.now = now
        self.retentionMillis = retentionMillis
        self.takesEventTimes = takesEventTimes
        self.marks = marks
        self.table = table
    }

    /// The event time that counts: with the wall clock, never later than log time.
    func judged(_ eventTime: Int64) -> Int64 {
        takesEventTimes ? eventTime : min(eventTime, now.rawValue)
    }

    /// Whether something last active at `seen` is past its retention at this log time.
    func isOverdue(_ seen: Int64) -> Bool {
        // Saturating: an event time may be the least value there is.
        let (due, overflow) = seen.addingReportingOverflow(retentionMillis)
        return overflow ? seen < 0 : Rules.isOver(due: due, at: now)
    }

    /// The latest time that `isOverdue`.
    var pastRetention: Int64 {
        let (time, overflow) = now.rawValue.subtractingReportingOverflow(retentionMillis)
        return overflow ? .min : time
    }
}
