internal import KithBytes
internal import KithCore
internal import KithPorts

extension Group {
    /// What a group says of itself, at one index and log time.
    struct Totals: Sendable {
        var statistics: Statistics
        var index: LogIndex
        var time: LogTime
        var records: Int
        var sealed: Int
        var memoryBytes: Int
        /// Bytes of operations that wait for the log.
        var pendingBytes: Int
        /// Who waits for a sealed record.
        var waits: Int
        /// Over the last seconds.
        var eventsPerSecond: Int
    }

    /// Why something could not be answered that needs an entry of the log.
    enum NotLogged: Error {
        /// Too much waits for the log.
        case overloaded(retryAfterMillis: UInt32)
        case stopping
    }

    /// Logs operations that the answer to a question needs; nil where that is done.
    func logForAnswer(_ operations: OperationWriter) async -> NotLogged? {
        switch await submit(operations, isIngest: false) {
        case .applied: nil
        case .overloaded(let retryAfter, _): .overloaded(retryAfterMillis: retryAfter)
        case .unknown: .stopping
        }
    }

    /// The group's totals at one index and log time. Under the wall clock the time is now.
    func totals() async -> Result<Totals, NotLogged> {
        if entryClock == .wall {
            var operations = OperationWriter()
            operations.time()
            if let reason = await logForAnswer(operations) { return .failure(reason) }
        }
        return .success(Rules.totals(of: self))
    }

    /// What the group knows without writing anything.
    func snapshot() -> Totals {
        var totals = Totals(
            statistics: Statistics(), index: machine.applied, time: machine.now, records: 0,
            sealed: machine.sealed.count, memoryBytes: 0, pendingBytes: pendingBytes,
            waits: waits.count, eventsPerSecond: rate.perSecond(at: clock.monotonicNanoseconds()))
        let context = machine.context()
        for shard in machine.table.shards(of: id) {
            let machine = shards.machine(shard)
            totals.statistics.add(machine.statistics(at: context))
            totals.records += machine.table.count
            totals.memoryBytes += machine.table.memoryBytes
        }
        return totals
    }

    /// Tells the gate what the group holds by now. O(shards).
    func noteMemory() {
        var bytes = 0
        for shard in machine.table.shards(of: id) {
            bytes += shards.machine(shard).table.memoryBytes
        }
        memory.gate.note(bytes, at: memory.place)
    }
}
