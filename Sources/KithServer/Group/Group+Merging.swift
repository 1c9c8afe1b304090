internal import KithBytes
internal import KithCore

// What a merge coordinator asks of its group.

extension Group {
    /// Suspends until there is merge work that the driver's last round has not seen, or the group
    /// stops (then false).
    func mergeWork() async -> Bool {
        while !isStopped, !hasNewMergeWork {
            await withCheckedContinuation { mergeBell.wait($0) }
        }
        return !isStopped
    }

    var hasNewMergeWork: Bool {
        // Seals ascend: a new one is the last.
        machine.releasing.count > seenReleasing
            || machine.sealed.last.map { $0.version > seenSeal } ?? false
    }

    /// The driver's next round, made from this group's records; and whether another one has to
    /// follow, whatever comes of it.
    func nextMerges() -> (round: Round, wantsLaterRound: Bool) {
        let round = driver.nextRound(&machine, on: shards)
        seenSeal = machine.sealed.last?.version ?? seenSeal
        seenReleasing = machine.releasing.count
        return (round, driver.wantsLaterRound)
    }

    /// Hands a part of a round back to the driver, with its answer. True where the next round has
    /// to wait a little.
    func takeMerges(_ part: Round.Part) -> Bool { driver.take(part) }

    /// The group's own settled mark.
    var ownMark: OperationIndex { machine.marks[Int(id.rawValue)] }

    /// Suspends until some absorb was taken that no logged marks have followed (false: stopped).
    func marksWork() async -> Bool {
        while !isStopped, machine.absorbsSinceMarks == 0 {
            await withCheckedContinuation { marksBell.wait($0) }
        }
        return !isStopped
    }

    func logMarks(_ marks: [OperationIndex]) async -> Bool {
        var operations = OperationWriter()
        operations.marks(marks)
        switch await submit(operations, isIngest: false) {
        case .applied, .overloaded: return true
        case .unknown: return false
        }
    }
}
