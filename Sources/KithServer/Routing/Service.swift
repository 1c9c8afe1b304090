internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithWire

/// What every connection of a node shares: the rules, the limits and the way to the groups. A
/// value.
struct Service: Sendable {
    let router: Router
    let rules: IdentityRules
    /// Of those rules; what it holds is made once.
    let normaliser: IdentifierNormaliser
    /// Of those rules too.
    let noteNames: NoteNames
    let policy: LinkPolicy
    let hashKey: HashKey
    let clusterName: String
    let nodeID: NodeID
    let limits: WireLimits
    let isEventClock: Bool
    let clock: any Clock
    let guardedClock: GuardedClock
    let randomness: any Randomness
    /// What other nodes are answered.
    let peers: PeerService
    let status: @Sendable () async -> CBORValue
    /// Who was refused, for the log.
    let strangers: StrangerNews

    /// A message id for an event that came without one: 32 hex digits.
    func assignMessageID() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        let digits = Array("0123456789abcdef".utf8)
        for _ in 0..<2 {
            let word = randomness.nextUInt64()
            for nibble in stride(from: 60, through: 0, by: -4) {
                bytes.append(digits[Int(word >> UInt64(nibble) & 15)])
            }
        }
        return bytes
    }

    /// Answers any request but hello and ingest.
    func answer(_ frame: Frame, _ hints: HintCache, _ room: AnswerRoom) async -> any WireMessage {
        switch frame.type {
        case .get, .advanceTime, .stats:
            if let refusal = await guardedClock.refusal(ofEvents: false, of: nodeID) {
                return refusal
            }
        default: break
        }
        do throws(ByteError) {
            switch frame.type {
            case .get:
                return await get(try Get(decoding: frame.payload), hints, room)
            case .advanceTime:
                return await advance(try AdvanceTime(decoding: frame.payload))
            case .stats:
                _ = try Stats(decoding: frame.payload)
                return await stats()
            case .status:
                _ = try Status(decoding: frame.payload)
                return StatusReply(map: await status().encoded())
            case .ping:
                _ = try Ping(decoding: frame.payload)
                return Pong()
            default:
                return ErrorReply(
                    code: .unknownType,
                    text: "frame type \(frame.type.rawValue) is not a request")
            }
        } catch {
            return ErrorReply(code: .malformed, text: "\(error)")
        }
    }

    /// Bytes of a frame beside the profile in it, at most: header, age, token.
    private static let replyOverheadBytes = 8 << 10

    private func get(
        _ request: Get, _ hints: HintCache, _ room: AnswerRoom
    ) async -> any WireMessage {
        let space = Array(request.space.utf8)
        guard IdentityRules.isName(space) else {
            return ErrorReply(code: .badSpace, text: "a space is 1 to 64 of a-z 0-9 _ -")
        }
        guard let index = rules.namespaceIndex(named: request.namespace) else {
            let known = rules.namespaces.map(\.name).joined(separator: ", ")
            return ErrorReply(
                code: .unknownNamespace,
                text: "no namespace \"\(request.namespace)\" here; known: \(known)")
        }
        let namespace = rules.namespaces[index]
        var value: [UInt8] = []
        let text = Array(request.value.utf8)
        do throws(IgnoredIdentifier) {
            try unsafe normaliser.normalise(
                text.span.bytes, namespace: index, into: &value)
        } catch {
            return ProfileReply(profile: nil, ignored: error)
        }
        let hasher = LeafHasher(key: hashKey)
        let name = Array(namespace.name.utf8)
        let leaf =
            request.wantsQuarantine
            ? unsafe hasher.quarantineLeaf(
                space: space.span.bytes, namespace: name.span.bytes, value: value.span.bytes)
            : unsafe hasher.leaf(
                class: namespace.identifierClass, space: space.span.bytes,
                namespace: name.span.bytes, value: value.span.bytes)
        // Less than the client waits, so that it hears which node does not answer.
        let asked = UInt64(request.deadlineMillis)
        let millis = asked == 0 ? Router.readMillisMax : min(Router.readMillisMax, asked * 3 / 4)
        var token = SessionToken()
        if case .session(let seen) = request.consistency { token = seen }
        if let last = token.entries.last, Int(last.group.rawValue) >= router.places.count {
            return ErrorReply(
                code: .wrongToken,
                text: "the token names group \(last.group.rawValue), and there are "
                    + "\(router.places.count) groups here")
        }
        return await read(leaf, hints, token, room, millis: millis)
    }

    /// A long profile is read once more when there is room for it: until then nobody holds it.
    private func read(
        _ leaf: LeafID, _ hints: HintCache, _ token: SessionToken, _ room: AnswerRoom,
        millis: UInt64
    ) async -> any WireMessage {
        var most = room.byteCount
        while true {
            let deadline = router.deadline(inMillis: millis)
            let answer = await router.read(
                leaf, hints, token, atMost: most, deadline: deadline)
            guard case .tooLong(let byteCount) = answer else { return reply(to: answer) }
            guard byteCount <= Int(limits.frameBytesMax) - Self.replyOverheadBytes else {
                return ErrorReply(
                    code: .tooLarge,
                    text: "the profile has \(byteCount) bytes, more than a frame takes")
            }
            // As long again: what others do not take is not this client's fault.
            let roomDeadline = router.deadline(inMillis: millis)
            switch await room.lengthen(to: byteCount, until: roomDeadline) {
            case .done: most = byteCount
            case .ended: return isStopping
            case .late:
                return ErrorReply(
                    code: .overloaded,
                    text: "no room at node \(nodeID.rawValue) for an answer of \(byteCount) bytes: "
                        + "others do not take theirs",
                    retryAfterMillis: Group.shortageMillis)
            }
        }
    }

    private func reply(to answer: Router.ReadAnswer) -> any WireMessage {
        switch answer {
        case .profile(let bytes):
            return ProfileReply(profile: bytes)
        case .tooLong(let byteCount):
            return ErrorReply(
                code: .tooLarge,
                text: "the profile has \(byteCount) bytes, more than a frame takes")
        case .absent:
            return ProfileReply(profile: nil)
        case .waiting(let group):
            return ErrorReply(
                code: .unavailable,
                text: "its merge into group \(group.rawValue) at \(leaderName(group)) has not come "
                    + "through in time")
        case .silent(let node):
            return node.error
        case .unseen(let group):
            return ErrorReply(
                code: .wrongToken,
                text: "the log of group \(group.rawValue) at \(leaderName(group)) does not have "
                    + "what the token has seen of it, and was lost since, or is another: begin a "
                    + "new session")
        case .notLogged(let reason):
            return error(reason)
        case .endless:
            return ErrorReply(
                code: .internalError, text: "its records point on after \(Router.hopsMax) steps")
        }
    }

    private var isStopping: ErrorReply {
        ErrorReply(code: .unavailable, text: "node \(nodeID.rawValue) is stopping")
    }

    private func error(_ reason: Group.NotLogged) -> ErrorReply {
        switch reason {
        case .stopping: isStopping
        case .overloaded(let retryAfter):
            ErrorReply(
                code: .overloaded, text: "too much waits for the log of node \(nodeID.rawValue)",
                retryAfterMillis: retryAfter)
        }
    }

    private func leaderName(_ group: GroupID) -> String {
        switch router.places[Int(group.rawValue)] {
        case .here: "node \(nodeID.rawValue)"
        case .there(let peer, _): peer.name
        }
    }

    private func advance(_ request: AdvanceTime) async -> any WireMessage {
        guard isEventClock else {
            return ErrorReply(
                code: .wrongClock, text: "retention.clock is wall: log time follows the clock")
        }
        switch await router.advance(to: request.stamp) {
        case nil: return Done()
        case .silent(let node): return node.error
        case .notLogged(let reason): return error(reason)
        }
    }

    private func stats() async -> any WireMessage {
        switch await router.totals() {
        case .success(let sum): return StatsReply(map: sum.report.encoded())
        case .failure(.silent(let node)): return node.error
        case .failure(.notLogged(let reason)): return error(reason)
        }
    }
}
