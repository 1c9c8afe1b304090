internal import KithBytes
internal import KithPorts
internal import KithWire

// Frames on their way in: how much is read of one, what it holds of the node's room for large
// ones, and by when it must be whole.

extension Connection {
    /// Bytes to ask for: those that the frame in parts lacks, since room is taken for it, else what
    /// is small enough to need no room.
    var readGoal: Int {
        guard isGreeted else { return Int(WireLimits.helloFrameBytesMax) }
        let missing = (decoder.frameByteCount ?? 0) - decoder.bufferedByteCount
        let small = FrameBudget.smallFrameBytes
        if isUncharged { return max(1, min(missing, small - decoder.bufferedByteCount)) }
        return min(Self.readBytes, max(small, missing))
    }

    /// A client's large frame has begun, and so little of it is there that it holds no room.
    private var isUncharged: Bool {
        charge == 0 && !isPeer && decoder.frameByteCount ?? 0 > FrameBudget.smallFrameBytes
    }

    /// After a read: waits for room for the frame in parts, once as much of it is there as may be
    /// without. Who only claims a large frame holds nothing.
    func expectFrame() async {
        let received = decoder.bufferedByteCount
        if isUncharged {
            guard received >= FrameBudget.smallFrameBytes else { return }
            chargedAtBytes = received
        }
        let room = decoder.frameByteCount ?? 0
        await takeCharge(room)
        guard charge > 0 else { return }
        deadlines.setFrame(
            room: room, restBytes: room - chargedAtBytes,
            receivedBytes: received - chargedAtBytes)
    }

    /// Waits for room for the frame that has begun, unless it has some. What a node of the cluster
    /// sends is what clients' frames wait for, so it must not wait for them. Nothing is taken where
    /// the connection ends first.
    func takeCharge(_ byteCount: Int) async {
        guard charge == 0, !isPeer, byteCount > FrameBudget.smallFrameBytes else { return }
        if budget.isShort(of: byteCount) { mark(.connectionBudgetWaits) }
        let turn = budget.nextTurn()
        frameTurn = turn
        deadlines.beginWait(at: service.clock.monotonicNanoseconds())
        charge = await budget.take(byteCount, in: turn) ?? 0
        deadlines.endWait(at: service.clock.monotonicNanoseconds())
        frameTurn = nil
        frameDeadline = nil  // it begins again: until now the node did not read
    }

    func giveBack(_ charge: Int) { budget.give(charge) }

    func giveBack(_ charges: Outbox.Charges) {
        budget.give(charges.frames)
        replyBudget.give(charges.replies)
    }

    /// Waits until answers leave room to read on. Of a frame in parts nothing is owed meanwhile.
    func waitToRead() async {
        let beside = isPeer ? Outbox.heartbeatBytesMax : 0
        guard let deadline = frameDeadline else { return await waitForRoom(of: 1, beside: beside) }
        let began = service.clock.monotonicNanoseconds()
        await waitForRoom(of: 1, beside: beside)
        frameDeadline = deadline &+ (service.clock.monotonicNanoseconds() &- began)
    }

    /// Before a read: a client in the middle of a frame owes the rest.
    func expectRest() {
        guard isPlaced else { return }
        guard decoder.bufferedByteCount > 0 else { return deadlines.setReading(nil) }
        let deadline =
            frameDeadline
            ?? service.clock.monotonicNanoseconds() &+ ConnectionDeadlines.frameNanosecondsMax
        frameDeadline = deadline
        deadlines.setReading(deadline)
    }

    /// While what is under way needs the memory reserve, a client's large frame is not begun: its
    /// events would be refused.
    func expectMemory(for byteCount: Int) throws(FrameError) {
        guard !isPeer, byteCount > FrameBudget.smallFrameBytes, MemoryReserve.isSpent else {
            return
        }
        throw .noMemory(byteCount: byteCount)
    }
}
