#if KITH_PLANTED
internal import KithBytes

/// The rules as a run with planted faults has them: of each rule every variant that is wrong, and
/// where none of them is planted the rule itself. The plain rule is never written again here.
enum PlantedRules {}

// MARK: Standing

extension PlantedRules {
    typealias Visitor = PlainRules.Visitor
    typealias SealAnswer = PlainRules.SealAnswer
    typealias KnownLink = PlainRules.KnownLink

    static func atSealed(
        _ record: LeafID, into parent: LeafID, version: OperationIndex, _ visitor: Visitor
    ) -> Outcome {
        let passes =
            visitor == .absorb
            ? planted(.absorbsPassThroughSealed) : planted(.eventsPassThroughSealed)
        if passes { return .moved(to: parent, version: version) }
        return PlainRules.atSealed(record, into: parent, version: version, visitor)
    }

    static func readElsewhere(_ record: LeafID, _ state: RecordState, _ parent: LeafID)
        -> ReadOutcome?
    {
        if planted(.sealedRead), state == .sealed { return nil }
        return PlainRules.readElsewhere(record, state, parent)
    }

    static func speaks(_ root: LeafID, for leaf: LeafID, holds: Bool) -> Bool {
        planted(.anyRootSpeaks) || PlainRules.speaks(root, for: leaf, holds: holds)
    }

    static func proofOfDrop(_ proof: OperationIndex) -> OperationIndex? {
        if planted(.hintIsProof), proof == .none { return OperationIndex(rawValue: .max) }
        return PlainRules.proofOfDrop(proof)
    }

    static func atDropped(
        _ leaf: LeafID, _ proof: OperationIndex, _ slot: SlotIndex?, in machine: ShardMachine,
        _ context: ApplyContext
    ) -> Outcome? {
        if planted(.anyRootSpeaks) || planted(.freshFacetAtOldRoot),
            machine.ledger(slot).remembered(leaf) == nil
        {
            return nil
        }
        return PlainRules.atDropped(leaf, proof, slot, in: machine, context)
    }

    static func counts(
        _ answer: SealAnswer, to version: OperationIndex, sealedAt held: OperationIndex
    ) -> Bool {
        switch answer {
        case .forward where planted(.forwardWithoutVersion): true
        case .reopen where planted(.reopenWithoutVersion): true
        case .release where planted(.releaseWithoutVersion) || planted(.hintIsProof): true
        default: PlainRules.counts(answer, to: version, sealedAt: held)
        }
    }
}

// MARK: Ending

extension PlantedRules {
    static func isOver(due: Int64, at now: LogTime) -> Bool {
        let now = planted(.endsLate) ? LogTime(now.rawValue - 50) : now
        return PlainRules.isOver(due: due, at: now)
    }

    static func expires(_ state: RecordState, lastSeen: Int64, _ context: ApplyContext) -> Bool {
        if planted(.overdueRevived) { return false }
        let state = planted(.sealedExpires) && state == .sealed ? .root : state
        return PlainRules.expires(state, lastSeen: lastSeen, context)
    }

    static func isReclaimable(lastSeen: Int64, _ context: ApplyContext) -> Bool {
        let early: Int64 = planted(.reclaimedEarly) ? 10 * ShardMachine.dayMillis : 0
        return PlainRules.isReclaimable(lastSeen: lastSeen - early, context)
    }

    static func lastDayExamined(today: Int32, exact: Bool) -> Int32 {
        let early: Int32 = planted(.reclaimedEarly) ? 10 : 0
        return PlainRules.lastDayExamined(today: today, exact: exact) + early
    }

    static func ledger(afterDropOf held: Ledger, isErase: Bool) -> Ledger {
        var ledger = PlainRules.ledger(afterDropOf: held, isErase: isErase)
        if planted(.expiryDropsAbsorbed), !isErase { ledger.absorbed = [] }
        if planted(.eraseDropsAbsorbed) { ledger.absorbed = [] }
        return ledger
    }

    static func staysContested(_ isContested: Bool, isHome: Bool) -> Bool {
        if planted(.forgetClearsContested), isHome { return false }
        return PlainRules.staysContested(isContested, isHome: isHome)
    }
}

// MARK: Travelling

extension PlantedRules {
    static func ledger(ofRelease leaf: LeafID, at root: Ledger) -> Ledger {
        var ledger = PlainRules.ledger(ofRelease: leaf, at: root)
        if planted(.releaseWithoutLedger) { ledger.absorbed = [] }
        if planted(.releaseWithoutForgetTimes) {
            ledger.remembered.removeAll { $0.leaf != leaf }
        }
        return ledger
    }

    static func ledger(takenBy leaf: LeafID, from release: Ledger) -> Ledger {
        var ledger = PlainRules.ledger(takenBy: leaf, from: release)
        if planted(.forgetClearsContested) {
            for place in ledger.remembered.indices where ledger.remembered[place].leaf == leaf {
                ledger.remembered[place].isContested = false
            }
        }
        return ledger
    }

    static func marksOfRelease(_ context: ApplyContext) -> [OperationIndex] {
        if planted(.releaseWithoutLedger) || planted(.noMarks) { return [] }
        return PlainRules.marksOfRelease(context)
    }

    static func ledger(ofAbsorb sealed: Ledger) -> Ledger {
        var ledger = PlainRules.ledger(ofAbsorb: sealed)
        if planted(.absorbedSetNotCarried) { ledger.absorbed = [] }
        if planted(.absorbWithoutForgetTimes) { ledger.remembered = [] }
        return ledger
    }

    static func marksOfAbsorb(_ context: ApplyContext) -> [OperationIndex] {
        if planted(.noMarks) { return [] }
        var marks = PlainRules.marksOfAbsorb(context)
        if planted(.absorbCarriesOneMark) {
            for group in marks.indices where group != Int(context.group.rawValue) {
                marks[group] = .none
            }
        }
        return marks
    }
}

// MARK: Time and marks

extension PlantedRules {
    static func logTime(_ now: LogTime, after entry: LogTime) -> LogTime {
        planted(.logTimeFalls) ? entry : PlainRules.logTime(now, after: entry)
    }

    static func ownMark(
        heard: OperationIndex, oldestSealed: OperationIndex?, next: OperationIndex
    ) -> OperationIndex {
        if planted(.markAhead) { return next }
        return PlainRules.ownMark(heard: heard, oldestSealed: oldestSealed, next: next)
    }

    static func prune(_ ledger: inout Ledger, _ marks: [OperationIndex]) {
        if planted(.pruneWithoutMarks) {
            ledger.absorbed = []
        } else if !planted(.noMarks) {
            PlainRules.prune(&ledger, marks)
        }
    }

    static func isCarriedOut(_ place: ShardMachine.RunPlace, runStands: Bool) -> Bool {
        planted(.runsIgnored) || PlainRules.isCarriedOut(place, runStands: runStands)
    }
}

extension GroupMachine {
    /// A restart that does not know what is sealed.
    public mutating func forgetSealed() {
        sealed = []
        updateOwnMark()
    }
}
#endif
