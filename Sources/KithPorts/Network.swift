/// Why a connection or a listener failed.
public enum NetworkError: Error, Equatable, Sendable {
    /// Nobody answered at `address`: refused, no route, no such host, timed out.
    case unreachable(address: String, message: String)
    /// The address cannot be listened on.
    case cannotListen(address: String, message: String)
    /// The stream is closed, by either side.
    case closed
    /// The other side broke the connection.
    case reset(message: String)
}

/// TCP as a node sees it.
public protocol Network: Sendable {
    /// Listens; port 0 picks a free one. Accepted streams are spread over `loops` round robin.
    func listen(host: String, port: UInt16, loops: [any Loop]) async throws(NetworkError)
        -> any Listener
    /// Connects; the stream's callbacks run on `loop`.
    func connect(host: String, port: UInt16, loop: any Loop) async throws(NetworkError)
        -> any ByteStream
}

/// A port that takes connections.
public protocol Listener: Sendable {
    var port: UInt16 { get }
    /// The next accepted stream; `nil` after `close`. Called by one task at a time.
    func accept() async throws(NetworkError) -> (any ByteStream)?
    func close() async
}

/// A connection's bytes in both directions. One reader and one writer at a time.
public protocol ByteStream: Sendable {
    /// The loop this stream is pinned to.
    var loop: any Loop { get }
    /// Who is at the other end, for log lines.
    var peer: String { get }
    /// The next bytes, at most `atMost`; empty when the other side has ended. Nothing is read from
    /// the kernel while nobody asks, which is the back-pressure towards the peer.
    func read(atMost: Int) async throws(NetworkError) -> [UInt8]
    /// Returns once the kernel has taken all bytes: a peer that does not read stops its writer.
    func write(_ bytes: [UInt8]) async throws(NetworkError)
    /// Closes both directions; waiting readers and writers throw `closed`. Safe to call twice.
    func close()
}
