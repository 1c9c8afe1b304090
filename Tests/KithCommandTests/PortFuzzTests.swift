// Strangers at the open port of a real node: several at a time send what no client would, while one
// client that behaves is served as if it were alone.

import Foundation
import Glibc
import KithBytes
import KithCore
import KithWire
import Synchronization
import Testing
import kith

/// A TCP connection without any notion of frames.
final class PlainSocket: Sendable {
    private let descriptor: Int32

    /// Connects to a port of this machine; a read or a write that takes longer than `millis` gives
    /// up.
    init?(port: UInt16, millis: Int) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var wait = timeval(tv_sec: millis / 1000, tv_usec: millis % 1000 * 1000)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &wait, size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, size)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { return nil }
    }

    /// The next one that `listener` accepts; nil where none comes within the time it was given.
    init?(acceptedBy listener: Int32, millis: Int) {
        descriptor = accept(listener, nil, nil)
        guard descriptor >= 0 else { return nil }
        var wait = timeval(tv_sec: millis / 1000, tv_usec: millis % 1000 * 1000)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Sends all of it; false where the other side has closed or takes nothing any more.
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// What has arrived, at least a byte of it; nil at the end, or after the time that was given.
    func receive() -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count > 0 ? Array(bytes[..<count]) : nil
    }

    /// Throws away what has arrived, without waiting.
    func discard() {
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        while recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT)) > 0 {}
    }

    /// Says that nothing more comes, and waits until the other side has answered all and closed.
    func finish() {
        shutdown(descriptor, Int32(SHUT_WR))
        while receive() != nil {}
    }
}

/// Somebody who connects and sends anything.
struct Stranger {
    let port: UInt16
    let isStamped: Bool

    private static let events: [[UInt8]] = [
        ["type": "page", "anonymousId": "a1", "messageId": "m"],
        [
            "type": "identify", "userId": "u1", "anonymousId": "a1",
            "traits": ["email": "É@x.com", "list": [1, 2.5, true, nil, ["x": "y"]]],
            "context": ["device": ["id": 5], "externalIds": [["id": "c", "type": "email"]]],
        ],
        ["type": "track", "event": "Order", "userId": 5, "sentAt": 9000, "timestamp": 8000.5],
        ["type": "alias", "userId": "u2", "previousId": "u1"],
    ].map { (event: CBORValue) in event.encoded() }

    private static let messages: [(type: FrameType, payload: [UInt8])] = [
        (.get, Get(space: "fuzz", namespace: "email", value: " É@x.com").encoded()),
        (
            .get,
            Get(
                space: "fuzz", namespace: "anonymous_id", value: "a1", wantsQuarantine: true,
                consistency: .session(SessionToken([.init(group: GroupID(1), index: LogIndex(9))])),
                deadlineMillis: 5
            ).encoded()
        ),
        (.stats, []), (.status, []), (.ping, []),
        (.advanceTime, AdvanceTime(stamp: LogTime(1_700_000_000_000)).encoded()),
        (.hello, Hello(clusterName: "", role: .client, software: "x").encoded()),
        (.ingestReply, IngestReply(token: SessionToken(), results: [.ok]).encoded()),
    ]

    private static let payloads = messages.map(\.payload) + events

    static func frame(_ type: FrameType, _ payload: [UInt8], id: UInt64 = 1) -> [UInt8] {
        var writer = ByteWriter()
        FrameWriter.write(FrameHeader(type: type, requestID: id), payload: payload, into: &writer)
        return writer.bytes
    }

    static var hello: [UInt8] {
        frame(.hello, Hello(clusterName: "", role: .client, software: "kith").encoded())
    }

    /// One connection from beginning to end; how many strings it sent.
    func visit(_ fuzzer: inout ByteFuzzer) -> Int {
        guard let socket = PlainSocket(port: port, millis: 1000) else { return 0 }
        switch fuzzer.below(16) {
        case 0: return garbage(socket, &fuzzer)
        case 1: return halfFrame(socket, &fuzzer)
        case 2: return hugeClaim(socket, &fuzzer)
        case 3: return smallWrites(socket, &fuzzer)
        case 4: return neverReads(socket, &fuzzer)
        default: return frames(socket, &fuzzer)
        }
    }

    private func garbage(_ socket: PlainSocket, _ fuzzer: inout ByteFuzzer) -> Int {
        if fuzzer.chance(oneIn: 2) { _ = socket.send(Self.hello) }
        _ = socket.send(fuzzer.noise(below: 3000))
        socket.finish()
        return 1
    }

