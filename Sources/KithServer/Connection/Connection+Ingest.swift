internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithWire

// The ingest requests of a connection: one after another out of the queue, a few in work at a time.

extension Connection {
    func ingestLoop() async {
        await withDiscardingTaskGroup { tasks in
            while true {
                while ingestQueue.isEmpty {
                    if isEnding { return }
                    await withCheckedContinuation { ingestBell.wait($0) }
                }
                let request = ingestQueue.removeFirst()
                roomBell.ring()
                while !flights.hasRoom {
                    mark(.connectionFlightsFull)
                    await withCheckedContinuation { flights.wait($0) }
                }
                // A history is replayed one request after the other.
                let flight = flights.begin(isAlone: service.isEventClock)
                tasks.addTask {
                    let reply = await self.ingest(request.frame, flight)
                    await self.finish(request, flight, reply)
                }
            }
        }
    }

    private func finish(
        _ request: Request, _ flight: IngestFlights.Flight, _ reply: any WireMessage
    ) {
        flights.end(flight)
        deadlines.end(at: service.clock.monotonicNanoseconds())
        keep(
            reply, request.frame.requestID, promised: request.promise,
            charges: Outbox.Charges(frames: request.charge))
    }

    private func ingest(
        _ frame: Frame, _ flight: IngestFlights.Flight
    ) async -> any WireMessage {
        // Where there is no more the groups take no events, and say so.
        MemoryReserve.hasRoom(for: 2 * frame.payload.byteCount)
        let arrival: LogTime
        switch await service.guardedClock.arrival(at: service.nodeID) {
        case .at(let time): arrival = time
        case .refused(let error): return error
        }
        var plan: IngestPlan
        do {
            plan = try IngestPlan(frame, arrivedAt: arrival, service)
        } catch {
            mark(.connectionMalformed)
            return ErrorReply(code: .malformed, text: "Ingest: \(error)")
        }
        guard IdentityRules.isName(plan.space) else {
            mark(.connectionBadSpace)
            return ErrorReply(code: .badSpace, text: "a space is 1 to 64 of a-z 0-9 _ -")
        }
        guard plan.hasStamps == service.isEventClock else {
            let text =
                service.isEventClock
                ? "retention.clock is event: every event needs a stamp"
                : "retention.clock is wall: events carry no stamps"
            return ErrorReply(code: .wrongClock, text: text)
        }
        var batch = pool.takeBatch()
        defer { pool.give(&batch) }
        // Piece by piece, so that no log entry grows with what a client packs into one frame.
        while !plan.isDone {
            do {
                try pool.withReader { reader throws(ByteError) in
                    try plan.readPiece(frame, &reader, &batch, service)
                }
            } catch {
                return ErrorReply(code: .malformed, text: "Ingest: \(error)")
            }
            if !plan.isDone { flights.stayAlone(flight) }
            await settle(&plan, batch, flight)
        }
        return plan.reply
    }

    /// Takes one piece through all its rounds.
    private func settle(
        _ plan: inout IngestPlan, _ batch: EventBatch, _ flight: IngestFlights.Flight
    ) async {
        let rejected = plan.takeRejected()
        let busy = flights.unsettled(before: flight)
        var machine = hints.withEntries { entries in
            IngestMachine(
                batch: batch, table: service.router.table, policy: service.policy,
                isStamped: plan.hasStamps, rejected: rejected,
                countGroup: service.router.countGroup, busy: busy,
                hint: { entries.root(of: $0) })
        }
        let trouble = await service.router.settle(
            &machine,
            beforeRound: { machine, mustWait in
                if mustWait { await withCheckedContinuation { self.flights.wait(flight, $0) } }
                if machine.isGated { machine.openGate(self.flights.unsettled(before: flight)) }
            }, afterRound: { self.flights.roundEnded(flight, $0) })
        plan.take(machine, batch, trouble)
        learn(machine, batch)
    }

    /// Keeps where the events' leaves were found rooted.
    private func learn(_ machine: IngestMachine, _ batch: EventBatch) {
        hints.withEntries { entries in
            for event in batch.heads.indices {
                if let learned = machine.learned(event) {
                    entries.learn(learned.leaf, learned.root)
                }
            }
        }
    }
}
