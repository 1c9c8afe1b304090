internal import KithBytes
internal import KithCore
internal import KithWire

/// Answers the steps of another node's search for lost Forwards, from groups whose log is
/// replayed.
struct ForwardService: Sendable {
    /// The groups that this node leads.
    let groups: [Group]

    func answer(_ frame: Frame) async -> any WireMessage {
        let request: PeerForwards
        do throws(ByteError) {
            request = try PeerForwards(decoding: frame.payload)
        } catch {
            return ErrorReply(code: .malformed, text: "search: \(error)")
        }
        guard let group = groups.first(where: { $0.id == request.group }) else {
            return ErrorReply(
                code: .unavailable,
                text: "this node does not lead group \(request.group.rawValue)")
        }
        guard let reply = await group.answer(request) else {
            return ErrorReply(code: .unavailable, text: "its log takes nothing at the moment")
        }
        return reply
    }
}
