internal import KithBytes

// What a record may do in its state, what it remembers when its profile ends, and how log time and
// settled marks rise.

extension PlainRules {
    // MARK: Standing

    /// Who comes to a record.
    enum Visitor {
        /// An event, a find or a forget.
        case message
        case absorb
    }

    /// Nothing passes *through* a sealed record: whoever meets one waits for its absorb.
    static func atSealed(
        _ record: LeafID, into parent: LeafID, version: OperationIndex, _ visitor: Visitor
    ) -> Outcome {
        .sealed(record)
    }

    /// A sealed record never answers a read: its frozen half is not the profile. Nil where the
    /// record may be read.
    static func readElsewhere(_ record: LeafID, _ state: RecordState, _ parent: LeafID)
        -> ReadOutcome?
    {
        switch state {
        case .root: nil
        case .sealed: .sealed(record)
        case .forward: .moved(to: parent)
        }
    }

    /// A root speaks for a leaf only if it holds the leaf's facet or is the leaf's home.
    static func speaks(_ root: LeafID, for leaf: LeafID, holds: Bool) -> Bool {
        holds || leaf == root
    }

    /// Only the leaf's own Forward proves that its facet was dropped where it led; a hint proves
    /// nothing.
    static func proofOfDrop(_ proof: OperationIndex) -> OperationIndex? {
        proof == .none ? nil : proof
    }

    /// A root that dropped a leaf begins no other facet of it: first the leaf's home is released.
    static func atDropped(
        _ leaf: LeafID, _ proof: OperationIndex, _ slot: SlotIndex?, in machine: ShardMachine,
        _ context: ApplyContext
    ) -> Outcome? {
        .released(machine.releaseOrder(leaf, proof, slot, context))
    }

    /// An answer to another version is of another life and counts for nothing.
    static func counts(
        _ answer: SealAnswer, to version: OperationIndex, sealedAt held: OperationIndex
    ) -> Bool {
        version == held
    }

    /// What ends the time of a record that was sealed.
    enum SealAnswer { case forward, reopen, release }

    // MARK: Ending

    /// What is due at a time has ended then.
    static func isOver(due: Int64, at now: LogTime) -> Bool { due <= now.rawValue }

    /// An anonymous root ends by log time; one that is sealed does not, whoever touches it.
    static func expires(_ state: RecordState, lastSeen: Int64, _ context: ApplyContext) -> Bool {
        context.isOverdue(lastSeen) && state == .root
    }

    /// Nobody is reclaimed before the end of retention.
    static func isReclaimable(lastSeen: Int64, _ context: ApplyContext) -> Bool {
        context.isOverdue(lastSeen)
    }

    /// The last day whose records are examined: whole days that have passed, or today's too.
    static func lastDayExamined(today: Int32, exact: Bool) -> Int32 { exact ? today : today - 1 }

    /// Expiry and erase drop facets, never the ledger.
    static func ledger(afterDropOf held: Ledger, isErase: Bool) -> Ledger { held }

    /// The contested flag of a leaf survives its profile: nothing clears it.
    static func staysContested(_ isContested: Bool, isHome: Bool) -> Bool { isContested }

    // MARK: Travelling

    /// A release carries what its root remembers; what that root has to do stays with it.
    static func ledger(ofRelease leaf: LeafID, at root: Ledger) -> Ledger {
        root.withoutDuties
    }

    /// The released leaf takes all that over, and nothing that never travels.
    static func ledger(takenBy leaf: LeafID, from release: Ledger) -> Ledger {
        release.withoutDuties
    }

    /// A release carries all marks of the group that it leaves.
    static func marksOfRelease(_ context: ApplyContext) -> [OperationIndex] { context.marks }

    /// An absorb carries the record's whole ledger; only refusals are no longer of use.
    static func ledger(ofAbsorb sealed: Ledger) -> Ledger {
        var ledger = sealed
        ledger.refusals = []
        return ledger
    }

    /// An absorb carries all marks of the group that it leaves.
    static func marksOfAbsorb(_ context: ApplyContext) -> [OperationIndex] { context.marks }

    // MARK: Time and marks

    /// Log time rises only.
    static func logTime(_ now: LogTime, after entry: LogTime) -> LogTime { max(now, entry) }

    /// The settled mark of a group: the lowest version still sealed, or else the place after all
    /// that it has applied; it never falls.
    static func ownMark(
        heard: OperationIndex, oldestSealed: OperationIndex?, next: OperationIndex
    ) -> OperationIndex {
        max(heard, oldestSealed ?? next)
    }

    /// An absorbed entry leaves a ledger only when its version is below the mark of its group.
    static func prune(_ ledger: inout Ledger, _ marks: [OperationIndex]) {
        ledger.prune(marks: marks)
    }

    /// What depends on a run of operations is carried out only where the run stands.
    static func isCarriedOut(_ place: ShardMachine.RunPlace, runStands: Bool) -> Bool {
        place != .depends || runStands
    }
}
