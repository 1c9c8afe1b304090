internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithWire

/// What a node answers other nodes: their parts of rounds, their steps of reads, for the groups
/// that it leads. A value; it decides nothing.
struct PeerService: Sendable {
    let introduction: PeerIntroduction
    /// By group number; nil where another node leads it.
    let groups: [Group?]
    let peers: [Peer]
    let memory: FolderMemory
    /// Told what is wrong with this node's own folder.
    let onWrongFolder: @Sendable (NodeError) -> Void
    let clock: any Clock
    let guardedClock: GuardedClock
    /// For nodes that lost their log.
    let forwards: ForwardService
    /// About how many of these one answer holds.
    let forwardsGoal: Int
    /// This node.
    let nodeID: NodeID
    let status: @Sendable () async -> CBORValue

    /// Milliseconds that a wait may take, whatever the other node says.
    static let waitMillisMax: UInt32 = 10_000

    /// What a greeting makes of who sent it.
    enum Greeted {
        /// A node of the cluster, which may ask what nodes ask.
        case taken
        /// A start that asks what was heard of its folder, and for Forwards that it has lost.
        case asked
        case refused
    }

    /// Judges the greeting of node `id`: what this node says of its own folder, or an error that
    /// names the first key in which the cluster files differ, or what is wrong with a folder. A
    /// node that greets can be spoken to. `isPeer`: it may ask for more.
    func greet(
        _ frame: Frame, from id: NodeID
    ) async -> (answer: any WireMessage, is: Greeted) {
        do throws(ByteError) {
            let greeting = try PeerGreeting(decoding: frame.payload)
            if let key = introduction.difference(from: greeting) {
                KithBytes.mark(.peerFileDiffers)
                return (ErrorReply.fileDiffers(in: key), .refused)
            }
            guard let peer = peers.first(where: { $0.id == id }) else {
                let text = "node \(id.rawValue) is not another node of it"
                return (ErrorReply(code: .wrongCluster, text: text), .refused)
            }
            guard let word = greeting.folder else {
                KithBytes.mark(.peerAskedByStart)
                peer.news.startAsked()
                return (PeerGreetingReply(folder: await memory.word()), .asked)
            }
            if let refusal = await hear(word.news, of: word.starts, from: id) {
                if refusal.code == .wrongFolder { peer.news.startRefused(refusal.text) }
                return (refusal, .refused)
            }
            await peer.requests.retryNow()
            await peer.merges.retryNow()
            return (PeerGreetingReply(folder: await memory.word()), .taken)
        } catch {
            return (ErrorReply(code: .malformed, text: "greeting: \(error)"), .refused)
        }
    }

    /// Takes in what node `id` says; an error where one of the two folders is not what it was.
    private func hear(
        _ news: NodeNews, of starts: StartList?, from id: NodeID
    ) async -> ErrorReply? {
        do throws(NodeError) {
            switch try await memory.hear(news, of: starts, from: id) {
            case .taken: return nil
            case .otherIsWrong(let text): return ErrorReply(code: .wrongFolder, text: text)
            case .ownIsWrong(let error): onWrongFolder(error)
            }
        } catch {
            onWrongFolder(error)
        }
        return ErrorReply(code: .shuttingDown, text: "this node is stopping")
    }

    /// Answers any other request of a node. What is asked of the clocks, how this node is, and
    /// what it knows of lost Forwards, is answered whatever its own clock shows.
    func answer(
        _ frame: Frame, from id: NodeID, _ room: AnswerRoom
    ) async -> any WireMessage {
        if frame.type != .peerHeartbeat, frame.type != .peerStatus, frame.type != .peerForwards,
            let refusal = await guardedClock.refusal(ofEvents: false, of: nodeID)
        {
            return refusal
        }
        do throws(ByteError) {
            switch frame.type {
            case .peerHeartbeat:
                return await hear(try PeerHeartbeat(decoding: frame.payload), from: id)
            case .peerPerform: return await perform(try PeerPerform(decoding: frame.payload))
            case .peerRead: return await read(try PeerRead(decoding: frame.payload), room)
            case .peerTotals: return await totals(try PeerTotals(decoding: frame.payload))
            case .peerForwards: return await forwards.answer(frame)
            case .peerMark: return await mark(try PeerMark(decoding: frame.payload))
            case .peerStatus:
                _ = try PeerStatus(decoding: frame.payload)
                return StatusReply(map: await status().encoded())
            default:
                return ErrorReply(
                    code: .unknownType,
                    text: "frame type \(frame.type.rawValue) is not a request")
            }
        } catch {
            return ErrorReply(code: .malformed, text: "\(error)")
        }
    }