    /// Frames with damage, half of them under a right checksum so that they reach the messages.
    private func frames(_ socket: PlainSocket, _ fuzzer: inout ByteFuzzer) -> Int {
        guard socket.send(Self.hello) else { return 0 }
        var sent = 0
        for _ in 0...fuzzer.below(120) {
            var bytes: [UInt8]
            switch fuzzer.below(6) {
            case 0, 1: bytes = Self.frame(.ingest, batch(&fuzzer), id: fuzzer.next())
            case 2:
                var payload = batch(&fuzzer)
                fuzzer.damage(&payload, samples: Self.payloads)
                bytes = Self.frame(.ingest, payload, id: fuzzer.next())
            default:
                let message = fuzzer.pick(Self.messages)
                let type =
                    fuzzer.chance(oneIn: 5) ? FrameType(rawValue: fuzzer.byte()) : message.type
                var payload = message.payload
                if !fuzzer.chance(oneIn: 3) { fuzzer.damage(&payload, samples: Self.payloads) }
                bytes = Self.frame(type, payload, id: fuzzer.next())
            }
            sent += 1
            if fuzzer.chance(oneIn: 40) {
                // The checksum is wrong from here on: the connection ends with it.
                fuzzer.damage(&bytes, samples: Self.payloads)
            }
            guard socket.send(bytes) else { break }
            if fuzzer.chance(oneIn: 4) { socket.discard() }
        }
        if !fuzzer.chance(oneIn: 8) { socket.finish() }
        return sent
    }

    /// Some events, most of them damaged.
    private func batch(_ fuzzer: inout ByteFuzzer) -> [UInt8] {
        let hasStamps = fuzzer.chance(oneIn: 20) ? !isStamped : isStamped
        var batch = IngestBatchWriter(space: "fuzz", hasStamps: hasStamps)
        for _ in 0..<fuzzer.below(8) {
            let kind = fuzzer.chance(oneIn: 8) ? fuzzer.pick(IngestItemKind.allCases) : .event
            let stamp = LogTime(Int64(bitPattern: fuzzer.next() >> UInt64(fuzzer.below(64))))
            let bytes =
                fuzzer.chance(oneIn: 4)
                ? fuzzer.pick(Self.events) : fuzzer.string(from: Self.events, bytesMax: 40 << 10)
            batch.append(kind, stamp: hasStamps ? stamp : nil, bytes: bytes)
        }
        return batch.payload
    }

    private func halfFrame(_ socket: PlainSocket, _ fuzzer: inout ByteFuzzer) -> Int {
        let hello = Self.hello
        if fuzzer.chance(oneIn: 3) {
            _ = socket.send(Array(hello[..<fuzzer.below(hello.count)]))
        } else {
            let bytes = Self.frame(.ingest, batch(&fuzzer))
            _ = socket.send(hello) && socket.send(Array(bytes[..<fuzzer.below(bytes.count)]))
        }
        return 1
    }

    /// A header that promises what does not come.
    private func hugeClaim(_ socket: PlainSocket, _ fuzzer: inout ByteFuzzer) -> Int {
        if fuzzer.chance(oneIn: 2) { _ = socket.send(Self.hello) }
        var writer = ByteWriter()
        writer.u32(
            fuzzer.pick([.max, 0x7fff_ffff, 8 << 20, (8 << 20) + 1, 4 << 10, (4 << 10) + 1]))
        writer.u8(1)
        writer.raw(fuzzer.noise(below: 200))
        _ = socket.send(writer.bytes)
        socket.discard()
        return 1
    }

    private func smallWrites(_ socket: PlainSocket, _ fuzzer: inout ByteFuzzer) -> Int {
        let bytes = Self.hello + Self.frame(.ingest, batch(&fuzzer)) + Self.frame(.ping, [])
        for byte in bytes.prefix(600) where !socket.send([byte]) { break }
        if fuzzer.chance(oneIn: 2) { socket.finish() }
        return 3
    }

    /// Asks and asks, and reads no answer.
    private func neverReads(_ socket: PlainSocket, _ fuzzer: inout ByteFuzzer) -> Int {
        guard socket.send(Self.hello) else { return 0 }
        let asked = fuzzer.below(400)
        for number in 0..<asked {
            let message = fuzzer.pick(Array(Self.messages[..<5]))
            guard socket.send(Self.frame(message.type, message.payload, id: UInt64(number))) else {
                return number
            }
        }
        return asked
    }
}

