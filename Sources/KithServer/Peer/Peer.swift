internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithWire

/// Another node as this one speaks to it: what it may be asked, over one of two connections.
///
/// Merges have a connection of their own. What comes over the other may wait for a sealed record,
/// and what frees that record must never queue up behind it.
struct Peer: Sendable {
    let id: NodeID
    /// "node 2 (127.0.0.1:7102)".
    let name: String
    /// For what clients ask.
    let requests: PeerLink
    /// For what merge coordinators ask; nothing on it waits for a merge.
    let merges: PeerLink
    /// What this node knows of its coming and going.
    let news: PeerNews
    let clock: any Clock
    private let tuning: NodeTuning

    init(
        _ node: ClusterConfiguration.Node, loops: [any Loop], ports: NodePorts,
        greeting: PeerIntroduction, memory: FolderMemory, tuning: NodeTuning,
        log print: @escaping @Sendable (LogLine) -> Void,
        onWrongFolder: @escaping @Sendable (NodeError) -> Void
    ) {
        id = node.id
        name = "node \(node.id.rawValue) (\(node.host):\(node.port))"
        let first = Int(node.id.rawValue) % loops.count
        news = PeerNews(name, print)
        requests = PeerLink(
            to: node, loop: loops[first], ports: ports, greeting: greeting, memory: memory,
            tuning: tuning, news: news, onWrongFolder: onWrongFolder)
        merges = PeerLink(
            to: node, loop: loops[(first + 1) % loops.count], ports: ports, greeting: greeting,
            memory: memory, tuning: tuning, news: news, onWrongFolder: onWrongFolder)
        self.tuning = tuning
        clock = ports.clock
    }

    /// How long the other node may wait for merges: what is left, less what its answer needs to get
    /// here, so that it is heard before the link gives up.
    private func millisLeft(_ deadline: UInt64) -> UInt32 {
        let now = clock.monotonicNanoseconds()
        guard deadline > now else { return 0 }
        let left = (deadline - now) / 1_000_000
        return UInt32(clamping: left > 2 * Self.answerMillis ? left - Self.answerMillis : left / 2)
    }

    private static let answerMillis: UInt64 = 300

    /// Word of this node's silence, for people and clients.
    func silent(_ failure: PeerFailure) -> SilentNode {
        if case .starting(let text) = failure {
            return SilentNode(
                id: id, text: "\(name) is starting: \(text)", reason: text, isStarting: true)
        }
        if case .refused(let text, let code) = failure {
            return SilentNode(id: id, text: "\(name) refuses: \(text)", reason: text, code: code)
        }
        return SilentNode(
            id: id, text: "\(name) does not answer: \(failure.text)", reason: failure.text)
    }

    /// Has the group's leader carry out a part of a round, in as many messages as it takes, one
    /// after the other: their order is the order of the operations.
    func perform(
        _ part: Round.Part, isIngest: Bool, isWaiting: Bool, deadline: UInt64
    ) async -> (PartAnswer, SilentNode?) {
        var operations: [Outcome] = []
        var finds: [Outcome] = []
        var waits: [Bool] = []
        var token = LogIndex.zero
        let link = isWaiting ? requests : merges
        for var message in messages(part, isIngest, isWaiting) {
            message.deadlineMillis = millisLeft(deadline)
            let answer: PartAnswer
            var failure: SilentNode?
            switch await link.request(message, deadline: deadline) {
            case .success(let frame):
                let decoded = Self.answer(in: frame, to: message)
                if decoded == nil { failure = silent(Self.malformed) }
                answer = decoded ?? .unknown
            case .failure(let reason):
                failure = silent(reason)
                switch reason {
                case .notSent, .refused, .starting: answer = .overloaded(retryAfterMillis: 500)
                case .unknown: answer = .unknown
                }
            }
            guard case .answered(let outcomes, let found, let frees, let index) = answer else {
                let isFirst = operations.isEmpty && finds.isEmpty
                KithBytes.mark(isFirst ? .peerPartUnanswered : .peerPartHalfDone)
                return (
                    isFirst
                        ? answer
                        : .answered(operations: operations, finds: finds, waits: [], token: token),
                    failure
                )
            }
            operations += outcomes
            finds += found
            waits += frees
            token = max(token, index)
            // An answer that leaves something out leaves out all that follows, or the lists put
            // together here would no longer stand beside what was asked.
            let isWhole =
                outcomes.count == message.operationCount && found.count == message.finds.count
                && frees.count == message.waits.count
            guard isWhole else {
                KithBytes.mark(.peerShortAnswer)
                break
            }
        }
        return (
            .answered(operations: operations, finds: finds, waits: waits, token: token), nil
        )
    }

