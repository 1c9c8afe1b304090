public import KithBytes

/// One trip of a batch to the groups: what each group is asked in it, all batched. The driver sends
/// the parts of a round side by side, fills in the answers and hands the round back.
public struct Round: Sendable {
    public var parts: [Part]

    /// The requests to one group.
    public struct Part: Sendable {
        public let group: GroupID
        /// Operations to log; answered by as many outcomes.
        public var operations = OperationWriter()
        /// Finds to answer from applied state.
        public var finds: [FindRequest] = []
        /// Records to wait for until they are no longer sealed.
        public var waits: [LeafID] = []
        /// Who asked, parallel to the operations, finds and waits.
        var operationOwners: [Owner] = []
        var findOwners: [Owner] = []
        var waitOwners: [Owner] = []
        /// Filled in by the driver.
        public var answer: PartAnswer = .unanswered

        public init(group: GroupID) {
            self.group = group
        }

        public var isEmpty: Bool { operations.isEmpty && finds.isEmpty && waits.isEmpty }

        /// Its first operation counts what no event's own operation does.
        var hasCounts: Bool { operationOwners.first.map { $0.event < 0 } ?? false }
    }

    /// Which event's which step a request belongs to.
    struct Owner: Sendable {
        var event: Int32
        var role: Role

        enum Role: UInt8, Sendable { case event, firstEnd, otherEnd, link, none }
    }

    public init(groupCount: Int) {
        parts = (0..<groupCount).map { Part(group: GroupID(UInt16($0))) }
    }

    public var isEmpty: Bool { parts.allSatisfy(\.isEmpty) }
}

/// What a node lacks that takes no events.
public enum Shortage: UInt8, Hashable, Sendable, CaseIterable {
    /// Time: too much waits already.
    case busy = 0
    /// Room on its disk.
    case disk = 1
    /// Memory, by its limit or by what the system gives.
    case memory = 2
}

/// What came back from a group for its part of a round.
public enum PartAnswer: Sendable {
    case unanswered
    /// Outcomes of the operations, answers of the finds, and of each wait whether the record is
    /// free. `token` is the log index of the operations' entry (zero where there were none).
    case answered(operations: [Outcome], finds: [Outcome], waits: [Bool], token: LogIndex)
    /// Refused before anything was stored.
    case overloaded(retryAfterMillis: UInt32, shortage: Shortage = .busy)
    /// May or may not have been stored.
    case unknown
}