    private func hear(_ other: PeerHeartbeat, from id: NodeID) async -> any WireMessage {
        guardedClock.hear(other.wall, of: id)
        if let refusal = await hear(other.news, of: nil, from: id) { return refusal }
        return PeerHeartbeatReply(wall: guardedClock.shown, news: await memory.news())
    }

    private func group(_ id: GroupID) -> Group? {
        Int(id.rawValue) < groups.count ? groups[Int(id.rawValue)] : nil
    }

    private func notLed(_ id: GroupID) -> ErrorReply {
        ErrorReply(code: .unavailable, text: "this node does not lead group \(id.rawValue)")
    }

    private func deadline(_ millis: UInt32) -> UInt64 {
        clock.monotonicNanoseconds() + UInt64(min(millis, Self.waitMillisMax)) * 1_000_000
    }

    private func perform(_ request: PeerPerform) async -> any WireMessage {
        guard let group = group(request.group) else { return notLed(request.group) }
        if request.isIngest, let refusal = await guardedClock.refusal(ofEvents: true, of: nodeID) {
            return refusal
        }
        var part = Round.Part(group: request.group)
        do throws(ByteError) {
            part.operations = unsafe try OperationWriter(
                checking: request.operations.span.bytes, count: request.operationCount)
        } catch {
            return ErrorReply(code: .malformed, text: "operations: \(error)")
        }
        part.finds = request.finds
        part.waits = request.waits
        guard part.finds.allSatisfy({ group.owns($0.record) }), part.waits.allSatisfy(group.owns)
        else {
            return ErrorReply(code: .malformed, text: "a record is not of that group")
        }
        return PeerPerformReply(
            await group.perform(
                part, isIngest: request.isIngest,
                deadline: request.isWaiting ? deadline(request.deadlineMillis) : nil))
    }

    /// A long profile is read once more when there is room for it: until then nobody holds it.
    private func read(_ request: PeerRead, _ room: AnswerRoom) async -> any WireMessage {
        guard let group = group(request.group) else { return notLed(request.group) }
        guard group.owns(request.record) else {
            return ErrorReply(code: .malformed, text: "the record is not of that group")
        }
        let deadline = deadline(request.deadlineMillis)
        var most = room.byteCount
        while true {
            switch await group.read(
                request.leaf, at: request.record, seen: request.seen, atMost: most,
                deadline: deadline)
            {
            case .unseen: return PeerReadReply.unseen
            case .profile(let bytes): return PeerReadReply.profile(bytes)
            case .tooLong(let byteCount):
                guard byteCount <= PeerLimits.profileBytesMax else {
                    return ErrorReply(
                        code: .tooLarge,
                        text: "the profile has \(byteCount) bytes, more than a frame takes")
                }
                guard case .done = await room.lengthen(to: byteCount, until: deadline) else {
                    return PeerReadReply.stopping
                }
                most = byteCount
            case .absent: return PeerReadReply.absent
            case .moved(let parent): return PeerReadReply.moved(to: parent)
            case .waiting(let winner):
                KithBytes.mark(.peerReadWaits)
                return PeerReadReply.waiting(for: winner)
            case .busy(let retryAfter): return tooMuchWaits(retryAfter)
            case nil:
                KithBytes.mark(.peerReadWhileStopping)
                return PeerReadReply.stopping
            }
        }
    }

    private func totals(_ request: PeerTotals) async -> any WireMessage {
        guard let group = group(request.group) else { return notLed(request.group) }
        switch await group.totals() {
        case .success(let totals): return PeerTotalsReply(statistics: totals.statistics)
        case .failure(.overloaded(let retryAfter)): return tooMuchWaits(retryAfter)
        case .failure(.stopping):
            return ErrorReply(code: .unavailable, text: "it is stopping")
        }
    }

    private func tooMuchWaits(_ retryAfterMillis: UInt32) -> ErrorReply {
        ErrorReply(
            code: .overloaded, text: "too much waits for its log",
            retryAfterMillis: retryAfterMillis)
    }

    private func mark(_ request: PeerMark) async -> any WireMessage {
        guard let group = group(request.group) else { return notLed(request.group) }
        return PeerMarkReply(mark: await group.ownMark)
    }
}
