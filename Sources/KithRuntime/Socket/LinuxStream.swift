internal import KithPorts

/// One TCP connection, pinned to an event loop.
///
/// Operations work from any task, and without a hop from tasks on the stream's own loop. When the
/// last reference goes the connection is closed.
final class LinuxStream: ByteStream {
    let socket: Socket
    public let peer: String

    init(_ socket: Socket, peer: String) {
        self.socket = socket
        self.peer = peer
    }

    deinit { socket.close() }

    public var loop: any Loop { socket.loop }

    /// The next bytes: at most `atMost`, and at most 256 KiB. Cancelling the task throws `closed`
    /// here and leaves the stream usable.
    public func read(atMost: Int) async throws(NetworkError) -> [UInt8] {
        try await socket.read(atMost: atMost)
    }

    /// Returns once the kernel has taken all bytes. Cancelling the task throws `closed`, and closes
    /// the stream if a part is already sent.
    public func write(_ bytes: [UInt8]) async throws(NetworkError) {
        try await socket.write(bytes)
    }

    public func close() { socket.close() }
}
