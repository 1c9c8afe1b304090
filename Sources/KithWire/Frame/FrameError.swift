/// Why a connection's bytes are no frames. Final: where the next frame would start is not known
/// any more, so the connection ends.
public enum FrameError: Error, Hashable, Sendable {
    /// The length field is above the limit; nothing was allocated for it.
    case tooLong(length: UInt32, limit: UInt32)
    /// The length field does not even cover the header.
    case tooShort(length: UInt32)
    /// The other side speaks a version that this build, or this connection, does not.
    case unsupportedVersion(UInt8)
    /// The system has no memory for a frame of that size.
    case noMemory(byteCount: Int)
    /// The bytes changed on the way.
    case badChecksum(stated: UInt32, found: UInt32)
}

extension FrameError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooLong(let length, let limit):
            "a frame of \(length) bytes is above the limit of \(limit)"
        case .tooShort(let length):
            "a frame of \(length) bytes is shorter than its header"
        case .unsupportedVersion(let version):
            "protocol version \(version) is not supported"
        case .noMemory(let byteCount):
            "there is no memory for a frame of \(byteCount) bytes"
        case .badChecksum(let stated, let found):
            "a frame's checksum is \(stated), its bytes give \(found)"
        }
    }
}
