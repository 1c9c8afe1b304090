// Crowds at the port of a real node: clients that never read, and clients that only hold places.

import Foundation
import Glibc
import KithBytes
import KithWire
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

    @Test(arguments: Kind.allCases)
    func `deaf clients cost a process their buffers, whatever they ask`(kind: Kind) throws {
        let node = try TestNode()
        _ = try node.kith("ingest", "-", input: Self.longLines)
        let process = try #require(node.run).process.processIdentifier
        let before = Self.residentBytes(of: process)
        let request = Self.request(kind)
        let sent = (0..<Self.clients).map { _ in Self.deaf(at: node.port, request) }
        let after = Self.residentBytes(of: process)

        #expect(sent.allSatisfy { $0.bytes > 1 << 20 && $0.isStuck }, "\(kind): \(sent)")
        #expect(after - before < Self.growthMax, "\(kind): \((after - before) >> 20) MiB")
        let answer = try node.kith("get", "user_id:long", "--json")
        #expect(answer.code == 0, "\(answer.error)")
        withExtendedLifetime(sent) {}
    }

    /// A client that sends until nobody takes it, or a GiB is out.
    private static func deaf(
        at port: UInt16, _ request: [UInt8]
    ) -> (socket: PlainSocket?, bytes: Int, isStuck: Bool) {
        guard let socket = PlainSocket(port: port, millis: 1_500), socket.send(Stranger.hello),
            socket.receive() != nil
        else { return (nil, 0, false) }
        let bytes = Array(
            repeatElement(request, count: max(1, (64 << 10) / request.count)).joined())
        var sent = 0
        while sent < 1 << 30 {
            guard socket.send(bytes) else { return (socket, sent, true) }
            sent += bytes.count
        }
        return (socket, sent, false)
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