/// A client that does all of it right, over a plain socket.
final class GoodClient {
    private let socket: PlainSocket
    private var decoder = FrameDecoder(frameBytesMax: WireLimits().frameBytesMax)
    private var requests: UInt64 = 0
    private let isStamped: Bool
    private let isLinking: Bool
    /// What its users are called, before their numbers.
    private let name: String
    /// Events that each user has, by number.
    private(set) var eventsOfUser: [Int] = []

    struct Unserved: Error, CustomStringConvertible {
        var description: String
    }

    /// Far above what a busy machine needs to answer one request, in milliseconds.
    static let patienceMillis = 60_000
    /// How often a batch is sent again where the node has too much to do.
    static let attemptsMax = 1000

    /// Where `isLinking`, each user is first seen as a cookie alone, which then becomes the user's.
    init(_ name: String, port: UInt16, isStamped: Bool, isLinking: Bool = false) throws {
        guard let socket = PlainSocket(port: port, millis: Self.patienceMillis) else {
            throw Unserved(description: "no connection")
        }
        self.socket = socket
        self.isStamped = isStamped
        self.isLinking = isLinking
        self.name = name
        let hello = Hello(clusterName: "", role: .client, software: "good")
        let reply = try ask(.hello, hello.encoded(), for: .helloReply)
        _ = try HelloReply(decoding: reply.span.bytes)
    }

    /// Asks again where a node has no answer for the moment: somebody who greets as another node
    /// may take the place of that node's connection.
    private func ask(
        _ type: FrameType, _ payload: [UInt8], for reply: FrameType, tries: Int = 20
    ) throws -> [UInt8] {
        requests += 1
        guard socket.send(Stranger.frame(type, payload, id: requests)) else {
            throw Unserved(description: "request \(requests) was not taken")
        }
        while true {
            if let frame = try decoder.next() {
                if tries > 1, frame.type == .error, frame.requestID == requests,
                    try ErrorReply(decoding: frame.payload).code == .unavailable
                {
                    usleep(100_000)  // as long as a link pauses that was hung up on
                    return try ask(type, payload, for: reply, tries: tries - 1)
                }
                guard frame.type == reply, frame.requestID == requests else {
                    throw Unserved(
                        description: "\(frame.type) for \(frame.requestID), not \(requests): "
                            + String(decoding: frame.payload.copied(), as: UTF8.self))
                }
                return frame.payload.copied()
            }
            guard let bytes = socket.receive() else {
                throw Unserved(description: "request \(requests) was not answered")
            }
            decoder.append(bytes)
        }
    }

    /// One new user with a few events, and an event more for an old one; all must be acknowledged.
    func ingest(_ fuzzer: inout ByteFuzzer) throws {
        var batch = IngestBatchWriter(space: "good", hasStamps: isStamped)
        eventsOfUser.append(0)
        let newest = eventsOfUser.count - 1
        for place in 0...(fuzzer.below(4) + (isLinking ? 1 : 0)) {
            let user = place < 2 ? newest : fuzzer.below(eventsOfUser.count)
            eventsOfUser[user] += 1
            let number = eventsOfUser[user]
            var event: [CBORMember] = [
                CBORMember("type", "track"), CBORMember("event", "Visit"),
                CBORMember("messageId", .text("\(name)-\(user)-\(number)")),
                CBORMember("traits", ["n": .integer(Int64(user))]),
            ]
            if isLinking { event.append(CBORMember("anonymousId", .text("\(name)-\(user)-c"))) }
            if !isLinking || number > 1 {
                event.append(CBORMember("userId", .text("\(name)-\(user)")))
            }
            batch.append(
                stamp: isStamped ? LogTime(1) : nil, bytes: CBORValue.map(event).encoded())
        }
        for attempt in 0..<Self.attemptsMax {
            let bytes = try ask(.ingest, batch.payload, for: .ingestReply)
            let reply = try IngestReply(decoding: bytes.span.bytes)
            if reply.results.contains(where: \.wantsRetry) { continue }
            let isTaken = reply.results.allSatisfy {
                $0 == .ok || attempt > 0 && $0 == .duplicate
            }
            guard isTaken, reply.results.count == batch.count else {
                throw Unserved(description: "\(reply.results)")
            }
            return
        }
        throw Unserved(description: "overloaded \(Self.attemptsMax) times")
    }