    private func messages(
        _ part: Round.Part, _ isIngest: Bool, _ isWaiting: Bool
    ) -> [PeerPerform] {
        func message(
            _ operations: OperationWriter, _ finds: ArraySlice<FindRequest>,
            _ waits: ArraySlice<LeafID>
        ) -> PeerPerform {
            PeerPerform(
                group: part.group, isIngest: isIngest, isWaiting: isWaiting,
                deadlineMillis: 0, operations: operations, finds: Array(finds),
                waits: Array(waits))
        }
        var messages: [PeerPerform] = []
        var finds = part.finds[...]
        var waits = part.waits[...]
        // Operations first, then finds, then waits, as the group itself does them.
        let pieces =
            part.operations.isEmpty
            ? [OperationWriter()]
            : part.operations.pieces(
                goal: tuning.messageBytesGoal, runBytesMax: tuning.runBytesMax)
        if pieces.count > 1 { KithBytes.mark(.peerPartInPieces) }
        for piece in pieces.dropLast() { messages.append(message(piece, [], [])) }
        var last = pieces[pieces.count - 1]
        repeat {
            let found = finds.prefix(tuning.messageFindsMax)
            finds = finds.dropFirst(found.count)
            let waited = finds.isEmpty ? waits.prefix(PeerLimits.waitsMax) : []
            waits = waits.dropFirst(waited.count)
            messages.append(message(last, found, waited))
            last = OperationWriter()
        } while !finds.isEmpty || !waits.isEmpty
        return messages
    }

    /// The answer; nil where it is none to that request: malformed, longer than what was asked, or
    /// empty.
    private static func answer(in frame: Frame, to request: PeerPerform) -> PartAnswer? {
        guard frame.type == .peerPerformReply else { return nil }
        let answer: PartAnswer
        do throws(ByteError) {
            answer = try PeerPerformReply(decoding: frame.payload).answer
        } catch {
            return nil
        }
        guard case .answered(let operations, let finds, let waits, _) = answer else {
            return answer
        }
        let isTooLong =
            operations.count > request.operationCount || finds.count > request.finds.count
            || waits.count > request.waits.count
        let isEmpty = operations.isEmpty && finds.isEmpty && waits.isEmpty
        return isTooLong || isEmpty ? nil : answer
    }

    private static let malformed = PeerFailure.unknown("its answer is malformed")

    /// One step of a read.
    func read(
        _ leaf: LeafID, at record: LeafID, of group: GroupID, seen: LogIndex, deadline: UInt64
    ) async -> Result<PeerReadReply, SilentNode> {
        let message = PeerRead(
            group: group, leaf: leaf, record: record, deadlineMillis: millisLeft(deadline),
            seen: seen)
        return await ask(message, requests, deadline)
    }

    func totals(of group: GroupID, deadline: UInt64) async -> Result<PeerTotalsReply, SilentNode> {
        await ask(PeerTotals(group: group), requests, deadline)
    }

    func mark(of group: GroupID, deadline: UInt64) async -> Result<PeerMarkReply, SilentNode> {
        await ask(PeerMark(group: group), merges, deadline)
    }

    func heartbeat(
        _ heartbeat: PeerHeartbeat, deadline: UInt64
    ) async -> Result<PeerHeartbeatReply, SilentNode> {
        await ask(heartbeat, requests, deadline)
    }

    func status(deadline: UInt64) async -> Result<StatusReply, SilentNode> {
        await ask(PeerStatus(), requests, deadline)
    }

    private func ask<Reply: WireMessage>(
        _ message: some WireMessage, _ link: PeerLink, _ deadline: UInt64
    ) async -> Result<Reply, SilentNode> {
        switch await link.request(message, deadline: deadline) {
        case .failure(let failure): return .failure(silent(failure))
        case .success(let frame):
            do throws(ByteError) {
                guard frame.type == Reply.frameType else { throw .malformed(offset: 0) }
                return .success(try Reply(decoding: frame.payload))
            } catch {
                return .failure(silent(Self.malformed))
            }
        }
    }
}

/// A node that did not answer, and why, for people.
struct SilentNode: Error, Sendable {
    let id: NodeID
    /// A sentence that names the node.
    let text: String
    /// The reason alone.
    let reason: String
    /// It replays its log, and the reason says how far it is.
    var isStarting = false
    /// It answered so; nil where it did not answer.
    var code: ErrorCode?

    /// What a client is told that sent events.
    var silence: NodeSilence {
        NodeSilence(
            id, isStarting ? .isStarting : code != nil ? .refuses : .doesNotAnswer, reason: reason)
    }

    /// What a client is told: what it would be told by that node itself, where that concerns the
    /// question and not this node.
    var error: ErrorReply {
        switch code {
        case .tooLarge?, .internalError?: ErrorReply(code: code ?? .unavailable, text: text)
        case .overloaded?:
            ErrorReply(
                code: .overloaded, text: text, retryAfterMillis: Group.retryAfterMillis)
        default: ErrorReply(code: .unavailable, text: text)
        }
    }
}
