internal import KithBytes
internal import KithCore
internal import KithPorts

// Those who wait until a record is no longer sealed.

extension Group {
    func isSealed(_ leaf: LeafID) -> Bool {
        let machine = shards.machine(leaf.shard)
        return machine.table.find(leaf).map { machine.table.state($0) == .sealed } ?? false
    }

    /// Returns once the record is no longer sealed; false where that has not come by `deadline`, or
    /// cannot come for now.
    func waitUntilFree(_ leaf: LeafID, _ deadline: UInt64) async -> Bool {
        await withCheckedContinuation { continuation in
            // In here for the reason given in `submit`.
            if !isSealed(leaf) {
                continuation.resume(returning: true)
            } else if isStopped || isStuck(leaf) || clock.monotonicNanoseconds() >= deadline {
                mark(isStuck(leaf) ? .groupStuck : .groupWaitGivenUp)
                continuation.resume(returning: false)
            } else if waits.count >= tuning.waitsMax {
                mark(.groupWaitsFull)
                continuation.resume(returning: false)
            } else {
                mark(.groupWaits)
                waits.append(Wait(leaf: leaf, deadline: deadline, continuation: continuation))
                waitsBell.ring()
            }
        }
    }

    /// Whether a sealed record waits for a group that does not answer.
    private func isStuck(_ leaf: LeafID) -> Bool {
        guard !silentGroups.isEmpty, let winner = winner(of: leaf) else { return false }
        return silentGroups.contains(machine.table.group(of: winner))
    }

    /// The record that a sealed one goes into; nil where it is not sealed.
    func winner(of leaf: LeafID) -> LeafID? {
        let machine = shards.machine(leaf.shard)
        guard let slot = machine.table.find(leaf), machine.table.state(slot) == .sealed else {
            return nil
        }
        return machine.table.parent(slot)
    }

    /// Answers those who wait for what is free by now, is stuck, or has taken too long.
    func answerWaits(at now: UInt64 = 0) {
        var kept: [Wait] = []
        for wait in waits {
            if !isSealed(wait.leaf) {
                mark(.groupWaitOver)
                wait.continuation.resume(returning: true)
            } else if wait.deadline <= now || isStuck(wait.leaf) {
                mark(wait.deadline <= now ? .groupWaitGivenUp : .groupStuck)
                wait.continuation.resume(returning: false)
            } else {
                kept.append(wait)
            }
        }
        waits = kept
    }

    /// Watches over the deadlines of waits until the group stops.
    func watchWaits() async {
        while !isStopped {
            if waits.isEmpty {
                await withCheckedContinuation { waitsBell.wait($0) }
                continue
            }
            do {
                try await clock.sleep(nanoseconds: Self.waitsNanoseconds, on: loop)
            } catch {
                return  // cancelled: the node stops
            }
            if !isStopped { answerWaits(at: clock.monotonicNanoseconds()) }
        }
    }

    /// Takes word from the merge coordinator of which groups it cannot reach.
    func setSilent(_ groups: Set<GroupID>) {
        guard groups != silentGroups else { return }
        silentGroups = groups
        answerWaits()
    }
}