    /// Reads a user and compares.
    func check(_ user: Int) throws { try check(user, of: self) }

    /// The same for a user of another client, asking this one's node.
    func check(_ user: Int, of other: GoodClient) throws {
        let name = "\(other.name)-\(user)"
        let get = Get(space: "good", namespace: "user_id", value: name)
        let bytes = try ask(.get, get.encoded(), for: .profile)
        let encoded = try ProfileReply(decoding: bytes.span.bytes).profile ?? []
        var reader = ByteReader(encoded.span.bytes)
        let profile = try Profile(decoding: &reader)
        let count = UInt64(other.eventsOfUser[user])
        guard profile.events == [.init(name: "Visit", count: count)],
            profile.identifiers.map(\.value).sorted() == [name] + (isLinking ? [name + "-c"] : [])
        else { throw Unserved(description: "user \(user): \(profile.events), not \(count)") }
    }
}

@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct PortFuzzTests {
    static let strangers = 8
    /// What a node may ever have held in memory, in bytes: some megabytes to begin with, the
    /// records of the events that were good enough, and the buffers of as many connections.
    static let serverBytesMax = 256 << 20
    /// Strings sent to each node in the ordinary tests.
    static let slice = 2_000

    @Test(
        .enabled(if: FuzzSettings.wants("port"), FuzzSettings.note),
        arguments: ["wall", "event"])
    func `strangers at the port disturb neither the node nor a client`(clock: String) throws {
        let isStamped = clock == "event"
        let seed = FuzzSettings.number("KITH_FUZZ_SEED") ?? 1
        let wanted = (FuzzSettings.number("KITH_FUZZ_COUNT") ?? 2 * Self.slice) / 2
        let again = Comment(
            rawValue:
                "clock \(clock): scripts/fuzz --target port --seed \(seed) --count \(2 * wanted)")
        let started = Date()
        let node = try TestNode(config: #"{"retention": {"clock": "\#(clock)"}}"#)
        let process = String(try #require(node.run).process.processIdentifier)
        let client = try GoodClient("user", port: node.port, isStamped: isStamped)
        var fuzzer = ByteFuzzer(seed: UInt64(seed), string: -1)

        let sent = Mutex(0)
        let visits = Mutex(FuzzSettings.number("KITH_FUZZ_START") ?? 0)
        let leaving = DispatchGroup()
        for _ in 0..<Self.strangers {
            leaving.enter()
            let port = node.port
            Thread.detachNewThread {
                let stranger = Stranger(port: port, isStamped: isStamped)
                var idle = 0
                while sent.withLock({ $0 }) < wanted, idle < 100 {
                    let visit = visits.withLock { number in
                        number += 1
                        return number
                    }
                    var fuzzer = ByteFuzzer(seed: UInt64(seed), string: visit)
                    let count = stranger.visit(&fuzzer)
                    idle = count == 0 ? idle + 1 : 0
                    sent.withLock { $0 += count }
                }
                leaving.leave()
            }
        }
        do {
            repeat {
                try client.ingest(&fuzzer)
                try client.check(fuzzer.below(client.eventsOfUser.count))
            } while leaving.wait(timeout: .now()) == .timedOut
        } catch {
            Issue.record("the client was not served: \(error)\n\(again)")
        }
        leaving.wait()

        #expect(sent.withLock { $0 } >= wanted, again)
        let late = try GoodClient("late", port: node.port, isStamped: isStamped)
        try late.ingest(&fuzzer)
        try late.check(0)
        for user in client.eventsOfUser.indices { try client.check(user) }
        let peak = FuzzSearch.memory("VmHWM:", of: process)
        #expect(peak > 0 && peak < Self.serverBytesMax, "\(peak) bytes; \(again)")
        let stats = try node.stats()
        node.run?.signal(SIGTERM)
        let end = try #require(node.run).end()
        #expect(end.code == 0, "\(end.error)\n\(again)")
        // Everything that was logged is taken again, whatever it was.
        try node.start()
        #expect(try node.stats() == stats, again)
        if FuzzSettings.isLong {
            let seconds = Int(Date().timeIntervalSince(started))
            print(
                "fuzz-result port-\(clock) \(sent.withLock { $0 }) \(visits.withLock { $0 }) 0 "
                    + "\(seconds) \(peak / 1024)")
        }
    }
}
