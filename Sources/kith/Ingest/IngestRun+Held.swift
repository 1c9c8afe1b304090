// The lines that a run sends again (C16): an old line is kept, sent as a provisional one while that
// comes to anything, and for the last time when all else is in. A stream that is silent has its old
// lines sent again too; what is not taken then stays kept, since the line that says who it is about
// may be still to come.

import KithCore
import KithWire

extension IngestRun {
    private func newHeld() throws(InputError) -> HeldLines {
        try HeldLines(bytesMax: settings.heldLinesBytesMax, in: settings.heldFolder)
    }

    func beginHolding() async {
        isHolding = true
        do throws(InputError) {
            held = try newHeld()
            await feed.setProvisional(true)
        } catch {
            // Without a file every line is counted as it comes.
            held = nil
            isHolding = false
            await feed.setProvisional(false)
            report("\(error); old lines are not sent again")
        }
    }

    /// No more is kept: later lines are counted as they come.
    func endHolding(_ lines: HeldLines) async {
        guard isHolding else { return }
        isHolding = false
        await feed.setProvisional(false)
        let after = lastSent.map { "after \(name($0)) " } ?? ""
        report("\(lines.fullness); old lines \(after)are not sent again")
    }

    /// Keeps what comes beside what is left, while there is room.
    func goOnHolding() async {
        guard let held else { return await beginHolding() }
        guard !isHolding, !held.isFull else { return }
        isHolding = true
        await feed.setProvisional(true)
    }

    /// Sends the lines that are kept again, until a pass comes to nothing; at the end then once
    /// more, so that what is left is counted. Before the end what is left stays kept.
    func sendAgain(isEnd: Bool) async {
        var pass = 2
        while let lines = held, lines.count > 0, stop == nil, !isInterrupted {
            let isLast = pass >= Self.passesMax || (pass > 2 && !hasProgress)
            if isLast, !isEnd { return }
            hasProgress = false
            heldAgain = nil
            var gathered: [HeldLine] = []
            var failure: InputError?
            do throws(InputError) {
                if !isLast { heldAgain = try newHeld() }
                var byteCount = 0
                try await lines.forEach { line in
                    gathered.append(line)
                    byteCount += line.bytes.count
                    guard gathered.count >= Self.heldItemsMax || byteCount >= Self.heldBytesMax
                    else { return }
                    await self.deliverAgain(gathered, isLast: isLast)
                    gathered = []
                    byteCount = 0
                }
            } catch {
                failure = error
            }
            if !gathered.isEmpty { await deliverAgain(gathered, isLast: isLast) }
            if let failure {
                report(failure.description)
                countHeld()
                return
            }
            held = heldAgain
            heldAgain = nil
            pass += 1
        }
    }

    private func deliverAgain(_ lines: [HeldLine], isLast: Bool) async {
        if stop != nil || isInterrupted {
            let takenCount = lines.reduce(0) { $0 + ($1.isTaken ? 1 : 0) }
            countLeft(lines.count, takenCount, from: lines.map(\.place).min())
            return
        }
        // Where no more can be kept this is the last time.
        var isLast = isLast
        if let heldAgain, heldAgain.failure != nil {
            if !isToldOfHeld {
                isToldOfHeld = true
                report("\(heldAgain.fullness); the rest is sent for the last time")
            }
            isLast = true
        }
        let batch = LineBatcher.batch(
            again: lines, space: settings.space, isLast: isLast, bytesTaken: progress.bytesDone)
        await deliver(batch, over: clients[0])
    }

    private func keep(_ line: HeldLine) {
        (heldAgain ?? held)?.append(line)
    }

    /// What is kept when nothing more is sent.
    func countHeld() {
        for lines in [held, heldAgain].compactMap({ $0 }) where lines.count > 0 {
            countLeft(lines.count, lines.takenCount, from: lines.firstPlace)
        }
        held = nil
        heldAgain = nil
    }

    /// Counts lines that would have been sent again, and are not: no node has judged them for the
    /// last time, nor counted them.
    private func countLeft(_ count: Int, _ takenCount: Int, from first: LinePlace?) {
        tally.leftProvisional += count - takenCount
        tally.linksLeft += takenCount
        if let first { leave(first) }
    }

    func leave(_ place: LinePlace) {
        firstUnsettled = firstUnsettled.map { min($0, place) } ?? place
    }

    /// Whether the line is kept to be sent again, or was counted before: then there is nothing to
    /// count of it now.
    func holds(_ line: BatchDelivery.Settled, of batch: LineBatch) -> Bool {
        guard batch.pass != .only else { return false }
        let isTaken = batch.taken.contains(line.item)
        if isTaken {
            switch line.outcome {
            case .unsent, .answered(.unknown), .answered(.overloaded):
                // It is stored, and counted; its links may not be made.
                countLeft(1, 1, from: batch.places[line.item])
                return true
            case .answered: break
            }
        }
        let isVoid = line.told.contains {
            if case .linkVoid(.age, _) = $0 { true } else { false }
        }
        if batch.pass == .last {
            if isTaken { tell(line.told.filter(\.isLink), of: line.item, in: batch) }
            return isTaken
        }
        let mustWait =
            line.outcome == .answered(.expiredOnArrival) && !isTaken
            || isVoid && (line.outcome == .answered(.ok) || line.outcome == .answered(.duplicate))
        if mustWait {
            keep(
                HeldLine(
                    place: batch.places[line.item], isTaken: isTaken || isVoid,
                    isUnnamed: batch.unnamed.contains(line.item),
                    isAssigned: batch.assigned.contains(line.item),
                    bytes: batch.event(line.item)))
            if !isVoid {
                // Only what the JSON said: of the event itself its last answer tells.
                let told = line.told.filter(\.isOfJSON)
                if !told.isEmpty { tell(told, of: line.item, in: batch) }
                return true
            }
        } else if batch.pass == .again {
            hasProgress = true
        }
        // Of links that are void by age the last pass tells.
        let told = line.told.filter {
            if case .linkVoid(.age, _) = $0 { false } else { true }
        }
        if isTaken {
            if !isVoid { tell(told.filter(\.isLink), of: line.item, in: batch) }
            // Its profile has ended meanwhile: there is nothing to link to any more.
            if line.outcome == .answered(.expiredOnArrival) {
                tally.linksVoid[.age, default: 0] += 1
            }
            return true
        }
        if isVoid {
            tally.count(line.outcome)
            tell(told, of: line.item, in: batch)
            if batch.assigned.contains(line.item) { tally.withoutMessageID += 1 }
            if batch.pass == .again { hasProgress = true }
            return true
        }
        return false
    }
}
