/// What travels from one end of a connection to the other.
public enum Segment: Sendable {
    /// Some of the bytes written, never empty.
    case bytes([UInt8])
    /// The sender closed after all bytes before this.
    case end
    /// The connection is broken; what has arrived before may still be read.
    case reset(message: String)

    /// How many bytes it carries.
    var byteCount: Int {
        if case .bytes(let bytes) = self { bytes.count } else { 0 }
    }
}

/// A segment that is about to leave, as shown to whoever decides its fate.
struct Departure: Sendable {
    /// What leaves.
    public let segment: Segment
    /// The node that sends it.
    public let from: String
    /// The node that it is for.
    public let to: String
    /// The number of the stream end that it is for.
    public let stream: UInt64
}

/// What becomes of a segment. A stream's segments arrive in order whatever their delays are: a TCP
/// connection shows a lost packet as a late one.
enum Delivery: Sendable {
    /// It arrives after this much virtual time, or right after what is before it.
    case arrives(afterNanoseconds: UInt64)
    /// It is lost, and both ends learn that the connection is broken.
    case breaks(message: String, afterNanoseconds: UInt64)
}
