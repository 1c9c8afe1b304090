// Crowds at the port of a real node: clients that never read, and clients that only hold places.

import Foundation
import Glibc
import KithBytes
import KithWire
import Synchronization
import Testing
import kith

@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct CrowdProcessTests {
    /// What a deaf client asks.
    enum Kind: String, CaseIterable, Sendable {
        case ingest, refusedItems, get, stats, status, ping
    }

    /// How much more memory a node may have for clients that do not read, with what its work
    /// leaves to the allocator.
    private static let growthMax = 64 << 20
    private static let clients = 4

    /// A node for each kind, all at work at the same time.
    @Test func `deaf clients cost a process their buffers, whatever they ask`() throws {
        let nodes = try Kind.allCases.map { kind in
            let node = try TestNode()
            _ = try node.kith("ingest", "-", input: Self.longLines)
            let process = try #require(node.run).process.processIdentifier
            return (kind, node, process, before: Self.residentBytes(of: process))
        }
        let crowd = DeafCrowd(
            nodes.map { ($0.1.port, Self.request($0.0)) }, clientsEach: Self.clients)
        for (place, (kind, node, process, before)) in nodes.enumerated() {
            let sent = crowd.clients(at: place)
            let growth = Self.residentBytes(of: process) - before
            #expect(sent.count == Self.clients)
            #expect(sent.allSatisfy { $0.bytes > 1 << 20 && $0.isStuck }, "\(kind): \(sent)")
            #expect(growth < Self.growthMax, "\(kind): \(growth >> 20) MiB")
            let answer = try node.kith("get", "user_id:long", "--json")
            #expect(answer.code == 0, "\(kind): \(answer.error)")
        }
        withExtendedLifetime(crowd) {}
    }

    private static var longLines: String {
        (0..<10).map { part in
            let text = String(repeating: "x", count: 20_000)
            return #"{"type":"identify","userId":"long","traits":{"t\#(part)":"\#(text)"}}"#
        }.joined(separator: "\n") + "\n"
    }

    private static func request(_ kind: Kind) -> [UInt8] {
        switch kind {
        case .ingest:
            // The same message again and again: nothing grows but answers.
            var batch = IngestBatchWriter(space: "default", hasStamps: false)
            let event: CBORValue = [
                "type": "track", "event": "e", "messageId": "m", "userId": "deaf",
            ]
            batch.append(stamp: nil, bytes: event.encoded())
            return Stranger.frame(.ingest, batch.payload)
        case .refusedItems:
            var batch = IngestBatchWriter(space: "default", hasStamps: false)
            for _ in 0..<2_000 { batch.append(.invalidJSON) }
            return Stranger.frame(.ingest, batch.payload)
        case .get:
            let get = Get(space: "default", namespace: "user_id", value: "long")
            return Stranger.frame(.get, get.encoded())
        case .stats: return Stranger.frame(.stats, [])
        case .status: return Stranger.frame(.status, [])
        case .ping: return Stranger.frame(.ping, [])
        }
    }

    /// Of the process, as the kernel counts it.
    private static func residentBytes(of process: Int32) -> Int {
        let text = try? String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8)
        let pages = text?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    @Test func `idle clients at all places keep out neither a client nor a node that returns`()
        throws
    {
        // 40 places for clients at each node.
        let cluster = try TestCluster(3, descriptorsMax: 200)
        let user = try #require((0..<1_000).lazy.map { "u\($0)" }.first)
        #expect(try cluster.kith(2, "ingest", "-", input: Self.line(user)).code == 0)
        cluster.crash(3)
        var crowd: [PlainSocket] = []
        for port in cluster.ports.prefix(2) {
            for _ in 0..<150 {
                let socket = try #require(PlainSocket(port: port, millis: 2_000))
                #expect(socket.send(Stranger.hello) && socket.receive() != nil)
                crowd.append(socket)
            }
        }
        try cluster.start(3)
        // Every line of these needs some other node than the one that takes it.
        let lines = (0..<300).map { Self.line("new-\($0)") }.joined()
        for number in 1...3 {
            let result = try cluster.kith(number, "ingest", "-", input: lines)
            #expect(result.code == 0, "\(result.error)")
        }
        #expect(try cluster.stats(3)["profiles"]?["total"] == 301)
        let status = try JSONTranscoder.tree(
            Array(try cluster.kith(1, "status", "--json").output.utf8))
        guard case .array(let nodes)? = status["nodes"],
            case .unsigned(let closed)? = nodes.first?["clientsClosedForOthers"]
        else {
            Issue.record("no count of clients in \(status)")
            return
        }
        #expect(closed >= 70)
        withExtendedLifetime(crowd) {}
    }

    private static func line(_ user: String) -> String {
        #"{"type":"identify","userId":"\#(user)","messageId":"m-\#(user)"}"# + "\n"
    }
}

/// Clients that send and never read, a thread each, until nobody takes what they send. They keep
/// their connections as long as this is kept.
private final class DeafCrowd: Sendable {
    struct Client {
        var socket: PlainSocket?
        var bytes = 0
        /// Nobody took anything for `patienceMillis`.
        var isStuck = false
    }

    /// Longer than a node that shares two cores with five others takes for what it has read.
    private static let patienceMillis = 4_000
    /// What a client sends at most.
    private static let bytesMax = 1 << 30

    private let sent: Mutex<[Int: [Client]]> = Mutex([:])

    /// So many clients at each port, with what they send; returns when all are done.
    init(_ places: [(port: UInt16, request: [UInt8])], clientsEach: Int) {
        let leaving = DispatchGroup()
        for (place, (port, request)) in places.enumerated() {
            for _ in 0..<clientsEach {
                leaving.enter()
                Thread.detachNewThread { [self] in
                    let client = Self.client(at: port, request)
                    sent.withLock { $0[place, default: []].append(client) }
                    leaving.leave()
                }
            }
        }
        leaving.wait()
    }

    func clients(at place: Int) -> [Client] { sent.withLock { $0[place] ?? [] } }

    private static func client(at port: UInt16, _ request: [UInt8]) -> Client {
        var client = Client(socket: PlainSocket(port: port, millis: patienceMillis))
        guard let socket = client.socket, socket.send(Stranger.hello), socket.receive() != nil
        else { return client }
        let bytes = Array(
            repeatElement(request, count: max(1, (64 << 10) / request.count)).joined())
        while client.bytes < bytesMax {
            guard socket.send(bytes) else {
                client.isStuck = true
                return client
            }
            client.bytes += bytes.count
        }
        return client
    }
}
