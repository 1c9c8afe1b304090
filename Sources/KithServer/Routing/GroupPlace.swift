internal import KithBytes
internal import KithCore
internal import KithWire

/// Where a group is led: here, or at another node. The router asks both alike.
enum GroupPlace: Sendable {
    case here(Group)
    case there(Peer, GroupID)

    /// The group, where this node leads it.
    var local: Group? {
        if case .here(let group) = self { group } else { nil }
    }

    /// Carries out the group's part of a round. Where `isWaiting`, a sealed record is waited for
    /// until `deadline`.
    func perform(
        _ part: Round.Part, isIngest: Bool, isWaiting: Bool, deadline: UInt64
    ) async -> (PartAnswer, SilentNode?) {
        switch self {
        case .here(let group):
            let answer = await group.perform(
                part, isIngest: isIngest, deadline: isWaiting ? deadline : nil)
            return (answer, nil)
        case .there(let peer, _):
            return await peer.perform(
                part, isIngest: isIngest, isWaiting: isWaiting, deadline: deadline)
        }
    }

    /// One step of a read, of a record of this group, that includes the entry `seen` of its log. A
    /// profile of more than `bytesMax` bytes is
    /// not given, and its size told.
    func read(
        _ leaf: LeafID, at record: LeafID, seen: LogIndex, atMost bytesMax: Int, deadline: UInt64
    ) async -> Result<Group.GroupRead?, SilentNode> {
        switch self {
        case .here(let group):
            return .success(
                await group.read(
                    leaf, at: record, seen: seen, atMost: bytesMax, deadline: deadline))
        case .there(let peer, let id):
            switch await peer.read(leaf, at: record, of: id, seen: seen, deadline: deadline) {
            case .success(.unseen): return .success(.unseen)
            case .failure(let silent): return .failure(silent)
            case .success(.absent): return .success(.absent)
            case .success(.moved(let parent)): return .success(.moved(to: parent))
            case .success(.waiting(let winner)): return .success(.waiting(for: winner))
            case .success(.stopping):
                return .failure(peer.silent(.refused("it is stopping", code: .unavailable)))
            case .success(.profile(let bytes)):
                guard unsafe Profile.isEncoding(bytes.span.bytes) else {
                    return .failure(peer.silent(.unknown("it sent a malformed profile")))
                }
                guard bytes.count <= bytesMax else { return .success(.tooLong(bytes.count)) }
                return .success(.profile(bytes))
            }
        }
    }

    /// The group's totals at one index and log time.
    func totals(deadline: UInt64) async -> Result<Statistics, NoTotals> {
        switch self {
        case .here(let group):
            return await group.totals().map(\.statistics).mapError { .notLogged($0) }
        case .there(let peer, let id):
            return await peer.totals(of: id, deadline: deadline)
                .map(\.statistics).mapError { .silent($0) }
        }
    }

    /// Why there are no totals.
    enum NoTotals: Error {
        /// At this node.
        case notLogged(Group.NotLogged)
        case silent(SilentNode)
    }

    /// The group's settled mark; nil where its node does not answer.
    func mark(deadline: UInt64) async -> OperationIndex? {
        switch self {
        case .here(let group): return await group.ownMark
        case .there(let peer, let id):
            return try? await peer.mark(of: id, deadline: deadline).get().mark
        }
    }
}
