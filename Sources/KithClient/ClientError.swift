public import KithWire

/// Why a request has no reply. Each description names the node.
public enum ClientError: Error, Hashable, Sendable {
    /// No address of the list answered; nothing was sent.
    case unreachable(address: String, message: String)
    /// The node answered with an error. Of a request that was sent more than once it is the answer
    /// to the last attempt.
    case refused(address: String, code: ErrorCode, text: String, retryAfterMillis: UInt32)
    /// The deadline passed. Where `wasSent`, the request may have taken effect.
    case timedOut(what: String, address: String, wasSent: Bool)
    /// The request was sent and the connection ended before its reply: it may have taken effect.
    case unanswered(what: String, address: String, message: String)
    /// The node's bytes break the protocol. The request may have taken effect.
    case protocolError(address: String, message: String)
    /// The request is above what the node takes; it was not sent.
    case tooLarge(what: String, byteCount: Int, limit: Int)
    /// As many requests as allowed are waiting to be sent; this one was not.
    case tooManyRequests(limit: Int)
    /// The caller was cancelled. The request may have taken effect.
    case cancelled
    /// The client was closed before the request was sent.
    case closed

    /// Whether the request may have taken effect: an ingest is then *unknown*, not failed, and is
    /// to be sent again with the same message ids.
    public var isUnknown: Bool {
        switch self {
        case .unanswered, .protocolError, .cancelled: true
        case .timedOut(_, _, let wasSent): wasSent
        case .refused(_, let code, _, _): code == .internalError || code == .deadlineExceeded
        case .unreachable, .tooLarge, .tooManyRequests, .closed: false
        }
    }
}

extension ClientError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreachable(let address, let message):
            "no node answers at \(address): \(message)"
        case .refused(let address, .starting, let text, _):
            "node \(address) is starting: \(text)"
        case .refused(let address, let code, let text, let retryAfterMillis):
            "node \(address) answered \(code): \(text)"
                + (retryAfterMillis > 0 ? " (retry after \(retryAfterMillis) ms)" : "")
        case .timedOut(let what, let address, let wasSent):
            "\(what) at node \(address): no answer in time"
                + (wasSent ? "" : ", and it was not sent")
        case .unanswered(let what, let address, let message):
            "\(what) at node \(address): the connection ended before the answer: \(message)"
        case .protocolError(let address, let message):
            "node \(address) does not speak the protocol: \(message)"
        case .tooLarge(let what, let byteCount, let limit):
            "\(what) of \(byteCount) bytes is above the limit of \(limit)"
        case .tooManyRequests(let limit):
            "\(limit) requests are waiting to be sent already"
        case .cancelled: "cancelled"
        case .closed: "the client is closed"
        }
    }
}
