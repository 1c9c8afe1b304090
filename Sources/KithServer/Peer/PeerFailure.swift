internal import KithWire

/// Why another node did not do what it was asked. The text is for people: it stands behind "node 2
/// (127.0.0.1:7102) does not answer: ", "… refuses: " or "… is starting: ".
enum PeerFailure: Error, Sendable {
    /// Nothing was sent, so nothing happened.
    case notSent(String)
    /// It was sent and not answered: it may have happened.
    case unknown(String)
    /// The other node said no, and did nothing.
    case refused(String, code: ErrorCode)
    /// The other node replays its log, and says how far it is. Nothing happened.
    case starting(String)

    var text: String {
        switch self {
        case .notSent(let text), .unknown(let text), .refused(let text, _), .starting(let text):
            text
        }
    }
}
