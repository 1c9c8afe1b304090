// Somebody at the port of a node that is down: who tells the nodes that call there what they want
// to hear, and keeps what they say. So strangers come by a greeting that is valid, and by real
// requests between nodes.

import Glibc
import KithBytes
import KithWire
import Testing

/// Frames of one node to another, as they were sent.
struct Overheard {
    /// `Hello`, of the role `node`.
    var hello: [UInt8] = []
    /// Type and payload of what came after it: the greeting first.
    var requests: [(type: FrameType, payload: [UInt8])] = []

    var greeting: [UInt8] { requests.first { $0.type == .peerGreeting }?.payload ?? [] }

    /// A line a frame, for a process that reads them with `init(text:)`.
    var text: String {
        ([(FrameType.hello, hello)] + requests.map { ($0.type, $0.payload) })
            .map { "\($0.0.rawValue) \($0.1.map { String($0) }.joined(separator: ","))" }
            .joined(separator: "\n")
    }

    init() {}

    init(text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            guard words.count == 2, let raw = UInt8(words[0]) else { continue }
            let payload = words[1].split(separator: ",").compactMap { UInt8($0) }
            if raw == FrameType.hello.rawValue {
                hello = payload
            } else {
                requests.append((FrameType(rawValue: raw), payload))
            }
        }
    }
}

/// Listens at a port until it is let go.
final class Eavesdropper {
    private var listener: Int32
    private let node: NodeID

    /// Longer than nodes that run need to call.
    private static let patienceMillis = 10_000
    /// Requests after which no more are listened to.
    private static let requestsMax = 40

    /// At the port of `node`, which nobody listens on.
    init(port: UInt16, node: NodeID) throws {
        self.node = node
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(
            listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var wait = timeval(tv_sec: Self.patienceMillis / 1000, tv_usec: 0)
        setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let isListening = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                    && listen(listener, 16) == 0
            }
        }
        try #require(isListening, "cannot listen: \(errno)")
    }

    deinit { leave() }

    /// Gives the port back.
    func leave() {
        if listener >= 0 { close(listener) }
        listener = -1
    }

    /// What the next caller says, up to the first request of every type in `wanted`.
    func overhear(_ wanted: [FrameType]) throws -> Overheard {
        var caller = try #require(PlainSocket(acceptedBy: listener, millis: Self.patienceMillis))
        var overheard = Overheard()
        var decoder = FrameDecoder()
        decoder.frameBytesMax = PeerLimits.frameBytesMax
        while overheard.requests.count < Self.requestsMax,
            !wanted.allSatisfy({ type in overheard.requests.contains { $0.type == type } })
        {
            guard let frame = try decoder.next() else {
                if let bytes = caller.receive() {
                    decoder.append(bytes)
                } else {
                    // A connection that only tells how its node is; another asks.
                    caller = try #require(
                        PlainSocket(acceptedBy: listener, millis: Self.patienceMillis))
                    decoder = FrameDecoder()
                    decoder.frameBytesMax = PeerLimits.frameBytesMax
                }
                continue
            }
            let payload = frame.payload.copied()
            if frame.type == .hello {
                overheard.hello = payload
                let reply = HelloReply(
                    clusterName: "test", nodeID: node, retentionClock: .wall, groups: 1)
                _ = caller.send(Stranger.frame(.helloReply, reply.encoded(), id: frame.requestID))
            } else {
                overheard.requests.append((frame.type, payload))
                guard frame.type == .peerGreeting else { continue }
                // The folder that the caller knows, if it knows one, with nothing to remember.
                let known = try PeerGreeting(decoding: frame.payload).folder?.news.words.first {
                    $0.node == node
                }
                let start = known?.start ?? StartID(number: 1, id: 1)
                let folder = FolderWord(
                    starts: StartList(number: start.number, ids: [start.id]),
                    news: NodeNews(
                        words: [NodeWord(node: node, start: StartID(number: 0, id: 0))]))
                let answer = PeerGreetingReply(folder: folder).encoded()
                _ = caller.send(Stranger.frame(.peerGreetingReply, answer, id: frame.requestID))
            }
        }
        return overheard
    }
}
