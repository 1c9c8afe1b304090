public import KithPorts
public import KithWire

/// An open connection whose hello is done, for a caller that pipelines and retries by itself: a
/// load generator, which cannot afford a task a request.
public struct ClientConnection: Sendable {
    /// The bytes in both directions; the caller closes it.
    public let stream: any ByteStream
    /// Who answered.
    public let address: NodeAddress
    /// What the node is, and what it takes.
    public let hello: HelloReply
    /// Holds the bytes that arrived behind the hello's answer; takes the frames of the version
    /// agreed on.
    public var decoder: FrameDecoder
}

extension Client {
    /// Opens a connection that is not the client's own: to the first address that answers, from
    /// that of place `start` in the list on and around. Does not need `run`.
    public func openConnection(from start: Int = 0) async throws(ClientError) -> ClientConnection {
        let opened = try await openFirst(from: start % addresses.count).get()
        var decoder = opened.decoder
        decoder.frameBytesMax = options.frameBytesMax
        decoder.versions = opened.hello.version...opened.hello.version
        return ClientConnection(
            stream: opened.stream, address: opened.address, hello: opened.hello, decoder: decoder)
    }
}
